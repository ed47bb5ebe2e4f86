"""What a telephone does with whoever calls it."""

from __future__ import annotations

import asyncio

from tests.pbx.phones.line import Line
from tests.pbx.phones.phone import Habit

PICKED_SECONDS = 0.1  # before a telephone rings at all


def rings() -> Habit:
    """It rings and nobody comes."""

    async def habit(line: Line) -> None:
        await asyncio.sleep(PICKED_SECONDS)
        await line.ring()

    return habit


def answers(*, after: float) -> Habit:
    """It rings so many seconds, then somebody answers."""

    async def habit(line: Line) -> None:
        await rings()(line)
        await line.stay(after)
        await line.answer()

    return habit


def refuses(code: int, *, after: float = 0.0) -> Habit:
    """486 busy, 603 declined: at once, or after so many seconds of ringing."""

    async def habit(line: Line) -> None:
        if after:
            await rings()(line)
            await line.stay(after)
        if not line.ended.is_set():
            line.refuse(code)

    return habit


def forwards(target: str) -> Habit:
    """302: this telephone sends its calls elsewhere."""

    async def habit(line: Line) -> None:
        line.refuse(302, ("Contact", f"<sip:{target}@{line.phone.server}>"))

    return habit
