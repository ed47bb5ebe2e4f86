"""What other people's PBXs do: withheld numbers, refusals by the dialplan, programs that call the customer first."""

from __future__ import annotations

import pytest

from cti.calls.call_events import CallUpdated
from cti.calls.channel_events import (
    BlindlyTransferred,
    BridgeEntered,
    CallerBlocked,
    CallParked,
    Channel,
    ChannelAnswered,
    ChannelChanged,
    ChannelCreated,
    ChannelHungUp,
    ChannelState,
    DialledKnown,
    DialStarted,
    DidLearned,
    ExtensionKnown,
    HangupRequested,
    HoursChecked,
    MailboxReached,
    MenuReached,
    OriginateAnswered,
    PersonSought,
    SeenChannel,
    SnapshotTaken,
)
from cti.calls.records import CallState, Direction, Disposition
from cti.calls.tracker import CallTracker
from tests.cti.calls.test_tracker import CALLER, Pbx

LINE = Channel("1", "PJSIP/mango-1", "1", "PJSIP/mango", "", ChannelState.DOWN)


@pytest.mark.parametrize("shown", [(CALLER, True), ("anonymous", False), ("anonymous", True)])
def test_a_number_that_turns_out_to_be_withheld_is_taken_back(shown: tuple[str, bool]) -> None:
    pbx = Pbx()
    line = pbx.call_in()
    assert pbx.tracker.present()[0].customer_number == CALLER
    number, is_withheld = shown
    hidden = line._replace(caller_number=number, caller_name=CALLER, is_withheld=is_withheld)
    (news,) = pbx.say(ChannelChanged, channel=hidden)
    assert isinstance(news, CallUpdated)
    assert (news.what, news.call.customer_number, news.call.customer_name) == ("number", None, None)
    pbx.hang_up(line, 127)
    assert CALLER not in " ".join(pbx.last.story)
    assert pbx.last.direction is Direction.INBOUND


def test_a_name_that_only_repeats_the_number_is_none() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    pbx.say(ChannelChanged, channel=line._replace(caller_name=CALLER))
    assert pbx.tracker.present()[0].customer_name is None


def test_a_placeholder_of_the_dialplan_is_no_number_of_ours() -> None:
    pbx = Pbx()
    line = pbx.call_in(did="s")
    assert pbx.tracker.present()[0].did is None
    pbx.say(DidLearned, channel=line, did="84951234501")
    assert pbx.tracker.present()[0].did == "84951234501"


def test_a_caller_whom_the_pbx_refuses_did_not_hang_up() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.hang_up(phone, 17)
    pbx.say(HangupRequested, channel=line._replace(state=ChannelState.BUSY))
    pbx.hang_up(line, 17)
    assert (pbx.last.disposition, pbx.last.hung_up_by) == (Disposition.BUSY, "pbx")


def test_an_outside_number_for_which_there_is_no_line_failed_whoever_hung_up() -> None:
    pbx = Pbx()
    phone = pbx.dial_from("101", "80123456789")
    pbx.hang_up(phone, asked=True)
    assert (pbx.last.disposition, pbx.last.hung_up_by) == (Disposition.FAILED, "agent")


def test_a_program_may_call_the_customer_first() -> None:
    pbx = Pbx()
    pbx.say(ChannelCreated, channel=LINE)
    pbx.say(DialStarted, caller=None, called=LINE, number="79261234567")
    pbx.ring(LINE)
    pbx.say(ChannelAnswered, channel=LINE)
    pbx.say(OriginateAnswered, channel_id="1", channel_name=LINE.name, number="101", succeeded=True)
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.talk(phone, LINE)
    pbx.hang_up(LINE, asked=True)
    pbx.hang_up(phone)
    call = pbx.last
    assert (call.direction, call.customer_number) == (Direction.OUTBOUND, "79261234567")
    assert (call.placed_by, call.final_agent, call.rang) == (None, "101", ("101",))
    assert (call.hung_up_by, call.ring_seconds) == ("customer", 5.0)


