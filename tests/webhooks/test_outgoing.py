"""One request: signed so that the documented check accepts it, bounded, to the address that was checked, no redirect followed."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from tests.webhooks.office import LOOPBACK
from tests.webhooks.receiver import is_signed, receiving
from webhooks import outgoing as module
from webhooks.outgoing import MOST_ANSWER_BYTES, Trouble, outgoing
from webhooks.signing import signature

SECRETS = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The vector of their specification."""
    body = b'{"test": 2432232314}'
    told = signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, SECRETS[0])
    assert told == "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_both_secrets_sign_while_one_is_replaced() -> None:
    async with receiving() as receiver, outgoing(receiver.url, LOOPBACK) as address:
        tried = await address.send("17", '{"id": "17", "имя": "ё"}', SECRETS)
    assert (tried.trouble, tried.status, tried.answer) == (None, 200, "noted")
    (headers,), (body,) = receiver.headers, receiver.bodies
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    assert (headers["webhook-id"], headers["content-type"]) == ("17", "application/json")
    assert all(is_signed(headers, body, secret) for secret in SECRETS)
    assert not is_signed(headers, body + b" ", SECRETS[0])
    assert not is_signed(headers | {"webhook-timestamp": "1"}, body, SECRETS[0])


@pytest.mark.parametrize(
    ("status", "trouble"), [(204, None), (302, "redirect"), (404, "answer"), (500, "answer"), (410, "answer")]
)
async def test_t09_what_an_answer_means_and_no_redirect_is_followed(status: int, trouble: str | None) -> None:
    def answer(_event: object) -> web.Response:
        return web.Response(status=status, headers={"Location": "/hook"})

    async with receiving(answer) as receiver, outgoing(receiver.url, LOOPBACK) as address:
        tried = await address.send("1", '{"id": "1"}', SECRETS[:1])
    assert (tried.trouble, tried.status, len(receiver.events)) == (trouble, status, 1)


async def test_an_endless_answer_is_cut_and_a_slow_one_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.3)
    long = web.Response(body="я".encode() * MOST_ANSWER_BYTES * 50)
    async with receiving(lambda _event: long) as receiver, outgoing(receiver.url, LOOPBACK) as address:
        assert len((await address.send("1", '{"id": "1"}', SECRETS[:1])).answer) == 1000
        receiver.seconds = 5
        assert (await address.send("2", '{"id": "2"}', SECRETS[:1])).trouble == Trouble.TIMED_OUT


async def test_t09_loopback_is_refused_unless_the_installation_allows_it() -> None:
    async with receiving() as receiver:
        for url in (receiver.url, receiver.url.replace("http:", "https:"), "https://localhost:1/"):
            async with outgoing(url, ()) as address:
                assert (await address.send("1", "{}", SECRETS[:1])).trouble == Trouble.ADDRESS_REFUSED, url
    assert receiver.events == []


async def test_troubles_are_told_apart() -> None:
    async def nonsense(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail ready\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wanted = {
        f"http://127.0.0.1:{port}/": Trouble.BROKEN,
        f"https://127.0.0.1:{port}/": Trouble.TLS,
        "http://127.0.0.1:1/": Trouble.UNREACHABLE,
        "https://no-such-name.invalid/": Trouble.NAME_UNKNOWN,
    }
    for url, trouble in wanted.items():
        async with outgoing(url, LOOPBACK) as address:
            assert (await address.send("1", "{}", SECRETS[:1])).trouble == trouble, url
    server.close()
    await server.wait_closed()
