"""Sorts what connections hear by calls, and hands it to the disk. Nothing here waits, and little stays in memory.

A message belongs to every call of whose channels or bridges it speaks: a look-up of its ids in one dict. What it says is
of no concern here. Calls whose channels show one linked id are joined, as `cti.calls.registry` does it.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Any
from uuid import UUID

import structlog
from prometheus_client import Counter

from ami_adapter.framing import AmiMessage
from ami_adapter.stories.entries import Entry, Heard, Noted
from ami_adapter.stories.later import Later
from ami_adapter.stories.shelf import StoryShelf

log = structlog.get_logger(__name__)

BUFFER_BYTES = 32_768  # of one call in memory; more goes to its file at once
NOTE_BYTES = 300  # about what a note takes
FLUSH_SECONDS = 1.0
FLUSHED_AT_A_TIME = 3  # stories in one turn of the event loop: half a millisecond
HELD = timedelta(seconds=5)  # a short call is packed from memory; of a longer one a crash costs so much
LINGER = timedelta(seconds=2)  # after a call's end: its last messages, late answers to who calls
SWEEP_SECONDS = 3600.0
MOST_LIVE = 5_000  # calls; beyond that the oldest ends here, unfinished
MOST_BYTES = 4 * 2**20  # of one call; what comes later is not kept
MOST_OVER = 50_000  # ids of ended calls, whose late messages begin no new story
MOST_HINTS = 4_000  # of one connection
MOST_HINTS_OF_STORY = 500
MOST_UNSORTED = 20_000  # messages of all connections; what comes beyond is in no story
MOST_WAITING = 2_000  # pieces of work of the disk; a slower one costs messages of stories, never of calls
DROPPED = Counter(
    "ringcard_story_messages_dropped", "Messages that were not kept because disk or processor were too slow"
)

_LINKED_ID, _UNIQUE_ID = b"\r\nLinkedid: ", b"\r\nUniqueid: "
_ANY_LINKED_ID = b"inkedid: "
_IDS = re.compile(rb"\r\n([A-Za-z]*?)(Uniqueid|Linkedid|BridgeId): ([^\r\n]+)")
_CHANNEL = re.compile(rb"Channel: ([^\r\n]+)")
_DEVICE = re.compile(rb"[A-Za-z0-9]+/[^\s&,;@]+")
_NO_IDS = frozenset({b"", b"<unknown>", b"<null>", b"none", b"unknown"})
_OF_ALL = frozenset({b"CoreShowChannelsComplete", b"Shutdown"})
_BRIDGING = frozenset({b"BridgeEnter", b"BridgeMerge"})
_WAITING_ROOM = b"\r\nBridgeTechnology: holding_bridge\r\n"
_HINTS: Mapping[bytes, tuple[bytes, ...]] = {
    b"ExtensionStatus": (b"\r\nExten: ", b"\r\nHint: "),
    b"QueueMember": (b"\r\nLocation: ", b"\r\nStateInterface: "),
    b"QueueMemberStatus": (b"\r\nInterface: ", b"\r\nStateInterface: "),
    b"QueueMemberAdded": (b"\r\nInterface: ", b"\r\nStateInterface: "),
}
Values = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
FIRST_PLACE = 1_000  # below it: hints, put before what was heard


@dataclass(slots=True, eq=False)
class LiveStory:
    """A call that goes on: what waits to be written, and the names by which it is found."""

    number: int
    ear: Ear
    waiting: list[Entry] = field(default_factory=list)
    waiting_bytes: int = 0
    waits_since: datetime | None = None
    kept_bytes: int = 0
    ids: set[bytes] = field(default_factory=set)
    devices: set[bytes] = field(default_factory=set)  # whose channels take part
    began_at: datetime | None = None
    call_id: UUID | None = None
    call_ids: set[UUID] = field(default_factory=set)  # under which it is found
    ended_at: datetime | None = None
    # Its first channel waits in a room: whoever meets it there has a story of their own.
    is_waiting: bool = False


class ShelfWorker:
    """The one thread that touches the shelf, in order; what it is given does not make the event loop wait."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="story")
        self._given = self._done = 0
        self._is_closed = False

    @property
    def is_behind(self) -> bool:
        return self._given - self._done >= MOST_WAITING

    def do(self, work: Callable[..., None], *arguments: object) -> None:
        if self._is_closed:  # the program stops: a last message of a call that goes on without us
            return
        self._given += 1
        self._thread.submit(work, *arguments).add_done_callback(self._note)

    async def idle(self) -> None:
        """Everything given so far is done."""
        await asyncio.wrap_future(self._thread.submit(lambda: None))

    def close(self) -> None:
        self._is_closed = True
        self._thread.shutdown()

    def _note(self, work: Future[None]) -> None:
        self._done += 1
        if error := work.exception():
            log.error("story_not_written", error=f"{type(error).__name__}: {error}")


