"""The telephones and queues of one connection as they stand: events in, what changed out. No clock, no I/O.

After a (re)connect the source lists what there is. Whatever a list does not name is dropped when it ends; what happens
while it is told counts as named. So a picture from before a gap never outlives the gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from cti.calls.presence_events import (
    CallerLeft,
    CallerReplaced,
    CallerWaits,
    DeviceChanged,
    DeviceNamed,
    DeviceReached,
    DeviceState,
    DoNotDisturb,
    ListBegun,
    ListEnded,
    Listing,
    MemberLeft,
    MemberSeen,
    PresenceEvent,
    QueueMember,
    QueueSeen,
)

# A mad or hostile source costs no more than this; what comes beyond is not shown.
MOST_DEVICES: Final = 20_000
MOST_QUEUES: Final = 1_000
MOST_IN_A_QUEUE: Final = 2_000  # members, and as many callers


@dataclass(frozen=True, slots=True, kw_only=True)
class Telephone:
    """One telephone. `is_reachable` is None where the source tells it by the state alone."""

    device: str
    extension: str
    state: DeviceState = DeviceState.UNKNOWN
    is_reachable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCaller:
    """Somebody in a queue. `linked_id` leads to the call."""

    channel_id: str
    linked_id: str
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePicture:
    """A queue as it stands: callers in their order, members by extension."""

    name: str
    waiting: tuple[WaitingCaller, ...] = ()
    members: tuple[QueueMember, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceChange:
    """What an event moved: names of queues, and extensions whose people may stand otherwise now."""

    queues: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()


NOTHING: Final = PresenceChange()


@dataclass(slots=True)
class _Queue:
    """`waiting` keeps the order; `named` is what the list that is being told has named so far."""

    name: str
    waiting: list[WaitingCaller] = field(default_factory=list)
    members: dict[str, QueueMember] = field(default_factory=dict)


class PbxPresence:
    """Everything known of one connection beside its calls."""

    def __init__(self) -> None:
        self._devices: dict[str, Telephone] = {}
        self._devices_of: dict[str, set[str]] = {}
        self._places_of: dict[
            str, set[tuple[str, str]]
        ] = {}  # by extension and by device: (queue, interface)
        self._queues: dict[str, _Queue] = {}
        self._quiet: set[str] = set()  # extensions that asked not to be disturbed
        self._named: dict[Listing, set[tuple[str, ...]]] = {}
        self.lists_devices = (
            False  # whether a list of devices named any: then one that it does not name is not there
        )

    # What happened

    def apply(self, event: PresenceEvent) -> PresenceChange:
        """One event, in order; the same event again changes nothing."""
        match event:
            case ListBegun():
                self._named[event.listing] = set()
                return NOTHING
            case ListEnded():
                return self._end_list(event.listing)
            case DeviceChanged() | DeviceReached() | DeviceNamed():
                return self._keep_device(event)
            case DoNotDisturb():
                return self._disturb(event)
            case QueueSeen():
                is_new = event.queue not in self._queues
                queue = self._queue(event.queue)
                return PresenceChange(queues=frozenset({event.queue})) if queue and is_new else NOTHING
            case MemberSeen():
                return self._seat(event.member)
            case MemberLeft():
                return self._unseat(event)
            case CallerWaits():
                return self._line_up(event)
            case CallerLeft():
                return self._leave(event)
            case CallerReplaced():
                return self._replace(event)
            case _:
                assert_never(event)

    # What is asked

    def telephones(self, extension: str) -> list[Telephone]:
        """The telephones of an extension; none where the source told of none."""
        return [self._devices[device] for device in sorted(self._devices_of.get(extension, ()))]

    def is_quiet(self, extension: str) -> bool:
        return extension in self._quiet

    def places(self, extension: str) -> list[QueueMember]:
        """The extension's places in queues, by the queue's name."""
        found = set(self._places_of.get(extension, ()))
        for device in self._devices_of.get(extension, ()):
            found |= self._places_of.get(device, set())
        return [self._queues[queue].members[interface] for queue, interface in sorted(found)]

    def queue(self, name: str) -> QueuePicture | None:
        queue = self._queues.get(name)
        if queue is None:
            return None
        members = sorted(queue.members.values(), key=lambda one: (one.extension, one.interface))
        return QueuePicture(name=name, waiting=tuple(queue.waiting), members=tuple(members))

    def queues(self) -> list[str]:
        """The names of all queues, in order."""
        return sorted(self._queues)

    def extensions(self) -> frozenset[str]:
        """Every extension anything is known about."""
        members = {member.extension for queue in self._queues.values() for member in queue.members.values()}
        return frozenset(members | self._devices_of.keys() | self._quiet)

    # Telephones

    def _keep_device(self, event: DeviceChanged | DeviceReached | DeviceNamed) -> PresenceChange:
        self._name(Listing.DEVICES, event.device)
        before = self._devices.get(event.device)
        if before is None and len(self._devices) >= MOST_DEVICES:
            return NOTHING
        after = _told(event, before)
        if after == before:
            return NOTHING
        self._devices[event.device] = after
        if before is not None and before.extension != after.extension:
            self._devices_of.get(before.extension, set()).discard(event.device)
        self._devices_of.setdefault(after.extension, set()).add(event.device)
        return PresenceChange(extensions=frozenset({after.extension, (before or after).extension}))

    def _disturb(self, event: DoNotDisturb) -> PresenceChange:
        self._name(Listing.DEVICES, "quiet", event.extension)
        if event.is_on == (event.extension in self._quiet) or len(self._quiet) >= MOST_DEVICES:
            return NOTHING
        (self._quiet.add if event.is_on else self._quiet.discard)(event.extension)
        return PresenceChange(extensions=frozenset({event.extension}))

    # Queues

    def _queue(self, name: str) -> _Queue | None:
        """The queue of this name, made if there is room for it."""
        self._name(Listing.QUEUES, name)
        queue = self._queues.get(name)
        if queue is None and name and len(self._queues) < MOST_QUEUES:
            queue = self._queues[name] = _Queue(name)
        return queue

    def _seat(self, member: QueueMember) -> PresenceChange:
        queue = self._queue(member.queue)
        self._name(Listing.QUEUES, member.queue, "member", member.interface)
        if queue is None or queue.members.get(member.interface) == member:
            return NOTHING
        if member.interface not in queue.members and len(queue.members) >= MOST_IN_A_QUEUE:
            return NOTHING
        self._forget_place(queue, member.interface)
        queue.members[member.interface] = member
        for key in (member.extension, member.device):
            self._places_of.setdefault(key, set()).add((queue.name, member.interface))
        return self._moved(member)

    def _unseat(self, event: MemberLeft) -> PresenceChange:
        queue = self._queues.get(event.queue)
        member = self._forget_place(queue, event.interface) if queue else None
        return self._moved(member) if member else NOTHING

    def _forget_place(self, queue: _Queue, interface: str) -> QueueMember | None:
        member = queue.members.pop(interface, None)
        for key in (member.extension, member.device) if member else ():
            places = self._places_of.get(key, set())
            places.discard((queue.name, interface))
            if not places:
                self._places_of.pop(key, None)
        return member

    def _moved(self, member: QueueMember) -> PresenceChange:
        telephone = self._devices.get(member.device)
        extensions = {member.extension, telephone.extension if telephone else member.extension}
        return PresenceChange(queues=frozenset({member.queue}), extensions=frozenset(extensions))

    def _line_up(self, event: CallerWaits) -> PresenceChange:
        """A place is counted among those who wait now: whoever stands behind moves on by one."""
        queue = self._queue(event.queue)
        self._name(Listing.QUEUES, event.queue, "caller", event.channel_id)
        if queue is None:
            return NOTHING
        before = list(queue.waiting)
        known = _out_of(queue.waiting, event.channel_id)
        if known is None and len(queue.waiting) >= MOST_IN_A_QUEUE:
            return NOTHING
        linked_id = event.linked_id or (known.linked_id if known else event.channel_id)
        since = known.since if known and known.since else event.since
        caller = WaitingCaller(channel_id=event.channel_id, linked_id=linked_id, since=since)
        queue.waiting.insert(max(event.position - 1, 0), caller)
        return NOTHING if queue.waiting == before else PresenceChange(queues=frozenset({event.queue}))

    def _leave(self, event: CallerLeft) -> PresenceChange:
        queue = self._queues.get(event.queue)
        if queue is None or _out_of(queue.waiting, event.channel_id) is None:
            return NOTHING
        return PresenceChange(queues=frozenset({event.queue}))

    def _replace(self, event: CallerReplaced) -> PresenceChange:
        """Another channel stands in the same place, and has waited as long."""
        moved: set[str] = set()
        for queue in self._queues.values():
            for index, caller in enumerate(queue.waiting):
                if caller.channel_id == event.channel_id:
                    queue.waiting[index] = replace(
                        caller,
                        channel_id=event.by_channel_id,
                        linked_id=event.linked_id or event.by_channel_id,
                    )
                    moved.add(queue.name)
        return PresenceChange(queues=frozenset(moved)) if moved else NOTHING

    # Lists

    def _name(self, listing: Listing, *what: str) -> None:
        if listing in self._named:
            self._named[listing].add(what)

    def _end_list(self, listing: Listing) -> PresenceChange:
        named = self._named.pop(listing, None)
        if named is None:
            return NOTHING  # its beginning was not heard
        return self._keep_queues(named) if listing is Listing.QUEUES else self._keep_devices(named)

    def _keep_devices(self, named: set[tuple[str, ...]]) -> PresenceChange:
        self.lists_devices = any((device,) in named for device in self._devices)
        gone = [device for device in self._devices if (device,) not in named]
        changed = self._quiet | self._devices_of.keys()
        self._quiet = {extension for extension in self._quiet if ("quiet", extension) in named}
        for device in gone:
            self._devices_of[self._devices.pop(device).extension].discard(device)
        return PresenceChange(extensions=frozenset(changed))

    def _keep_queues(self, named: set[tuple[str, ...]]) -> PresenceChange:
        extensions = self.extensions()
        changed = {queue.name for queue in self._queues.values() if self._thin(queue, named)}
        for name in [name for name in self._queues if (name,) not in named]:
            del self._queues[name]
            changed.add(name)
        return PresenceChange(queues=frozenset(changed), extensions=extensions)

    def _thin(self, queue: _Queue, named: set[tuple[str, ...]]) -> bool:
        """Drop the members and callers that a list did not name; whether there were any."""
        members = [key for key in queue.members if (queue.name, "member", key) not in named]
        callers = [one for one in queue.waiting if (queue.name, "caller", one.channel_id) not in named]
        for interface in members:
            self._forget_place(queue, interface)
        for one in callers:
            queue.waiting.remove(one)
        return bool(members or callers)


def _told(event: DeviceChanged | DeviceReached | DeviceNamed, before: Telephone | None) -> Telephone:
    """The telephone with what an event says of it; until a hint says otherwise its name is its extension."""
    now = before or Telephone(device=event.device, extension=event.device.partition("/")[2])
    match event:
        case DeviceChanged():
            # A telephone that has any state but "unavailable" answers.
            is_back = event.state is not DeviceState.UNAVAILABLE and now.is_reachable is False
            reachable = None if is_back else now.is_reachable
            return Telephone(
                device=now.device, extension=now.extension, state=event.state, is_reachable=reachable
            )
        case DeviceReached():
            return Telephone(
                device=now.device, extension=now.extension, state=now.state, is_reachable=event.is_reachable
            )
        case DeviceNamed():
            return Telephone(
                device=now.device, extension=event.extension, state=now.state, is_reachable=now.is_reachable
            )


def _out_of(waiting: list[WaitingCaller], channel_id: str) -> WaitingCaller | None:
    """Take a caller out of the line; None if they do not stand in it."""
    for index, caller in enumerate(waiting):
        if caller.channel_id == channel_id:
            return waiting.pop(index)
    return None


def wraps_up_until(member: QueueMember) -> datetime | None:
    """Until when the queue leaves a member alone after its last call; None when it does not, or it is in a call."""
    if member.is_in_call or not member.wrap_up_seconds or member.last_call_at is None:
        return None
    return member.last_call_at + timedelta(seconds=member.wrap_up_seconds)


def waits_since(waiting: Iterable[WaitingCaller]) -> datetime | None:
    """Since when the one waits who waits longest."""
    return min((caller.since for caller in waiting if caller.since), default=None)
