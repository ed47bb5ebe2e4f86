"""What agents want to be, and their time after a talk, beside what telephones and queues say."""

from __future__ import annotations

import pytest

from cti.calls.presence_events import DeviceState, MemberSeen
from cti.desk import AgentState, Wish
from tests.cti.desk.calls import at
from tests.cti.desk.floors import Floor
from tests.cti.desk.test_shift import AVAILABLE, TALKING, UNREACHABLE, device, member, state_of

PAUSED, OFF = Wish(AgentState.PAUSED, "Lunch"), Wish(AgentState.OFFLINE)


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.link(at(0))
    floor.start = at(0)
    floor.desk.shift.hear(1, [device("101", DeviceState.IDLE)])
    return floor


def test_a_wish_is_the_state_until_the_telephone_says_more(floor: Floor) -> None:
    shift = floor.desk.shift
    shift.set_wishes({101: PAUSED}, at(2))
    assert state_of(floor) == ("paused", "Lunch")
    shift.hear(1, [device("101", DeviceState.IN_USE, 3)])
    assert state_of(floor) == TALKING  # a call that comes all the same is a call
    shift.hear(1, [device("101", DeviceState.UNAVAILABLE, 4)])
    assert state_of(floor) == UNREACHABLE
    shift.hear(1, [device("101", DeviceState.IDLE, 5)])
    shift.set_wishes({101: OFF}, at(6))
    assert state_of(floor) == ("offline", "off_shift")
    shift.set_wishes({101: Wish(AgentState.AVAILABLE)}, at(7))
    assert state_of(floor) == AVAILABLE
    assert [change.at for change in floor.changes if change.user_id == 101][-1] == at(7)


def test_the_pbxs_own_reason_of_a_pause_wins(floor: Floor) -> None:
    floor.desk.shift.set_wishes({101: PAUSED}, at(2))
    floor.desk.shift.hear(1, [MemberSeen(member=member(is_paused=True, pause_reason="Обед"), at=at(3))])
    assert state_of(floor) == ("paused", "Обед")


def test_a_wrap_up_ends_when_its_time_is_up_or_the_agent_is_ready(floor: Floor) -> None:
    shift = floor.desk.shift
    shift.wrap_up(101, at(60), at(10))
    assert state_of(floor) == ("wrap_up", None)
    shift.wrap_up(101, at(120), at(50))  # one more minute
    floor.desk.expire(at(61))
    assert state_of(floor) == ("wrap_up", None)
    floor.desk.expire(at(120))
    assert state_of(floor) == AVAILABLE
    shift.wrap_up(101, at(300), at(200))
    shift.wrap_up(101, None, at(210))
    assert state_of(floor) == AVAILABLE