@pytest.mark.parametrize(
    "named", ["PJSIP/79261234567@mango", "PJSIP/mango/sip:79261234567@host", "PJSIP/mango"]
)
def test_a_customer_who_was_called_first_and_did_not_answer(named: str) -> None:
    pbx = Pbx()
    pbx.say(ChannelCreated, channel=LINE)
    pbx.say(DialStarted, caller=None, called=LINE, number="79261234567")
    pbx.ring(LINE)
    pbx.say(OriginateAnswered, channel_id="", channel_name=named, number="101", succeeded=False)
    pbx.hang_up(LINE, 19)
    call = pbx.last
    assert (call.customer_number, call.placed_by, call.disposition) == (
        "79261234567",
        None,
        Disposition.NO_ANSWER,
    )


def test_an_agent_behind_a_helper_placed_the_call_even_if_no_telephone_rang() -> None:
    pbx = Pbx()
    half = Channel("1", "Local/101@x-1;1", "1", "Local/101", "Local/101@x-1", ChannelState.DOWN)
    pbx.say(ChannelCreated, channel=half)  # a mailbox answers for 101, then the customer is called
    pbx.say(OriginateAnswered, channel_id="1", channel_name=half.name, number="89261234567", succeeded=True)
    line = pbx.call_line("79261234567", "2")
    pbx.ring(line)
    pbx.hang_up(line, 17)
    pbx.hang_up(half)
    call = pbx.last
    assert (call.placed_by, call.customer_number, call.disposition) == (
        "101",
        "89261234567",
        Disposition.BUSY,
    )


def test_the_telephone_that_was_answered_starts_the_ringing_at_the_customer() -> None:
    pbx = Pbx()
    first, second = pbx.call_phone("101", "1"), pbx.call_phone("102", "2")
    pbx.say(ChannelAnswered, 3, channel=second)
    pbx.hang_up(first, 26)
    pbx.say(OriginateAnswered, 0, channel_id="1", channel_name="", number="89261234567", succeeded=True)
    line = pbx.call_line("79261234567", "3")
    pbx.hang_up(line, 17)
    pbx.hang_up(second)
    assert pbx.last.ring_seconds == 3.0


def test_a_customer_who_was_connected_with_a_mailbox_talked_to_nobody() -> None:
    pbx = Pbx()
    half = Channel("1", "Local/101@x-1;1", "1", "Local/101", "Local/101@x-1", ChannelState.DOWN)
    pbx.say(ChannelCreated, channel=half)
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.hang_up(phone, 26)
    pbx.say(OriginateAnswered, channel_id="1", channel_name=half.name, number="89261234567", succeeded=True)
    line = pbx.call_line("79261234567", "3")
    pbx.ring(line)
    pbx.talk(line, half)
    pbx.hang_up(line, asked=True)
    pbx.hang_up(half)
    call = pbx.last
    assert (call.is_answered, call.disposition) == (False, Disposition.FAILED)
    assert (call.placed_by, call.customer_number) == ("101", "89261234567")


def test_a_stream_that_begins_while_it_rings_tells_who_calls() -> None:
    pbx = Pbx()
    phone = Channel("2", "PJSIP/101-2", "1", "PJSIP/101", "", ChannelState.RINGING, "101", "", CALLER)
    pbx.ring(phone)
    (call,) = pbx.tracker.present()
    assert (call.direction, call.customer_number, call.ringing) == (Direction.INBOUND, CALLER, ("101",))
    line = pbx.call_in()
    pbx.talk(phone, line)
    (call,) = pbx.tracker.present()
    assert (call.answered_by, call.customer_number, call.did) == ("101", CALLER, "84951234501")


def test_a_parking_told_before_the_passing_on_is_one_transfer() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.talk(phone, line)
    pbx.say(CallParked, channel=line, parker_name="PJSIP/101", space="701")
    pbx.say(BlindlyTransferred, transferer=phone, transferee=line, to="700")
    pbx.hang_up(phone)
    pbx.hang_up(line, asked=True)
    (transfer,) = pbx.last.transfers
    assert (transfer.from_extension, transfer.to, transfer.kind) == ("101", "701", "park")


def test_a_mailbox_that_was_seen_only_at_its_end_took_the_call_all_the_same() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    pbx.say(MailboxReached, channel=line, mailbox="")
    pbx.hang_up(line, asked=True)
    assert pbx.last.disposition is Disposition.VOICEMAIL
    assert any("a mailbox took the call" in told for told in pbx.last.story)


