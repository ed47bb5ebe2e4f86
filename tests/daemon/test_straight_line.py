"""The whole program on recorded real calls over a real socket: what agents are told, what the journal says after."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from ami_adapter.demo.recording import load_recording
from ami_adapter.replay import replay_calls
from crm.embedded import EmbeddedCluster, read_postmaster
from tests.daemon.office import Office, open_office
from tests.pbx.ringcard_process import CommandFailed

pytestmark = pytest.mark.slow

SLOW = 0.4  # a talk of five seconds lasts twelve: time to kill and start a program in the middle
CAPTURES = Path(__file__).parents[1] / "captures" / "asterisk22"
SAME = (
    "direction",
    "customer_e164",
    "did",
    "answered_by",
    "disposition",
    "final_agent",
    "queue",
    "hung_up_by",
)


def capture(name: str) -> Path:
    return CAPTURES / f"{name}.ami.xz"


def told_by_replay(name: str) -> list[dict[str, Any]]:
    timing = CAPTURES / f"{name}.timing.json"
    return replay_calls(capture(name), timing=timing)


async def until_linked(office: Office) -> None:
    async with asyncio.timeout(20):
        await office.pbx.listened_to.wait()
        while not office.pbx.listeners:
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # the snapshot


@pytest.fixture(scope="module")
async def office() -> Any:
    async with open_office() as opened:
        yield opened


@pytest.fixture
async def new_office() -> Any:
    """With the one connection that it was furnished with."""
    async with open_office() as opened:
        yield opened


@pytest.fixture(autouse=True)
async def stopped_afterwards(office: Office) -> AsyncIterator[None]:
    """A test that fails leaves no server to the next one."""
    yield
    await office.ringcard.stop()


async def test_a_ring_group_pops_at_all_and_closes_when_one_answers(office: Office) -> None:
    async with office.ringcard.serving(), office.listening("101") as first, office.listening("102") as second:
        await until_linked(office)
        await office.pbx.play(load_recording(capture("04-ring-group")))
        rang = await first.until_type("call.ringing")
        assert rang["data"]["phone"] == "+79161234504"
        assert rang["data"]["state"] == "ringing"
        stopped = await first.until_type("call.ringing_stopped")
        assert (stopped["data"]["reason"], stopped["data"]["answered_by"]) == ("elsewhere", "Agent 102")
        assert (await second.until_type("call.answered"))["data"]["id"] == rang["data"]["id"]
        await second.until_type("call.ended")
        calls = await office.ended_calls(1)
        wanted = told_by_replay("04-ring-group")
        assert [{name: call[name] for name in SAME} for call in calls] == [
            {name: call[name] for name in SAME} for call in wanted
        ]
        assert calls[0]["id"] == rang["data"]["id"]
        numbers = [message["seq"] for message in first.messages if message.get("seq")]
        assert numbers == sorted(set(numbers))


async def test_i16_killed_in_mid_call_the_call_ends_in_the_journal_once(office: Office) -> None:
    """The daemon comes back while the call goes on: same id, its times kept, no second row."""
    before = len(await office.calls())
    await office.ringcard.start()
    await until_linked(office)
    office.pbx.speed = SLOW
    playing = asyncio.create_task(office.pbx.play(load_recording(capture("01-inbound-answered"))))
    async with office.listening("101") as screen:
        answered = await screen.until_type("call.answered")
    await asyncio.sleep(1)
    await office.ringcard.kill()
    office.pbx.listened_to.clear()
    await office.ringcard.start()
    async with office.listening("101") as screen:
        hello = screen.messages[0]
        await screen.until_type("call.ended", seconds=40)
    await playing
    calls = (await office.ended_calls(before + 1))[before:]
    assert len(calls) == 1
    (call,) = calls
    (wanted,) = told_by_replay("01-inbound-answered")
    assert call["id"] == answered["data"]["id"]
    assert (call["disposition"], call["answered_by"], call["ended_unseen"]) == ("answered", "101", False)
    assert call["talk_s"] == pytest.approx(wanted["talk_s"] / SLOW, abs=4.0)
    assert [one["id"] for one in hello["data"]["calls"]] in ([], [call["id"]])
    await office.ringcard.stop()


async def test_i04_killed_and_the_call_gone_meanwhile_it_ends_unseen_with_a_gap(office: Office) -> None:
    before = len(await office.calls())
    await office.ringcard.start()
    await until_linked(office)
    office.pbx.speed = SLOW
    playing = asyncio.create_task(office.pbx.play(load_recording(capture("01-inbound-answered"))))
    async with office.listening("101") as screen:
        await screen.until_type("call.answered")
    await asyncio.sleep(0.5)
    await office.ringcard.kill()
    await playing  # the call ends while nobody listens
    await office.ringcard.start()
    calls = (await office.ended_calls(before + 1))[before:]
    assert len(calls) == 1
    assert (calls[0]["disposition"], calls[0]["ended_unseen"]) == ("answered", True)
    await office.ringcard.stop()


async def test_i13_while_the_database_is_away_pops_go_on_and_nothing_is_lost(office: Office) -> None:
    before = len(await office.calls())
    office.pbx.speed = 4.0
    await office.ringcard.start()
    await until_linked(office)
    async with office.listening("101") as screen:
        _stop_postgres(office)
        await office.pbx.play(load_recording(capture("01-inbound-answered")))
        await screen.until_type("call.ringing")
        await screen.until_type("call.ended")
        cluster = EmbeddedCluster(office.ringcard.data)
        await cluster.start()
        calls = (await office.ended_calls(before + 1, seconds=40))[before:]
        assert [call["disposition"] for call in calls] == ["answered"]
    await office.ringcard.stop()
    await cluster.stop()
    assert len(await office.calls()) == before + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_twice_under_load_it_ends_soon_with_everything_stored(
    office: Office, number: signal.Signals
) -> None:
    office.pbx.speed = 4.0
    await office.ringcard.start()
    await until_linked(office)
    async with office.listening("101") as screen:
        recording = load_recording(capture("04-ring-group"))
        calls = [asyncio.create_task(office.pbx.play(recording)) for _ in range(10)]
        await screen.until_type("call.ringing")
        process = office.ringcard._process
        assert process is not None
        for _ in range(2):
            process.send_signal(number)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
    await asyncio.gather(*calls)
    assert list((office.ringcard.data / "spool").iterdir()) == []
    assert "Traceback" not in office.ringcard.log()


def _stop_postgres(office: Office) -> None:
    server = read_postmaster(office.ringcard.data / "postgres")
    assert server is not None
    os.kill(server.pid, signal.SIGQUIT)  # at once, as a crash


async def test_commands_refuse_in_one_line_and_routes_name_their_rights(office: Office) -> None:
    run = office.ringcard.run
    for arguments, said in (
        (("line", "add", "nowhere", "+74951234567", "--name", "x"), "'nowhere'"),
        (("extension", "assign", "lab", "101", "nobody"), "'nobody'"),
        (("call", "no-id"), "'no-id'"),
    ):
        with pytest.raises(CommandFailed) as raised:
            await run(*arguments)
        assert said in str(raised.value)
        assert "Traceback" not in str(raised.value)
    routes = json.loads(await run("routes", "--json"))
    assert all(route["right"] for route in routes)
    assert {"/live#resume", "/live#sub"} <= {route["path"] for route in routes}
    assert "data = " in await run("serve", "--check")


async def test_a_running_server_takes_up_what_commands_change(office: Office) -> None:
    run, pbx = office.ringcard.run, office.pbx
    await run(
        "user",
        "add",
        "nina",
        "--name",
        "Nina",
        "--role",
        "agent",
        "--password-stdin",
        stdin="long-enough-words",
    )
    where = ("--host", "127.0.0.1", "--port", str(pbx.port), "--user", pbx.user, "--secret-stdin")
    async with office.ringcard.serving():
        await run("connection", "add", "second", "--kind", "asterisk", *where, stdin=pbx.secret)
        await run("line", "add", "second", "8 (495) 123-45-10", "--name", "Group")
        await run("extension", "assign", "second", "103", "nina")
        office.tokens["nina"] = (await run("token", "create", "nina", "--name", "test")).strip()
        async with asyncio.timeout(20):
            while pbx.listeners < 2:
                await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        async with office.listening("nina") as screen:
            await pbx.play(load_recording(capture("04-ring-group")))
            assert (await screen.until_type("call.ringing"))["data"]["line"] == "Group"
    users = json.loads(await run("user", "list", "--json"))
    assert {"login": "nina", "extensions": ["103"]}.items() <= next(
        user for user in users if user["login"] == "nina"
    ).items()


async def test_g07_a_blocked_users_socket_and_token_end_within_a_second(office: Office) -> None:
    async with office.ringcard.serving(), aiohttp.ClientSession() as session:
        bearer = {"Authorization": f"Bearer {office.tokens['102']}"}
        async with session.ws_connect(f"{office.ringcard.url}/live", headers=bearer) as ws:
            assert (await ws.receive_json(timeout=5))["type"] == "hello"
            await office.ringcard.run("user", "block", "agent102")
            async with asyncio.timeout(1):
                while (message := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass  # what was said before the door closed
            assert message.data == 4401
        async with session.get(f"{office.ringcard.url}/api/v1/me", headers=bearer) as answer:
            assert answer.status == 401


async def test_agents_and_queues_live_and_as_rows(new_office: Office) -> None:
    """A call waits in a queue and gives up: members ring and are free again, on the API and as intervals."""
    office = new_office
    async with office.ringcard.serving(), office.listening("101") as screen:
        await until_linked(office)
        playing = asyncio.create_task(office.pbx.play(load_recording(capture("07-queue-abandoned"))))
        await screen.until_type("call.ringing")
        await until_live(office, agents=[(["101"], "ringing")], waiting=1)
        await playing
        await screen.until_type("call.ringing_stopped")
        await until_live(office, agents=[(["101"], "available")], waiting=0)
    await office.ringcard.stop()
    states = await agent_states(office)
    assert [state for login, state, _ in states if login == "agent101"][-4:] == [
        "available",
        "ringing",
        "available",
        "offline",
    ]
    assert all(to_at is not None for _, state, to_at in states if state != "offline")


async def until_live(office: Office, *, agents: list[tuple[list[str], str]], waiting: int) -> None:
    """Lamps are told a moment after windows."""
    async with asyncio.timeout(3):
        while True:
            picture = await live_picture(office)
            states = [(one["extensions"], one["state"]) for one in picture["agents"]]
            if states == agents and sum(len(queue["waiting"]) for queue in picture["queues"]) == waiting:
                return
            await asyncio.sleep(0.05)


async def live_picture(office: Office) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {office.tokens['101']}"}
    url = f"{office.ringcard.url}/api/v1/live"
    async with aiohttp.ClientSession(headers=headers) as client, client.get(url) as answer:
        picture: dict[str, Any] = await answer.json()
        return picture


async def agent_states(office: Office) -> list[tuple[str, str, datetime | None]]:
    """The rows as the stopped program left them."""
    cluster = EmbeddedCluster(office.ringcard.data)
    connection = await asyncpg.connect(await cluster.start())
    try:
        rows = await connection.fetch(
            "select login, state, to_at from agent_state join app_user on app_user.id = user_id order by agent_state.id"
        )
    finally:
        await connection.close()
        await cluster.stop()
    return [tuple(row) for row in rows]


async def test_a_call_is_told_step_by_step_and_given_away_without_people(
    new_office: Office, tmp_path: Path
) -> None:
    office = new_office
    before = len(await office.calls())
    async with office.ringcard.serving(), office.listening("101") as screen:
        await until_linked(office)
        await office.pbx.play(load_recording(capture("01-inbound-answered")))
        await screen.until_type("call.ended")
        call = (await office.ended_calls(before + 1))[-1]
        async with asyncio.timeout(20):
            while (
                "steps" not in (told := json.loads(await office.ringcard.run("call", call["id"], "--json")))
                or not told["steps"]
            ):
                await asyncio.sleep(0.3)
    said = await office.ringcard.run("call", call["id"])
    for sentence in (
        "told to Agent 101: it rings",
        "the window goes to open pages",
        "is hung up: Normal Clearing",
    ):
        assert sentence in said, said
    await office.ringcard.run("call", call["id"], "--export", str(tmp_path))
    stream, timing = tmp_path / f"call-{call['id']}.ami.xz", tmp_path / f"call-{call['id']}.timing.json"
    (again,) = replay_calls(stream, timing=timing)
    assert (again["disposition"], again["answered_by"], again["talk_s"]) == (
        "answered",
        "101",
        pytest.approx(call["talk_s"], abs=0.01),
    )
    assert again["customer_e164"] != call["customer_e164"]
