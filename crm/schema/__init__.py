"""Tables, a file per area. Importing this package registers all of them on `Base.metadata`."""

from crm.schema import (
    access,
    binned,
    calendars,
    communications,
    desk,
    directories,
    imports,
    journals,
    leads,
    meetings,
    merging,
    parties,
    requests,
    stages,
    tasks,
    telephony,
    views,
)
from crm.schema.base import Base, uuid7

__all__ = [
    "Base",
    "access",
    "binned",
    "calendars",
    "communications",
    "desk",
    "directories",
    "imports",
    "journals",
    "leads",
    "meetings",
    "merging",
    "parties",
    "requests",
    "stages",
    "tasks",
    "telephony",
    "uuid7",
    "views",
]
