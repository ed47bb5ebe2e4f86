"""What may be sent to Asterisk, and what is refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_adapter import actions
from ami_adapter.actions import Action, ClickToCall
from ami_adapter.errors import UnsafeActionText

RUSSIA = ClickToCall(context="click-to-call", prefixes=(("+7", "8"), ("+", "810")))


def sent(action: Action) -> list[str]:
    return action.encode("id-1").decode().split("\r\n")


def test_click_to_call_rings_the_agent_first_and_answers_at_once() -> None:
    action = actions.originate(
        "101", "+79261234516", how=RUSSIA, variables={"__CTI_REF": "a12"}, channel_id="ringcard-1"
    )
    assert sent(action) == [
        "Action: Originate",
        "ActionID: id-1",
        "Channel: PJSIP/101",
        "Context: click-to-call",
        "Exten: 89261234516",
        "Priority: 1",
        "CallerID: 89261234516",
        "Timeout: 20000",
        "Async: true",
        "ChannelId: ringcard-1",
        "Variable: __CTI_REF=a12",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("number", "exten"),
    [("+79261234516", "89261234516"), ("+4930123456", "8104930123456"), ("102", "102")],
)
def test_a_number_is_dialled_as_the_dialplan_wants_it(number: str, exten: str) -> None:
    assert f"Exten: {exten}" in sent(actions.originate("101", number, how=RUSSIA))


def test_a_local_channel_rings_an_extension_by_its_dialplan() -> None:
    how = ClickToCall(technology="Local", extension_context="from-internal")
    assert "Channel: Local/101@from-internal/n" in sent(actions.originate("101", "102", how=how))


@pytest.mark.parametrize("break_", ["\r", "\n", "\r\n\r\nAction: Command", "\0"])
def test_t01_line_breaks_and_nul_are_refused_not_stripped(break_: str) -> None:
    with pytest.raises(UnsafeActionText):
        Action("Ping", (("Data", f"101{break_}"),)).encode("id")
    with pytest.raises(UnsafeActionText):
        Action(f"Ping{break_}").encode("id")
    with pytest.raises(UnsafeActionText):
        Action("Ping", ((f"Da{break_}ta", "x"),)).encode("id")
    with pytest.raises(UnsafeActionText):
        actions.originate(f"101{break_}", "102", how=RUSSIA)
    with pytest.raises(UnsafeActionText):
        actions.login_in_clear("cti", f"secret{break_}", ()).encode("id")


def test_t01_a_line_longer_than_asterisk_reads_is_refused() -> None:
    assert Action("Ping", (("Data", "x" * 992),)).encode("id")
    with pytest.raises(UnsafeActionText):
        Action("Ping", (("Data", "x" * 993),)).encode("id")
    with pytest.raises(UnsafeActionText):
        Action("Ping", (("Data", "я" * 500),)).encode("id")


def test_t01_what_is_not_text_is_refused() -> None:
    with pytest.raises(UnsafeActionText):
        Action("Ping", (("Data", "\ud800"),)).encode("id")


@pytest.mark.parametrize(
    "number",
    [
        "101&PJSIP/trunk/88101234567",
        "101@other",
        "101/n",
        "101,1,T",
        "101=1",
        "101|1",
        "+7926123451a",
        "+0123456789",
        "+7926",
        "",
        " 102",
        "102 ",
        "١٠٢",
        "+79261234516\n",
        "102\n",
    ],
)
def test_t02_only_a_number_or_an_extension_can_be_dialled(number: str) -> None:
    with pytest.raises(UnsafeActionText):
        actions.originate("101", number, how=RUSSIA)


@pytest.mark.parametrize(
    "extension", ["101&PJSIP/102", "101/x", "101@ctx", "101,2", "", "101;1", "101-0000", "1 1"]
)
def test_t02_only_an_extension_rings(extension: str) -> None:
    with pytest.raises(UnsafeActionText):
        actions.originate(extension, "102", how=RUSSIA)


@pytest.mark.parametrize("value", ["a,b=c", "a&b", "${SHELL(x)}", "a b", "a;b", "a|b", "a/b", "a@b"])
def test_t02_a_variable_cannot_become_two(value: str) -> None:
    with pytest.raises(UnsafeActionText):
        actions.originate("101", "102", how=RUSSIA, variables={"REF": value})
    as_text = actions.as_variable(value)
    assert f"Variable: REF={as_text}" in sent(
        actions.originate("101", "102", how=RUSSIA, variables={"REF": as_text})
    )


@pytest.mark.parametrize("name", ["a=b", "a,b", "SHELL(x)", "", "___X", "1x"])
def test_t02_a_variables_name_is_a_name(name: str) -> None:
    with pytest.raises(UnsafeActionText):
        actions.originate("101", "102", how=RUSSIA, variables={name: "1"})


@pytest.mark.parametrize(
    "channel",
    ["PJSIP/101-0000002a", "Local/RG-612*-89031112233#@from-internal-00000001;1", "DAHDI/i1/84951234567-2a"],
)
def test_hanging_up_names_one_channel(channel: str) -> None:
    assert f"Channel: {channel}" in sent(actions.hang_up(channel))


def test_a_microphone_is_muted_without_the_right_to_a_shell() -> None:
    action = actions.mute_microphone("PJSIP/101-00000001", is_muted=True)
    assert action == Action(
        "Setvar", (("Channel", "PJSIP/101-00000001"), ("Variable", "MUTEAUDIO(in)"), ("Value", "on"))
    )
    with pytest.raises(UnsafeActionText):
        actions.mute_microphone("PJSIP/101\r\nAction: Originate", is_muted=False)


@pytest.mark.parametrize("channel", ["/PJSIP.*/", "all", "", "PJSIP/101 x", "PJSIP/101\r\n", "PJSIP/(.*)"])
def test_t02_hanging_up_is_never_a_pattern(channel: str) -> None:
    with pytest.raises(UnsafeActionText):
        actions.hang_up(channel)


def test_t26_no_value_is_in_the_repr_of_an_action() -> None:
    action = actions.login_in_clear("cti", "s3cr3t-canary", ("call",))
    assert "s3cr3t" not in repr(action)
    assert repr(action) == "Action(Login: Username, Secret, Events)"


def test_t26_a_refusal_does_not_repeat_what_it_refused() -> None:
    with pytest.raises(UnsafeActionText) as refusal:
        actions.login_in_clear("cti", "s3cr3t-canary\r\n", ("call",)).encode("id")
    assert "canary" not in str(refusal.value)


def test_the_secret_travels_hashed_where_the_manager_challenges() -> None:
    action = actions.login_by_challenge("cti", "secret", "4711", ("system", "call"))
    lines = sent(action)
    assert f"Key: {hashlib.md5(b'4711secret').hexdigest()}" in lines
    assert "Events: system,call" in lines
    assert "secret" not in "".join(lines)


@given(st.text(max_size=40), st.text(max_size=40))
def test_t01_whatever_is_asked_is_one_action_or_refused(extension: str, number: str) -> None:
    try:
        data = actions.originate(extension, number, how=RUSSIA).encode("id")
    except UnsafeActionText:
        return
    assert data.count(b"\r\n\r\n") == 1
    assert data.endswith(b"\r\n\r\n")
    assert data.count(b"Action:") == 1
    assert all(line.count(b"\n") == 0 for line in data.split(b"\r\n"))


def test_a_member_is_paused_in_all_its_queues_for_a_reason() -> None:
    action = actions.queue_pause("Local/101@from-queue/n", is_paused=True, reason="Обед" * 30)
    headers = dict(action.headers)
    assert (action.name, headers["Interface"], headers["Paused"]) == (
        "QueuePause",
        "Local/101@from-queue/n",
        "true",
    )
    assert len(headers["Reason"].encode()) <= 79
    assert dict(actions.queue_pause("PJSIP/101", is_paused=False, reason="x").headers) == {
        "Interface": "PJSIP/101",
        "Paused": "false",
    }


@pytest.mark.parametrize(
    "interface", ["PJSIP/101\r\nAction: Command", "PJSIP/101&SIP/102", "101", "PJSIP/1 2"]
)
def test_t01_an_interface_that_could_mean_more_is_refused(interface: str) -> None:
    with pytest.raises(UnsafeActionText):
        actions.queue_pause(interface, is_paused=True)


def test_t01_a_reason_of_two_lines_is_refused() -> None:
    with pytest.raises(UnsafeActionText):
        actions.queue_pause("PJSIP/101", is_paused=True, reason="a\r\nAction: Command").encode("1")