def test_a_reserved_line_is_one_on_which_somebody_calls_unless_it_belongs_to_a_call() -> None:
    pbx = Pbx()
    reserved = Channel(
        "1", "DAHDI/i1/8-1", "1", "DAHDI/i1", "", ChannelState.UNKNOWN, CALLER, dialled="84951"
    )
    pbx.say(ChannelCreated, channel=reserved)
    pbx.say(ChannelChanged, channel=reserved._replace(state=ChannelState.CALLING, dialled="84951234501"))
    phone = reserved._replace(channel_id="2", name="DAHDI/5-1", endpoint="DAHDI/5", caller_number="105")
    pbx.say(ChannelCreated, channel=phone)
    pbx.say(DialStarted, caller=None, called=phone, number="")
    pbx.ring(phone)
    (call,) = pbx.tracker.present()
    assert (call.direction, call.did, call.ringing) == (Direction.INBOUND, "84951234501", ("105",))


def test_a_line_that_forbids_the_call_declined_nothing() -> None:
    pbx = Pbx()
    phone = pbx.dial_from("101", "89261234567")
    line = pbx.call_line("79261234567", "2")
    pbx.say(ChannelHungUp, channel=line, cause=21, sip_code=403)
    pbx.hang_up(phone, 21)
    assert (pbx.last.disposition, pbx.last.hung_up_by) == (Disposition.FAILED, "pbx")


def test_our_own_number_on_the_agents_telephone_is_not_the_customers() -> None:
    pbx = Pbx(CallTracker(lines=["+74951234567"]))
    name = "PJSIP/101"
    phone = Channel("1", f"{name}-1", "1", name, "", ChannelState.DOWN, "101")
    pbx.say(ChannelCreated, channel=phone)
    pbx.say(ChannelChanged, channel=phone._replace(caller_number="84951234567"))
    pbx.ring(phone)
    assert pbx.tracker.present()[0].customer_number is None
    pbx.say(OriginateAnswered, channel_id="1", channel_name="", number="89261234567", succeeded=True)
    assert pbx.tracker.present()[0].customer_number == "89261234567"


BORN = Channel("1", "SIP/mango-1", "1", "SIP/mango", "", ChannelState.DOWN, CALLER, dialled="1230001")


@pytest.mark.parametrize("dialled", ["1230001", "s"])
def test_a_driver_may_make_a_callers_channel_before_it_calls_it_one(dialled: str) -> None:
    """chan_sip: born "Down" like a channel that the PBX calls somebody on, "Ring" a moment later."""
    pbx = Pbx()
    born = BORN._replace(dialled=dialled)
    assert pbx.say(ChannelCreated, channel=born) == []
    pbx.say(ChannelChanged, 0, channel=born._replace(state=ChannelState.CALLING))
    (call,) = pbx.tracker.present()
    assert (call.direction, call.customer_number, call.placed_by) == (Direction.INBOUND, CALLER, None)
    assert call.did == (dialled if dialled != "s" else None)
    phone = pbx.call_phone("101", "2")
    pbx.hang_up(phone, 17)
    pbx.hang_up(born, 17)
    assert pbx.last.disposition is Disposition.BUSY


def test_a_program_calls_on_a_channel_that_was_made_down() -> None:
    pbx = Pbx()
    phone = Channel("1", "SIP/21-1", "1", "SIP/21", "", ChannelState.DOWN, "21", dialled="s")
    pbx.say(ChannelCreated, channel=phone)
    pbx.say(ChannelChanged, 0, channel=phone._replace(caller_number=CALLER))
    assert pbx.tracker.present() == []
    pbx.say(DialStarted, 0, caller=None, called=phone._replace(caller_number=CALLER), number="")
    pbx.ring(phone)
    (call,) = pbx.tracker.present()
    assert (call.direction, call.placed_by, call.customer_number) == (Direction.OUTBOUND, "21", CALLER)


def test_a_caller_who_hung_up_before_the_telephone_was_connected_talked_to_nobody() -> None:
    """A queue's announcement to the agent, a conference's to the caller: the PBX connects them afterwards all the same."""
    pbx = Pbx()
    line = pbx.call_in()
    phone = pbx.call_phone("101", "2")
    pbx.ring(phone)
    pbx.say(HangupRequested, channel=line)
    pbx.talk(phone, line)
    pbx.hang_up(line)
    pbx.hang_up(phone)
    call = pbx.last
    assert (call.is_answered, call.answered_by, call.hung_up_by) == (False, None, "customer")
    assert call.disposition is Disposition.ABANDONED


