"""A call that was heard, kept and exported tells the same as it did live, without the people in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ami_adapter.stories.export import anonymous_capture
from ami_adapter.stories.shelf import KeptStory
from tests.ami_adapter.stories.listening import listening
from tests.ami_adapter.test_replay import WHOLE
from tests.captures import Capture

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
CALM = [one for one in WHOLE if not re.search("burst|busy-minute", one.scenario)]
# What one call's own messages cannot tell: who else is in the conference; a name of broken bytes, longer once replaced.
OF_OTHERS = {
    *("answered", "disposition", "answered_by", "final_agent", "transfers"),
    *("ring_s", "talk_s", "hold_s"),
}
UNTOLD = {
    **dict.fromkeys(("a02-conference-session", "d09-blind-to-conference-room-of-others"), OF_OTHERS),
    "g06-conference-two-customers": OF_OTHERS,
    "a01-agent-pool": {"disposition", "hung_up_by"},  # of the waiting, whose own story knows no customers
    "23-conference": OF_OTHERS,
    "ami-redirect-both": OF_OTHERS,
    "26-odd-display-names": {"customer_name"},
}
KEY = b"a key that gives the same words every time"


@pytest.mark.parametrize("one", CALM, ids=lambda one: one.name)
async def test_every_ended_call_of_a_capture_is_exported_and_tells_the_same(
    one: Capture, tmp_path: Path
) -> None:
    async with listening(tmp_path / "story", lambda: NOW) as office:
        office.hear(one)
        await office.keeper.written()
        assert office.ended
        for call_id, record in office.ended.items():
            entries = office.shelf.read(call_id)
            told = KeptStory(entries).record
            assert told is not None
            assert told["key"] == record.key
            exported = anonymous_capture(entries, key=KEY)
            assert set(exported.truth.get("replay_differs_in", ())) <= UNTOLD.get(one.scenario, set())
