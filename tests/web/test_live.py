"""The live channel: who may open it, what comes first, what is told to whom, and what happens to the slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType, WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from crm.pop_delays import DrawnWindow
from crm.rights import Access, Scope
from cti.calls.call_events import CallEvent
from cti.calls.presence_events import MemberSeen, QueueMember
from cti.desk import AgentState, ConnectionView, Desk, Match, Message, Wish
from tests.cti.desk.calls import CALL, answers, at, desk, ends, rings
from tests.web.frame import FakeGate, NoDatabase, access_with, services_with
from tests.web.telephones import NotingTelephone
from web.app import create_app
from web.gate import Credential
from web.keys import LIVE
from web.live import LiveHub
from web.live_frames import encode
from web.live_socket import CLOSED_SIGNED_OUT, CLOSED_TOO_SLOW, QUEUE_MESSAGES, LiveSocket


@dataclass
class Office:
    """A running application with users 1 (agent at 101), 2 (head), and tokens of the same."""

    gate: FakeGate
    desk: Desk
    client: TestClient[web.Request, web.Application]
    server: TestServer
    telephone: NotingTelephone

    @property
    def hub(self) -> LiveHub:
        return self.server.app[LIVE]

    @property
    def origin(self) -> str:
        return f"http://{self.server.host}:{self.server.port}"

    async def connect(self, who: str = "session-agent", **headers: str) -> ClientWebSocketResponse:
        own = {"Origin": self.origin, "Cookie": f"ringcard={who}"}
        return await self.client.ws_connect("/live", headers=own | headers)

    def happen(self, *events: CallEvent) -> None:
        for event in events:
            self.hub.deliver(self.desk.apply(1, CALL, event))


@pytest_asyncio.fixture
async def office() -> AsyncIterator[Office]:
    agent, head = access_with("agent", 1), access_with("head", 2, team_ids=frozenset({1}))
    gate = FakeGate(
        people={},
        sessions={"session-agent": agent, "session-head": head},
        tokens={"rc_agent": agent, "rc_head": head},
    )
    present = desk()
    telephone = NotingTelephone(NoDatabase.sessions())
    server = TestServer(create_app(services_with(gate, present, telephone=telephone)))
    async with TestClient(server) as client:
        yield Office(gate=gate, desk=present, client=client, server=server, telephone=telephone)


def is_own_state(message: WSMessage) -> bool:
    """What the user does themselves, told once a second at most: in any test it may come between."""
    told = message.json() if message.type is WSMsgType.TEXT else {}
    return told.get("type") == "agent.state" and "topic" not in told


async def received(ws: ClientWebSocketResponse, seconds: float) -> WSMessage:
    async with asyncio.timeout(seconds):
        while is_own_state(message := await ws.receive()):
            pass
    return message


async def heard(ws: ClientWebSocketResponse) -> dict[str, Any]:
    message: dict[str, Any] = (await received(ws, 2)).json()
    return message


async def test_the_whole_picture_comes_first(office: Office) -> None:
    office.happen(rings("101"))
    hello = await heard(await office.connect())
    assert (hello["v"], hello["type"], hello["seq"]) == (1, "hello", 1)
    assert hello["data"]["user"] == 1
    assert [call["id"] for call in hello["data"]["calls"]] == [str(CALL)]
    assert hello["data"]["presence"]["extensions"] == ["101"]


async def test_a_ring_in_every_socket_of_the_agent_and_in_no_other(office: Office) -> None:
    first, second, other = (
        await office.connect(),
        await office.connect(),
        await office.connect("session-head"),
    )
    for ws in (first, second, other):
        await heard(ws)
    office.happen(rings("101"))
    for ws in (first, second):
        message = await heard(ws)
        assert list(message) == ["v", "type", "seq", "at", "data"]
        assert (message["type"], message["data"]["state"], message["data"]["phone"]) == (
            "call.ringing",
            "ringing",
            "+74951203344",
        )
        assert message["data"]["ringing_since"] == "2026-11-20T11:32:01Z"
    with pytest.raises(TimeoutError):
        await received(other, 0.1)


async def test_i06_the_order_of_a_call_is_kept(office: Office) -> None:
    ws = await office.connect()
    await heard(ws)
    office.happen(rings("101"), answers("101"), ends())
    assert [(await heard(ws))["type"] for _ in range(3)] == ["call.ringing", "call.answered", "call.ended"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_t14_a_foreign_page_gets_no_socket(office: Office, origin: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await office.connect(Origin=origin)
    assert refused.value.status == 403


async def test_t14_a_session_needs_an_origin_and_a_token_needs_none(office: Office) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await office.client.ws_connect("/live", headers={"Cookie": "ringcard=session-agent"})
    assert refused.value.status == 403
    ws = await office.client.ws_connect("/live", headers={"Authorization": "Bearer rc_agent"})
    assert (await heard(ws))["type"] == "hello"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "ringcard=wrong"}])
async def test_nobody_gets_no_socket(office: Office, headers: dict[str, str]) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await office.client.ws_connect("/live", headers={"Origin": office.origin} | headers)
    assert refused.value.status == 401


async def test_g07_a_blocked_users_socket_closes_within_a_second(office: Office) -> None:
    ws = await office.connect()
    await heard(ws)
    del office.gate.sessions["session-agent"]
    office.hub.rechecks.changed(1)
    message = await received(ws, 1)
    assert (message.type, message.data) == (WSMsgType.CLOSE, CLOSED_SIGNED_OUT)


async def test_signing_out_closes_the_sockets_of_this_session_alone(office: Office) -> None:
    office.gate.sessions["elsewhere"] = office.gate.sessions["session-agent"]
    here, elsewhere = await office.connect(), await office.connect("elsewhere")
    await heard(here)
    await heard(elsewhere)
    await office.client.post(
        "/sign-out",
        headers={"Origin": office.origin, "Cookie": "ringcard=session-agent"},
        allow_redirects=False,
    )
    assert (await received(here, 1)).data == CLOSED_SIGNED_OUT
    with pytest.raises(TimeoutError):
        await received(elsewhere, 0.1)


async def test_i13_the_database_is_away_and_sockets_stay(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = await office.connect()
    await heard(ws)
    take_database_away(office, monkeypatch)
    office.hub.rechecks.changed(1)
    office.happen(rings("101"))
    assert (await heard(ws))["type"] == "call.ringing"


async def test_i13_whom_the_database_let_in_lately_comes_back_while_it_is_away(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await office.connect()).close()
    take_database_away(office, monkeypatch)
    ws = await office.connect()
    assert (await heard(ws))["type"] == "hello"
    office.happen(rings("101"))
    assert (await heard(ws))["type"] == "call.ringing"
    async with office.client.get("/me", headers={"Cookie": "ringcard=session-agent"}) as answer:
        assert answer.status == 503
    with pytest.raises(WSServerHandshakeError) as refused:
        await office.connect("session-head")
    assert refused.value.status == 503


async def test_g07_whoever_was_blocked_stays_outside_while_the_database_is_away(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await office.connect()).close()
    office.hub.rechecks.changed(1)
    take_database_away(office, monkeypatch)
    with pytest.raises(WSServerHandshakeError) as refused:
        await office.connect()
    assert refused.value.status == 503


async def act(office: Office, **headers: str) -> tuple[int, str]:
    """«Hang up» in the window of the call."""
    own = {"Origin": office.origin, "Cookie": "ringcard=session-agent"} | headers
    path = f"/api/v1/live/{CALL}/actions"
    async with office.client.post(path, json={"action": "hang_up"}, headers=own) as answer:
        return answer.status, await answer.text()


async def test_i13_whoever_has_a_socket_keeps_a_hand_on_their_calls_while_the_database_is_away(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.happen(answers("101"))
    take_database_away(office, monkeypatch)
    assert (await act(office))[0] == 503  # not let in lately: nobody knows what they may
    assert office.telephone.wanted == []
    monkeypatch.undo()
    await heard(await office.connect())
    assert (await act(office))[0] == 200
    take_database_away(office, monkeypatch)
    assert (await act(office))[0] == 200
    assert [wanted.is_database_away for _call, wanted in office.telephone.wanted] == [False, True]
    assert (await act(office, Origin="https://elsewhere.example"))[0] == 403
    assert (await act(office, Cookie="ringcard=session-nobody"))[0] == 503
    async with office.client.get("/parties", headers={"Cookie": "ringcard=session-agent"}) as page:
        assert page.status == 503  # no page goes on by what was known before


async def test_g01_rights_known_before_are_no_more_than_they_were(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.gate.sessions["session-agent"] = replace(office.gate.sessions["session-agent"], scopes={})
    await heard(await office.connect())
    take_database_away(office, monkeypatch)
    assert (await act(office))[0] == 404
    assert office.telephone.wanted == []


def take_database_away(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_credential: Credential) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(office.gate, "access", away)


async def test_coming_back_replays_what_was_missed(office: Office) -> None:
    ws = await office.connect()
    hello = await heard(ws)
    await ws.close()
    office.happen(rings("101"), answers("101"))
    ws = await office.connect()
    assert (await heard(ws))["type"] == "hello"
    await ws.send_json({"type": "resume", "epoch": hello["data"]["epoch"], "seq": hello["seq"]})
    replayed = [await heard(ws), await heard(ws), await heard(ws)]
    assert [(message["type"], message.get("replayed")) for message in replayed] == [
        ("call.ringing", True),
        ("call.answered", True),
        ("resumed", None),
    ]


async def test_coming_back_after_a_restart_brings_a_new_picture(office: Office) -> None:
    ws = await office.connect()
    await heard(ws)
    await ws.send_json({"type": "resume", "epoch": "of another process", "seq": 7})
    assert (await heard(ws))["type"] == "hello"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"type": 7}', '{"type": "unknown"}', '{"type": "dismiss", "id": "no uuid"}', ""]
)
async def test_what_is_not_understood_is_ignored(office: Office, text: str) -> None:
    ws = await office.connect()
    await heard(ws)
    await ws.send_str(text)
    office.happen(rings("101"))
    assert (await heard(ws))["type"] == "call.ringing"


async def test_an_ended_window_closed_in_one_tab_closes_in_the_other(office: Office) -> None:
    first, second = await office.connect(), await office.connect()
    office.happen(rings("101"), ends())
    for ws in (first, second):
        await heard(ws)
    for _ in range(2):
        await heard(second)
    await first.send_json({"type": "dismiss", "id": str(CALL)})
    assert (await heard(second))["type"] == "call.dismissed"


async def test_a_drawn_window_is_told_of_calls_that_are_ones_own_only(office: Office) -> None:
    drawn: list[tuple[UUID, float]] = []
    office.hub.on_drawn = lambda _name, call_id, milliseconds: drawn.append((call_id, milliseconds))
    measured: list[DrawnWindow] = []
    office.hub.on_measured = measured.append
    ws = await office.connect()
    await heard(ws)
    office.happen(rings("101"))
    await heard(ws)
    for call_id in (str(UUID(int=7)), "no uuid", "", str(CALL)):
        await ws.send_json({"type": "drawn", "id": call_id, "ms": 42.5})
    await ws.send_json({"type": "ping"})
    assert (await heard(ws))["type"] == "pong"
    assert drawn == [(CALL, 42.5)]
    assert [(one.call_id, one.user_id, one.connection_id, one.milliseconds) for one in measured] == [
        (CALL, 1, 1, 42)
    ]
    assert office.hub.pages_of(0) == 0
    office.hub.drawn_ms.clear()


async def test_one_bell_for_all_browsers_of_a_user(office: Office) -> None:
    desk_, home = await office.connect(), await office.connect()
    for ws in (desk_, home):
        await heard(ws)
    await desk_.send_json({"type": "bell", "sound": True, "ms": 5000})
    assert (await heard(desk_))["data"] == {"here": True}
    await home.send_json({"type": "bell", "sound": False, "ms": 0})  # used later, but not to be heard
    await home.send_json({"type": "bell", "sound": True, "ms": 10})
    assert (await heard(desk_))["data"] == {"here": False}
    assert (await heard(home))["data"] == {"here": True}
    await desk_.send_json({"type": "bell", "sound": True, "chosen": True, "ms": 60_000})
    assert (await heard(home))["data"] == {"here": False}
    assert (await heard(desk_))["data"] == {"here": True}
    await desk_.close()
    assert (await heard(home))["data"] == {"here": True}


async def test_t11_the_board_is_for_those_with_the_right(office: Office) -> None:
    agent = await office.connect()
    await heard(agent)
    await agent.send_json({"type": "sub", "topics": ["calls"]})
    assert (await heard(agent))["type"] == "refused"
    head = await office.connect("session-head")
    await heard(head)
    await head.send_json({"type": "sub", "topics": ["calls", "unknown"]})
    assert (await heard(head))["data"] == {"calls": []}
    office.happen(rings("101"))
    message = await heard(head)
    assert (message["type"], message["topic"], message["data"]["extension"]) == (
        "call.ringing",
        "calls",
        "101",
    )
    assert "seq" not in message
    assert message["data"]["ringing"] == [{"extension": "101", "name": "Agent 1"}]


async def test_agents_and_queues_are_topics_of_their_own(office: Office) -> None:
    """A snapshot each, then what changes: agents at once, queues with the next tick."""
    head = await office.connect("session-head")
    await heard(head)
    await head.send_json({"type": "sub", "topics": ["agents", "queues"]})
    agents, queues = await heard(head), await heard(head)
    assert (agents["type"], agents["topic"]) == ("live.agents", "agents")
    assert [(one["id"], one["state"], one["reason"]) for one in agents["data"]["agents"]] == [
        (1, "offline", "no_link"),
        (2, "offline", "no_link"),
    ]
    assert (queues["type"], queues["topic"], queues["data"]) == ("live.queues", "queues", {"queues": []})
    office.hub.deliver(office.desk.set_connection(ConnectionView(id=1, name="PBX", state="up"), at(0)))
    told = [await heard(head), await heard(head), await heard(head)]
    assert [(one["type"], one["data"]["id"], one["data"]["state"]) for one in told] == [
        ("connection.state", 1, "up"),
        ("agent.state", 1, "available"),
        ("agent.state", 2, "available"),
    ]
    seat = QueueMember(queue="sales", interface="PJSIP/101", device="PJSIP/101", extension="101")
    office.hub.deliver(office.desk.shift.hear(1, [MemberSeen(member=seat, at=at(1))]))
    state = await heard(head)
    assert (state["type"], state["topic"], state["data"]["name"]) == ("queue.state", "queues", "sales")
    assert [one["name"] for one in state["data"]["members"]] == ["Agent 1"]
    await head.send_json({"type": "unsub", "topics": ["agents", "queues"]})
    await head.send_json({"type": "ping"})
    assert (await heard(head))["type"] == "pong"
    office.happen(rings("101"))
    with pytest.raises(TimeoutError):
        await received(head, 0.1)


async def own_states(ws: ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            message = await ws.receive()
            if is_own_state(message):
                found.append(message.json()["data"])
    return found


async def test_a_user_is_told_what_they_do_themselves_in_all_their_pages(office: Office) -> None:
    """Once a tick, and to nobody else; a page that opens later has it in its first picture."""
    pages = [await office.connect(), await office.connect()]
    for page in pages:
        assert (await heard(page))["data"]["presence"]["agent"]["state"] == "offline"
    office.hub.deliver(office.desk.set_connection(ConnectionView(id=1, name="PBX", state="up"), at(0)))
    office.happen(rings("101"))
    for page in pages:
        (own,) = await own_states(page, 1)
        assert (own["id"], own["state"], own["wish"]) == (1, "ringing", None)
    office.hub.deliver(office.desk.shift.set_wishes({1: Wish(AgentState.PAUSED, "Lunch")}, at(3)))
    for page in pages:
        (own,) = await own_states(page, 1)
        assert (own["state"], own["wish"], own["wish_reason"]) == ("ringing", "paused", "Lunch")
    again = await heard(await office.connect())
    assert again["data"]["presence"]["agent"] == own


async def test_i13_pages_are_told_once_that_the_database_is_away_and_once_that_it_is_back(
    office: Office,
) -> None:
    ws = await office.connect()
    await heard(ws)
    for is_away in (True, True, False, False):
        office.hub.set_database_away(is_away)
    told = [await heard(ws), await heard(ws)]
    assert [(one["type"], one["data"]) for one in told] == [
        ("database.state", {"is_away": True}),
        ("database.state", {"is_away": False}),
    ]
    office.hub.set_database_away(True)
    later = await office.connect()
    assert [(await heard(later))["type"] for _ in range(2)] == ["hello", "database.state"]


@pytest.mark.parametrize("topic", ["agents", "queues"])
async def test_t11_agents_and_queues_are_for_those_with_the_right(office: Office, topic: str) -> None:
    agent = await office.connect()
    await heard(agent)
    await agent.send_json({"type": "sub", "topics": [topic]})
    refused = await heard(agent)
    assert (refused["type"], refused["data"]) == ("refused", {"topics": [topic], "right": "live.board"})
    office.hub.deliver(office.desk.set_connection(ConnectionView(id=1, name="PBX", state="up"), at(0)))
    assert (await heard(agent))["type"] == "connection.state"
    with pytest.raises(TimeoutError):
        await received(agent, 0.1)


async def test_a_head_who_loses_the_right_follows_no_agents(office: Office) -> None:
    head = await office.connect("session-head")
    await heard(head)
    await head.send_json({"type": "sub", "topics": ["agents"]})
    await heard(head)
    office.gate.sessions["session-head"] = access_with("agent", 2)
    office.hub.rechecks.changed(2)
    assert (await heard(head))["type"] == "refused"
    office.hub.deliver(office.desk.set_connection(ConnectionView(id=1, name="PBX", state="up"), at(0)))
    assert (await heard(head))["type"] == "connection.state"
    with pytest.raises(TimeoutError):
        await received(head, 0.1)


async def test_t11_the_board_shows_ones_own_teams_only(office: Office) -> None:
    head = await office.connect("session-head")
    await heard(head)
    await head.send_json({"type": "sub", "topics": ["calls"]})
    await heard(head)
    office.happen(rings("103"))
    with pytest.raises(TimeoutError):
        await received(head, 0.1)


async def test_g07_a_lost_right_ends_the_board(office: Office) -> None:
    head = await office.connect("session-head")
    await heard(head)
    await head.send_json({"type": "sub", "topics": ["calls"]})
    await heard(head)
    narrowed = replace(
        office.gate.sessions["session-head"], scopes=MappingProxyType({"call.read": Scope.OWN})
    )
    office.gate.sessions["session-head"] = narrowed
    office.hub.rechecks.changed(2)
    assert (await asyncio.wait_for(heard(head), 1))["type"] == "refused"
    office.happen(rings("101"))
    with pytest.raises(TimeoutError):
        await received(head, 0.1)


async def test_g07_what_changes_during_the_handshake_counts(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocked after the check and before the socket was known: nobody was there to be told."""
    access = office.gate.sessions["session-agent"]

    async def once(_gate: FakeGate, credential: Credential) -> Any:
        return access if office.gate.sessions.pop(credential.secret, None) else None

    monkeypatch.setattr(FakeGate, "access", once)
    ws = await office.connect()
    await heard(ws)
    assert (await received(ws, 1)).data == CLOSED_SIGNED_OUT