class StoryKeeper:
    """The stories of all calls that go on.

    Args:
        now: the wall clock, which names the day a story is kept under.
    """

    def __init__(self, shelf: StoryShelf, now: Callable[[], datetime]) -> None:
        self._shelf, self._now = shelf, now
        self._worker = ShelfWorker()
        self.later = Later(MOST_UNSORTED)
        self._numbers, self._places = count(1), count(FIRST_PLACE)
        self._live: OrderedDict[int, LiveStory] = OrderedDict()
        self._by_call: dict[UUID, LiveStory] = {}
        self._ears: dict[int, Ear] = {}

    def ear(self, connection_id: int) -> Ear:
        """What listens for one connection; it outlives its links."""
        return self._ears.setdefault(connection_id, Ear(self))

    async def run(self) -> None:
        """Write for ever; when cancelled, everything is handed over and ended calls are packed."""
        self._worker.do(self._shelf.begin, self._now())
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.later.run())
                tasks.create_task(self._flush_for_ever())
        finally:
            self.later.catch_up()
            self.flush(lingering=timedelta(0))
            await self._worker.idle()
            self._worker.close()

    async def _flush_for_ever(self) -> None:
        for pauses in count(1):
            await asyncio.sleep(FLUSH_SECONDS)
            for _ in self._flush_step_by_step(LINGER):
                await asyncio.sleep(0)
            if pauses % int(SWEEP_SECONDS / FLUSH_SECONDS) == 0:
                self._worker.do(self._shelf.sweep, self._now())

    def name(self, connection_id: int, linked_ids: Iterable[str], call_id: UUID, at: datetime) -> None:
        """The call of these linked ids is called so; if they name several stories, those are one."""
        self.later.add(self._name, connection_id, tuple(linked_ids), call_id, at)

    def _name(self, connection_id: int, linked_ids: Iterable[str], call_id: UUID, at: datetime) -> None:
        ids = self.ear(connection_id).ids
        found = {story.number: story for each in linked_ids if (story := ids.get(each.encode()))}
        if not found:
            return
        story, *others = (found[number] for number in sorted(found))
        for other in others:
            self.join(story, other)
        self._find_by(call_id, story)
        if story.call_id != call_id:
            story.call_id = call_id
            self._add(story, Noted(self.place(), at, "named", {"id": str(call_id)}))

    def _find_by(self, call_id: UUID, story: LiveStory) -> None:
        """From now on; a call has one story at a time."""
        if before := self._by_call.get(call_id):
            before.call_ids.discard(call_id)
        self._by_call[call_id] = story
        story.call_ids.add(call_id)

    def note(self, call_id: UUID, at: datetime, what: str, values: Values) -> None:
        """What we made of a call; nothing when its story is not kept. Values that take time are made later."""
        self.later.add(self._note, call_id, at, what, values)

    def _note(self, call_id: UUID, at: datetime, what: str, values: Values) -> None:
        if story := self._by_call.get(call_id):
            told = values() if callable(values) else values
            self._add(story, Noted(self.place(), at, what, told))

    def end(self, call_id: UUID) -> None:
        """The call is over; what still belongs to it may come for a moment."""
        self.later.add(self._end, call_id, self._now())

    def _end(self, call_id: UUID, now: datetime) -> None:
        if (story := self._by_call.get(call_id)) and story.ended_at is None:
            story.ended_at = now

    async def written(self) -> None:
        """Every ended call is on the shelf."""
        self.later.catch_up()
        self.flush(lingering=timedelta(0))
        await self._worker.idle()

    def flush(self, lingering: timedelta = LINGER) -> None:
        """Hand over what waits; pack what ended."""
        for _ in self._flush_step_by_step(lingering):
            pass

    def _flush_step_by_step(self, lingering: timedelta) -> Iterator[None]:
        """Yields after every few stories that gave the disk something to do: others may have their turn."""
        now, done = self._now(), 0
        for story in list(self._live.values()):
            if story.number not in self._live:
                continue  # joined with another since
            if story.ended_at is not None and now - story.ended_at >= lingering:
                self._close(story, now)
            elif not lingering or (story.waits_since and now - story.waits_since >= HELD):
                self._hand_over(story)
            else:
                continue
            done += 1
            if done % FLUSHED_AT_A_TIME == 0:
                yield

    # For the ears

    def place(self) -> int:
        return next(self._places)

    def begin(self, ear: Ear) -> LiveStory:
        if len(self._live) >= MOST_LIVE:
            self._close(next(iter(self._live.values())), self._now())
        story = LiveStory(next(self._numbers), ear)
        self._live[story.number] = story
        return story

    def heard(self, story: LiveStory, entry: Heard) -> None:
        self._add(story, entry, len(entry.raw))

    def join(self, story: LiveStory, absorbed: LiveStory) -> None:
        """The older lives on, under all names of both."""
        self._hand_over(story)
        self._hand_over(absorbed)
        self._live.pop(absorbed.number, None)
        absorbed.ear.rename(absorbed, story)
        for call_id in tuple(absorbed.call_ids):
            self._find_by(call_id, story)
        story.call_id = story.call_id or absorbed.call_id
        story.is_waiting = False
        self._worker.do(self._shelf.join, story.number, absorbed.number)

    def of_ear(self, ear: Ear) -> list[LiveStory]:
        return [story for story in self._live.values() if story.ear is ear]

    def _add(self, story: LiveStory, entry: Entry, size: int = NOTE_BYTES) -> None:
        most = MOST_BYTES if isinstance(entry, Heard) else 2 * MOST_BYTES  # how it ended is told also then
        if story.kept_bytes + size > most:
            return
        story.began_at = story.began_at or entry.at
        story.kept_bytes += size
        if not story.waiting:
            story.waits_since = self._now()
        story.waiting.append(entry)
        story.waiting_bytes += size
        if story.waiting_bytes > BUFFER_BYTES:
            self._hand_over(story)

    def _hand_over(self, story: LiveStory) -> None:
        if not story.waiting:
            return
        if self._worker.is_behind:
            DROPPED.inc(len(story.waiting))
        else:
            self._worker.do(self._shelf.append, story.number, story.waiting)
        story.waiting, story.waiting_bytes = [], 0

    def _close(self, story: LiveStory, now: datetime) -> None:
        self._live.pop(story.number, None)
        for call_id in story.call_ids:
            del self._by_call[call_id]
        hints = [
            Heard(place, story.began_at or now, raw) for place, raw in enumerate(story.ear.forget(story))
        ]
        rest, story.waiting = story.waiting, []
        if self._worker.is_behind:
            DROPPED.inc(len(rest))
            rest = []
        self._worker.do(self._shelf.finish, story.number, story.call_id, now, hints, rest)


