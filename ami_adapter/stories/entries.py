"""One line of a kept story: a message as it was received, or a note of ours; and its bytes on disk."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from crm.spool import framed, parse

_HEAD = struct.Struct(">cQq")  # kind, place in the connection's stream, microseconds since 1970
_HEARD, _NOTED = b"M", b"N"
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class StoryDamaged(Exception):
    """Bytes that are no story, or no longer one."""


class Heard(NamedTuple):
    """A message of the PBX: its bytes without the empty line at their end. `place` orders what one run heard.

    A tuple, because one is made for nearly every message of a busy PBX.
    """

    place: int
    at: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class Noted:
    """What we made of it: `what` names the kind of note, `values` are plain JSON."""

    place: int
    at: datetime
    what: str
    values: Mapping[str, Any] = field(default_factory=dict)


Entry = Heard | Noted


def encoded(entries: Iterable[Entry]) -> bytes:
    """Records with length and checksum: what a crash cuts short is seen when it is read."""
    return framed(map(_body, entries))


def decoded(data: bytes) -> list[Entry]:
    """The entries of a file; a last one that is cut short was never written.

    Raises:
        StoryDamaged: something in the middle is not what was written.
    """
    bodies, is_damaged = parse(data)
    if is_damaged:
        raise StoryDamaged("a record's checksum is wrong")
    try:
        return [_entry(body) for body in bodies]
    except (struct.error, ValueError, KeyError, TypeError, OverflowError) as error:
        raise StoryDamaged(f"a record is none of ours: {error}") from error


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Each once, as they came; of two runs the earlier first. What concerned two calls that joined stands in both."""
    once = {(entry.at, entry.place): entry for entry in entries}
    return [once[key] for key in sorted(once)]


def _body(entry: Entry) -> bytes:
    microseconds = (entry.at - _EPOCH) // _MICROSECOND
    if isinstance(entry, Heard):
        return _HEAD.pack(_HEARD, entry.place, microseconds) + entry.raw
    note = json.dumps([entry.what, dict(entry.values)], ensure_ascii=False, separators=(",", ":"))
    return _HEAD.pack(_NOTED, entry.place, microseconds) + note.encode("utf-8", "replace")


def _entry(body: bytes) -> Entry:
    kind, place, microseconds = _HEAD.unpack_from(body)
    at, content = _EPOCH + microseconds * _MICROSECOND, body[_HEAD.size :]
    if kind == _HEARD:
        return Heard(place, at, content)
    what, values = json.loads(content)
    return Noted(place, at, what, values)
