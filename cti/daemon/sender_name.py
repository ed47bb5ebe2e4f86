"""Under which name this program sends to subscribers: the same after a crash, so that the next run goes on at once.

Whoever sends for a subscriber says so in its row, and another program waits until that has run out. The run after a kill
need not: it has the name of the one before, which is proved dead by the lock that the system took from it.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import structlog

from crm.schema.base import uuid7

log = structlog.get_logger(__name__)
FILE: Final = "sender"


class SenderName:
    """`id` of the data folder, while nobody else has it; of a second program in the same folder one of its own."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[str] | None = None
        self.id = self._kept(folder) or uuid7()

    def _kept(self, folder: Path) -> UUID | None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / FILE).open("a+", encoding="ascii")
        except OSError as error:
            log.warning("sender_not_named", why=error.strerror)
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file = file  # open, and so locked, as long as this program lives
            return _read(file) or _write(file)
        except OSError:
            if self._file is None:
                file.close()
            return None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _read(file: IO[str]) -> UUID | None:
    file.seek(0)
    try:
        return UUID(file.read(100).strip())
    except ValueError:
        return None


def _write(file: IO[str]) -> UUID:
    name = uuid7()
    file.seek(0)
    file.truncate()
    file.write(f"{name}\n")
    file.flush()
    return name
