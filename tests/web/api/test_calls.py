"""Calls over the API: the fields of `ringcard replay`, filters, pages, the present picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import update

from crm.call_store import store
from crm.journal_entries import CallEntry, CallFacts
from crm.schema.base import uuid7
from crm.schema.communications import Call
from cti.calls.presence_events import CallerWaits, MemberSeen, QueueMember
from cti.calls.records import CallRecord, CallState, Direction, Transfer
from cti.calls.telling import tell_call
from cti.desk import ConnectionView, Match, MatchParty
from cti.numbers import to_e164
from tests.crm.planting import NOON
from tests.crm.telling import life
from tests.cti.desk.calls import arrived, at, rings
from tests.web.api.company import OWNERS, Company

PATH = "/api/v1/calls"


def normalise(presented: str) -> str | None:
    return to_e164(presented).e164


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(company: Company) -> tuple[UUID, CallRecord]:
    """A call that came through the journal, and the record it was told by."""
    transfer = Transfer(from_extension="101", to="102", kind="blind", at=NOON, outcome="not_answered")
    record = replace(life("200.1")[-1], linked_ids=("200.1", "200.7"), transfers=(transfer,), queue="sales")
    entry = CallEntry(
        connection_id=company.connection_id,
        call_id=uuid7(),
        record=record,
        facts=CallFacts(
            customer_e164="+79000000001",
            did_e164="+74950000001",
            line_id=company.line_id,
            party_id=company.parties["agent"],
            match_status="matched",
        ),
        at=NOON + timedelta(seconds=70),
        run=str(uuid7()),
    )
    async with company.database.sessions.begin() as session:
        await store(await session.connection(), [entry])
    return entry.call_id, record


async def test_a_call_has_the_fields_of_replay(company: Company, told: tuple[UUID, CallRecord]) -> None:
    call_id, record = told
    replayed = tell_call(record, normalise)
    call = await company.told(f"{PATH}/{call_id}")
    assert {name: call[name] for name in replayed} == replayed
    assert list(call)[1 : len(replayed) + 1] == list(replayed)  # in the same order, after the id
    assert (call["id"], call["line_name"], call["party_id"]) == (
        str(call_id),
        "Sales line",
        company.parties["agent"],
    )
    (part,) = call["participations"]
    assert (part["extension"], part["came_by"], part["result"]) == ("101", "ring", "answered")
    assert [leg["channel_name"] for leg in part["legs"]] == ["PJSIP/101-2"]


async def test_the_list_tells_the_same(company: Company, told: tuple[UUID, CallRecord]) -> None:
    call = await company.told(f"{PATH}/{told[0]}")
    listed = next(
        one for one in (await company.told(f"{PATH}?limit=200"))["items"] if one["id"] == str(told[0])
    )
    assert listed == {name: call[name] for name in listed}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("direction=inbound&queue_is=", None),
        ("line={line}", 1),
        ("number=%2B79000000001", 1),
        ("number=0000001", 1),
        ("number=79000000002", 0),
        ("disposition=answered", 8),
        ("disposition=open", 0),
        ("disposition=busy", 0),
        ("party={party}", 2),
        ("user={user}", 1),
        ("connection=999", 0),
        ("from=2026-03-02T12:00:30Z&to=2026-03-02T12:01:30Z", 1),
        ("from=2026-03-02T15:00:00%2B03:00&to=2026-03-02T15:00:01%2B03:00", 2),
        ("from=2027-01-01T00:00:00Z", 0),
    ],
)
async def test_filters(
    company: Company, told: tuple[UUID, CallRecord], query: str, found: int | None
) -> None:
    values = {"line": company.line_id, "party": company.parties["agent"]}
    answer = await company.get(PATH + "?" + query.format(**values, user=company.people["colleague"].user_id))
    if found is None:
        assert answer.status == 400
    else:
        assert len((await answer.json())["items"]) == found


async def test_pages_hold_every_call_once_newest_first(
    company: Company, told: tuple[UUID, CallRecord]
) -> None:
    whole = [item["id"] for item in (await company.told(f"{PATH}?limit=200"))["items"]]
    assert set(whole) == {*map(str, company.calls.values()), str(told[0])}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await company.told(f"{PATH}?limit=3&cursor={cursor}")
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert seen == whole


async def test_a_call_that_went_into_another_leads_to_it(company: Company) -> None:
    call_id, into = company.calls["telephony"], company.calls["agent"]
    async with company.database.sessions() as session:
        await session.execute(update(Call).where(Call.id == call_id).values(joined_into_id=into))
        await session.commit()
        answer = await company.get(f"{PATH}/{call_id}")
        assert (answer.status, answer.headers["Location"]) == (301, f"{PATH}/{into}")
        assert (await company.get(f"{PATH}/{call_id}", "stranger")).status == 404
        await session.execute(update(Call).where(Call.id == call_id).values(joined_into_id=None))
        await session.commit()


async def test_a_mirror_is_listed_on_demand_and_read_by_its_id(company: Company) -> None:
    mirror, root = company.calls["telephony"], company.calls["agent"]
    async with company.database.sessions() as session:
        await session.execute(update(Call).where(Call.id == mirror).values(mirror_of_id=root))
        await session.commit()
        listed = {item["id"]: item for item in (await company.told(f"{PATH}?limit=200"))["items"]}
        assert str(mirror) not in listed
        assert (listed[str(root)]["mirror_of"], listed[str(root)]["mirrors"]) == (None, [str(mirror)])
        whole = (await company.told(f"{PATH}?limit=200&mirrors=1"))["items"]
        assert {item["id"] for item in whole} == {*listed, str(mirror)}
        assert (await company.told(f"{PATH}/{mirror}"))["mirror_of"] == str(root)
        assert (await company.get(f"{PATH}/{root}", "stranger")).status == 404
        assert (await company.get(f"{PATH}?mirrors=2")).status == 422
        await session.execute(update(Call).where(Call.id == mirror).values(mirror_of_id=None))
        await session.commit()


async def test_connections_tell_no_secret(company: Company) -> None:
    answer = await company.get("/api/v1/connections", "telephony")
    text = await answer.text()
    assert "hush" not in text
    (connection,) = (await answer.json())["items"]
    assert (connection["name"], connection["host"], connection["user"]) == (
        "Main office",
        "127.0.0.1",
        "ringcard",
    )
    assert connection["state"] == "down"
    assert "secret" not in "".join(connection)


async def test_users_lines_and_oneself(company: Company) -> None:
    users = (await company.told("/api/v1/users"))["items"]
    assert {user["login"] for user in users} == {f"{who}.login" for who in OWNERS}
    assert "password" not in "".join(users[0])
    (line,) = (await company.told("/api/v1/lines", "agent"))["items"]
    assert (line["e164"], line["name"]) == ("+74950000001", "Sales line")
    me = await company.told("/api/v1/me", "agent")
    assert (me["id"], me["role_codes"]) == (company.people["agent"].user_id, ["agent"])
    assert (me["extensions"], me["rights"]["party.read"]) == (["100"], "own")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def present(company: Company) -> list[UUID]:
    """One call rings at the agent, one at the stranger, one rings nowhere."""
    ids = [uuid7(), uuid7(), uuid7()]
    number = to_e164("+74951203340")
    for place, extension in enumerate(("100", f"10{OWNERS.index('stranger')}")):
        named: dict[str, Any] = {"key": f"9.{place}", "linked_ids": (f"9.{place}",)}
        company.desk.apply(1, ids[place], rings(extension, **named), number)
    company.desk.apply(1, ids[2], arrived(key="9.2", linked_ids=("9.2",)), number)
    party = MatchParty(id=company.parties["agent"], name="Example Company agent", kinds=("client",))
    company.desk.set_match(ids[0], Match(outcome="matched", reasons=("number",), parties=(party,)), at(2))
    return ids


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        ("agent", [0]),
        ("manager", []),
        ("head", [0]),
        ("telephony", [0, 1, 2]),
        ("admin", [0, 1, 2]),
        ("stranger", [1]),
    ],
)
async def test_t11_the_present_picture(
    company: Company, present: list[UUID], who: str, sees: list[int]
) -> None:
    picture = await company.told("/api/v1/live", who)
    assert [item["id"] for item in picture["items"]] == [str(present[number]) for number in sees]
    assert picture["next"] is None


async def test_a_present_call_says_who_calls(company: Company, present: list[UUID]) -> None:
    (call,) = (await company.told("/api/v1/live", "agent"))["items"]
    assert (call["state"], call["direction"]) == (CallState.RINGING, Direction.INBOUND)
    assert call["phone"] == "+74951203340"
    assert call["ringing"] == [{"extension": "100", "name": company.people["agent"].name}]
    assert [party["name"] for party in call["match"]["parties"]] == ["Example Company agent"]


async def test_t11_clients_are_named_only_to_those_who_read_them(
    company: Company, present: list[UUID]
) -> None:
    calls: list[dict[str, Any]] = (await company.told("/api/v1/live", "telephony"))["items"]
    assert [call["match"] for call in calls] == [None, None, None]


@pytest.fixture
def shift(company: Company, present: list[UUID]) -> None:
    """The PBX is heard; in the queue "sales" sit the agent and the stranger, and one caller waits."""
    company.desk.set_connection(ConnectionView(id=1, name="PBX", state="up"), at(0))
    for extension in _seats_of(company, "agent", "stranger"):
        device = f"PJSIP/{extension}"
        member = QueueMember(queue="sales", interface=device, device=device, extension=extension)
        company.desk.shift.hear(1, [MemberSeen(member=member, at=at(1))])
    caller = CallerWaits(queue="sales", channel_id="9.2", linked_id="9.2", position=1, since=at(2), at=at(2))
    company.desk.shift.hear(1, [caller])


def _seats_of(company: Company, *names: str) -> list[str]:
    return [company.desk.extensions_of(company.people[name].user_id)[0] for name in names]


@pytest.mark.parametrize(
    ("who", "team", "members", "phone"),
    [
        ("agent", ["agent"], ["agent"], None),
        ("stranger", ["stranger"], ["stranger"], None),
        ("head", [who for who in OWNERS if who != "stranger"], ["agent"], None),
        ("telephony", OWNERS, ["agent", "stranger"], "+74951203340"),
    ],
)
async def test_t11_agents_and_queues_of_ones_own_rights(
    company: Company,
    present: list[UUID],
    shift: None,
    who: str,
    team: Sequence[str],
    members: list[str],
    phone: str | None,
) -> None:
    picture = await company.told("/api/v1/live", who)
    assert {agent["id"] for agent in picture["agents"]} == {company.people[name].user_id for name in team}
    (queue,) = picture["queues"]
    assert (queue["name"], queue["is_current"]) == ("sales", True)
    assert {one["user_id"] for one in queue["members"]} == {company.people[name].user_id for name in members}
    (caller,) = queue["waiting"]
    assert (caller["position"], caller["phone"]) == (1, phone)
    assert queue["waiting_since"] == "2026-11-20T11:32:02Z"


async def test_t11_who_sits_in_no_queue_sees_none(company: Company, shift: None) -> None:
    picture = await company.told("/api/v1/live", "manager")
    assert picture["queues"] == []
    (agent,) = picture["agents"]
    assert (agent["id"], agent["state"]) == (company.people["manager"].user_id, "available")
