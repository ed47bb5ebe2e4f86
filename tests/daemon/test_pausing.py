"""Wishes asked of the PBX's queues, once each; pauses at the telephone taken up as wishes, and never asked back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from ami_adapter.framing import AmiMessage
from crm.agent_wishes import StoredWish, settle_wish, stored_wishes, write_wish
from crm.database import Database
from cti.calls.presence_events import DeviceState, ListBegun, ListEnded, Listing, MemberSeen, QueueMember
from cti.daemon.pausing import NO_REASON, Pausing
from cti.desk import AgentState, Wish
from tests.ami_adapter.scripted import Link
from tests.crm import planting
from tests.cti.desk.calls import at
from tests.cti.desk.floors import Floor
from tests.cti.desk.floors import Hall as PeopleAt
from tests.cti.desk.test_shift import device, member, state_of
from tests.daemon.dialling_floor import screen_telephone, willing
from web.telephone import Done

AVAILABLE, LUNCH, OFF = Wish(AgentState.AVAILABLE), Wish(AgentState.PAUSED, "Lunch"), Wish(AgentState.OFFLINE)
NOBODY: dict[int, StoredWish] = {}


def asked(wish: Wish, problem: str | None = None) -> dict[int, StoredWish]:
    return {101: StoredWish(wish=wish, is_asked=True, problem=problem)}


def new(wish: Wish) -> dict[int, StoredWish]:
    return {101: StoredWish(wish=wish)}


@dataclass
class Hall:
    """The agent at 101 sits in two queues; the PBX answers as it is told to."""

    pausing: Pausing
    floor: Floor
    asked: list[tuple[str, Wish]]
    told: list[dict[str, Any]]
    answer: Done = field(default_factory=lambda: Done(outcome="done"))
    seconds: float = 0

    def seen(
        self, *, is_paused: bool, reason: str = "", queues: tuple[str, ...] = ("sales", "service")
    ) -> None:
        """The PBX tells of the member in these queues."""
        self.floor.desk.shift.hear(
            1, [MemberSeen(member=one, at=at(3)) for one in places(is_paused, reason, queues)]
        )

    def listed(self, *, is_paused: bool, reason: str = "") -> None:
        """The link came back, and the queues are listed."""
        self.floor.link(at(4), is_up=False)
        self.floor.link(at(5))
        self.list(is_paused=is_paused, reason=reason)

    def list(self, *, is_paused: bool, reason: str = "") -> None:
        seen = [MemberSeen(member=one, at=at(1)) for one in places(is_paused, reason, ("sales", "service"))]
        begun, ended = (
            ListBegun(listing=Listing.QUEUES, at=at(1)),
            ListEnded(listing=Listing.QUEUES, at=at(1)),
        )
        self.floor.desk.shift.hear(1, [begun, *seen, ended])


def places(is_paused: bool, reason: str, queues: tuple[str, ...]) -> list[QueueMember]:
    return [member(name, is_paused=is_paused, pause_reason=reason) for name in queues]


@pytest.fixture
def hall(database: Database) -> Hall:
    floor = Floor()
    done: list[tuple[str, Wish]] = []
    told: list[dict[str, Any]] = []

    async def pause(connection_id: int, interface: str, wish: Wish) -> Done:
        assert connection_id == 1
        done.append((interface, wish))
        return made.answer

    pausing = Pausing(
        database.sessions,
        floor.desk.shift,
        pause=pause,
        tell=lambda _user, _kind, data: told.append(dict(data)),
        clock=lambda: made.seconds,
    )
    made = Hall(pausing, floor, done, told)
    floor.link(at(0))
    floor.desk.shift.hear(1, [device("101", DeviceState.IDLE)])
    made.list(is_paused=False)
    return made


async def settled(pausing: Pausing) -> None:
    """Until nothing is being asked."""
    async with asyncio.timeout(10):
        while pausing._asking:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def writing(pausing: Pausing) -> AsyncIterator[None]:
    task = asyncio.create_task(pausing.run())
    yield
    task.cancel()


async def until_stored(
    database: Database, user_id: int, is_there: Callable[[StoredWish], bool]
) -> StoredWish:
    async with asyncio.timeout(10):
        while True:
            async with database.sessions() as session:
                found = (await stored_wishes(session)).get(user_id)
            if found is not None and is_there(found):
                return found
            await asyncio.sleep(0.02)


async def test_a_wish_is_asked_once_and_an_echo_changes_nothing(hall: Hall) -> None:
    hall.pausing.wished(asked(AVAILABLE))
    for wish in (LUNCH, LUNCH, OFF, AVAILABLE):
        hall.pausing.wished(new(wish))
        await settled(hall.pausing)
    assert hall.asked == [("PJSIP/101", LUNCH), ("PJSIP/101", OFF), ("PJSIP/101", AVAILABLE)]
    hall.seen(is_paused=True, reason="Lunch")  # the reader's link tells it late
    hall.seen(is_paused=False)
    await settled(hall.pausing)
    assert (len(hall.asked), hall.pausing._told, hall.told) == (3, {}, [])


async def test_a_pause_at_the_telephone_becomes_the_wish_and_is_not_asked_back(
    hall: Hall, database: Database
) -> None:
    async with database.sessions.begin() as session:
        user_id = await planting.user(session, "pauser")
        await write_wish(session, user_id, AVAILABLE)
    hall.floor.desk.set_directory(PeopleAt(e101=user_id), at(2))
    hall.pausing.wished({user_id: StoredWish(wish=AVAILABLE, is_asked=True)})
    async with writing(hall.pausing):
        hall.seen(is_paused=True, reason="Обед")
        found = await until_stored(database, user_id, lambda one: one.wish.is_away)
        assert (found.wish, found.is_asked) == (Wish(AgentState.PAUSED, "Обед"), True)
        hall.seen(is_paused=False, queues=("sales",))  # the other queue still leaves them alone
        assert hall.pausing._told == {}
        hall.seen(is_paused=False, queues=("service",))
        await until_stored(database, user_id, lambda one: not one.wish.is_away)
    assert hall.asked == []
    assert [told["state"] for told in hall.told] == ["paused", "available"]


async def test_what_changed_while_nobody_listened(hall: Hall) -> None:
    hall.pausing.wished(
        asked(LUNCH)
    )  # a restart of ours: the PBX forgot, or ringcard stopped before it asked
    await settled(hall.pausing)
    assert hall.asked == [("PJSIP/101", LUNCH)]
    hall.seen(is_paused=True, reason="Lunch")
    hall.seconds = 60
    hall.listed(is_paused=False)  # the PBX started anew
    await settled(hall.pausing)
    assert hall.asked == [("PJSIP/101", LUNCH)] * 2
    hall.pausing.wished(asked(AVAILABLE))
    hall.seconds = 120
    hall.listed(is_paused=True)  # paused at the telephone meanwhile: nobody is called against their will
    assert hall.pausing._told == {101: Wish(AgentState.PAUSED, NO_REASON)}
    assert len(hall.asked) == 2


async def test_a_wish_of_before_a_crash_wins_over_the_queues(hall: Hall) -> None:
    hall.list(is_paused=True, reason="Lunch")
    hall.pausing.wished(new(AVAILABLE))
    await settled(hall.pausing)
    assert hall.asked == [("PJSIP/101", AVAILABLE)]
    assert hall.pausing._told == {}


async def test_who_joins_a_queue_while_away_is_paused_there_too(hall: Hall) -> None:
    hall.pausing.wished(asked(OFF))
    await settled(hall.pausing)
    hall.seen(is_paused=True, reason="off_shift")
    hall.asked.clear()
    hall.seen(is_paused=False, queues=("night",))
    await settled(hall.pausing)
    assert hall.asked == [("PJSIP/101", OFF)]


async def test_who_never_said_what_they_want_is_left_to_the_pbx(hall: Hall) -> None:
    hall.pausing.wished(NOBODY)
    hall.seen(is_paused=True, reason="Обед")
    hall.listed(is_paused=True, reason="Обед")
    await settled(hall.pausing)
    assert (hall.asked, hall.pausing._told) == ([], {})
    assert state_of(hall.floor)[0] == "paused"


async def test_a_refusal_is_stored_told_and_asked_again_by_the_same_wish(
    hall: Hall, database: Database
) -> None:
    async with database.sessions.begin() as session:
        user_id = await planting.user(session, "refused")
        await write_wish(session, user_id, LUNCH)
    hall.floor.desk.set_directory(PeopleAt(e101=user_id), at(2))
    hall.answer = Done(outcome="refused", detail="Interface not found")
    hall.pausing.wished({user_id: StoredWish(wish=LUNCH)})
    found = await until_stored(database, user_id, lambda one: one.problem is not None)
    await settled(hall.pausing)
    assert (found.problem, found.is_asked, hall.told[-1]["problem"]) == ("refused", True, "refused")
    hall.answer = Done(outcome="done")
    async with database.sessions.begin() as session:
        await write_wish(session, user_id, LUNCH)  # «Ask again»
        again = await stored_wishes(session)
    assert (again[user_id].is_asked, again[user_id].problem) == (False, None)
    hall.pausing.wished(again)
    await settled(hall.pausing)
    assert (len(hall.asked), hall.told[-1]["problem"]) == (2, "refused")
    async with database.sessions.begin() as session:
        await settle_wish(session, user_id, AVAILABLE, "refused")  # of a wish that is over
        assert (await stored_wishes(session))[user_id].problem is None


async def test_without_a_link_it_is_asked_once_the_account_is_there(hall: Hall) -> None:
    hall.answer = Done(outcome="not_sent")
    hall.pausing.wished(new(LUNCH))
    await settled(hall.pausing)
    hall.answer = Done(outcome="done")
    hall.pausing.look_at(1)
    await settled(hall.pausing)
    assert [told["problem"] for told in hall.told] == ["not_sent", None]


def refusing(link: Link, request: AmiMessage) -> None:
    if request["Action"] == "QueuePause":
        link.answer(request, Response="Error", Message="Interface not found")
    elif request["Action"] == "ListCommands":
        link.answer(
            request, QueuePause="Pauses.  (Priv: agent,all)", Originate="Calls.  (Priv: originate,all)"
        )
    else:
        willing(link, request)


async def test_the_dialling_account_is_asked_and_its_answer_told(database: Database) -> None:
    async with screen_telephone(database) as floor:
        done = await floor.telephone.pause(floor.connection_id, "PJSIP/101", LUNCH)
        assert done == Done(outcome="not_allowed")  # the account has no right of the class agent
        assert (
            await floor.telephone.pause(floor.connection_id + 1, "PJSIP/101", LUNCH)
        ).outcome == "no_account"
    async with screen_telephone(database, refusing) as floor:
        refused = await floor.telephone.pause(floor.connection_id, "Local/101@from-queue/n", LUNCH)
        away = await floor.telephone.pause(floor.connection_id, "PJSIP/101", OFF)
        hostile = await floor.telephone.pause(
            floor.connection_id, "PJSIP/101", Wish(AgentState.PAUSED, "x\r\nAction: Command")
        )
        sent = [request for request in floor.pbx.requests if request["Action"] == "QueuePause"]
        assert (refused, away.outcome, hostile.outcome) == (
            Done(outcome="refused", detail="Interface not found"),
            "refused",
            "refused",
        )
        assert [(one["Interface"], one["Paused"], one["Reason"]) for one in sent] == [
            ("Local/101@from-queue/n", "true", "Lunch"),
            ("PJSIP/101", "true", "off_shift"),
        ]
