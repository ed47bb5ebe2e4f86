"""The database is away: a hand on one's own call goes on where memory can tell that it may, and is written down afterwards (I13)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.framing import AmiMessage
from crm.database import Database, make_database
from crm.dial_rules import DialRefused, Policy
from crm.errors import NotAllowed, NotFound
from crm.rights import Access
from crm.schema.base import uuid7
from cti.calls.records import Leg
from cti.numbers import to_e164
from tests.ami_adapter.scripted import Link, eventually
from tests.cti.desk.calls import answers
from tests.daemon.dialling_floor import ScreenTelephone, screen_telephone, willing
from web.telephone import NotJudged, Wanted

CALLER = "+79161234567"


@asynccontextmanager
async def talking(
    database: Database, behave: Callable[[Link, AmiMessage], None] = willing
) -> AsyncIterator[tuple[ScreenTelephone, UUID]]:
    """101 talks with a customer, and the database has just gone; the policy as it was read last."""
    away = make_database("postgresql://nobody@127.0.0.1:1/nowhere")
    async with screen_telephone(database, behave) as floor:
        call_id = uuid7()
        legs = (
            Leg(channel_id="1.1", channel_name="PJSIP/trunk-1", extension=None),
            Leg(channel_id="1.2", channel_name="PJSIP/101-2", extension="101", answered_at=None),
        )
        event = answers("101", customer_number=CALLER, legs=legs)
        floor.desk.apply(floor.connection_id, call_id, event, to_e164(CALLER))
        await eventually(lambda: "hang_up" in controls(floor, call_id))
        floor.telephone.set_policy(Policy(version=1))
        floor.telephone._controlling._sessions = away.sessions
        floor.telephone._book._sessions = away.sessions
        floor.telephone._book._retry_seconds = 0.01
        yield floor, call_id
        floor.telephone._book._sessions = database.sessions
    await away.close()


def refusing(link: Link, request: AmiMessage) -> None:
    """A PBX that passes nothing on."""
    if request["Action"] == "BlindTransfer":
        link.answer(request, Response="Error", Message="Channel not found")
    else:
        willing(link, request)


class Leaving:
    """Sessions of a database that serves `served` times, and goes with the answer to what came next, done or not."""

    def __init__(self, database: Database, *, served: int, is_done: bool) -> None:
        self._database = database
        self._left = served
        self._is_done = is_done

    def begin(self) -> AbstractAsyncContextManager[AsyncSession]:
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncSession]:
        self._left -= 1
        if self._left < -1:
            raise ConnectionRefusedError
        async with self._database.sessions.begin() as session:
            yield session
            if self._left < 0 and not self._is_done:
                raise ConnectionResetError
        if self._left < 0:
            raise ConnectionResetError


def controls(floor: ScreenTelephone, call_id: UUID) -> tuple[str, ...]:
    view = floor.desk.view(floor.agent.user_id, call_id)
    assert view is not None
    return view.controls


def asked(floor: ScreenTelephone, action: str) -> list[Any]:
    return [request for request in floor.pbx.requests if request["Action"] == action]


async def written(floor: ScreenTelephone, call_id: UUID) -> list[tuple[str, str | None, str | None]]:
    query = text("select action, target, outcome from call_control where call_id = :call order by at, id")
    async with floor.database.sessions() as session:
        return [tuple(row) for row in await session.execute(query, {"call": call_id})]


async def written_later(floor: ScreenTelephone, call_id: UUID) -> list[tuple[str, str | None, str | None]]:
    """What stands there once the database, asked in vain before, is back."""
    writing = asyncio.create_task(floor.telephone.run())
    await asyncio.sleep(0.05)
    floor.telephone._book._sessions = floor.database.sessions
    async with asyncio.timeout(20):
        while not (rows := await written(floor, call_id)):
            await asyncio.sleep(0.01)
    writing.cancel()
    return rows


@pytest.mark.parametrize("is_known", [True, False], ids=["known to be away", "not known yet"])
async def test_i13_hanging_up_is_done_once_and_written_down_when_the_database_is_back(
    database: Database, is_known: bool
) -> None:
    async with talking(database) as (floor, call_id):
        wanted = Wanted(control="hang_up", is_database_away=is_known)
        done = await floor.telephone.control(floor.agent, call_id, wanted)
        assert (done.outcome, len(asked(floor, "Hangup"))) == ("done", 1)
        assert await written(floor, call_id) == []
        assert await written_later(floor, call_id) == [("hang_up", None, "done")]


async def test_i13_a_call_is_passed_on_to_a_colleague_with_its_card(database: Database) -> None:
    async with talking(database) as (floor, call_id):
        wanted = Wanted(control="transfer", to="102", reason="Invoice", note="Wants it by Friday")
        done = await floor.telephone.control(floor.agent, call_id, wanted)
        assert done.outcome == "done"
        (sent,) = asked(floor, "BlindTransfer")
        assert sent["Exten"] == "102"
        assert await written_later(floor, call_id) == [("transfer", "102", "done")]
        async with database.sessions() as session:
            query = text("select to_target, reason, note, caller from hand_over_card where call_id = :call")
            cards = [tuple(row) for row in await session.execute(query, {"call": call_id})]
        assert cards == [("102", "Invoice", "Wants it by Friday", CALLER)]


@pytest.mark.parametrize(("served", "is_done"), [(0, True), (0, False), (1, True), (1, False)])
async def test_i13_an_answer_lost_with_the_database_leaves_no_act_without_its_outcome(
    database: Database, served: int, is_done: bool
) -> None:
    async with talking(database, refusing) as (floor, call_id):
        floor.telephone._controlling._sessions = Leaving(database, served=served, is_done=is_done)  # type: ignore[assignment]
        wanted = Wanted(control="transfer", to="102", note="Wants it by Friday")
        assert (await floor.telephone.control(floor.agent, call_id, wanted)).outcome == "refused"
        writing = asyncio.create_task(floor.telephone.run())
        floor.telephone._book._sessions = floor.database.sessions
        await eventually(lambda: not floor.telephone._book._waiting)
        writing.cancel()
        assert await written(floor, call_id) == [("transfer", "102", "refused")]
        async with database.sessions() as session:
            cards = text("select count(*) from hand_over_card where call_id = :call")
            assert await session.scalar(cards, {"call": call_id}) == 0  # nobody else reads it


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("+7 495 765-43-21", NotJudged),  # whose it is, and whether they asked not to be called
        ("101", DialRefused),  # one's own
        ("777", NotJudged),  # no extension that we know of
    ],
)
async def test_i13_what_memory_cannot_allow_is_refused_in_words_and_not_sent(
    database: Database, to: str, why: type[Exception]
) -> None:
    async with talking(database) as (floor, call_id):
        with pytest.raises(why):
            await floor.telephone.control(floor.agent, call_id, Wanted(control="transfer", to=to))
        assert asked(floor, "BlindTransfer") == []


async def test_g01_without_the_database_nobody_may_more_than_with_it(database: Database) -> None:
    async with talking(database) as (floor, call_id):
        without = Access(user_id=floor.agent.user_id, login="", name="")
        with pytest.raises(NotAllowed):
            await floor.telephone.control(without, call_id, Wanted(control="hang_up"))
        stranger = Access(user_id=0, login="", name="", scopes=floor.agent.scopes)
        with pytest.raises(NotFound):
            await floor.telephone.control(stranger, call_id, Wanted(control="hang_up"))
        floor.telephone.set_policy(Policy(is_stopped=True, version=1))
        with pytest.raises(DialRefused):
            await floor.telephone.control(floor.agent, call_id, Wanted(control="transfer", to="102"))
        assert asked(floor, "Hangup") == asked(floor, "BlindTransfer") == []
