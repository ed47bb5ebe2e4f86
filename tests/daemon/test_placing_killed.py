"""`kill -9` at many moments of click-to-call: at most one Originate for each click, and no click left without a word (I7, I16)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text

from ami_adapter.framing import AmiMessage
from crm.database import Database
from crm.dial_requests import settle_left_over
from tests.ami_adapter.scripted import Link, ScriptedAmi
from tests.crm import planting
from tests.crm.people import make_user
from tests.daemon.dialling_floor import willing

CLICKS = 6  # new ones of each life
LONGEST_LIFE = 0.35  # seconds: many die while they place calls, some have done everything
Click = tuple[str, str]


def lazy(link: Link, request: AmiMessage) -> None:
    """Answers an Originate a moment later, so that many deaths fall between the asking and the answer."""
    if request["Action"] == "Originate":
        asyncio.get_running_loop().call_later(random.uniform(0, 0.02), willing, link, request)
    else:
        willing(link, request)


class Victim:
    """The process of `tests.daemon.dialling_victim`, which dies and is born again."""

    def __init__(self, process: Process, order: dict[str, object]) -> None:
        self._process = process
        self._order = order

    async def lives(self, clicks: list[Click], *, seconds: float) -> None:
        """One life, ended by us so many seconds after it could place calls, unless it has done everything before."""
        assert self._process.stdin is not None
        line = json.dumps(self._order | {"clicks": clicks})
        self._process.stdin.write(line.encode() + b"\n")
        child = int(await self._said())
        assert await self._said() == "ready"
        try:
            async with asyncio.timeout(seconds):
                said = await self._said()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):  # it had done everything at that very moment
                os.kill(child, signal.SIGKILL)
            said = await self._said()
        assert said == "gone"

    async def _said(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


@pytest.mark.slow
@pytest.mark.parametrize("kills", [40, pytest.param(200, marks=pytest.mark.faults)])
async def test_i07_one_originate_a_click_whenever_the_program_is_killed(
    database: Database, kills: int
) -> None:
    async with database.sessions.begin() as session:
        agent = await make_user(session)
        connection_id = await planting.connection(session, f"PBX of {kills}")
        await planting.extension(session, connection_id, "101", agent.user_id)
        await session.execute(text("update dialling_policy set most_per_hour = 9999, most_per_day = 9999"))
    url = database.engine.url.render_as_string(hide_password=False)
    clicks = [(str(uuid4()), f"+7916{kills:03}{number:04}") for number in range(1, kills * CLICKS + 1)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.daemon.dialling_victim", stdin=PIPE, stdout=PIPE
    )
    async with ScriptedAmi(lazy) as pbx:
        order = {"url": url, "port": pbx.port, "connection": connection_id, "user": agent.user_id}
        victim = Victim(process, order)
        for round_ in range(kills):
            # A page sends again what was not answered: the clicks of the life before, too.
            mine = clicks[max(0, round_ - 1) * CLICKS : (round_ + 1) * CLICKS]
            await victim.lives(mine, seconds=random.uniform(0, LONGEST_LIFE))
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        originates = Counter(request["Exten"] for request in pbx.requests if request["Action"] == "Originate")
    async with database.sessions.begin() as session:
        await settle_left_over(session, datetime.now(UTC))
    async with database.sessions() as session:
        asked = text("select target, state from dial_request where user_id = :user")
        rows = (await session.execute(asked, {"user": agent.user_id})).all()
    states = Counter(state for _target, state in rows)
    assert max(originates.values()) == 1, f"sent twice: {originates.most_common(3)}"
    assert set(originates) <= {target for target, _state in rows}
    assert [target for target, state in rows if state == "not_sent" and originates[target]] == []
    assert set(states) <= {"answered", "unknown", "not_sent"}
    assert states["answered"] > 0, states
    assert states["unknown"] > 0, f"no death fell between the asking and the answer: {states}"
