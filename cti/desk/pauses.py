"""Pauses in queues as the PBX tells them: which turned while we listened, and which a list only names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cti.calls.presence import PbxPresence
from cti.calls.presence_events import ListBegun, ListEnded, Listing, MemberSeen, PresenceEvent, QueueMember


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """An agent's place in the queues of a PBX, once for each queue."""

    connection_id: int
    queue: str
    interface: str
    is_paused: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseTurn:
    """A member was paused or called back while we listened: by us, at the telephone, at the PBX's own screen."""

    user_id: int
    place: QueuePlace


def place_of(connection_id: int, member: QueueMember) -> QueuePlace:
    return QueuePlace(
        connection_id=connection_id,
        queue=member.queue,
        interface=member.interface,
        is_paused=member.is_paused,
        reason=member.pause_reason,
    )


class PauseEar:
    """Compares what is told with the picture before it. What changed while nobody listened is no turn."""

    def __init__(self) -> None:
        self._whole: set[int] = set()  # connections whose queues were listed since the link came up

    def is_whole(self, connection_id: int) -> bool:
        return connection_id in self._whole

    def link_changed(self, connection_id: int, *, is_up: bool) -> None:
        """The first lists may be told before the link counts as up."""
        if not is_up:
            self._whole.discard(connection_id)

    def turned(
        self, connection_id: int, presence: PbxPresence, events: Iterable[PresenceEvent]
    ) -> tuple[list[QueueMember], bool]:
        """To be asked before `presence` applies the events.

        Returns:
            members as they are told, whose pause began or ended; whether the picture is to be compared as a whole:
            a list ended, or somebody joined a queue.
        """
        turned: list[QueueMember] = []
        is_new = False
        for event in events:
            match event:
                case ListBegun(listing=Listing.QUEUES):
                    self._whole.discard(connection_id)
                case ListEnded(listing=Listing.QUEUES):
                    self._whole.add(connection_id)
                    is_new = True
                case MemberSeen(member=member) if connection_id in self._whole:
                    before = _known(presence, member)
                    is_new |= before is None
                    if before is not None and before.is_paused != member.is_paused:
                        turned.append(member)
        return turned, is_new


def _known(presence: PbxPresence, member: QueueMember) -> QueueMember | None:
    places = presence.places(member.extension)
    return next(
        (one for one in places if (one.queue, one.interface) == (member.queue, member.interface)), None
    )
