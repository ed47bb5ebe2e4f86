"""The dialplan of asterisk-config/ asks ringcard who should get a call: with an answer, a late one, and none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from cti.calls.call_events import CallEnded, CallRinging
from cti.calls.records import Disposition
from tests.pbx.asterisk_lab import READER, AsteriskLab
from tests.pbx.listening import listening
from tests.pbx.ringcard_process import Ringcard
from tests.pbx.telephones import NEVER_SECONDS, agents, customer

pytestmark = pytest.mark.slow

MAIN_NUMBER = "74951234500"
RESPONSIBLE = "102"
CLIENT, STRANGER, SPAMMER = "89161234567", "89031112233", "89990000000"
NAME = "ООО «Ромашка, цветы»"
PASSWORD = "for the people of this test"


@dataclass(frozen=True)
class Asked:
    """A PBX whose dialplan asks a running ringcard."""

    pbx: AsteriskLab
    ringcard: Ringcard
    route: str  # what the dialplan asks, with its token

    def ask(self, address: str) -> None:
        """From now on the dialplan asks here."""
        self.pbx.cli(f"dialplan set global RINGCARD_ROUTE {address}")


@pytest.fixture(scope="module")
async def asked(pbx: AsteriskLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asked]:
    ringcard = Ringcard(tmp_path_factory.mktemp("routing"))
    async with ringcard.serving():
        yield Asked(pbx, ringcard, await set_up(ringcard, pbx))
        pbx.cli("dialplan set global RINGCARD_ROUTE ")
        print(ringcard.log())


async def set_up(ringcard: Ringcard, pbx: AsteriskLab) -> str:
    address = ("--host", pbx.host, "--port", str(pbx.ami_port), "--user", READER)
    secret = pbx.secret_of(READER)
    await ringcard.run(
        "connection", "add", "office", "--kind", "asterisk", *address, "--secret-stdin", stdin=secret
    )
    named = ("--name", "Chief", "--role", "admin", "--password-stdin")
    await ringcard.run("user", "add", "chief", *named, stdin=PASSWORD)
    await ringcard.run("line", "add", "office", MAIN_NUMBER, "--name", "Продажи")
    await ringcard.run("extension", "assign", "office", RESPONSIBLE, "chief")
    token = (await ringcard.run("token", "create", "chief", "--name", "test")).split()[-1]
    client = {
        "type": "organisation",
        "short_name": NAME,
        "kinds": ["client"],
        "numbers": [{"number": CLIENT}],
    }
    narrow = await ringcard.run("token", "create", "chief", "--name", "pbx", "--right", "call.route")
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(ringcard.url, headers=headers) as api,
        api.post("/api/v1/parties", json=client) as answer,
    ):
        assert answer.status == 201, await answer.text()
    return f"{ringcard.url.replace('//', f'//pbx:{narrow.split()[-1]}@')}/route?connection=office"


async def until_the_responsible_is_there(route: str) -> None:
    """ringcard hears that the telephone is registered; just after its start it knows of nobody, which counts as there."""
    steady = 0
    async with aiohttp.ClientSession() as api, asyncio.timeout(30):
        while steady < 10:
            async with api.get(f"{route}&caller={CLIENT}") as answer:
                steady = steady + 1 if "action=dial" in await answer.text() else 0
            await asyncio.sleep(0.2)


async def test_the_responsible_rings_before_the_queue_and_sees_the_name(asked: Asked) -> None:
    asked.ask(asked.route)
    telephones = {"e101": NEVER_SECONDS, "e102": 2.0, "e103": NEVER_SECONDS}
    async with agents(asked.pbx, **telephones), listening(asked.pbx) as heard:
        await until_the_responsible_is_there(asked.route)
        async with customer(asked.pbx, CLIENT, MAIN_NUMBER, stays=4):
            await heard.until(CallRinging, extension=RESPONSIBLE)
        call = (await heard.until(CallEnded)).call
    assert (call.rang, call.answered_by, call.queue) == ((RESPONSIBLE,), RESPONSIBLE, None)
    assert call.customer_name == NAME
    assert call.customer_number == CLIENT


async def test_a_stranger_goes_the_usual_way(asked: Asked) -> None:
    asked.ask(asked.route)
    async with agents(asked.pbx, e101=1, e102=NEVER_SECONDS), listening(asked.pbx) as heard:
        async with customer(asked.pbx, STRANGER, MAIN_NUMBER, stays=3):
            await heard.until(CallRinging)
        call = (await heard.until(CallEnded)).call
    assert (call.queue, call.answered_by) == ("sales", "101")


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes a question and never answers, as a program whose machine swaps."""
    over = asyncio.Event()

    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/route?connection=office"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("trouble", ["slow", "down", "nobody_is_asked"])
async def test_without_an_answer_the_caller_goes_the_usual_way_at_once(asked: Asked, trouble: str) -> None:
    async with silent_server() as silent:
        asked.ask({"slow": silent, "down": "http://127.0.0.1:1/route?connection=office"}.get(trouble, ""))
        async with agents(asked.pbx, e101=1, e102=NEVER_SECONDS), listening(asked.pbx) as heard:
            async with customer(asked.pbx, CLIENT, MAIN_NUMBER, stays=3):
                ringing = await heard.until(CallRinging)
            call = (await heard.until(CallEnded)).call
    assert (call.queue, call.answered_by) == ("sales", "101")
    assert ringing.at is not None
    assert call.started_at is not None
    assert (ringing.at - call.started_at).total_seconds() < 3


@asynccontextmanager
async def server_that_says(answer: str) -> AsyncIterator[str]:
    async def tell(_request: web.Request) -> web.Response:
        return web.Response(text=answer)

    app = web.Application()
    app.router.add_get("/route", tell)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/route?connection=office"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("action", "disposition"), [("blocked", Disposition.BLOCKED), ("closed", Disposition.AFTER_HOURS)]
)
async def test_who_is_blocked_or_calls_at_night_rings_nowhere_and_is_told_so(
    asked: Asked, action: str, disposition: Disposition
) -> None:
    async with server_that_says(f"action={action}&reason=x&extensions=&extension=&name=") as address:
        asked.ask(address)
        async with (
            agents(asked.pbx, e101=NEVER_SECONDS),
            listening(asked.pbx) as heard,
            customer(asked.pbx, CLIENT, MAIN_NUMBER, patience=6, stays=6),
        ):
            call = (await heard.until(CallEnded)).call
    assert (call.disposition, call.rang) == (disposition, ())
