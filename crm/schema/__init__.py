"""Tables, a file per area. Importing this package registers all of them on `Base.metadata`."""

from crm.schema import access, communications, journals, meetings, parties, telephony, views
from crm.schema.base import Base, uuid7

__all__ = [
    "Base",
    "access",
    "communications",
    "journals",
    "meetings",
    "parties",
    "telephony",
    "uuid7",
    "views",
]
