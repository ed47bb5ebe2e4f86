"""`kill -9` at many moments of telling a subscriber: every event arrives at least once, each record's in order (I16)."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from asyncio.subprocess import PIPE
from itertools import groupby
from pathlib import Path

import pytest

from crm.database import Database
from crm.sealing import open_seal
from tests.webhooks.office import happen, states, subscribe
from tests.webhooks.receiver import receiving

LIVES = 8
RECORDS = 6
EVENTS = 8  # of each record
LONGEST_LIFE = 0.25  # seconds after the first request of a life


@pytest.mark.slow
async def test_i16_nothing_is_lost_whenever_the_program_is_killed(database: Database, tmp_path: Path) -> None:
    key = tmp_path / "key"
    async with receiving(seconds=0.02) as receiver:
        subscriber, _secret = await subscribe(database, open_seal(key), "Killed", receiver.url)
        for _round in range(EVENTS):
            await happen(database, *range(RECORDS))
        url = database.engine.url.render_as_string(hide_password=False)
        order = json.dumps({"url": url, "key": str(key)}).encode() + b"\n"
        victim = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.daemon.telling_victim", stdin=PIPE, stdout=PIPE
        )
        assert victim.stdin is not None
        assert victim.stdout is not None
        lags = []
        for life in range(LIVES):
            began = time.monotonic()
            victim.stdin.write(order)
            child = int(await victim.stdout.readline())
            if life == LIVES - 1:
                await _all_delivered(database, subscriber)
            elif set(await states(database, subscriber)) != {"delivered"}:
                await receiver.heard(len(receiver.events) + 1)
                lags.append(time.monotonic() - began)
                await asyncio.sleep(random.uniform(0, LONGEST_LIFE))
            os.kill(child, signal.SIGKILL)
            assert await victim.stdout.readline() == b"gone\n"
        victim.stdin.close()
        await victim.wait()
    # The one who was killed was the holder: the next life goes on at once, as the same sender, not when its hold has run out.
    assert max(lags) < 10, lags
    firsts = list(dict.fromkeys((event["record"]["id"], int(event["id"])) for event in receiver.events))
    assert len(firsts) == RECORDS * EVENTS
    for _record, events in groupby(sorted(firsts, key=lambda first: first[0]), key=lambda first: first[0]):
        ids = [
            event_id for _each, event_id in events
        ]  # in the order of their first arrival: sorting is stable
        assert ids == sorted(ids)


async def _all_delivered(database: Database, subscriber: int) -> None:
    async with asyncio.timeout(60):
        while await states(database, subscriber) != ["delivered"] * RECORDS * EVENTS:
            await asyncio.sleep(0.1)
