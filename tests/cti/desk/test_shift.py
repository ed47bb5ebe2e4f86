"""Agents and queues on recorded streams, the states written by hand from what the telephones noted; and the rules alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cti.calls.presence_events import (
    CallerWaits,
    DeviceChanged,
    DeviceState,
    DoNotDisturb,
    ListBegun,
    ListEnded,
    Listing,
    MemberSeen,
    PresenceEvent,
    QueueMember,
)
from cti.desk import AgentState, AgentView, QueueView
from cti.desk.messages import OwnAgent
from cti.desk.shift_views import OwnStates
from tests.captures import capture
from tests.cti.desk.calls import CALL, answers, at, ends, record, rings
from tests.cti.desk.floors import Floor, everything
from tests.web.frame import access_with
from web.board_sight import BoardSight

AVAILABLE, RINGING, TALKING = ("available", None), ("ringing", None), ("talking", None)
UNREACHABLE, NO_LINK = ("offline", "unreachable"), ("offline", "no_link")


def one_after_another(told: list[tuple[float, str, str | None]]) -> list[tuple[float, str, str | None]]:
    """Without what lasted no tenth of a second: a feature code that was answered and hung up at once."""
    return [
        entry for entry, after in zip(told, [*told[1:], (1e9, "", None)], strict=True) if after[0] > entry[0]
    ]


def test_agents_come_and_go_on_22() -> None:
    """104: logs in, one call, a pause by AMI, logs out. 105: its telephone is away until 16.8 s. 106: not qualified."""
    floor = Floor()
    floor.play(capture("asterisk22/29-agents-come-and-go"))
    told = floor.told("104", "105", "106")
    assert told["104"] == [
        (0.0, *AVAILABLE),
        (0.5, *TALKING),  # *11
        (1.0, *AVAILABLE),
        (7.0, *RINGING),
        (8.0, *TALKING),
        (11.0, *AVAILABLE),
        (19.7, "paused", "Обед"),
        (20.5, *AVAILABLE),
        (21.3, *TALKING),  # *12
        (21.8, *AVAILABLE),
    ]
    assert one_after_another(told["105"]) == [
        (0.0, *AVAILABLE),
        (2.7, *TALKING),
        (3.1, *UNREACHABLE),
        (4.8, *UNREACHABLE),
        (11.8, *UNREACHABLE),
        (16.8, *AVAILABLE),
        (23.4, *TALKING),
        (23.9, *AVAILABLE),
    ]
    assert floor.states(everything())["106"] == UNREACHABLE


def test_agents_come_and_go_on_16() -> None:
    """There the pause of 105 and the do-not-disturb of 106 fall into times when their telephones answer."""
    floor = Floor()
    floor.play(capture("asterisk16/29-agents-come-and-go"))
    told = floor.told("104", "105", "106")
    assert (29.2, "paused", "Lunch") in told["105"]
    assert (45.0, *UNREACHABLE) in told["105"]  # unregistered
    assert one_after_another(told["106"]) == [
        (0.0, *AVAILABLE),
        (42.9, "paused", "dnd"),
        (46.6, *AVAILABLE),
    ]
    assert (48.7, "paused", "Обед") in told["104"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("asterisk22/04-ring-group", {"101": [RINGING], "102": [RINGING, TALKING], "103": [RINGING]}),
        ("asterisk22/05-queue-rrmemory", {"101": [RINGING], "102": [RINGING, TALKING], "103": []}),
        ("asterisk16/06-queue-local-members", {"101": [RINGING], "102": [RINGING, TALKING], "103": []}),
        ("asterisk22/07-queue-abandoned", {"101": [RINGING], "102": [RINGING], "103": [RINGING]}),
        ("asterisk22/08-queue-timeout-voicemail", {"101": [RINGING], "102": [RINGING], "103": [RINGING]}),
        ("asterisk22/09-ivr-then-queue", {"101": [RINGING, TALKING], "102": [RINGING], "103": [RINGING]}),
    ],
)
def test_whoever_rings_and_talks_is_shown_so_and_is_available_afterwards(
    name: str, expected: dict[str, list[tuple[str, None]]]
) -> None:
    floor = Floor()
    floor.play(capture(name))
    told = {
        extension: [(state, reason) for _, state, reason in changes]
        for extension, changes in floor.told(*expected).items()
    }
    wanted = {
        extension: [AVAILABLE, *states, AVAILABLE] if states else [AVAILABLE]
        for extension, states in expected.items()
    }
    assert told == wanted


def queue(floor: Floor, name: str, sight: BoardSight | None = None) -> QueueView:
    found = {view.name: view for view in floor.desk.shift.queues(sight or everything())}
    return found[name]


def test_a_caller_waits_in_the_queue_until_they_give_up() -> None:
    floor = Floor()
    floor.play(capture("asterisk22/07-queue-abandoned"), until=3)
    (caller,) = queue(floor, "sales").waiting
    assert (caller.position, caller.phone) == (1, "+79161234507")
    assert caller.since is not None
    assert floor.start is not None
    assert 0.3 < (caller.since - floor.start).total_seconds() < 0.8
    assert queue(floor, "sales").waiting_since == caller.since
    floor.play(capture("asterisk22/07-queue-abandoned"))
    assert queue(floor, "sales").waiting == ()


def test_after_a_reconnect_the_lists_replace_the_picture() -> None:
    """Before the cut three telephones ring; after it two talk, one rings, and somebody waits for two seconds already."""
    floor = Floor()
    floor.desk.shift.hear(
        1, [MemberSeen(member=member("sales", "108"), at=at(0)), waits("old", 1), waits("older", 2)]
    )
    floor.play(capture("asterisk22/27-link-drop-after"), until=1)
    states = floor.states(everything())
    assert states["101"] == states["102"] == TALKING
    assert states["103"] == RINGING
    assert states["104"] == states["105"] == states["106"] == AVAILABLE
    sales = queue(floor, "sales")
    assert [one.extension for one in sales.members] == ["101", "102", "103"]
    assert [one.state for one in sales.members] == ["in_use", "in_use", "ringing"]
    (caller,) = sales.waiting
    assert caller.since is not None
    assert floor.start is not None
    assert round((floor.start - caller.since).total_seconds()) == 2
    assert queue(floor, "support").members == ()
    floor.play(capture("asterisk22/27-link-drop-after"))
    assert set(floor.states(everything()).values()) == {AVAILABLE}
    assert queue(floor, "sales").waiting == ()


def test_without_a_link_nobody_knows_what_the_telephones_do() -> None:
    floor = Floor()
    assert set(floor.states(everything()).values()) == {NO_LINK}
    floor.play(capture("asterisk22/07-queue-abandoned"), until=3)
    assert floor.states(everything())["101"] == RINGING
    floor.link(datetime(2026, 11, 21, 21, 0, tzinfo=UTC), is_up=False)
    assert set(floor.states(everything()).values()) == {NO_LINK}
    assert not queue(floor, "sales").is_current


# The rules alone


def member(name: str = "sales", extension: str = "101", **changes: object) -> QueueMember:
    device = f"PJSIP/{extension}"
    values: dict[str, object] = {
        "queue": name,
        "interface": device,
        "device": device,
        "extension": extension,
        "state": DeviceState.IDLE,
    }
    return QueueMember(**values | changes)  # type: ignore[arg-type]


def waits(channel: str, position: int, queue: str = "sales") -> CallerWaits:
    return CallerWaits(
        queue=queue, channel_id=channel, linked_id="", position=position, since=at(position), at=at(position)
    )


def device(extension: str, state: DeviceState, seconds: float = 1) -> DeviceChanged:
    return DeviceChanged(device=f"PJSIP/{extension}", state=state, at=at(seconds))


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.link(at(0))
    floor.start = at(0)
    return floor


def state_of(floor: Floor, extension: str = "101") -> tuple[str, str | None]:
    return floor.states(everything())[extension]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([device("101", DeviceState.IDLE)], AVAILABLE),
        ([device("101", DeviceState.UNAVAILABLE)], UNREACHABLE),
        ([device("101", DeviceState.RINGING)], RINGING),
        ([device("101", DeviceState.ON_HOLD)], TALKING),
        ([DoNotDisturb(extension="101", is_on=True, at=at(1))], ("paused", "dnd")),
        (
            [MemberSeen(member=member(is_paused=True, pause_reason="Обед"), at=at(1))],
            ("paused", "Обед"),
        ),
        (
            [
                MemberSeen(member=member("a", is_paused=True), at=at(1)),
                MemberSeen(member=member("b"), at=at(1)),
            ],
            ("paused", None),
        ),
        (
            [
                MemberSeen(member=member(is_paused=True), at=at(1)),
                device("101", DeviceState.UNAVAILABLE),
            ],
            UNREACHABLE,
        ),
        (
            [
                DoNotDisturb(extension="101", is_on=True, at=at(1)),
                ListBegun(listing=Listing.DEVICES, at=at(1)),
                device("101", DeviceState.IDLE),
                ListEnded(listing=Listing.DEVICES, at=at(1)),
            ],
            AVAILABLE,
        ),
        (
            [
                ListBegun(listing=Listing.DEVICES, at=at(1)),
                device("102", DeviceState.IDLE),
                ListEnded(listing=Listing.DEVICES, at=at(1)),
            ],
            UNREACHABLE,
        ),
    ],
)
def test_a_state_follows_from_telephone_and_queues(
    floor: Floor, events: list[PresenceEvent], expected: tuple[str, str | None]
) -> None:
    floor.desk.shift.hear(1, events)
    assert state_of(floor) == expected
    told = len(floor.changes)
    floor.desk.shift.hear(1, events)
    assert len(floor.changes) == told, "told again it changes nothing"
    assert floor.desk.shift.expire(at(2)) == [], "nobody watches"


def test_the_queues_own_wrap_up_ends_by_itself(floor: Floor) -> None:
    resting = member(last_call_at=at(10), wrap_up_seconds=30)
    floor.desk.shift.hear(1, [MemberSeen(member=resting, at=at(10))])
    assert state_of(floor) == ("wrap_up", None)
    floor.desk.expire(at(39))
    assert state_of(floor) == ("wrap_up", None)
    floor.desk.expire(at(40))
    assert state_of(floor) == AVAILABLE
    assert floor.told("101")["101"][-2:] == [(10.0, "wrap_up", None), (40.0, *AVAILABLE)]


def test_calls_say_it_before_telephones_do(floor: Floor) -> None:
    for event, expected in ((rings("101"), RINGING), (answers("101"), TALKING), (ends(), AVAILABLE)):
        floor.desk.apply(1, CALL, event)
        assert state_of(floor) == expected


def test_whoever_waits_moves_up_when_the_first_is_served(floor: Floor) -> None:
    floor.desk.shift.hear(1, [waits("a", 1), waits("b", 2), waits("urgent", 1)])
    assert [caller.since for caller in queue(floor, "sales").waiting] == [at(1), at(1), at(2)]
    assert [caller.position for caller in queue(floor, "sales").waiting] == [1, 2, 3]


# Who is told


def head(team: int) -> BoardSight:
    return BoardSight(access_with("head", 50, team_ids=frozenset({team})))


def test_a_head_is_told_of_their_team_alone(floor: Floor) -> None:
    """103 sits in team 2, the others in team 1."""
    snapshot = floor.desk.shift.watch_agents(9, 50, head(2))
    assert [view.extensions for view in snapshot.agents] == [("103",)]
    messages = floor.desk.shift.hear(1, [device("101", DeviceState.RINGING)])
    assert messages == []
    (message,) = floor.desk.shift.hear(1, [device("103", DeviceState.RINGING)])
    assert isinstance(message.data, AgentView)
    assert (message.type, message.topic, message.watcher, message.user_id) == ("agent.state", "agents", 9, 50)
    assert message.data.state is AgentState.RINGING


def test_a_queue_is_told_once_a_tick_and_narrowed(floor: Floor) -> None:
    """Of a queue where one's team sits: its length and oldest caller, but not who they are, nor others' members."""
    floor.desk.apply(1, CALL, rings("101", queue="sales"))
    assert floor.desk.shift.watch_queues(9, 50, head(2)).queues == ()
    seats = [MemberSeen(member=member("sales", extension), at=at(1)) for extension in ("101", "103")]
    assert floor.desk.shift.hear(1, [*seats, waits("1.1", 1)]) == []
    (message,) = floor.desk.expire(at(2))
    assert isinstance(message.data, QueueView)
    assert message.type == "queue.state"
    assert [one.extension for one in message.data.members] == ["103"]
    (caller,) = message.data.waiting
    assert (caller.call, caller.phone, caller.phone_text) == (None, None, "")
    assert floor.desk.expire(at(3)) == []
    seen_by_all = queue(floor, "sales")
    assert seen_by_all.waiting[0].call == CALL
    assert seen_by_all.waiting[0].phone == record().customer_number


def test_a_queue_out_of_sight_is_taken_off_the_board(floor: Floor) -> None:
    floor.desk.shift.hear(1, [MemberSeen(member=member("sales", "103"), at=at(1))])
    assert [view.name for view in floor.desk.shift.watch_queues(9, 50, head(2)).queues] == ["sales"]
    floor.desk.shift.hear(
        1, [ListBegun(listing=Listing.QUEUES, at=at(2)), ListEnded(listing=Listing.QUEUES, at=at(2))]
    )
    (message,) = floor.desk.expire(at(3))
    assert message.type == "queue.gone"
    floor.desk.shift.unwatch(9, "queues")
    floor.desk.shift.hear(1, [MemberSeen(member=member("sales", "103"), at=at(4))])
    assert floor.desk.expire(at(5)) == []


def test_everybodys_own_state_is_told_a_few_at_a_time() -> None:
    states = OwnStates(lambda user_id: OwnAgent(id=user_id))
    states.moved((3, 1, 2))
    assert [message.user_id for message in states.tell(None, 2)] == [1, 2]
    assert states.are_moved
    assert [message.user_id for message in states.tell(None, 2)] == [3]
    assert not states.are_moved
