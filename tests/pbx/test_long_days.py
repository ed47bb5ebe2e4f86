"""Days of many calls at a real PBX: what the telephones were told to do is what the calls must say. `make test-pbx`."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from cti.calls.call_events import CallArrived, CallEnded, CallRinging
from cti.calls.records import CallRecord, Disposition
from tests.pbx.asterisk_lab import AsteriskLab
from tests.pbx.listening import Heard, listening
from tests.pbx.telephones import agents, customer

pytestmark = pytest.mark.long

CALLS = 18
AT_ONCE = 3
CLEAR = 0.8  # seconds that must lie between two things for their order to be sure
ANSWERS_AFTER = {"101": 1.0, "102": 2.5}  # seconds of ringing
DIDS = {"74951234501": ("101",), "74951234502": ("102",), "74951234510": ("101", "102")}


@dataclass(frozen=True)
class Wish:
    """What one customer does, and what must come of it."""

    number: str
    did: str
    patience: float  # seconds until the customer gives up
    stays: float  # seconds of talk

    @property
    def rings_at(self) -> tuple[str, ...]:
        return DIDS[self.did]

    @property
    def answered_by(self) -> str | None:
        first = min(self.rings_at, key=ANSWERS_AFTER.__getitem__)
        return first if ANSWERS_AFTER[first] < self.patience else None


def a_day(seed: int) -> list[Wish]:
    chance = random.Random(seed)
    wishes = []
    for count in range(CALLS):
        did = chance.choice(list(DIDS))
        answer = min(ANSWERS_AFTER[extension] for extension in DIDS[did])
        patience = chance.choice([answer - CLEAR, answer + CLEAR + 5])
        wishes.append(Wish(f"8916{seed:03d}{count:04d}", did, max(0.2, patience), chance.uniform(0.5, 3)))
    return wishes


@pytest.mark.parametrize("seed", range(3))
async def test_every_call_of_a_day_is_told_once_as_its_telephones_went_through_it(
    pbx: AsteriskLab, seed: int
) -> None:
    wishes = a_day(seed)
    async with agents(pbx, e101=ANSWERS_AFTER["101"], e102=ANSWERS_AFTER["102"]), listening(pbx) as heard:
        at_once = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(go_through(pbx, wish, at_once) for wish in wishes))
        await heard.until(CallEnded, count=CALLS, seconds=15)
        await asyncio.sleep(1)  # whatever would be told twice is told by now
    calls = {event.call.customer_number: event.call for event in heard.told(CallEnded)}
    assert told_of(heard, CallArrived) == told_of(heard, CallEnded) == {wish.number: 1 for wish in wishes}
    wrong = {wish: found for wish in wishes if (found := different(calls[wish.number], wish, heard))}
    assert wrong == {}


async def go_through(pbx: AsteriskLab, wish: Wish, at_once: asyncio.Semaphore) -> None:
    async with at_once, customer(pbx, wish.number, wish.did, patience=wish.patience, stays=wish.stays):
        pass


def told_of(heard: Heard, kind: type[CallArrived] | type[CallEnded]) -> Counter[str | None]:
    return Counter(event.call.customer_number for event in heard.told(kind))


def different(call: CallRecord, wish: Wish, heard: Heard) -> list[str]:
    """What the call says otherwise than its telephones went through it."""
    is_answered = wish.answered_by is not None
    told = {
        "did": (call.did, wish.did),
        "rang": (set(call.rang), set(wish.rings_at)),
        "popped": (popped(heard, call.key), Counter(wish.rings_at)),
        "answered_by": (call.answered_by, wish.answered_by),
        "disposition": (call.disposition, Disposition.ANSWERED if is_answered else Disposition.ABANDONED),
        "hung_up_by": (call.hung_up_by, "customer"),
        "is_talk": (abs((call.talk_seconds or 0) - (wish.stays if is_answered else 0)) < CLEAR, True),
    }
    return [f"{what}: {said!r}, not {was!r}" for what, (said, was) in told.items() if said != was]


def popped(heard: Heard, key: str) -> Counter[str]:
    return Counter(event.extension for event in heard.told(CallRinging) if event.call.key == key)
