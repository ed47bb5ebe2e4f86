"""Under which name this program sends to subscribers: the same after a crash, so that the next run goes on at once.

Whoever sends for a subscriber says so in its row, and another program waits until that has run out. The run after a kill
need not: it has the name of the one before, which is proved dead by the lock that the system took from it. A lock says
nothing of a copy of the folder, so beside the name stands where it counts: in this file, since this start of the machine.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import UUID
from weakref import finalize

import structlog

from crm.schema.base import uuid7

log = structlog.get_logger(__name__)
FILE: Final = "sender"
# A clone of a virtual machine has the same /etc/machine-id and name, but was started by itself.
_STARTED: Final = Path("/proc/sys/kernel/random/boot_id")


class SenderName:
    """`id` of the data folder, while nobody else has it; of a second program in the same folder one of its own."""

    def __init__(self, folder: Path) -> None:
        self.close: Callable[[], object] = lambda: None
        self.id = self._kept(folder) or uuid7()

    def _kept(self, folder: Path) -> UUID | None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log.warning("sender_not_named", why=error.strerror)
            return None
        # Open, and so locked, as long as this program needs it.
        self.close = finalize(self, os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _read(file) or _write(file)
        except OSError:
            return None


def _read(file: int) -> UUID | None:
    """None too if it was written elsewhere, or by nobody knows whom."""
    try:
        name, place = os.pread(file, 1000, 0).decode("utf-8").splitlines()
        return UUID(name) if place == _place(file) else None
    except ValueError:
        return None


def _write(file: int) -> UUID:
    name = uuid7()
    os.ftruncate(file, 0)
    os.pwrite(file, f"{name}\n{_place(file)}\n".encode(), 0)
    return name


def _place(file: int) -> str:
    """What no copy has: of which machine, and which file there."""
    kept = os.fstat(file)
    return f"{_machine()} {kept.st_dev}:{kept.st_ino}"


def _machine() -> str:
    try:
        return _STARTED.read_text("ascii").strip()
    except OSError:  # not Linux
        return socket.gethostname()
