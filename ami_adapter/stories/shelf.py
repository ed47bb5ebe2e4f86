"""Stories on disk: a growing file for each live call, a compressed one for each ended call, bounded by age and size.

    story/open/<number>.part        records as they come; what a crash leaves is taken up at the next start
    story/<day>/<call>.story.xz     the whole story, put there by one rename

Every method touches the disk and belongs in a thread, one at a time. A file that cannot be read is dropped
with a log line: no repair by hand.
"""

from __future__ import annotations

import lzma
import shutil
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog

from ami_adapter.stories.entries import Entry, Heard, Noted, StoryDamaged, decoded, encoded, in_order

log = structlog.get_logger(__name__)

FOLDER = "story"
SUFFIX = ".story.xz"
MEGABYTE = 2**20
MOST_REMEMBERED = 10_000  # calls packed by this run
MOST_UNPACKED = 64 * MEGABYTE  # of one story; more is nothing that we wrote
QUICK = 0  # lzma's preset: calls are short and alike, a larger one costs time and saves nothing


class StoryShelf:
    """The stories of one installation. One program writes them, commands may read beside it.

    Args:
        days: how long a story is kept; 0: none is.
        megabytes: how much all of them may take; beyond that the oldest go.
    """

    def __init__(self, folder: Path, *, days: int, megabytes: int) -> None:
        self._folder, self._open = folder, folder / "open"
        self._days, self._most = days, megabytes * MEGABYTE
        self._sizes: dict[date, int] = {}
        self._packed: OrderedDict[UUID, Path] = (
            OrderedDict()
        )  # lately, and at start: those may be packed again

    def begin(self, now: datetime) -> None:
        """At start: take up what an earlier run left open, and drop what is too old."""
        if self._days == 0:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        self._open.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sizes = {day: _size(folder) for day, folder in self._day_folders()}
        for path in sorted(self._open.iterdir()):
            self._take_up(path, now)
        self.sweep(now)

    def append(self, number: int, entries: Iterable[Entry]) -> None:
        """More of a call that goes on."""
        with self._part(number).open("ab") as file:
            file.write(encoded(entries))

    def join(self, number: int, absorbed: int) -> None:
        """Two calls turned out to be one: they end with one file."""
        path = self._part(absorbed)
        if path.exists():
            with self._part(number).open("ab") as file:
                file.write(encoded(_readable(path.read_bytes(), path)))
            path.unlink()

    def finish(
        self,
        number: int,
        call_id: UUID | None,
        now: datetime,
        hints: Iterable[Heard] = (),
        rest: Iterable[Entry] = (),
    ) -> None:
        """The call is over: pack its file under its id. One that was never told has none, and goes.

        `hints`: what the PBX once said of who sits at this call's telephones; `rest`: what was not appended yet. The
        records are packed as they stand and put in order by who reads them: calls end at every moment, and few
        stories are ever read.
        """
        path = self._part(number)
        appended = path.read_bytes() if path.exists() else b""
        if call_id is not None and (records := appended + encoded(rest)):
            self._put(call_id, encoded(hints) + records, now)
        if appended:
            path.unlink()

    def read(self, call_id: UUID) -> list[Entry]:
        """The story of an ended call in order; empty when none is kept, or none that can be read."""
        path = self._find(call_id)
        return in_order(_readable(_unpacked(path), path)) if path else []

    def sweep(self, now: datetime) -> None:
        """Drop what is older than `days`, and the oldest beyond `megabytes`."""
        oldest_kept = now.astimezone(UTC).date() - timedelta(days=self._days)
        for day, folder in self._day_folders():
            if day < oldest_kept:
                shutil.rmtree(folder, ignore_errors=True)
                self._sizes.pop(day, None)
        excess = sum(self._sizes.values()) - self._most
        for day, folder in self._day_folders() if excess > 0 else ():
            excess -= self._drop_oldest(day, folder, excess)
            if excess <= 0:
                return

    def _take_up(self, path: Path, now: datetime) -> None:
        """A call that was going on when the program died; it may go on, and is then joined to what is kept here."""
        if path.suffix == ".part":
            entries = _readable(path.read_bytes(), path)
            if call_id := _call_of(entries):
                if before := self._find(call_id):
                    self._packed[call_id] = before
                self._put(call_id, encoded(entries), now)
        path.unlink(missing_ok=True)

    def _put(self, call_id: UUID, records: bytes, now: datetime) -> None:
        day = now.astimezone(UTC).date()
        folder = self._folder / day.isoformat()
        if day not in self._sizes:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sizes[day] = 0
        before = self._packed.pop(call_id, None)
        if before is not None and before.exists():
            records = _unpacked(before) + records
        fresh = self._open / f"{call_id}.new"
        fresh.write_bytes(lzma.compress(records, preset=QUICK))
        if before is not None:
            self._sizes[date.fromisoformat(before.parent.name)] -= before.stat().st_size
            before.unlink()
        size = fresh.stat().st_size
        self._packed[call_id] = fresh.replace(folder / f"{call_id}{SUFFIX}")
        if len(self._packed) > MOST_REMEMBERED:
            self._packed.popitem(last=False)
        self._sizes[day] += size
        if sum(self._sizes.values()) > self._most:
            self.sweep(now)

    def _drop_oldest(self, day: date, folder: Path, excess: int) -> int:
        dropped = 0
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime):
            if dropped >= excess:
                break
            dropped += path.stat().st_size
            path.unlink()
        self._sizes[day] = self._sizes.get(day, 0) - dropped
        return dropped

    def _part(self, number: int) -> Path:
        return self._open / f"{number:012d}.part"

    def _find(self, call_id: UUID) -> Path | None:
        paths = (folder / f"{call_id}{SUFFIX}" for _, folder in reversed(self._day_folders()))
        return next((path for path in paths if path.exists()), None)

    def _day_folders(self) -> list[tuple[date, Path]]:
        return sorted(_days_in(self._folder)) if self._folder.exists() else []


@dataclass(frozen=True, slots=True)
class KeptStory:
    """A story as it is told and exported."""

    entries: list[Entry]

    @property
    def record(self) -> dict[str, object] | None:
        """The call as we concluded it at its end, `cti.calls.telling`; None when nobody saw the end."""
        notes = (entry for entry in reversed(self.entries) if isinstance(entry, Noted))
        return next((dict(note.values) for note in notes if note.what == "concluded"), None)


def _days_in(folder: Path) -> Iterator[tuple[date, Path]]:
    for path in folder.iterdir():
        try:
            yield date.fromisoformat(path.name), path
        except ValueError:
            continue


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _call_of(entries: Iterable[Entry]) -> UUID | None:
    """The id under which the call was last known."""
    ids = [entry.values.get("id") for entry in entries if isinstance(entry, Noted) and entry.what == "named"]
    try:
        return UUID(str(ids[-1])) if ids else None
    except ValueError:
        return None


def _readable(data: bytes, path: Path) -> list[Entry]:
    try:
        return decoded(data)
    except StoryDamaged as error:
        log.warning("story_dropped", file=path.name, why=str(error))
        return []


def _unpacked(path: Path) -> bytes:
    """The records of a packed story; none of a file that cannot be read."""
    try:
        unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2 * MOST_UNPACKED)
        data = unpacker.decompress(path.read_bytes(), max_length=MOST_UNPACKED)
        return data if unpacker.eof else _dropped(path, "the file is cut short")
    except (OSError, lzma.LZMAError) as error:
        return _dropped(path, str(error))


def _dropped(path: Path, why: str) -> bytes:
    log.warning("story_dropped", file=path.name, why=why)
    return b""
