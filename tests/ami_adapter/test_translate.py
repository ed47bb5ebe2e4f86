"""AMI messages → channel events: the traps of header names, spellings and helper channels."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ami_adapter.channels import dialled_number, parts_of
from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.translate import MAX_HELD_BACK, Translator, is_noise
from cti.calls.channel_events import (
    BridgeEntered,
    ChannelChanged,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelRinging,
    ChannelState,
    DialEnded,
    DialledKnown,
    DialStarted,
    DidLearned,
    ExtensionKnown,
    MailboxReached,
    OriginateAnswered,
    QueueJoined,
    RecordingStarted,
    SnapshotTaken,
)
from tests.captures import ALL, capture

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def message(event: str, **headers: str) -> AmiMessage:
    lines = [f"Event: {event}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return AmiMessage("\r\n".join(lines).encode())


def channel(
    name: str = "PJSIP/101-00000001", uniqueid: str = "1.1", prefix: str = "", **more: str
) -> dict[str, str]:
    headers = {"Channel": name, "Uniqueid": uniqueid, "Linkedid": "1.0", "ChannelState": "0", **more}
    return {prefix + header: value for header, value in headers.items()}


def translated(event: str, **headers: str) -> list[ChannelEvent]:
    return Translator().translate(message(event, **headers), AT)


def test_a_channel_is_told_with_all_it_shows() -> None:
    (event,) = translated(
        "Newchannel",
        **channel(
            ChannelState="4",
            CallerIDNum="89161234501",
            CallerIDName="<unknown>",
            Exten="+74951234501",
            Context="in",
        ),
    )
    assert isinstance(event, ChannelCreated)
    shown = event.channel
    assert (shown.channel_id, shown.linked_id, shown.endpoint, shown.pair) == ("1.1", "1.0", "PJSIP/101", "")
    assert (shown.state, shown.caller_number, shown.caller_name) == (ChannelState.CALLING, "89161234501", "")
    assert (shown.dialled, shown.context, event.at) == ("+74951234501", "in", AT)


@pytest.mark.parametrize(
    ("name", "endpoint", "pair"),
    [
        ("PJSIP/trunk-a-0000000d", "PJSIP/trunk-a", ""),
        ("SIP/0004F2AABBCC-0000002a", "SIP/0004F2AABBCC", ""),
        ("PJSIP/101-00000001<ZOMBIE>", "PJSIP/101", ""),
        ("IAX2/branch-office-1234", "IAX2/branch-office", ""),
        ("DAHDI/i1/84951234567-2a", "DAHDI/i1", ""),
        ("DAHDI/5-1", "DAHDI/5", ""),
        ("Local/101@from-queue-00000000;1", "Local/101", "Local/101@from-queue-00000000"),
        (
            "Local/RG-612*-89031112233#@from-internal-00000001;2",
            "Local/RG-612*-89031112233#",
            "Local/RG-612*-89031112233#@from-internal-00000001",
        ),
        ("CBAnn/8000-00000000;1", "CBAnn/8000-00000000", "CBAnn/8000-00000000"),
        ("nonsense", "nonsense/", ""),
        ("SIP/petrov.home-2-0000002a", "SIP/petrov.home-2", ""),
        ("PJSIP/201@office-0000002a", "PJSIP/201@office", ""),
        ("Dongle/dongle0-0100000001", "Dongle/dongle0", ""),
        ("OutgoingSpoolFailed", "OutgoingSpoolFailed", "OutgoingSpoolFailed"),
    ],
)
def test_only_what_follows_the_last_dash_is_the_unique_part(name: str, endpoint: str, pair: str) -> None:
    assert parts_of(name) == (endpoint, pair)


@pytest.mark.parametrize(
    ("endpoint", "dial_string", "number"),
    [
        ("PJSIP/trunk-b", "+79261234516@trunk-b", "+79261234516"),
        ("SIP/trunk-b", "trunk-b/79261234516", "79261234516"),
        ("DAHDI/i1", "g1/89261234516", "89261234516"),
        ("DAHDI/1", "1/9W89261234516ww2", "89261234516"),
        ("IAX2/branch", "user:secret@branch/89261234516", "89261234516"),
        ("PJSIP/trunk-b", "trunk-b/sip:+79261234516@10.0.0.1:5060", "+79261234516"),
        ("PJSIP/101", "101", ""),
        ("PJSIP/101", "101/sip:101@127.0.16.101:5066", ""),
        ("PJSIP/ivanov", "ivanov/sip:x7kd02ma@10.0.0.7;transport=ws", ""),
        ("PJSIP/101", "101/sip:45871236@10.0.0.7;ob", ""),
        ("PJSIP/4951234567", "4951234567/sip:4951234567@10.0.0.7", ""),
        ("DAHDI/5", "5", ""),
        ("Dongle/dongle0", "dongle0/+79261234516", "+79261234516"),
        ("Dongle/dongle1", "g1/89261234516", "89261234516"),
        ("Khomp/B0C1", "b0/89261234516", "89261234516"),
        ("SCCP/201", "201/aa=2w", ""),
        ("PJSIP/3001", "PJSIP/3001", ""),
        ("PJSIP/mango", "PJSIP/89261234516@mango", "89261234516"),
        ("SIP/mango", "SIP/mango/89261234516", "89261234516"),
        ("PJSIP/101", "", ""),
    ],
)
def test_a_line_is_handed_a_number_and_a_telephone_is_not(
    endpoint: str, dial_string: str, number: str
) -> None:
    assert dialled_number(endpoint, dial_string) == number


@pytest.mark.parametrize(
    ("as_sent", "name"),
    [
        (r"<b>x</b> \\\"Q\\\" & Co", '<b>x</b> "Q" & Co'),
        (r"O\'Neil; DROP TABLE calls;--", "O'Neil; DROP TABLE calls;--"),
        ("ООО «Ромашка»", "ООО «Ромашка»"),
        ("<unknown>", ""),
    ],
)
def test_names_lose_the_escaping_of_ami_and_sip(as_sent: str, name: str) -> None:
    (event,) = translated("Newchannel", **channel(CallerIDName=as_sent))
    assert isinstance(event, ChannelCreated)
    assert event.channel.caller_name == name


@pytest.mark.parametrize(
    ("presentation", "is_withheld"),
    [
        ("32 (Presentation Prohibited, Not Screened)", True),
        ("35 (Presentation Prohibited, Network Number)", True),
        ("3 (Presentation Allowed, Network Number)", False),
        ("67 (Number Unavailable)", False),
        ("", False),
        ("x", False),
    ],
)
def test_only_a_new_caller_id_says_whether_the_number_is_withheld(
    presentation: str, is_withheld: bool
) -> None:
    (event,) = translated("NewCallerid", **channel(), **{"CID-CallingPres": presentation})
    assert isinstance(event, ChannelChanged)
    assert event.channel.is_withheld is is_withheld


def test_dial_begin_is_not_ringing() -> None:
    (event,) = translated(
        "DialBegin", **channel(), **channel(prefix="Dest", uniqueid="1.2"), DialString="101"
    )
    assert isinstance(event, DialStarted)
    (event,) = translated("DialState", **channel(prefix="Dest"), DialStatus="RINGING")
    assert isinstance(event, ChannelRinging)
    (event,) = translated("DialState", **channel(prefix="Dest"), DialStatus="PROGRESS")
    assert isinstance(event, ChannelChanged)
    (event,) = translated("Newstate", **channel(ChannelState="5"))
    assert isinstance(event, ChannelRinging)


def test_the_first_leg_of_click_to_call_has_no_caller() -> None:
    (event,) = translated("DialBegin", **channel(prefix="Dest"), DialString="101")
    assert isinstance(event, DialStarted)
    assert event.caller is None


def test_a_failed_originate_names_no_channel() -> None:
    (event,) = translated(
        "OriginateResponse",
        Response="Failure",
        Channel="PJSIP/102",
        Exten="89261234517",
        Uniqueid="<unknown>",
    )
    assert event == OriginateAnswered(
        channel_id="", channel_name="PJSIP/102", number="89261234517", succeeded=False, at=AT
    )


@pytest.mark.parametrize(
    ("status", "told"), [("CANCEL", "cancel"), ("", ""), ("ABORT", "cancel"), ("FUTURE", "")]
)
def test_the_status_of_a_dial_is_told_in_our_words(status: str, told: str) -> None:
    (event,) = translated("DialEnd", **channel(prefix="Dest"), DialStatus=status, Forward="89031112233")
    assert isinstance(event, DialEnded)
    assert (event.status, event.forwarded_to) == (told, "89031112233")


def test_parking_and_holding_bridges_are_waiting_rooms() -> None:
    (event,) = translated(
        "BridgeEnter", **channel(), BridgeUniqueid="b", BridgeType="basic", BridgeTechnology="holding_bridge"
    )
    assert isinstance(event, BridgeEntered)
    assert event.is_waiting_room
    (event,) = translated(
        "BridgeEnter", **channel(), BridgeUniqueid="b", BridgeType="base", BridgeCreator="ConfBridge"
    )
    assert isinstance(event, BridgeEntered)
    assert (event.is_waiting_room, event.is_conference) == (False, True)


def test_of_variables_and_applications_only_a_handful_matter() -> None:
    (event,) = translated("VarSet", **channel(), Variable="__FROM_DID", Value="74951234501")
    assert isinstance(event, DidLearned)
    (event,) = translated("VarSet", **channel(), Variable="MIXMONITOR_FILENAME", Value="/var/spool/a.wav")
    assert isinstance(event, RecordingStarted)
    (event,) = translated("Newexten", **channel(), Application="VoiceMail", AppData="101@default,u")
    assert isinstance(event, MailboxReached)
    assert event.mailbox == "101@default"
    (event,) = translated("VarSet", **channel(), Variable="VMSTATUS", Value="FAILED")
    assert isinstance(event, MailboxReached)
    assert translated("VarSet", **channel(), Variable="DIALSTATUS", Value="ANSWER") == []
    assert translated("VarSet", **channel(), Variable="FROM_DID", Value="") == []
    assert translated("Newexten", **channel(), Application="VoiceMailMain", AppData="101") == []


def test_t05_a_second_variable_or_application_further_down_does_not_speak_for_the_first() -> None:
    forged = "x\r\nVariable: FROM_DID\r\nValue: 74950000000"
    assert translated("VarSet", **channel(), Variable="CUSTOMER_SAID", Value=forged) == []
    forged = "x\r\nApplication: WaitExten\r\nAppData: 5"
    assert translated("Newexten", **channel(), Application="NoOp", AppData=forged) == []


def test_hints_and_queue_members_name_the_telephones_once() -> None:
    hint = message("ExtensionStatus", Exten="201", Hint="PJSIP/ivanov&Custom:DND201,CustomPresence:201")
    translator = Translator()
    assert translator.translate(hint, AT) == [ExtensionKnown(endpoint="PJSIP/ivanov", extension="201", at=AT)]
    assert translator.translate(hint, AT) == []
    (event,) = translated(
        "QueueMemberStatus", Interface="Local/201@from-queue/n", StateInterface="PJSIP/ivanov"
    )
    assert event == ExtensionKnown(endpoint="PJSIP/ivanov", extension="201", at=AT)
    (event,) = translated("QueueMember", Location="PJSIP/ivanov", StateInterface="PJSIP/ivanov")
    assert event == ExtensionKnown(endpoint="PJSIP/ivanov", extension="", at=AT)
    assert (
        translated("QueueMemberStatus", Interface="Local/201@q/n", StateInterface="hint:201@ext-local") == []
    )
    assert translated("ExtensionStatus", Exten="71", Hint="park:71@parkedcalls") == []
    assert translated("ExtensionStatus", Exten="600", Hint="PJSIP/101&PJSIP/102") == []


@pytest.mark.parametrize(
    ("event", "headers"),
    [
        ("Newchannel", {"Channel": "PJSIP/102", "Uniqueid": "<unknown>"}),
        ("Newchannel", {}),
        ("BridgeEnter", channel()),
        ("BridgeMerge", {}),
        ("BlindTransfer", {}),
        ("AttendedTransfer", channel(prefix="OrigTransferer")),
        ("Pickup", channel()),
        ("UnParkedCall", channel(prefix="Parkee")),
        ("Status", {}),
        ("SomethingNew", channel()),
    ],
)
def test_what_names_no_channel_is_nothing(event: str, headers: dict[str, str]) -> None:
    assert translated(event, **headers) == []


@pytest.mark.parametrize("cause", ["", "x", "-1", "²", "99999999999999999999"])
def test_a_cause_that_is_no_number_is_unknown(cause: str) -> None:
    (event,) = translated("Hangup", **channel(), Cause=cause)
    assert isinstance(event, ChannelHungUp)
    assert event.cause is None


@pytest.mark.parametrize("one", ALL[::5], ids=lambda one: one.name)
def test_noise_is_what_translates_to_nothing(one: object) -> None:
    for each in AmiFrames().feed(capture(getattr(one, "name", "")).stream):
        if is_noise(each.raw):
            assert Translator().translate(each, AT) == []


# -- snapshots ---------------------------------------------------------------------------------------------------

BEGINS = AmiMessage(b"Response: Success\r\nActionID: 1\r\nEventList: start\r\nMessage: Channels will follow")
COMPLETE = message("CoreShowChannelsComplete", ActionID="1", EventList="Complete", ListItems="1")


def shown(name: str, uniqueid: str, **more: str) -> AmiMessage:
    return message("CoreShowChannel", **channel(name, uniqueid), **more)


def test_a_list_of_channels_becomes_one_snapshot() -> None:
    translator = Translator()
    assert (
        translator.translate(message("BridgeListItem", BridgeUniqueid="park", BridgeType="parking"), AT) == []
    )
    assert translator.translate(BEGINS, AT) == []
    listed = shown("PJSIP/101-1", "1.1", Application="AppDial", Duration="00:01:11", BridgeId="b")
    assert translator.translate(listed, AT) == []
    (snapshot,) = translator.translate(COMPLETE, AT)
    assert isinstance(snapshot, SnapshotTaken)
    (seen,) = snapshot.channels
    assert (seen.was_called, seen.age_seconds, seen.bridge_id) == (True, 71.0, "b")
    assert snapshot.waiting_rooms == {"park"}


def test_no_channels_at_all_are_a_snapshot_too() -> None:
    translator = Translator()
    translator.translate(BEGINS, AT)
    (snapshot,) = translator.translate(COMPLETE, AT)
    assert isinstance(snapshot, SnapshotTaken)
    assert snapshot.channels == ()


def test_i04_events_during_a_snapshot_come_after_it() -> None:
    translator = Translator()
    translator.translate(BEGINS, AT)
    assert translator.translate(message("Newchannel", **channel()), AT) == []
    assert translator.translate(message("Hangup", **channel(), Cause="16"), AT) == []
    kinds = [type(event) for event in translator.translate(COMPLETE, AT)]
    assert kinds == [SnapshotTaken, ChannelCreated, ChannelHungUp]
    assert translator.translate(message("Newchannel", **channel()), AT) != []


def test_i10_a_snapshot_that_never_ends_holds_back_no_more_than_a_bound() -> None:
    translator = Translator()
    translator.translate(BEGINS, AT)
    each = message("Hangup", **channel(), Cause="16")
    released = [translator.translate(each, AT) for _ in range(MAX_HELD_BACK + 1)]
    assert len(released[-1]) == MAX_HELD_BACK + 1
    assert len(translator.translate(each, AT)) == 1


def test_queues_and_dialled_numbers_are_restored_from_other_lists() -> None:
    (event,) = translated(
        "QueueEntry", Queue="sales", Channel="PJSIP/trunk-1", Uniqueid="1.1", CallerIDName="unknown"
    )
    assert isinstance(event, QueueJoined)
    (event,) = translated("Status", **channel(), DNID="+74951234501")
    assert isinstance(event, DialledKnown)
    (event,) = translated("Status", **channel(), DNID="")
    assert isinstance(event, ChannelChanged)
