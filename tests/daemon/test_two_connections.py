"""Two PBXs tell one call at the same time: one window, one call in the journal, both linked ids."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from ami_adapter.demo.pbx import DemoPbx
from ami_adapter.demo.recording import load_recording
from tests.daemon.office import Office, open_office
from tests.daemon.test_straight_line import capture, told_by_replay, until_linked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[Office]:
    async with open_office() as opened:
        yield opened


async def _connect(office: Office, pbx: DemoPbx) -> None:
    """The same people sit at the telephones of the second PBX."""
    run = office.ringcard.run
    where = ("--host", "127.0.0.1", "--port", str(pbx.port), "--user", pbx.user, "--secret-stdin")
    await run("connection", "add", "branch", "--kind", "asterisk", *where, stdin=pbx.secret)
    for extension in ("101", "102", "103"):
        await run("extension", "assign", "branch", extension, f"agent{extension}")


async def test_a_ring_group_seen_by_two_pbxs_is_one_call(office: Office) -> None:
    async with DemoPbx([], speed=4.0) as branch:
        await _connect(office, branch)
        async with (
            office.ringcard.serving(),
            office.listening("101") as first,
            office.listening("102") as second,
        ):
            await until_linked(office)
            async with asyncio.timeout(20):
                while not branch.listeners:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            recording = load_recording(capture("04-ring-group"))
            await asyncio.gather(office.pbx.play(recording), branch.play(recording))
            await second.until_type("call.ended")
            for screen in (first, second):
                ids = {one["data"]["id"] for one in screen.messages if one["type"].startswith("call.")}
                assert len(ids) == 1
                assert screen.types().count("call.ringing") == 1
            assert first.types().count("call.ringing_stopped") == 1
            assert second.types().count("call.answered") == 1
            (call,) = await office.ended_calls(1)
        (wanted,) = told_by_replay("04-ring-group")
        same = ("direction", "customer_e164", "answered_by", "disposition", "rang")
        assert {name: call[name] for name in same} == {name: wanted[name] for name in same}
        assert len(call["mirrors"]) == 1
        (mirror,) = [json.loads(await office.ringcard.run("call", id_, "--json")) for id_ in call["mirrors"]]
        assert mirror["mirror_of"] == call["id"]
        assert call["linked_ids"] == [call["key"], *mirror["linked_ids"]]
