"""What waits a moment comes in order, together, and never later than promised."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from ami_adapter import aside
from ami_adapter.aside import Aside
from ami_adapter.framing import AmiMessage
from ami_adapter.inbox import Arrived

AT = datetime(2026, 1, 1, tzinfo=UTC)


def arrived(number: int) -> Arrived:
    return AmiMessage(f"Event: DeviceStateChange\r\nDevice: PJSIP/{number}".encode()), AT


async def test_messages_come_together_a_moment_later() -> None:
    told: list[Sequence[Arrived]] = []
    waiting = Aside(told.append)
    messages = [arrived(number) for number in range(3)]
    for one in messages:
        waiting.put([one])
    assert told == []
    await asyncio.sleep(aside.GATHER_SECONDS * 4)
    assert told == [messages]


async def test_between_two_pieces_the_loop_has_its_turn() -> None:
    told: list[Sequence[Arrived]] = []
    turns: list[int] = []
    waiting = Aside(told.append)
    messages = [arrived(number) for number in range(5 * aside.PIECE + 7)]
    for one in messages:
        waiting.put([one])
    while len(told) < 6:
        turns.append(len(told))
        await asyncio.sleep(0)
    assert [len(piece) for piece in told] == [aside.PIECE] * 5 + [7]
    assert [one for piece in told for one in piece] == messages
    assert set(turns) == set(range(6))


async def test_what_is_too_much_is_told_at_once_and_the_rest_on_demand() -> None:
    told: list[Sequence[Arrived]] = []
    waiting = Aside(told.append)
    messages = [arrived(number) for number in range(aside.MOST + 7)]
    for one in messages:
        waiting.put([one])
    waiting.tell()
    assert [len(piece) for piece in told] == [aside.MOST, 7]
    assert [one for piece in told for one in piece] == messages
    await asyncio.sleep(aside.GATHER_SECONDS * 2)
    assert len(told) == 2