async def test_i18_a_judgement_that_fails_ends_no_watch(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, agent = await office.connect("session-head"), await office.connect()
    await heard(head), await heard(agent)
    await asyncio.sleep(0)

    def fail(*_arguments: object) -> None:
        raise RuntimeError("odd")

    session = office.gate.sessions["session-head"]
    office.gate.sessions["session-head"] = replace(session, scopes=MappingProxyType({}))
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(LiveHub, "_narrow", fail)
        office.hub.rechecks.changed(2)
        async with asyncio.timeout(3):
            while not logs:
                await asyncio.sleep(0.01)
    assert logs[0]["event"] == "live_judgement_failed"
    del office.gate.sessions["session-agent"]
    office.hub.rechecks.changed(1)
    assert (await received(agent, 3)).data == CLOSED_SIGNED_OUT


async def test_a_socket_that_closes_while_its_rights_are_asked_for_leaves_no_watcher(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = await office.connect("session-head")
    await heard(head)
    await head.send_json({"type": "sub", "topics": ["calls"]})
    await heard(head)
    other = replace(office.gate.sessions["session-head"], team_ids=frozenset({1, 2}))
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_gate: FakeGate, _credential: Credential) -> Access:
        asked.set()
        await answer.wait()
        return other

    watched: list[object] = []
    monkeypatch.setattr(FakeGate, "access", slow)
    office.hub.rechecks.changed(2)
    await asyncio.wait_for(asked.wait(), 3)
    monkeypatch.setattr(office.desk, "watch", lambda *told: watched.append(told))
    await head.close()
    async with asyncio.timeout(3):
        while office.hub.count():
            await asyncio.sleep(0.01)
    answer.set()
    await asyncio.sleep(0.1)
    assert watched == []


async def test_g07_a_user_who_was_blocked_while_the_database_was_away_is_asked_about_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = await office.connect()
    await heard(ws)
    await asyncio.sleep(0.05)
    asked = 0

    async def away_once(_gate: FakeGate, _credential: Credential) -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise ConnectionRefusedError
        return None

    monkeypatch.setattr(FakeGate, "access", away_once)
    office.hub.rechecks.changed(1)
    assert (await received(ws, 2)).data == CLOSED_SIGNED_OUT


async def test_g07_after_a_silence_of_the_database_everybody_is_asked_about(office: Office) -> None:
    agent, head = await office.connect(), await office.connect("session-head")
    for ws in (agent, head):
        await heard(ws)
    await asyncio.sleep(0.05)
    office.gate.sessions.clear()
    office.hub.rechecks.everybody_changed()
    for ws in (agent, head):
        assert (await received(ws, 1)).data == CLOSED_SIGNED_OUT


async def test_t18_a_token_with_fewer_rights_sees_less_than_its_owner(office: Office) -> None:
    admin = access_with("admin", 4)
    office.gate.sessions["session-admin"] = admin
    office.gate.tokens["rc_narrow"] = admin.restricted_to({"live.board": "own"})
    wide = await office.connect("session-admin")
    narrow = await office.client.ws_connect("/live", headers={"Authorization": "Bearer rc_narrow"})
    for ws in (narrow, wide):
        await heard(ws)
        await ws.send_json({"type": "sub", "topics": ["calls"]})
        await heard(ws)
    office.happen(rings("101"))
    assert (await heard(wide))["topic"] == "calls"
    with pytest.raises(TimeoutError):
        await received(narrow, 0.1)


async def test_the_board_names_clients_only_to_who_may_read_them(office: Office) -> None:
    telephony = access_with("telephony", 3)
    office.gate.sessions["session-telephony"] = telephony
    ws = await office.connect("session-telephony")
    await heard(ws)
    office.happen(rings("101"))
    office.hub.deliver(office.desk.set_match(CALL, Match(outcome="matched")))
    await ws.send_json({"type": "sub", "topics": ["calls"]})
    [call] = (await heard(ws))["data"]["calls"]
    assert call["match"] is None


async def test_a_restart_closes_with_1001() -> None:
    gate = FakeGate(people={}, tokens={"rc_agent": access_with("agent")})
    server = TestServer(create_app(services_with(gate, desk())))
    client = TestClient(server)
    await client.start_server()
    ws = await client.ws_connect("/live", headers={"Authorization": "Bearer rc_agent"})
    await ws.receive_json()
    closing = asyncio.create_task(server.close())
    message = await received(ws, 2)
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    await asyncio.wait_for(closing, 5)
    await client.close()


class Stuck:
    """A browser that does not read."""

    closed_with: int | None = None

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        await asyncio.Event().wait()

    async def close(self, *, code: int, message: bytes, drain: bool) -> bool:
        self.closed_with = code
        return True


async def test_t21_i11_a_frozen_browser_is_closed_and_delays_nobody() -> None:
    present = desk()
    hub = LiveHub(present, FakeGate(people={}), lambda: at(0))
    frozen, quick = Stuck(), Stuck()
    sockets = [
        LiveSocket(
            cast(web.WebSocketResponse, ws), access_with("agent"), Credential(secret="", is_token=True)
        )
        for ws in (frozen, quick)
    ]
    for socket in sockets:
        hub.add(socket)
    stuck_writer = asyncio.create_task(sockets[0].write())
    for number in range(QUEUE_MESSAGES + 5):
        hub.deliver(present.note_saved(1, CALL, str(number), number + 1, None))
        drain(sockets[1])
        await asyncio.sleep(0)
    assert (frozen.closed_with, quick.closed_with) == (CLOSED_TOO_SLOW, None)
    assert hub.count() == 1
    stuck_writer.cancel()


def drain(socket: LiveSocket) -> None:
    while not socket._queue.empty():
        socket._queue.get_nowait()


async def test_t13_names_travel_as_text(office: Office) -> None:
    ws = await office.connect()
    await heard(ws)
    office.happen(rings("101", did="<script>alert(1)</script>"))
    assert (await heard(ws))["data"]["line"] == "<script>alert(1)</script>"


async def test_only_so_many_sockets_of_one_user(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.live.MOST_SOCKETS_OF_A_USER", 1)
    await office.connect()
    with pytest.raises(WSServerHandshakeError) as refused:
        await office.connect()
    assert refused.value.status == 429


def test_a_message_is_one_line_of_json() -> None:
    [message] = desk().apply(1, CALL, rings("101"))
    assert isinstance(message, Message)
    assert encode(message).startswith(
        b'{"v":1,"type":"call.ringing","seq":1,"at":"2026-11-20T11:32:01Z","data":{"id":"'
    )


async def test_the_bell_rings_in_every_tab_of_its_user_and_nowhere_else(office: Office) -> None:
    tabs = [await office.connect() for _ in range(2)]
    other = await office.connect("session-head")
    for ws in (*tabs, other):
        await heard(ws)
    office.hub.notice(1, 42)
    for ws in tabs:
        message = await heard(ws)
        assert (message["type"], message["data"], "seq" in message) == ("notification", {"id": 42}, False)
    with pytest.raises(TimeoutError):
        await other.receive_json(timeout=0.2)


async def test_t11_missed_callers_are_told_to_the_line_groups_members_once_a_second(office: Office) -> None:
    agent, head = await office.connect("session-agent"), await office.connect("session-head")
    for ws in (agent, head):
        await heard(ws)
    for told in (
        "opened 7 0",
        "changed 7 0",
        "opened 9 0",
        "taken 6 0",
    ):  # a line without a team is everybody's
        office.hub.callbacks.note(told)
    office.hub.callbacks.note("resolved 8 99")  # a team of others
    for ws in (agent, head):
        opened, taken = await heard(ws), await heard(ws)
        assert (opened["type"], opened["data"], "seq" in opened) == (
            "callback.opened",
            {"ids": [7, 9]},
            False,
        )
        assert (taken["type"], taken["data"]) == ("callback.taken", {"ids": [6]})
    with pytest.raises(TimeoutError):
        await agent.receive_json(timeout=0.2)
