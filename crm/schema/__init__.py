"""Tables, a file per area. Importing this package registers all of them on `Base.metadata`."""

from crm.schema import access, communications, imports, journals, parties, telephony
from crm.schema.base import Base, uuid7

__all__ = ["Base", "access", "communications", "imports", "journals", "parties", "telephony", "uuid7"]