class Ear:
    """Hears one connection: to which calls a message belongs."""

    def __init__(self, keeper: StoryKeeper) -> None:
        self._keeper = keeper
        self.ids: dict[bytes, LiveStory] = {}  # linked ids, channels, bridges of the calls that go on
        self._over: OrderedDict[bytes, None] = OrderedDict()
        self._by_endpoint: dict[bytes, LiveStory] = {}  # whose channel was made there last
        self._hints = Hints()

    def heard(self, message: AmiMessage, at: datetime) -> None:
        """A message as it was received. Answers to actions are not kept: only events concern calls."""
        if not message.event:
            return
        if self._keeper.later.is_full:
            DROPPED.inc()
        else:
            self._keeper.later.add(self._hear, message, at)

    def _hear(self, message: AmiMessage, at: datetime) -> None:
        event, raw = message.event, message.raw
        linked_id = _value(raw, _LINKED_ID)
        story = self.ids.get(linked_id)
        is_known = story is not None and story is self.ids.get(_value(raw, _UNIQUE_ID))
        if story is not None and is_known and event not in _BRIDGING and _is_of_one(raw, linked_id):
            self._keeper.heard(story, Heard(self._keeper.place(), at, raw))
        else:
            self._sort(event, raw, at)

    def rename(self, absorbed: LiveStory, story: LiveStory) -> None:
        for each in absorbed.ids:
            self.ids[each] = story
        story.ids |= absorbed.ids
        story.devices |= absorbed.devices
        for endpoint in [one for one, of in self._by_endpoint.items() if of is absorbed]:
            self._by_endpoint[endpoint] = story

    def forget(self, story: LiveStory) -> list[bytes]:
        """The story is over: its ids begin no other. What the PBX said of its telephones."""
        for each in story.ids:
            self.ids.pop(each, None)
            self._over[each] = None
        while len(self._over) > MOST_OVER:
            self._over.popitem(last=False)
        for device in story.devices:
            if self._by_endpoint.get(device) is story:
                del self._by_endpoint[device]
        return self._hints.of(story.devices)

    def _sort(self, event: bytes, raw: bytes, at: datetime) -> None:
        if event in _HINTS:
            self._hints.note(event, raw)
        has_ids = b"niqueid: " in raw
        stories = (
            self._keeper.of_ear(self) if event in _OF_ALL else self._stories_of(event, raw) if has_ids else []
        )
        if not stories:
            return
        entry = Heard(self._keeper.place(), at, raw)
        for story in stories:
            self._keeper.heard(story, entry)

    def _stories_of(self, event: bytes, raw: bytes) -> list[LiveStory]:
        channels: dict[bytes, list[bytes]] = {}
        bridges: list[bytes] = []
        for prefix, kind, value in _IDS.findall(raw):
            if value in _NO_IDS:
                continue
            if prefix.endswith(b"Bridge") or kind == b"BridgeId":
                bridges.append(value)
            else:
                channels.setdefault(prefix, []).append(value)
        found = [story for ids in channels.values() if (story := self._story_of(ids))]
        found += self._bridged(bridges, found[0] if found else None)
        if event == b"OriginateResponse" and not found:
            found = self._failed(_value(raw, b"\r\nChannel: "))
        if found:
            self._note_devices(found[0], event, raw)
            if event == b"BridgeEnter" and _WAITING_ROOM in raw and _is_first(raw):
                found[0].is_waiting = True
        return list({story.number: self._keeper_of(story) for story in found}.values())

    def _keeper_of(self, story: LiveStory) -> LiveStory:
        """A story that was joined while this message was sorted lives on in another."""
        return next((self.ids[each] for each in story.ids if each in self.ids), story)

    def _story_of(self, ids: list[bytes]) -> LiveStory | None:
        """The story of one channel's ids, which may be new, or show that two stories are one."""
        known = {story.number: story for each in ids if (story := self.ids.get(each))}
        if not known:
            if any(each in self._over for each in ids):
                return None
            known = {0: self._keeper.begin(self)}
        apart = {number: story for number, story in known.items() if not story.is_waiting} or known
        story, *others = (apart[number] for number in sorted(apart))
        for other in others:
            self._keeper.join(story, other)
        self._learn([each for each in ids if self.ids.get(each) not in known.values()], story)
        return story

    def _bridged(self, bridges: list[bytes], story: LiveStory | None) -> list[LiveStory]:
        known = [self.ids[each] for each in bridges if each in self.ids]
        if story is not None:
            self._learn([each for each in bridges if each not in self.ids], story)
        return known

    def _learn(self, ids: Iterable[bytes], story: LiveStory) -> None:
        for each in ids:
            self.ids[each] = story
            story.ids.add(each)

    def _failed(self, channel: bytes) -> list[LiveStory]:
        """A failed originate is named by its endpoint alone: the latest call made on it."""
        kind, _, rest = channel.partition(b"/")
        number, _, at_line = rest.partition(b"@")
        names = (at_line, number, number.partition(b"/")[0])
        stories = (self._by_endpoint.get(kind + b"/" + name) for name in names if name)
        return [story for story in stories if story is not None][:1]

    def _note_devices(self, story: LiveStory, event: bytes, raw: bytes) -> None:
        """Every channel is named here once at least: when it is new to us."""
        story.devices.update(name.rpartition(b"-")[0] for name in _CHANNEL.findall(raw))
        if event == b"Newchannel":
            self._by_endpoint[_value(raw, b"\r\nChannel: ").rpartition(b"-")[0]] = story


