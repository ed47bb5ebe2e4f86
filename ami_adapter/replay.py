"""A recorded stream told as calls: the same bytes give the same story. Needs no database and no network."""

from __future__ import annotations

import json
import logging
import lzma
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ami_adapter.errors import AmiError, AmiMessageTooLong
from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.translate import Translator, is_noise
from cti.calls.call_events import CallEnded, CallEvent, CallsJoined, SnapshotApplied
from cti.calls.records import CallRecord
from cti.calls.telling import tell_call
from cti.calls.tracker import CallTracker
from cti.numbers import NumberingProfile, to_e164

log = logging.getLogger(__name__)

CHUNK_BYTES = 65_536
EPOCH = datetime.fromtimestamp(0, UTC)
WALL_CLOCK = re.compile(rb"EventTV: (\d{4}-\d\d-\d\dT[0-9:.]+[+-]\d{4})")
FIRST_ID = re.compile(rb"\r\nUniqueid: (?:[^\r\n]*-)?(\d{9,11})\.\d+\r\n")


class ReplayFailed(AmiError):
    """The recording cannot be read."""


def replay_calls(
    path: Path, *, timing: Path | None = None, region: str = "RU", internal_pattern: str | None = None
) -> list[dict[str, Any]]:
    """Every call of a recording as a JSON object (`cti.calls.telling`), in order of start.

    Args:
        path: bytes of an AMI connection, plain or compressed (.xz).
        timing: `[[seconds since connect, bytes of this chunk], …]`; without it only Timestamp headers tell times.
        region: the country whose dialling habits apply, ISO 3166.
        internal_pattern: what an extension looks like, a regular expression; by default the stream tells.

    Raises:
        ReplayFailed: a file is missing, or is not what it should be.
    """
    profile = NumberingProfile(region=region.upper())
    stream = read_stream(path)
    chunks = timed_chunks(stream, read_timing(timing)) if timing else untimed_chunks(stream)
    try:
        tracker = CallTracker(internal_pattern=internal_pattern)
    except re.error as problem:
        raise ReplayFailed(f"{internal_pattern!r} is not a regular expression: {problem}") from problem
    try:
        calls = track(chunks, tracker)
    except AmiMessageTooLong as problem:
        raise ReplayFailed(f"{path} is no AMI stream: {problem}") from problem
    return [tell_call(call, lambda number: to_e164(number, profile).e164) for call in calls]


def track(chunks: Iterable[tuple[bytes, datetime | None]], tracker: CallTracker) -> list[CallRecord]:
    """The calls of a stream as they stand at its end, in order of start. A message that upsets us costs only itself."""
    latest: dict[str, CallRecord] = {}
    for event in call_events(chunks, tracker):
        if isinstance(event, SnapshotApplied):
            continue
        if isinstance(event, CallsJoined):
            latest.pop(event.absorbed_key, None)
        latest[event.call.key] = event.call
    latest.update((call.key, call) for call in tracker.present())
    return sorted(latest.values(), key=lambda call: call.started_at or EPOCH)


def call_events(chunks: Iterable[tuple[bytes, datetime | None]], tracker: CallTracker) -> Iterator[CallEvent]:
    """Everything that happened to calls, in order."""
    frames, translator = AmiFrames(is_noise=is_noise), Translator()
    for data, at in chunks:
        for message in frames.feed(data):
            yield from meaning(message, at, translator, tracker)


def meaning(
    message: AmiMessage, at: datetime | None, translator: Translator, tracker: CallTracker
) -> list[CallEvent]:
    """What one message means; one that raises costs itself only."""
    told: list[CallEvent] = []
    try:
        for event in translator.translate(message, stamped(message) or at):
            told += tracker.apply(event)
    except Exception:
        log.exception("this message was passed over: %r", message.raw[:2000])
    return told


def stamped(message: AmiMessage) -> datetime | None:
    """The moment in the Timestamp header (timestampevents=yes), epoch seconds."""
    start = message.raw.find(b"\r\nTimestamp: ")
    if start < 0:
        return None
    try:
        return datetime.fromtimestamp(float(message.get("Timestamp", "")), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def read_stream(path: Path) -> bytes:
    """All bytes of a recording."""
    try:
        data = path.read_bytes()
        return lzma.decompress(data) if path.suffix == ".xz" else data
    except (OSError, lzma.LZMAError) as problem:
        raise ReplayFailed(f"{path} cannot be read: {problem}") from problem


def read_timing(path: Path) -> list[tuple[float, int]]:
    """The chunks as the socket gave them."""
    try:
        return [(float(seconds), int(size)) for seconds, size in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError) as problem:
        raise ReplayFailed(f"{path} holds no [[seconds, bytes], …]: {problem}") from problem


def untimed_chunks(stream: bytes) -> Iterator[tuple[bytes, datetime | None]]:
    """The stream in handy pieces, of unknown time."""
    for start in range(0, len(stream), CHUNK_BYTES):
        yield stream[start : start + CHUNK_BYTES], None


def timed_chunks(stream: bytes, timing: list[tuple[float, int]]) -> Iterator[tuple[bytes, datetime | None]]:
    """The stream in its recorded pieces; what the timing does not cover comes at its last moment."""
    start, at = 0, connected_at(stream, timing)
    moment = at
    for seconds, size in timing:
        moment = at + timedelta(seconds=seconds)
        yield stream[start : start + size], moment
        start += size
    yield stream[start:], moment


def connected_at(stream: bytes, timing: list[tuple[float, int]]) -> datetime:
    """When the recording began: from the login event's wall clock, else from the first channel's id, else 1970."""
    if found := WALL_CLOCK.search(stream):
        login = datetime.strptime(found[1].decode(), "%Y-%m-%dT%H:%M:%S.%f%z").astimezone(UTC)
        return login - timedelta(seconds=seconds_at(found.start(), timing))
    if found := FIRST_ID.search(stream):
        seconds = int(found[1]) - seconds_at(found.start(), timing)
        return datetime.fromtimestamp(seconds, UTC)
    return EPOCH


def seconds_at(offset: int, timing: list[tuple[float, int]]) -> float:
    """Seconds since connect of the byte at this offset."""
    reached = 0
    for seconds, size in timing:
        reached += size
        if offset < reached:
            return seconds
    return timing[-1][0] if timing else 0.0


def ended(events: Iterable[CallEvent]) -> list[CallRecord]:
    """The records of calls that ended."""
    return [event.call for event in events if isinstance(event, CallEnded)]