@pytest.mark.parametrize(
    ("context", "came_out"),
    [
        ("closed", Disposition.AFTER_HOURS),
        ("ivr-afterhours", Disposition.AFTER_HOURS),
        ("after_hours-msk", Disposition.AFTER_HOURS),
        ("nerabochee_vremya", Disposition.AFTER_HOURS),
        ("vykhodnye", Disposition.AFTER_HOURS),
        ("нерабочее", Disposition.AFTER_HOURS),
        ("app-blacklist-check", Disposition.BLOCKED),
        ("spam", Disposition.BLOCKED),
        ("enclosed", Disposition.ABANDONED),
        ("tonight-show", Disposition.ABANDONED),
        ("app-blackhole", Disposition.ABANDONED),
        ("from-trunk", Disposition.ABANDONED),
    ],
)
def test_the_name_of_the_last_place_tells_why_nobody_was_called(context: str, came_out: Disposition) -> None:
    pbx = Pbx()
    line = pbx.call_in()
    pbx.hang_up(line._replace(context=context, dialled="s"), asked=True)
    assert pbx.last.disposition is came_out


def test_a_place_tells_nothing_once_somebody_was_called() -> None:
    pbx = Pbx()
    line = pbx.call_in()
    pbx.hang_up(pbx.call_phone("101", "2"), 19)
    pbx.hang_up(line._replace(context="closed"))
    assert pbx.last.disposition is Disposition.NO_ANSWER


@pytest.mark.parametrize(
    ("seen", "asked", "came_out"),
    [
        ((HoursChecked,), False, Disposition.AFTER_HOURS),
        ((HoursChecked,), True, Disposition.ABANDONED),  # perhaps while greeted, in working hours
        ((HoursChecked, PersonSought), False, Disposition.NO_ANSWER),  # no telephone was there
        ((PersonSought, HoursChecked), False, Disposition.AFTER_HOURS),
        ((HoursChecked, MenuReached), False, Disposition.NO_ANSWER),
        ((CallerBlocked,), False, Disposition.BLOCKED),
        ((CallerBlocked,), True, Disposition.BLOCKED),
    ],
)
def test_what_the_dialplan_did_tells_why_nobody_was_called(
    seen: tuple[type, ...], asked: bool, came_out: Disposition
) -> None:
    pbx = Pbx()
    line = pbx.call_in()
    for kind in seen:
        pbx.say(kind, channel=line)
    pbx.hang_up(line, asked=asked)
    assert pbx.last.disposition is came_out
    assert pbx.tracker.apply(HoursChecked(channel=line, at=None)) == []


def test_a_driver_may_say_that_it_rings_before_the_pbx_says_that_it_dials() -> None:
    """IAX2; of an endpoint nobody knows, only the dial tells that it is a line, and nobody's telephone rings."""
    pbx = Pbx()
    pbx.dial_from("21", "61230001")
    branch = Channel("2", "IAX2/branch-2", "1", "IAX2/branch", "", ChannelState.DOWN)
    pbx.say(ChannelCreated, channel=branch)
    pbx.ring(branch)
    pbx.say(DialStarted, 0, caller=None, called=branch, number="1230001")
    (call,) = pbx.tracker.present()
    assert (call.rang, call.state, call.customer_number) == ((), CallState.RINGING, "61230001")


def test_a_long_number_that_leads_to_a_telephone_is_one_of_ours() -> None:
    pbx = Pbx()
    phone = pbx.dial_from("22", "1230001")
    pbx.ring(pbx.call_phone("21", "2"))
    assert pbx.tracker.present()[0].direction is Direction.INTERNAL
    pbx.hang_up(phone, asked=True)


