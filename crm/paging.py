"""Pages by keyset: a page is as fast at the end of a million rows as at their beginning."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from crm.errors import Invalid

PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 200
MAX_CURSOR_CHARACTERS: Final = 1000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """Some rows, and the cursor of the next ones; None after the last."""

    items: tuple[Item, ...]
    next: str | None


def encode_cursor(*values: str | int | None) -> str:
    """Where a page ended, as a text for addresses; it tells nothing that the page did not."""
    return base64.urlsafe_b64encode(json.dumps(values, ensure_ascii=False).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type) -> list[Any]:
    """The values of a cursor; each of the type asked for, or None.

    Raises:
        Invalid: not a cursor of this list.
    """
    try:
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        is_ours = isinstance(values, list) and len(values) == len(types)
        if not is_ours or not all(map(_is_storable, values, types)):
            raise ValueError
    except (ValueError, binascii.Error, RecursionError) as error:
        raise no_such_page(cursor) from error
    return list(values)


def _is_storable(value: object, kind: type) -> bool:
    """Whether a value of somebody's making is of its type and could stand in the database at all."""
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair raises a ValueError
        return kind is str and "\0" not in value
    return value is None or (type(value) is kind and isinstance(value, int) and abs(value) < 2**63)


def moment_of(text: str | None, cursor: str) -> datetime:
    """A moment that a cursor names. Raises Invalid."""
    try:
        moment = datetime.fromisoformat(text or "")
        if moment.tzinfo is None:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise no_such_page(cursor) from error


def uuid_of(text: str | None, cursor: str) -> UUID:
    """An id that a cursor names. Raises Invalid."""
    try:
        return UUID(text or "")
    except ValueError as error:
        raise no_such_page(cursor) from error


def no_such_page(cursor: str) -> Invalid:
    return Invalid("cursor", cursor[:80], "This page does not exist. Start again from the first one.")


def page_size(limit: int | None) -> int:
    """Rows of a page: 50 unless asked for, at most 200."""
    return max(1, min(limit or PAGE_SIZE, MAX_PAGE_SIZE))
