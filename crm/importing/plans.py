"""The values of an import: what the company chose, what a row was understood as, what is wrong with it. Pure."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Any

import msgspec

from crm.errors import CrmError, Invalid


class Known(StrEnum):
    """What to do with a row whose client is there already."""

    FILL = "fill"  # what is empty is filled in; numbers and contacts are added
    REPLACE = "replace"  # what stands in the file counts
    SKIP = "skip"


class New(StrEnum):
    """What to do with a row whose client is not there."""

    CREATE = "create"
    SKIP = "skip"


class SameName(StrEnum):
    """What to do if only the name is the same: no number, address or INN tells whether it is the same client."""

    CREATE = "create"
    KNOWN = "known"
    SKIP = "skip"


class Faulty(StrEnum):
    """What to do with a row of which a value cannot be stored."""

    REFUSE = "refuse"
    LEAVE_OUT = "leave_out"  # the value; the rest of the row is imported


class Clash(StrEnum):
    """What to do with a number or address that somebody of another name has."""

    REFUSE = "refuse"
    SHARE = "share"  # «общий»: both have it


class Capitals(StrEnum):
    """What to do with names that are written in capitals."""

    KEEP = "keep"
    PEOPLE = "people"  # «ИВАНОВ ИВАН» → «Иванов Иван»; organisations as they are written
    ALL = "all"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the importing person chose; `default_kind` is a code, "" leaves persons without a kind."""

    new: New = New.CREATE
    known: Known = Known.FILL
    same_name: SameName = SameName.SKIP
    faulty: Faulty = Faulty.REFUSE
    clash: Clash = Clash.REFUSE
    capitals: Capitals = Capitals.KEEP
    default_kind: str = "prospect"
    owner_id: int | None = None  # of rows that name nobody; None: whoever imports


class RowProblem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with a value; `why` is a message id of the catalogues, `values` what it speaks of."""

    why: str
    field: str = ""
    values: dict[str, Any] = {}
    is_note: bool = False  # told, but nothing is refused for it
    label: str = ""  # of a field of the company's own: its name, as somebody typed it

    @classmethod
    def of(cls, error: CrmError, *, field: str = "", is_note: bool = False) -> RowProblem:
        """The same as an error that a form would show."""
        why = error.why if isinstance(error, Invalid) else error.template
        values = {name: value for name, value in error.values.items() if name not in {"field", "why"}}
        return cls(why=why, field=field or error.field, values=values, is_note=is_note)


class Phone(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A number understood."""

    e164: str
    presented: str
    extension: str = ""
    country: str | None = None
    type: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.e164, self.extension


class Side(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The organisation of a row, or its person: columns as they are stored, numbers and addresses."""

    party: dict[str, Any]
    detail: dict[str, Any]
    phones: list[Phone] = []
    emails: list[str] = []

    @property
    def type(self) -> str:
        return str(self.party["type"])

    @property
    def name(self) -> str:
        return str(self.party["display_name"])

    @property
    def sort_name(self) -> str:
        return str(self.party["sort_name"])

    @property
    def custom(self) -> dict[str, Any]:
        """Values of the company's own fields, by their keys."""
        return self.party.get("custom") or {}

    @property
    def inn(self) -> str:
        return self.detail.get("inn") or ""

    @property
    def kpp(self) -> str:
        return self.detail.get("kpp") or ""


class Plan(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A row understood; at least one of the two sides is there."""

    organisation: Side | None = None
    person: Side | None = None
    position: str = ""
    kinds: list[str] = []  # of the organisation, else of the person
    names_kinds: bool = False  # they stand in the file, and are no mere default
    owner_id: int | None = None
    notes: list[RowProblem] = []  # what was wrong with its cells, and did not refuse it

    @property
    def sides(self) -> list[Side]:
        return [side for side in (self.organisation, self.person) if side is not None]

    def lock_keys(self) -> list[str]:
        """What to lock before looking: the keys that forms lock too (`crm.parties`)."""
        keys = []
        for side in self.sides:
            keys += [f"phone:{phone.e164}" for phone in side.phones]
            keys += [f"email:{address}" for address in side.emails]
            keys += [f"inn:{side.inn}/{side.kpp}"] if side.inn else []
        return keys


class OwnField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of the company's own, as far as understanding a cell goes."""

    key: str
    name: str
    type: str  # text, number, date, flag, choice
    options: list[str] = []

    @property
    def column(self) -> str:
        """What a column of a file that holds it is called."""
        return own_column(self.key)


class Rules(msgspec.Struct, kw_only=True):
    """Everything that understanding a row needs to know, so that it can be done in another process."""

    columns: list[str]
    leaves_out: bool = False
    capitals: Capitals = Capitals.KEEP
    region: str = "RU"
    default_kind: str = ""
    kinds: dict[str, str] = {}  # normalised name or code → code
    owners: dict[str, int] = {}  # login or normalised name → user
    namesakes: list[str] = []  # names that several users have
    own_lines: dict[str, str] = {}  # E.164 → the line's name
    own_fields: list[OwnField] = []
    sources: dict[str, str] = {}  # what means a source, in small letters → the directory's name


class Checked(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of a row's cells. Without a plan it is refused."""

    plan: Plan | None = None
    problems: list[RowProblem] = []
    unknown_source: str = ""  # kept as it is written, and told
    is_in_capitals: bool = False  # the name of its person, in the file


def own_column(key: str) -> str:
    """The name of the column that holds a field of the company's own."""
    return f"custom.{key}"


def as_stored(value: Any) -> Any:
    """A column's value as JSON keeps it."""
    return value.isoformat() if isinstance(value, date) else value