def test_a_stream_that_begins_in_a_talk_knows_who_was_called() -> None:
    """PJSIP leaves the extension of a called channel at "s" also when it is up; its call is named after another one."""
    pbx = Pbx()
    phone = Channel("2", "PJSIP/101-2", "1", "PJSIP/101", "", ChannelState.UP, "101", dialled="s")
    line = Channel("1", "PJSIP/line-1", "1", "PJSIP/line", "", ChannelState.UP, CALLER, dialled="84951234501")
    for channel in (phone, line):
        pbx.say(BridgeEntered, 0, channel=channel, bridge_id="b", is_waiting_room=False)
    (call,) = pbx.tracker.present()
    assert (call.direction, call.customer_number, call.talking) == (Direction.INBOUND, CALLER, ("101",))


def test_who_dials_is_a_caller_whatever_its_state_was() -> None:
    """chan_sccp: a telephone that is lifted and dials digit by digit stays "Down" or "Dialing" meanwhile."""
    pbx = Pbx()
    phone = Channel("1", "SCCP/201-1", "1", "SCCP/201", "", ChannelState.DOWN, "201")
    pbx.say(ChannelCreated, channel=phone)
    line = Channel("2", "PJSIP/line-2", "1", "PJSIP/line", "", ChannelState.DOWN)
    pbx.say(ChannelCreated, channel=line)
    dialling = phone._replace(dialled="89261234567")
    pbx.say(DialStarted, 0, caller=dialling, called=line, number="79261234567")
    (call,) = pbx.tracker.present()
    assert (call.direction, call.placed_by, call.customer_number) == (
        Direction.OUTBOUND,
        "201",
        "89261234567",
    )


def test_a_snapshot_shows_which_called_channel_is_a_line() -> None:
    """Nobody saw it dialled; it bears the number that the agent's telephone dialled."""
    pbx = Pbx()
    phone = Channel("1", "PJSIP/21-1", "1", "PJSIP/21", "", ChannelState.UP, "21", dialled="89031234567")
    line = Channel("2", "PJSIP/mango-2", "1", "PJSIP/mango", "", ChannelState.UP, "79031234567")
    seen = [
        SeenChannel(channel=one, bridge_id="b", age_seconds=9.0, was_called=one is line)
        for one in (phone, line)
    ]
    pbx.say(SnapshotTaken, channels=tuple(seen))
    (call,) = pbx.tracker.present()
    assert (call.direction, call.placed_by, call.talking) == (Direction.OUTBOUND, "21", ("21",))
    assert (call.customer_number, call.is_answered) == ("89031234567", True)


@pytest.mark.parametrize(("is_known", "direction"), [(True, Direction.INTERNAL), (False, Direction.OUTBOUND)])
def test_an_extension_that_leads_to_a_mobile_alone_is_still_a_colleague(
    is_known: bool, direction: Direction
) -> None:
    """Of a short number that nobody is known to have nothing tells it from a speed dial."""
    pbx = Pbx()
    if is_known:
        pbx.say(ExtensionKnown, endpoint="PJSIP/petrova", extension="102")
    pbx.dial_from("101", "102")
    line = Channel("2", "PJSIP/mango-2", "1", "PJSIP/mango", "", ChannelState.DOWN)
    pbx.say(ChannelCreated, channel=line)
    pbx.say(DialStarted, 0, caller=None, called=line, number="79031112233")
    pbx.ring(line)
    (call,) = pbx.tracker.present()
    assert (call.direction, call.placed_by) == (direction, "101")


@pytest.mark.parametrize("dialled", ["84951234501", ""])
def test_what_a_caller_found_in_mid_life_had_dialled_is_told_afterwards(dialled: str) -> None:
    """Passed on, a channel stands at a colleague's extension: that is no number of ours that was called."""
    pbx = Pbx()
    line = Channel("1", "PJSIP/mango-1", "1", "PJSIP/mango", "", ChannelState.UP, CALLER, dialled="102")
    phone = Channel("2", "PJSIP/102-2", "1", "PJSIP/102", "", ChannelState.UP, "102")
    seen = [
        SeenChannel(channel=one, bridge_id="b", age_seconds=9.0, was_called=one is phone)
        for one in (line, phone)
    ]
    pbx.say(SnapshotTaken, channels=tuple(seen))
    pbx.say(DialledKnown, channel=line, number=dialled or "102")
    (call,) = pbx.tracker.present()
    assert (call.direction, call.did) == (Direction.INBOUND, dialled or "102")
