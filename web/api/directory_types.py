"""What the endpoints of directories take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.api.reading import MOST_ITEMS, Id

_NO_NUL = r"^[^\x00]*$"
EntryName = Annotated[str, Meta(min_length=1, max_length=200, pattern=_NO_NUL)]
Colour = Annotated[str | None, Meta(description="as #2f6fed; null: none")]
EntryCode = Annotated[str, Meta(max_length=50, pattern=r"^([a-z0-9][a-z0-9_-]*)?$")]
Place = Annotated[
    int, Meta(ge=1, le=1000, description="among those in use, from 1; beyond the end: the last")
]
Word = Annotated[str, Meta(min_length=1, max_length=300, pattern=_NO_NUL)]


class Entry(msgspec.Struct, kw_only=True):
    """A word of a directory. `code`: of kinds, and of what the program itself needs; it never changes. The names of what came with
    the program are English words."""

    id: int
    code: str | None
    name: str
    colour: str | None
    is_system: bool
    archived_at: datetime | None
    version: int


class EntryList(msgspec.Struct):
    items: list[Entry]
    next: str | None = None


class Source(msgspec.Struct, kw_only=True):
    """Where clients and enquiries come from. Records tell its `name`, which may change; its `code` never does."""

    id: int
    code: str
    name: str
    colour: str | None
    archived_at: datetime | None
    version: int
    words: list[str]  # other texts that mean it


class SourceList(msgspec.Struct):
    items: list[Source]
    next: str | None = None


class NewEntry(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A further word, the last one of its directory."""

    name: EntryName
    colour: Colour = None


class NewCodedEntry(NewEntry, kw_only=True, forbid_unknown_fields=True):
    """The same with its name for programs, which never changes; "" has one made."""

    code: EntryCode = ""


class NewReason(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A further reason, the last one."""

    name: EntryName


class ReasonChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. An archived entry is offered no more; what has it keeps it."""

    name: EntryName | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET
    place: Place | UnsetType = UNSET


class EntryChange(ReasonChange, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. An archived entry is offered no more; what has it keeps it."""

    colour: Colour | UnsetType = UNSET


class SourceWord(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A text that records have, or other programs send, and that means this source."""

    word: Word


class UnknownSources(msgspec.Struct):
    """Texts of records that mean no source, the first hundred by name."""

    items: list[str]
    next: str | None = None


class TagIds(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Exactly these tags of the directory."""

    tag_ids: Annotated[list[Id], Meta(max_length=MOST_ITEMS)]
