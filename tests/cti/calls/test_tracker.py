"""Small made-up calls, where a recorded one would say too much: what a person is told, event by event."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from cti.calls.call_events import CallArrived, CallEnded, CallEvent, CallRinging, CallUpdated, RingingStopped
from cti.calls.channel_events import (
    AttendedlyTransferred,
    BlindlyTransferred,
    BridgeEntered,
    BridgeLeft,
    CallPickedUp,
    Channel,
    ChannelAnswered,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHeld,
    ChannelHungUp,
    ChannelResumed,
    ChannelRinging,
    ChannelState,
    DialStarted,
    HangupRequested,
    MailboxReached,
    MenuReached,
    OriginateAnswered,
    QueueJoined,
    QueueLeft,
    SeenChannel,
    SnapshotTaken,
    SourceStopped,
)
from cti.calls.records import (
    CallRecord,
    CallState,
    CameBy,
    Direction,
    Disposition,
    Origin,
    ParticipationResult,
)
from cti.calls.telling import tell_call
from cti.calls.tracker import CallTracker
from tests.cti.calls.streams import START

CALLER = "89161234567"
DID = "84951234501"


class Pbx:
    """A PBX of few words; every word takes a second."""

    def __init__(self, tracker: CallTracker | None = None) -> None:
        self.tracker = tracker or CallTracker()
        self.now = START
        self.told: list[CallEvent] = []

    def say(self, event_type: type, seconds: float = 1.0, **details: object) -> list[CallEvent]:
        self.now += timedelta(seconds=seconds)
        event: ChannelEvent = event_type(at=self.now, **details)
        news = self.tracker.apply(event)
        self.told += news
        return news

    def call_in(self, caller: str = CALLER, did: str = DID, key: str = "1") -> Channel:
        line = Channel(
            key, f"PJSIP/line-{key}", key, "PJSIP/line", "", ChannelState.CALLING, caller, dialled=did
        )
        self.say(ChannelCreated, channel=line)
        return line

    def dial_from(self, extension: str, number: str, key: str = "1") -> Channel:
        name = f"PJSIP/{extension}"
        phone = Channel(key, f"{name}-{key}", key, name, "", ChannelState.CALLING, extension, dialled=number)
        self.say(ChannelCreated, channel=phone)
        return phone

    def call_phone(self, extension: str, key: str, linked: str = "1") -> Channel:
        name = f"PJSIP/{extension}"
        phone = Channel(key, f"{name}-{key}", linked, name, "", ChannelState.DOWN, extension)
        self.say(ChannelCreated, 0, channel=phone)
        self.say(DialStarted, 0, caller=None, called=phone, number="")
        return phone

    def call_line(self, number: str, key: str, linked: str = "1") -> Channel:
        line = Channel(key, f"PJSIP/line-{key}", linked, "PJSIP/line", "", ChannelState.DOWN)
        self.say(ChannelCreated, 0, channel=line)
        self.say(DialStarted, 0, caller=None, called=line, number=number)
        return line

    def ring(self, phone: Channel) -> list[CallEvent]:
        return self.say(ChannelRinging, channel=phone)

    def talk(self, *channels: Channel, bridge: str = "b") -> None:
        for channel in channels:
            self.say(ChannelAnswered, 0, channel=channel)
            self.say(BridgeEntered, 0, channel=channel, bridge_id=bridge, is_waiting_room=False)

    def hang_up(self, channel: Channel, cause: int = 16, *, asked: bool = False) -> list[CallEvent]:
        if asked:
            self.say(HangupRequested, 0, channel=channel)
        return self.say(ChannelHungUp, channel=channel, cause=cause, sip_code=None)

    @property
    def last(self) -> CallRecord:
        ended = [event for event in self.told if isinstance(event, CallEnded)]
        return ended[-1].call


def kinds(events: Iterable[CallEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_call_is_told_step_by_step() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.talk(phone, line)
    pbx.hang_up(line, asked=True)
    pbx.hang_up(phone)
    assert kinds(pbx.told) == ["CallArrived", "CallRinging", "CallAnswered", "CallUpdated", "CallEnded"]
    call = pbx.last
    assert (call.direction, call.customer_number, call.did, call.answered_by) == (
        Direction.INBOUND,
        CALLER,
        DID,
        "101",
    )
    assert (call.disposition, call.hung_up_by, call.state) == (
        Disposition.ANSWERED,
        "customer",
        CallState.ENDED,
    )
    assert (call.ring_seconds, call.talk_seconds, call.hold_seconds) == (1.0, 1.0, 0.0)
    assert [leg.extension for leg in call.legs] == [None, "101"]


def test_a_second_telephone_of_whoever_answered_does_not_ring_anew_while_helpers_are_taken_out() -> None:
    """Asterisk moves the caller from the helper's bridge to the telephone's: in between nobody hears anybody."""
    pbx = Pbx()
    line = pbx.call_in()
    desk, home = pbx.call_phone("101", "2"), pbx.call_phone("101", "3")
    pbx.ring(desk)
    pbx.ring(home)
    pbx.talk(desk, line)
    pbx.say(BridgeLeft, 0, channel=line, bridge_id="b")
    pbx.hang_up(home, 26)
    pbx.talk(line)
    pbx.hang_up(line, asked=True)
    pbx.hang_up(desk)
    assert kinds(pbx.told).count("CallRinging") == 1
    (part,) = pbx.last.participations
    assert (part.attempt, part.result) == (1, ParticipationResult.ANSWERED)


def test_what_rang_at_an_outside_answer_lost_to_it_although_the_sound_changes_bridges_just_then() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone, mobile = pbx.call_phone("101", "2"), pbx.call_line("79261234567", "3")
    pbx.ring(phone)
    pbx.talk(mobile, line)
    pbx.say(BridgeLeft, 0, channel=line, bridge_id="b")
    (stopped,) = pbx.hang_up(phone, 19)
    assert isinstance(stopped, RingingStopped)
    assert stopped.reason == "elsewhere"
    pbx.talk(line)
    pbx.hang_up(line, asked=True)
    pbx.hang_up(mobile)
    assert pbx.last.participations[0].result is ParticipationResult.ELSEWHERE


def test_two_telephones_on_one_extension_are_one_part() -> None:
    pbx = Pbx()
    pbx.call_in()
    desk, mobile_app = pbx.call_phone("101", "2"), pbx.call_phone("101", "3")
    assert kinds(pbx.ring(desk)) == ["CallRinging"]
    assert pbx.ring(mobile_app) == []
    assert pbx.hang_up(desk, cause=19) == []  # the other one still rings
    (stopped,) = pbx.hang_up(mobile_app, cause=19)
    assert isinstance(stopped, RingingStopped)
    assert len(stopped.call.participations) == 1


@pytest.mark.parametrize(
    ("cause", "reason", "result"),
    [
        (17, "busy", ParticipationResult.BUSY),
        (21, "declined", ParticipationResult.DECLINED),
        (26, "elsewhere", ParticipationResult.ELSEWHERE),
        (19, "no_answer", ParticipationResult.NOT_ANSWERED),
    ],
)
def test_why_it_stopped_ringing(cause: int, reason: str, result: ParticipationResult) -> None:
    pbx = Pbx()
    pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    (stopped,) = pbx.hang_up(phone, cause=cause)
    assert isinstance(stopped, RingingStopped)
    assert stopped.reason == reason
    assert stopped.call.participations[0].result is result


def test_a_telephone_that_refuses_at_once_never_rang_but_had_a_part() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    pbx.hang_up(pbx.call_phone("101", "2"), cause=17)
    pbx.hang_up(line, cause=17)
    assert pbx.last.rang == ()
    assert [part.result for part in pbx.last.participations] == [ParticipationResult.BUSY]
    assert pbx.last.disposition is Disposition.BUSY


def test_the_loser_of_a_race_learns_who_won_before_the_winner_talks() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    winner, loser = pbx.call_phone("101", "2"), pbx.call_phone("102", "3")
    pbx.ring(winner)
    pbx.ring(loser)
    pbx.say(ChannelAnswered, channel=winner)
    (stopped,) = pbx.hang_up(loser, cause=0)
    assert isinstance(stopped, RingingStopped)
    assert (stopped.reason, stopped.answered_by) == ("elsewhere", "101")
    pbx.talk(winner, line)
    assert pbx.tracker.present()[0].answered_by == "101"


def test_a_menu_a_queue_and_a_mailbox_are_nobody() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    pbx.say(ChannelAnswered, channel=line)
    pbx.say(MenuReached, channel=line)
    pbx.say(QueueJoined, channel=line, queue="sales")
    pbx.say(QueueLeft, channel=line, queue="sales")
    pbx.say(MailboxReached, channel=line, mailbox="100")
    pbx.hang_up(line, asked=True)
    assert (pbx.last.disposition, pbx.last.queue, pbx.last.answered_by) == (
        Disposition.VOICEMAIL,
        "sales",
        None,
    )
    assert pbx.last.ring_seconds == 5.0


@pytest.mark.parametrize(
    ("queued", "in_menu", "asked", "disposition"),
    [
        (False, True, True, Disposition.MENU_ONLY),
        (True, True, True, Disposition.ABANDONED),
        (True, False, False, Disposition.NOT_SERVED),
        (False, False, False, Disposition.NO_ANSWER),
        (False, False, True, Disposition.ABANDONED),
    ],
)
def test_how_an_unanswered_call_came_out(
    queued: bool, in_menu: bool, asked: bool, disposition: Disposition
) -> None:
    pbx = Pbx()
    line = pbx.call_in()
    if in_menu:
        pbx.say(MenuReached, channel=line)
    if queued:
        pbx.say(QueueJoined, channel=line, queue="sales")
    pbx.hang_up(line, asked=asked)
    assert pbx.last.disposition is disposition


def test_a_mobile_that_has_not_confirmed_does_not_talk() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    half = Channel("h1", "Local/8903@x-1;1", "1", "Local/8903", "Local/8903@x-1", ChannelState.DOWN)
    other = half._replace(channel_id="h2", name="Local/8903@x-1;2", state=ChannelState.CALLING)
    pbx.say(ChannelCreated, channel=half)
    pbx.say(ChannelCreated, channel=other)
    mobile = pbx.call_line("89031112233", "2")
    pbx.ring(mobile)
    pbx.talk(mobile, other)
    assert not pbx.tracker.present()[0].is_answered
    pbx.talk(half, line, bridge="c")  # pressed 1
    (call,) = pbx.tracker.present()
    assert (call.is_answered, call.answered_by, call.state) == (True, None, CallState.TALKING)


def test_a_number_learned_late_is_told_late() -> None:
    pbx = Pbx(CallTracker(lines={"DAHDI/1"}))
    line = Channel("1", "DAHDI/1-1", "1", "DAHDI/1", "", ChannelState.CALLING, dialled="s")
    assert kinds(pbx.say(ChannelCreated, channel=line)) == ["CallArrived"]
    (news,) = pbx.say(ChannelChanged, channel=line._replace(caller_number=CALLER))
    assert isinstance(news, CallUpdated)
    assert (news.what, news.call.customer_number) == ("number", CALLER)


@pytest.mark.parametrize("word", ["anonymous", "Anonymous", "unknown", ""])
def test_a_hidden_number_is_none(word: str) -> None:
    pbx = Pbx()
    pbx.call_in(caller=word)
    assert pbx.tracker.present()[0].customer_number is None


def test_an_outgoing_call_over_a_second_trunk_counts_by_the_last() -> None:
    pbx = Pbx()
    phone = pbx.dial_from("101", "89261234567")
    pbx.hang_up(pbx.call_line("79261234567", "2"), cause=34)
    second = pbx.call_line("79261234567", "3")
    pbx.ring(second)
    pbx.talk(second, phone)
    pbx.hang_up(phone, asked=True)
    pbx.hang_up(second)
    assert (pbx.last.direction, pbx.last.placed_by, pbx.last.answered_by) == (Direction.OUTBOUND, "101", None)
    assert (pbx.last.disposition, pbx.last.hung_up_by, pbx.last.final_agent) == (
        Disposition.ANSWERED,
        "agent",
        "101",
    )


@pytest.mark.parametrize(
    ("cause", "disposition"),
    [
        (17, Disposition.BUSY),
        (21, Disposition.DECLINED),
        (19, Disposition.NO_ANSWER),
        (1, Disposition.FAILED),
        (34, Disposition.FAILED),
        (127, Disposition.CANCELLED),
    ],
)
def test_how_an_outgoing_call_failed(cause: int, disposition: Disposition) -> None:
    pbx = Pbx()
    phone = pbx.dial_from("101", "89261234567")
    pbx.hang_up(pbx.call_line("79261234567", "2"), cause=cause)
    pbx.hang_up(phone)
    assert pbx.last.disposition is disposition


def test_a_feature_code_is_told_only_when_it_is_over() -> None:
    pbx = Pbx()
    phone = pbx.dial_from("101", "*7289031112233")
    assert pbx.told == []
    assert kinds(pbx.hang_up(phone, asked=True)) == ["CallArrived", "CallEnded"]
    assert pbx.last.direction is Direction.INTERNAL


def test_a_long_number_within_the_house_stays_inside() -> None:
    pbx = Pbx(CallTracker(internal_pattern=r"70001\d\d"))
    phone = pbx.dial_from("7000101", "7000102")
    other = pbx.call_phone("7000102", "2")
    pbx.ring(other)
    pbx.talk(other, phone)
    (call,) = pbx.tracker.present()
    assert (call.direction, call.placed_by, call.answered_by) == (Direction.INTERNAL, "7000101", "7000102")


def test_click_to_call_knows_the_number_from_the_answer_to_the_request() -> None:
    pbx = Pbx()
    phone = Channel("1", "PJSIP/101-1", "1", "PJSIP/101", "", ChannelState.DOWN, "101")
    pbx.say(ChannelCreated, channel=phone)
    pbx.say(DialStarted, caller=None, called=phone, number="")
    assert kinds(pbx.ring(phone)) == ["CallArrived", "CallRinging"]
    pbx.say(ChannelAnswered, channel=phone)
    news = pbx.say(
        OriginateAnswered, channel_id="1", channel_name="PJSIP/101-1", number="89261234567", succeeded=True
    )
    assert [event.what for event in news if isinstance(event, CallUpdated)] == ["direction", "number"]
    line = pbx.call_line("79261234567", "2")
    pbx.ring(line)
    pbx.talk(line, phone)
    (call,) = pbx.tracker.present()
    assert (call.direction, call.placed_by, call.customer_number) == (
        Direction.OUTBOUND,
        "101",
        "89261234567",
    )
    assert call.participations[0].came_by is CameBy.DIALLED


def test_click_to_call_that_reached_nobody_is_an_outgoing_call_that_failed() -> None:
    pbx = Pbx()
    half = Channel("1", "Local/101@x-1;1", "1", "Local/101", "Local/101@x-1", ChannelState.DOWN)
    other = half._replace(channel_id="2", name="Local/101@x-1;2", state=ChannelState.CALLING)
    pbx.say(ChannelCreated, channel=half)
    pbx.say(ChannelCreated, channel=other)
    pbx.say(
        OriginateAnswered, channel_id="", channel_name="Local/101@x", number="89261234567", succeeded=False
    )
    pbx.hang_up(other)
    assert kinds(pbx.hang_up(half)) == ["CallArrived", "CallEnded"]
    assert (pbx.last.placed_by, pbx.last.customer_number, pbx.last.disposition) == (
        "101",
        "89261234567",
        Disposition.FAILED,
    )


def test_holds_are_counted_apart() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.talk(phone, line)
    (held,) = pbx.say(ChannelHeld, 5, channel=phone)
    assert isinstance(held, CallUpdated)
    assert (held.what, held.call.state) == ("hold", CallState.HELD)
    pbx.say(ChannelResumed, 3, channel=phone)
    pbx.hang_up(line, asked=True)
    pbx.hang_up(phone)
    assert (pbx.last.talk_seconds, pbx.last.hold_seconds) == (6.0, 3.0)


def test_a_blonde_transfer_names_whom_it_still_rings_at() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.talk(phone, line)
    consultation = pbx.dial_from("101", "102", key="9")
    target = pbx.call_phone("102", "10", linked="9")
    pbx.ring(target)
    pbx.say(AttendedlyTransferred, transferer=phone, second=consultation, transferee=line, target=target)
    pbx.hang_up(phone, asked=True)
    pbx.hang_up(consultation)
    (transfer,) = pbx.tracker.present()[0].transfers
    assert (transfer.from_extension, transfer.to, transfer.kind, transfer.outcome) == (
        "101",
        "102",
        "blonde",
        None,
    )
    pbx.say(BridgeLeft, channel=line, bridge_id="b")
    pbx.talk(target, line, bridge="c")
    (call,) = pbx.tracker.present()
    assert (call.transfers[0].outcome, call.final_agent, call.linked_ids) == ("answered", "102", ("1", "9"))


def test_a_blind_transfer_that_comes_back_was_not_answered() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.talk(phone, line)
    pbx.say(BlindlyTransferred, transferer=phone, transferee=line, to="102")
    pbx.hang_up(phone, asked=True)
    pbx.say(BridgeLeft, channel=line, bridge_id="b")
    pbx.hang_up(pbx.call_phone("102", "3"), cause=19)
    again = pbx.call_phone("101", "4")
    pbx.ring(again)
    pbx.talk(again, line, bridge="c")
    (call,) = pbx.tracker.present()
    assert (call.transfers[0].outcome, call.final_agent, call.talking) == ("not_answered", "101", ("101",))


def test_who_picks_up_answers_and_the_robbed_telephone_stops() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    robbed = pbx.call_phone("101", "2")
    pbx.ring(robbed)
    picker = pbx.dial_from("102", "*8", key="9")
    pbx.say(CallPickedUp, channel=picker, robbed=robbed)
    (stopped,) = pbx.hang_up(robbed, cause=26)
    assert isinstance(stopped, RingingStopped)
    assert (stopped.reason, stopped.answered_by) == ("elsewhere", "102")
    pbx.talk(picker, line)
    (call,) = pbx.tracker.present()
    assert (call.answered_by, call.rang) == ("102", ("101",))
    assert call.participations[-1].came_by is CameBy.PICKUP


def test_i03_an_event_about_an_unknown_call_creates_it() -> None:
    pbx = Pbx()
    line = Channel("1", "PJSIP/line-1", "1", "PJSIP/line", "", ChannelState.CALLING, CALLER, dialled=DID)
    assert kinds(pbx.say(QueueJoined, channel=line, queue="sales")) == ["CallArrived", "CallUpdated"]


def test_i04_a_snapshot_restores_and_closes() -> None:
    pbx = Pbx()
    gone, stays = pbx.call_in(key="1"), pbx.call_in(key="5")
    found = Channel("7", "PJSIP/line-7", "7", "PJSIP/line", "", ChannelState.UP, CALLER, dialled=DID)
    phone = Channel("8", "PJSIP/101-8", "7", "PJSIP/101", "", ChannelState.UP, "101")
    seen = (
        SeenChannel(channel=stays, bridge_id="", age_seconds=2, was_called=False),
        SeenChannel(channel=phone, bridge_id="b", age_seconds=9, was_called=True),
        SeenChannel(channel=found, bridge_id="b", age_seconds=10, was_called=False),
    )
    news = pbx.say(SnapshotTaken, channels=seen)
    assert kinds(news)[0] == "CallEnded"
    assert kinds(news)[-1] == "SnapshotApplied"
    assert (pbx.last.key, pbx.last.ended_unseen, pbx.last.disposition) == (gone.channel_id, True, None)
    kept, attached = pbx.tracker.present()
    assert (kept.key, kept.origin) == ("5", Origin.LIVE)
    assert (attached.origin, attached.answered_by, attached.rang, attached.answered_at) == (
        Origin.ATTACHED,
        "101",
        ("101",),
        None,
    )
    assert attached.started_at == pbx.now - timedelta(seconds=10)


def test_a_pbx_that_shuts_down_ends_all_calls() -> None:
    pbx = Pbx()
    pbx.call_in()
    assert kinds(pbx.say(SourceStopped)) == ["CallEnded"]
    assert pbx.tracker.present() == []


def test_without_times_the_story_is_the_same_and_seconds_are_unknown() -> None:
    tracker = CallTracker()
    line = Channel("1", "PJSIP/line-1", "1", "PJSIP/line", "", ChannelState.CALLING, CALLER, dialled=DID)
    phone = Channel("2", "PJSIP/101-2", "1", "PJSIP/101", "", ChannelState.DOWN, "101")
    events: list[ChannelEvent] = [
        ChannelCreated(channel=line, at=None),
        ChannelCreated(channel=phone, at=None),
        ChannelRinging(channel=phone, at=None),
        BridgeEntered(channel=phone, bridge_id="b", is_waiting_room=False, at=None),
        BridgeEntered(channel=line, bridge_id="b", is_waiting_room=False, at=None),
    ]
    told = [news for event in events for news in tracker.apply(event)]
    call = tell_call(tracker.present()[0], lambda number: number)
    assert kinds(told) == ["CallArrived", "CallRinging", "CallAnswered"]
    assert (call["answered"], call["rang"], call["ring_s"], call["talk_s"]) == (True, ["101"], None, None)
    assert call["story"] == [f"{CALLER} calls {DID}", "101 rings", "101 answers"]


def test_seconds_run_up_to_the_last_event() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.talk(phone, line)
    pbx.say(ChannelHeld, 7, channel=line._replace(channel_id="unknown"))
    assert pbx.tracker.present()[0].talk_seconds == 7.0
    assert isinstance(pbx.told[0], CallArrived)
    assert isinstance(pbx.told[1], CallRinging)
    assert isinstance(pbx.told[0].at, datetime)
