"""One call seen by two connections, a PBX and its carrier or two PBXs of one company: when it is one, and which counts.

Pure: the desk asks about live calls, the journal about stored ones, and both get the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from itertools import combinations
from typing import Final
from uuid import UUID

from cti.calls.records import Direction

MOST_APART: Final = timedelta(seconds=5)


class Richness(IntEnum):
    """How much of our people a connection saw in a call."""

    NOBODY = 0
    RANG = 1  # or placed it
    EXTENSION_TALKED = 2  # one at which nobody is known to sit: it may be the line to the other PBX
    PERSON_TALKED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One person's talk in a call; `until` is None while it goes on."""

    user_id: int
    since: datetime
    until: datetime | None = None

    def overlaps(self, other: Talk) -> bool:
        return (self.until is None or other.since < self.until) and (
            other.until is None or self.since < other.until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A call as one connection saw it. Numbers are E.164.

    `ours` holds the number of ours that it came by; where the source does not tell it, every line of its connection.
    """

    id: UUID
    connection_id: int
    direction: Direction
    customer: str | None  # None when withheld, and for calls between colleagues
    ours: frozenset[str]
    started_at: datetime | None
    richness: Richness = Richness.NOBODY
    talks: tuple[Talk, ...] = ()


def is_one_call(one: Sighting, other: Sighting) -> bool:
    """Whether two connections saw the same call (crm-model 7, row 12).

    They began within five seconds, with the same number of a customer and the same number of ours; or the one placed a
    call from a number of ours to a number of ours that came in at the other. Talks of different people at one time
    are different calls.
    """
    if one.connection_id == other.connection_id or one.started_at is None or other.started_at is None:
        return False
    if abs(one.started_at - other.started_at) > MOST_APART:
        return False
    if one.customer is None or other.customer is None:
        return False
    return _is_from_one_side(one, other) or _is_from_both_ends(one, other)


def mirrors(sightings: Iterable[Sighting]) -> dict[UUID, UUID]:
    """Which sighting mirrors which: of each call all but the richest, by id. The order of `sightings` does not matter.

    The nearest in time belong together: somebody who redials at once made two calls, and each connection saw two.
    """
    known = {sighting.id: sighting for sighting in sightings}
    groups = {id_: [sighting] for id_, sighting in known.items()}
    for one, other in sorted(_pairs(list(known.values())), key=_nearest_first):
        mine, theirs = groups[one.id], groups[other.id]
        if mine is not theirs and all(is_one_call(a, b) for a in mine for b in theirs):
            mine += theirs
            groups |= {sighting.id: mine for sighting in theirs}
    return {
        sighting.id: root.id
        for group in groups.values()
        if (root := min(group, key=_richest_first))
        for sighting in group
        if sighting is not root
    }


def _is_from_one_side(one: Sighting, other: Sighting) -> bool:
    """Both saw the customer at the other end."""
    return (
        one.direction is other.direction
        and one.direction is not Direction.INTERNAL
        and one.customer == other.customer
        and not one.ours.isdisjoint(other.ours)
        and not _are_of_different_people(one, other)
    )


def _is_from_both_ends(one: Sighting, other: Sighting) -> bool:
    """One of our numbers calls another: it went out at one PBX and came in at the other."""
    if {one.direction, other.direction} != {Direction.INBOUND, Direction.OUTBOUND}:
        return False
    return one.customer in other.ours and other.customer in one.ours


def _are_of_different_people(one: Sighting, other: Sighting) -> bool:
    """Somebody talks here while somebody else talks there, and neither of them is in the other call, too."""
    ours, theirs = ({talk.user_id for talk in each.talks} for each in (one, other))
    return any(
        a.overlaps(b)
        for a in one.talks
        for b in other.talks
        if a.user_id not in theirs and b.user_id not in ours
    )


def _pairs(sightings: Sequence[Sighting]) -> list[tuple[Sighting, Sighting]]:
    return [pair for pair in combinations(sightings, 2) if is_one_call(*pair)]


def _nearest_first(pair: tuple[Sighting, Sighting]) -> tuple[float, UUID, UUID]:
    one, other = sorted(pair, key=lambda sighting: sighting.id)
    assert one.started_at is not None
    assert other.started_at is not None
    return abs(one.started_at - other.started_at).total_seconds(), one.id, other.id


def _richest_first(sighting: Sighting) -> tuple[int, float, UUID]:
    """The richest, else the earliest; the same for any order in which they are told."""
    began = sighting.started_at.timestamp() if sighting.started_at else 0.0
    return -sighting.richness, began, sighting.id
