"""Whoever can be asked something that only reads: a session, or the driver itself (`crm.direct_reading`)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sqlalchemy import TextClause


class Rows(Protocol):
    """What a statement found; values of a row are attributes."""

    def all(self) -> Sequence[Any]: ...

    def first(self) -> Any: ...


class Reader(Protocol):
    """Whoever can be asked; an `AsyncSession` fits, and so does `DirectReader`."""

    async def execute(self, statement: TextClause, params: dict[str, Any]) -> Rows: ...


class Readers(Protocol):
    """Lends a reader for one question; a maker of sessions fits, and so does `DirectReaders`."""

    def __call__(self) -> AbstractAsyncContextManager[Reader]: ...
