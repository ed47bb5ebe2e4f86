"""What the endpoints of imports take and answer."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from crm.importing.plans import Capitals, Clash, Faulty, Known, New, SameName
from web.api.reading import MOST_ITEMS, Cursor, Id, Limit, Text


class UploadQuery(msgspec.Struct, kw_only=True):
    """The file's own name, shown in the list of imports."""

    name: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")] = ""


class Action(StrEnum):
    START = "start"
    STOP = "stop"
    UNDO = "undo"


class ImportAction(msgspec.Struct, forbid_unknown_fields=True):
    """Begin or go on, stop after the present batch (of undoing, too), or put what the import created into the bin."""

    action: Action


class Policy(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to do with rows whose client is new, known, or known by name only; with bad values; with others' numbers; with names in capitals."""

    new: New = New.CREATE
    known: Known = Known.FILL
    same_name: SameName = SameName.SKIP
    faulty: Faulty = Faulty.REFUSE
    clash: Clash = Clash.REFUSE
    capitals: Capitals = Capitals.KEEP
    default_kind: Text = "prospect"
    owner_id: Id | None = None


class Columns(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A field for each column of the file, "" for those that are left out; a field of the company's own is custom.KEY."""

    columns: Annotated[list[Text], Meta(max_length=MOST_ITEMS)]
    policy: Policy = msgspec.field(default_factory=Policy)


class Import(msgspec.Struct, kw_only=True):
    """A file on its way in. `counts`: what the check expects of the rows, once it runs what became of them.

    `unknown_sources`: those that the directory does not know, with their rows; they are kept as they are written.
    `undone_rows` of `rows_to_undo`: how far undoing has come.
    """

    id: int
    file_name: str
    state: str
    header: list[str]
    columns: list[str]
    policy: Policy
    total_rows: int
    checked_rows: int
    done_rows: int
    rows_to_undo: int
    undone_rows: int
    counts: dict[str, int]
    unknown_sources: dict[str, int]
    trouble: str | None
    created_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ImportList(msgspec.Struct):
    items: list[Import]
    next: str | None


class Show(StrEnum):
    """Which rows: with remarks, by what the check expects, or by what became of them."""

    FAULTY = "faulty"
    NOT_STORED = "not_stored"
    NEW = "new"
    KNOWN = "known"
    REPEAT = "repeat"
    SAME_NAME = "same_name"
    REFUSED = "refused"
    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"
    UNDONE = "undone"
    KEPT = "kept"


class RowQuery(msgspec.Struct, kw_only=True):
    show: Show | msgspec.UnsetType = msgspec.UNSET
    limit: Limit = 50
    cursor: Cursor = ""


class RowProblem(msgspec.Struct, kw_only=True):
    """`text` in the user's language; a note refuses nothing."""

    field: str
    text: str
    is_note: bool


class ImportRow(msgspec.Struct, kw_only=True):
    """A row as it stood in the file, what is expected of it and what became of it."""

    row: int
    state: str
    verdict: str | None
    names: list[str]  # of the organisation and the person as they will be stored; once they are, none
    cells: list[str]
    problems: list[RowProblem]
    party_id: int | None


class RowList(msgspec.Struct):
    items: list[ImportRow]
    next: str | None


class SheetName(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"


def told(value: Any, into: type[Any]) -> Any:
    return msgspec.convert(value, into, from_attributes=True)
