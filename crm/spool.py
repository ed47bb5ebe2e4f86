"""Journal entries on disk while the database is away: append-only files, synced, bounded, safe against kill -9.

A file is a row of records: length and CRC-32 of the body (four bytes each, big-endian), then the body. A record that
the end of a file cuts short was being written when the program died, and never counted as written. Files are read
whole and then removed; reading one twice does no harm, since the journal stores idempotently.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

FILE_BYTES = 4 * 2**20
MAX_BYTES = 512 * 2**20
_HEAD = struct.Struct(">II")


class SpoolFull(Exception):
    """The spool has reached its bound: what was to be written is still in the caller's hands."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        super().__init__(
            f"The journal's spool in {folder} has reached its bound of {max_bytes} bytes. "
            "Bring the database back; nothing that is in the spool will be lost."
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """The records of one file, and whether something in the middle of it could not be read."""

    path: Path
    bodies: list[bytes]
    is_damaged: bool


class Spool:
    """A folder of numbered files. One program writes it; methods that touch the disk block and belong in a thread."""

    def __init__(self, folder: Path, *, max_bytes: int = MAX_BYTES, file_bytes: int = FILE_BYTES) -> None:
        self.folder = folder
        self._max_bytes, self._file_bytes = max_bytes, file_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sizes = {path: path.stat().st_size for path in sorted(folder.glob("journal-*.spool"))}
        self._writing: IO[bytes] | None = None  # a file left by an earlier run is read, never written on
        self._writing_path: Path | None = None
        self._lock = threading.RLock()

    @property
    def size(self) -> int:
        """Bytes on disk that wait."""
        return sum(self._sizes.values())

    @property
    def is_empty(self) -> bool:
        return not self._sizes

    def append(self, bodies: Sequence[bytes]) -> None:
        """Write records and sync them to disk, all or none.

        Raises:
            SpoolFull, OSError: none of them is written.
        """
        with self._lock:
            self._append(framed(bodies))

    def _append(self, data: bytes) -> None:
        if self.size + len(data) > self._max_bytes:
            raise SpoolFull(self.folder, self._max_bytes)
        file, path = self._open_file()
        before = file.tell()
        try:
            _write_whole(file, data)
            os.fsync(file.fileno())
        except OSError:
            file.truncate(before)
            file.seek(before)
            raise
        self._sizes[path] = before + len(data)

    def read_oldest(self) -> Reading | None:
        """The oldest file, closed for writing from now on; None when nothing waits."""
        with self._lock:
            if not self._sizes:
                return None
            path = min(self._sizes)
            if path == self._writing_path:
                self._close_file()
        bodies, is_damaged = parse(path.read_bytes())
        return Reading(path, bodies, is_damaged)

    def remove(self, reading: Reading) -> None:
        """Its records are stored: forget the file. A damaged one is kept aside for a person to look at."""
        if reading.is_damaged:
            reading.path.rename(reading.path.with_suffix(".damaged"))
        else:
            reading.path.unlink(missing_ok=True)
        self._sizes.pop(reading.path, None)

    def refuse(self, bodies: Iterable[bytes], name: str) -> None:
        """Keep aside what the database will never take, in a file of the same form."""
        with (self.folder / f"refused-{name}.spool-refused").open("ab") as file:
            file.write(framed(bodies))
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        with self._lock:
            self._close_file()

    def _open_file(self) -> tuple[IO[bytes], Path]:
        if self._writing is not None and self._writing.tell() >= self._file_bytes:
            self._close_file()
        if self._writing is None or self._writing_path is None:
            number = 1 + max((int(path.stem.partition("-")[2]) for path in self._sizes), default=0)
            self._writing_path = self.folder / f"journal-{number:012d}.spool"
            self._writing = self._writing_path.open("wb", buffering=0)
            self._sizes[self._writing_path] = 0
            self._sync_folder()
        return self._writing, self._writing_path

    def _close_file(self) -> None:
        if self._writing is not None:
            self._writing.close()
        self._writing = self._writing_path = None

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_whole(file: IO[bytes], data: bytes) -> None:
    """A disk with little room left takes a part and says so in the count alone; only the next write fails."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def framed(bodies: Iterable[bytes]) -> bytes:
    return b"".join(_HEAD.pack(len(body), zlib.crc32(body)) + body for body in bodies)


def parse(data: bytes) -> tuple[list[bytes], bool]:
    """The whole records of a file, and whether one that is not merely cut short at the end is unreadable."""
    bodies: list[bytes] = []
    position = 0
    while position + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, position)
        body = data[position + _HEAD.size : position + _HEAD.size + length]
        if len(body) < length:
            break  # torn: the program died while it wrote this one
        if zlib.crc32(body) != checksum:
            is_last = position + _HEAD.size + length >= len(data)
            return bodies, not is_last
        bodies.append(body)
        position += _HEAD.size + length
    return bodies, False