def _is_first(raw: bytes) -> bool:
    """Whether a message is of the channel that its call began with."""
    return _value(raw, _UNIQUE_ID) == _value(raw, _LINKED_ID)


class Hints:
    """The last word of one PBX on who sits at which telephone, by telephone: a big office has thousands."""

    def __init__(self) -> None:
        self._words: dict[tuple[bytes, ...], bytes] = {}
        self._by_device: dict[bytes, dict[tuple[bytes, ...], None]] = {}

    def note(self, event: bytes, raw: bytes) -> None:
        """A message that names telephones."""
        key = (event, *(_value(raw, name) for name in _HINTS[event]))
        before = self._words.get(key)
        if before == raw or (before is None and len(self._words) >= MOST_HINTS):
            return
        for device in _DEVICE.findall(before or b""):
            if (keys := self._by_device.get(device)) is not None:
                keys.pop(key, None)
                if not keys:
                    del self._by_device[device]
        self._words[key] = raw
        for device in _DEVICE.findall(raw):
            self._by_device.setdefault(device, {})[key] = None

    def of(self, devices: Iterable[bytes]) -> list[bytes]:
        """What was said of these telephones."""
        keys = dict.fromkeys(key for device in devices for key in self._by_device.get(device, ()))
        return [self._words[key] for key in islice(keys, MOST_HINTS_OF_STORY)]


def _is_of_one(raw: bytes, linked_id: bytes) -> bool:
    """Whether every channel in the message shows this linked id: nearly always."""
    channels = raw.count(_ANY_LINKED_ID)
    return channels == 1 or channels == (raw + b"\r\n").count(_ANY_LINKED_ID + linked_id + b"\r\n")


def _value(raw: bytes, header: bytes) -> bytes:
    start = raw.find(header)
    if start < 0:
        return b""
    start += len(header)
    end = raw.find(b"\r\n", start)
    return raw[start:] if end < 0 else raw[start:end]
