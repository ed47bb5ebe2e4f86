"""A dialplan asks over FastAGI: an answer in variables, and the usual way whatever is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from crm.database import Database
from crm.tokens import create_token
from cti.daemon import agi
from cti.daemon.agi import RouteAgi
from tests.ami_adapter.test_fast_agi import ENVIRONMENT, Dialplan
from tests.crm import planting
from tests.crm.people import COMMAND, make_user
from web.gate import CrmGate

TOKEN = "RINGCARD_TOKEN"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
async def token(database: Database) -> str:
    """An office with a client whose responsible sits at 102; the token of its PBX."""
    async with database.sessions.begin() as session:
        office = await planting.connection(session, "office")
        agent = (await make_user(session, ("admin",))).user_id
        await planting.extension(session, office, "102", agent)
        client = await planting.organisation(session, "Invented, Ltd", kind="client", owner_id=agent)
        await planting.owns(session, client, await planting.number(session, "+79161234567"))
        return await create_token(session, COMMAND, agent, "pbx", rights={"call.route": "all"})


@pytest.fixture
async def port(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(agi, "PATIENCE_SECONDS", 10)  # of a busy machine
    gate = CrmGate(database.sessions, now)
    asked = RouteAgi("127.0.0.1", 0, readers=database.sessions, gate=gate, now=now)
    running = asyncio.create_task(asked.server.run())
    async with asyncio.timeout(5):
        while asked.server.port == 0:
            await asyncio.sleep(0)
    yield asked.server.port
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_responsible_stands_in_the_variables(token: str, port: int) -> None:
    dialplan = Dialplan(**{TOKEN: token})
    await dialplan.ask(port)
    del dialplan.variables[TOKEN]
    assert dialplan.variables == {
        "RINGCARD_ACTION": "dial",
        "RINGCARD_REASON": "responsible",
        "RINGCARD_EXTENSIONS": "102",
        "RINGCARD_EXTENSION": "102",
        "RINGCARD_NAME": "Invented, Ltd",
    }


@pytest.mark.parametrize(
    ("shown", "environment", "reason"),
    [
        ("", ENVIRONMENT, "token_refused"),
        ("rc_wrong", ENVIRONMENT, "token_refused"),
        ("x" * 5000, ENVIRONMENT, "token_refused"),
        (None, ENVIRONMENT.replace(b"arg_1: office", b"arg_1: elsewhere"), "not_asked_rightly"),
        (None, ENVIRONMENT.replace(b"script: route", b"script: other"), "no_such_script"),
        (None, ENVIRONMENT.replace(b"callerid: 89161234567", b"callerid: unknown"), "hidden"),
    ],
)
async def test_whatever_is_wrong_the_call_goes_the_usual_way(
    token: str, port: int, shown: str | None, environment: bytes, reason: str
) -> None:
    dialplan = Dialplan(**{TOKEN: token if shown is None else shown[:3000]})
    await dialplan.ask(port, environment)
    assert (dialplan.variables["RINGCARD_ACTION"], dialplan.variables["RINGCARD_REASON"]) == (
        "fallback",
        reason,
    )
