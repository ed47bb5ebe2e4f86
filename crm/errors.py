"""What can go wrong in the CRM: what happened, with which values, what to try.

Every error keeps its English sentence as a template with named values, so that a catalogue can say the same in another
language: `_(error.template) % error.values`. `str(error)` is the English sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any


class CrmError(Exception):
    """The base of the tree. `field` names the input to mark, "" where there is none."""

    template = "The request cannot be carried out."
    field = ""
    messages: Mapping[str, Sequence[str]] = MappingProxyType({})  # values that are message ids themselves

    def __init__(self, **values: Any) -> None:
        self.values: Mapping[str, Any] = values
        super().__init__(self.template % values)

    @property
    def code(self) -> str:
        """A stable name for programs: the class's own."""
        return type(self).__name__


class NotAllowed(CrmError):
    """The right is missing altogether. (A record outside one's rights is `NotFound`.)"""

    template = "You need the right “%(right)s” for this. Ask an administrator to give it to your role."

    def __init__(self, right: str) -> None:
        self.right = right
        super().__init__(right=right)


class NotFound(CrmError):
    """No such record, or outside this user's rights: the same answer on purpose."""

    template = "There is no %(kind)s %(id)s, or you may not see it."

    def __init__(self, kind: str, record_id: object) -> None:
        super().__init__(kind=kind, id=record_id)


class Invalid(CrmError):
    """A value that cannot be stored; `why` is a whole English sentence and itself a template of the catalogue."""

    template = "%(field)s: %(why)s"

    def __init__(self, field: str, value: object, why: str, **more: Any) -> None:
        self.field = field
        self.why = why
        super().__init__(field=field, value=value, why=why % more if more else why, **more)


class Conflict(CrmError):
    """Somebody saved the same record meanwhile, and the same fields."""

    template = "%(by)s changed this record meanwhile: %(fields)s. Compare and save again."

    def __init__(self, fields: Mapping[str, tuple[Any, Any]], version: int, by: str) -> None:
        self.fields = fields  # name → (what is stored now, what was sent)
        self.version = version
        super().__init__(fields=", ".join(fields), by=by)


class AlreadyExists(CrmError):
    """The database has it already; tells that it exists and who is responsible, nothing more (crm-model 7)."""

    template = "%(value)s already belongs to “%(name)s” (responsible: %(owner)s)."

    def __init__(
        self,
        field: str,
        value: str,
        *,
        party_id: int,
        name: str,
        created_by: str,
        created_at: datetime,
        owner: str,
        version: int = 0,
    ) -> None:
        self.field = field
        self.party_id = party_id
        self.created_at = created_at
        self.version = version
        super().__init__(value=value, name=name, created_by=created_by or "—", owner=owner or "—")


class Taken(CrmError):
    """A name that must be unique is in use: a login, a connection, a line, an extension."""

    template = "“%(value)s” is already taken. Choose another one."

    def __init__(self, field: str, value: str) -> None:
        self.field = field
        super().__init__(value=value)


class NumberHasSeveralOwners(CrmError):
    """A number of several owners cannot become direct."""

    template = "%(number)s has several owners (%(owners)s): end the others first, then mark it as direct."
    field = "usage"

    def __init__(self, number: str, owners: Sequence[str]) -> None:
        super().__init__(number=number, owners=", ".join(owners))


class LastAdministrator(CrmError):
    """At least one active administrator always remains."""

    template = "“%(login)s” is the last active administrator. Make another user an administrator first."

    def __init__(self, login: str) -> None:
        super().__init__(login=login)


class SecretUnreadable(CrmError):
    """A sealed secret does not open: another key file, or a damaged row."""

    template = (
        "The stored secret cannot be opened with the key file %(path)s. "
        "Restore the key file that belongs to this database, or enter the secret again."
    )

    def __init__(self, path: object) -> None:
        super().__init__(path=path)
