"""Browsers that never read, or come anew every second: nobody else's window waits for them (I11, T21)."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import socket
import statistics
import sys
from asyncio.subprocess import PIPE
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from bench.agents import percentile
from tests.faults.floor import EXTENSIONS, MOST_TIMES, SHARE, Floor, open_floor

pytestmark = pytest.mark.faults

ROUNDS = 3
ROUND_SECONDS = max(5.0, 20 * SHARE)
CALLS_PER_SECOND = 30
CLIENTS = 50
DROP_SECONDS = 60.0
Disturbance = Callable[[Floor], AbstractAsyncContextManager[None]]


@pytest.fixture(scope="module")
async def floor() -> AsyncIterator[Floor]:
    """Everybody here may watch all calls: that is what fills a socket soonest."""
    async with open_floor("admin") as floor, floor.serving():
        await floor.pops(5, per_second=CALLS_PER_SECOND)  # the first ones find nothing warm
        yield floor


async def test_t21_a_browser_that_never_reads_delays_nobody_and_is_dropped(floor: Floor) -> None:
    assert await _times_as_slow(floor, _never_reading) <= MOST_TIMES
    async with _never_reading(floor):
        storm = asyncio.create_task(floor.storm(DROP_SECONDS, per_second=CALLS_PER_SECOND))
        async with asyncio.timeout(DROP_SECONDS):
            while await floor.figure("ringcard_live_sockets"):
                await asyncio.sleep(0.5)
        storm.cancel()
        await asyncio.gather(storm, return_exceptions=True)
    assert "live_socket_too_slow" in floor.ringcard.log()


async def test_i11_browsers_that_come_anew_every_second_delay_nobody(floor: Floor) -> None:
    assert await _times_as_slow(floor, _reconnecting) <= MOST_TIMES


async def _times_as_slow(floor: Floor, disturbance: Disturbance) -> float:
    """The medians of several rounds in turn, so that a moment of the machine decides nothing."""
    calm, disturbed = [], []
    for _ in range(ROUNDS):
        calm.append(await _p99(floor))
        async with disturbance(floor):
            disturbed.append(await _p99(floor))
    print(f"p99 in ms: {calm} without, {disturbed} with")
    return statistics.median(disturbed) / statistics.median(calm)


async def _p99(floor: Floor) -> float:
    delays = await floor.pops(ROUND_SECONDS, per_second=CALLS_PER_SECOND)
    assert delays.missing == 0
    return percentile(delays.ringing, 99)


@asynccontextmanager
async def _never_reading(floor: Floor) -> AsyncIterator[None]:
    """It asked for everything, and its machine has fallen asleep."""
    loop = asyncio.get_running_loop()
    address = floor.ringcard.url.removeprefix("http://")
    host, _, port = address.partition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, (host, int(port)))
        headers = {
            "Host": address,
            "Authorization": f"Bearer {floor.office.tokens[EXTENSIONS[0]]}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": b64encode(secrets.token_bytes(16)).decode(),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await loop.sock_sendall(client, f"GET /live HTTP/1.1\r\n{lines}\r\n".encode())
        assert (await loop.sock_recv(client, 12)).endswith(b" 101")
        asked = json.dumps({"type": "sub", "topics": ["calls", "agents", "queues"]}).encode()
        await loop.sock_sendall(client, bytes((0x81, 0x80 | len(asked))) + b"\0\0\0\0" + asked)
        yield


@asynccontextmanager
async def _reconnecting(floor: Floor) -> AsyncIterator[None]:
    url = floor.ringcard.url.replace("http://", "ws://") + "/live"
    tokens = itertools.islice(itertools.cycle(floor.office.tokens.values()), CLIENTS)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.reconnecting", url, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    process.stdin.write("\n".join(tokens).encode())
    process.stdin.close()
    await asyncio.sleep(2)  # all of them have come once
    try:
        yield
    finally:
        process.terminate()
        said, _ = await process.communicate()
    assert said.decode() == ""
