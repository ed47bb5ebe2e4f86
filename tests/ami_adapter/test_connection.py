"""One link for ever: every trap that a network, an Asterisk or a handler can set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from ami_adapter.actions import Action, ClickToCall, originate
from ami_adapter.connection import AmiConnection
from ami_adapter.errors import (
    AmiActionRefused,
    AmiNotConnected,
    OutcomeUnknown,
    TooManyPending,
    UnsafeActionText,
)
from ami_adapter.framing import AmiMessage
from ami_adapter.link import AmiSettings, Limits, LinkState, LinkStatus
from cti.calls.call_events import CallEvent
from cti.calls.channel_events import ChannelCreated, ChannelEvent, SnapshotTaken
from tests.ami_adapter.scripted import HASTY, Link, ScriptedAmi, eventually, message, obliging

NEW_CHANNEL = {
    "Event": "Newchannel",
    "Privilege": "call,all",
    "Channel": "PJSIP/trunk-00000001",
    "ChannelState": "4",
    "CallerIDNum": "89161234501",
    "CallerIDName": "Ромашка",
    "Exten": "+74951234501",
    "Context": "from-trunk",
}


def new_channel(number: int) -> bytes:
    return message(**NEW_CHANNEL, Uniqueid=f"1795293978.{number}", Linkedid=f"1795293978.{number}")


class Told:
    """A tracker and listener that keeps everything it is told; raises where a test wants it to."""

    def __init__(self) -> None:
        self.events: list[ChannelEvent] = []
        self.states: list[LinkState] = []
        self.gaps: list[tuple[datetime, datetime, str]] = []
        self.raises_at: Callable[[ChannelEvent], bool] = lambda _event: False

    def apply(self, event: ChannelEvent) -> Sequence[CallEvent]:
        if self.raises_at(event):
            raise RuntimeError("89161234501 choked on s3cr3t-canary")
        self.events.append(event)
        return ()

    @property
    def is_idle(self) -> bool:
        return not self.channels

    @property
    def channels(self) -> list[str]:
        return [event.channel.channel_id for event in self.events if isinstance(event, ChannelCreated)]

    @property
    def snapshots(self) -> int:
        return sum(isinstance(event, SnapshotTaken) for event in self.events)

    @property
    def codes(self) -> list[str]:
        return [state.code for state in self.states]


def connection_to(settings: AmiSettings, told: Told) -> AmiConnection:
    return AmiConnection(
        settings,
        emit=lambda _events: None,
        on_state=told.states.append,
        on_gap=lambda *gap: told.gaps.append(gap),
        tracker=told,
    )


@asynccontextmanager
async def running(connection: AmiConnection) -> AsyncIterator[AmiConnection]:
    task = asyncio.create_task(connection.run())
    try:
        yield connection
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def is_up(connection: AmiConnection) -> Callable[[], bool]:
    return lambda: connection.state.status is LinkStatus.UP


async def test_it_subscribes_first_then_takes_the_snapshot() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        asked = [request["Action"] for request in pbx.link.requests if request["Action"] != "Ping"]
        login = pbx.link.asked("Login")[0]
    assert asked[:4] == ["Challenge", "Login", "CoreSettings", "ListCommands"]
    assert asked[4:] == [
        "ExtensionStateList", "BridgeList", "CoreShowChannels", "Status", "QueueStatus", "DeviceStateList",
    ]  # fmt: skip
    assert login["Events"] == "system,call,agent,user,dialplan"
    assert told.snapshots == 1
    assert connection.state.pbx_version == "22.0.0"
    assert told.codes == ["connecting", "up", "stopped"]


async def test_events_are_told_in_order() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        pbx.link.say(b"".join(map(new_channel, range(2000))))
        await eventually(lambda: len(told.channels) == 2000)
    assert told.channels == [f"1795293978.{number}" for number in range(2000)]
    assert connection.state.counters.messages >= 2000


async def test_t05_a_letter_cut_in_two_by_the_network_is_whole() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        data = new_channel(1)
        middle = data.index("Ромашка".encode()) + 3  # in the middle of the second letter
        pbx.link.say(data[:middle])
        await asyncio.sleep(0.02)
        pbx.link.say(data[middle:])
        await eventually(lambda: told.channels)
    (event,) = [event for event in told.events if isinstance(event, ChannelCreated)]
    assert event.channel.caller_name == "Ромашка"


async def test_t05_a_message_without_end_closes_the_link_is_told_and_it_reconnects() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        pbx.link.say(b"Event: Endless\r\nValue: " + b"x" * 70_000)
        await eventually(lambda: "message_too_long" in told.codes and len(pbx.links) == 2)
        await eventually(is_up(connection))
        assert connection.state.counters.too_long == 1
        assert told.snapshots == 2


async def test_t05_bad_utf8_and_repeated_headers_harm_nobody() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        bad = new_channel(1).replace("Ромашка".encode(), "Ромашка".encode("cp1251"))
        pbx.link.say(b"\r\n" + bad.replace(b"\r\n\r\n", b"\r\nUniqueid: 9.9\r\n\r\n") + b"\r\n")
        await eventually(lambda: told.channels)
    assert told.channels == ["1795293978.1"]
    assert connection.state.counters.repeated_headers == 1


async def test_i09_a_peer_that_falls_silent_is_noticed_and_left() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        silent_since = asyncio.get_running_loop().time()
        pbx.behave = lambda _link, _request: None
        await eventually(lambda: "link_lost" in told.codes)
        assert asyncio.get_running_loop().time() - silent_since < HASTY.silence + 0.2
        pbx.behave = obliging
        await eventually(is_up(connection))
        assert pbx.links[0].asked("Ping")
        assert told.states[2].values["reason"] == "nothing was heard for 0.4 s"


async def test_i09_a_quiet_pbx_that_answers_pings_keeps_its_link() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        await asyncio.sleep(HASTY.silence * 2)
        assert len(pbx.links) == 1


async def test_i09_nobody_at_the_address_is_told_with_a_remedy() -> None:
    async with ScriptedAmi() as pbx:
        settings = pbx.settings()
    told = Told()
    async with running(connection_to(settings, told)):
        await eventually(lambda: told.states and told.states[-1].status is LinkStatus.DOWN)
        await asyncio.sleep(0.3)  # several tries
    assert told.codes == ["connecting", "unreachable", "stopped"]
    assert "manager.conf" in told.states[1].detail


async def test_i09_a_server_that_never_greets_is_given_up() -> None:
    told = Told()
    async with ScriptedAmi(greeting=b"") as pbx, running(connection_to(pbx.settings(), told)):
        await eventually(lambda: "not_an_ami" in told.codes)


async def test_something_that_is_no_manager_is_told_apart() -> None:
    told = Told()
    async with (
        ScriptedAmi(greeting=b"SSH-2.0-OpenSSH_9.2\r\n") as pbx,
        running(connection_to(pbx.settings(), told)),
    ):
        await eventually(lambda: "not_an_ami" in told.codes)
    assert told.states[1].values["greeting"].startswith("SSH-2.0")


def refusing(link: Link, request: AmiMessage) -> None:
    if request["Action"] == "Login":
        link.answer(request, Response="Error", Message="Authentication failed")
        link.writer.close()
    else:
        obliging(link, request)


async def test_a_refused_login_is_told_once_and_retried_slowly() -> None:
    told = Told()
    async with ScriptedAmi(refusing) as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(lambda: len(pbx.links) == 3)
        assert told.codes == ["connecting", "login_refused"]
        state = connection.state
        assert state.status is LinkStatus.REFUSED
        assert "[cti] in manager.conf" in state.detail
        assert "canary" not in repr(told.states)
        pbx.behave = obliging
        await eventually(is_up(connection))


async def test_a_refused_login_waits_longer_than_a_lost_link() -> None:
    told = Told()
    patience = replace(HASTY, retry_refused=30.0)
    async with ScriptedAmi(refusing) as pbx, running(connection_to(pbx.settings(patience=patience), told)):
        await eventually(lambda: "login_refused" in told.codes)
        await asyncio.sleep(0.3)
        assert len(pbx.links) == 1


async def test_a_manager_without_challenge_gets_a_plain_login() -> None:
    def plain(link: Link, request: AmiMessage) -> None:
        if request["Action"] == "Challenge":
            link.answer(request, Response="Error", Message="Must specify AuthType")
        else:
            obliging(link, request)

    async with ScriptedAmi(plain) as pbx, running(connection_to(pbx.settings(), Told())) as connection:
        await eventually(is_up(connection))
        assert pbx.link.asked("Login")[0]["Secret"] == "s3cr3t-canary"


def mighty(link: Link, request: AmiMessage) -> None:
    if request["Action"] == "ListCommands":
        link.answer(
            request,
            Command="Execute Asterisk CLI Command.  (Priv: command,all)",
            CoreStatus="Show PBX core status variables.  (Priv: system,reporting,all)",
            Filter="Dynamically add filters for the current manager session.  (Priv: system,all)",
        )
    else:
        obliging(link, request)


async def test_t04_an_account_that_may_do_too_much_is_refused_with_the_remedy() -> None:
    told = Told()
    async with ScriptedAmi(mighty) as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(lambda: connection.state.status is LinkStatus.REFUSED)
        assert connection.state.values["rights"] == "system, command"
        assert "Narrow write=" in connection.state.detail
        await eventually(lambda: len(pbx.links) == 3)
        assert told.snapshots == 0
        assert told.gaps == []
        assert told.codes == ["connecting", "rights_excessive"]


async def test_t04_accepted_rights_leave_a_lasting_warning() -> None:
    async with ScriptedAmi(mighty) as pbx:
        settings = pbx.settings(accepts_excessive_rights=True)
        async with running(connection_to(settings, Told())) as connection:
            await eventually(is_up(connection))
            assert connection.state.code == "up_with_excessive_rights"
            assert connection.state.values["rights"] == "system, command"


async def test_a_pbx_that_refuses_the_picture_is_up_but_says_so() -> None:
    def secretive(link: Link, request: AmiMessage) -> None:
        if request["Action"] == "CoreShowChannels":
            link.answer(request, Response="Error", Message="Permission denied")
        else:
            obliging(link, request)

    told = Told()
    async with ScriptedAmi(secretive) as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        assert connection.state.code == "up_without_picture"
        assert "reporting" in connection.state.detail
        assert told.snapshots == 0


CALL = originate("101", "102", how=ClickToCall())


def deaf_to(name: str) -> Callable[[Link, AmiMessage], None]:
    def behave(link: Link, request: AmiMessage) -> None:
        if request["Action"] != name:
            obliging(link, request)

    return behave


async def test_i07_no_action_is_ever_sent_twice() -> None:
    async with (
        ScriptedAmi(deaf_to("Originate")) as pbx,
        running(connection_to(pbx.settings(), Told())) as connection,
    ):
        await eventually(is_up(connection))
        call = asyncio.create_task(connection.act(CALL))
        await eventually(lambda: pbx.link.asked("Originate"))
        pbx.link.writer.transport.abort()
        with pytest.raises(OutcomeUnknown):
            await call
        await eventually(lambda: len(pbx.links) == 2 and is_up(connection)())
        pbx.link.say(message(Event="FullyBooted", Privilege="system,all"))
        await asyncio.sleep(0.1)
        assert sum(request["Action"] == "Originate" for request in pbx.requests) == 1


async def test_i07_an_unanswered_action_ends_as_outcome_unknown() -> None:
    async with (
        ScriptedAmi(deaf_to("Originate")) as pbx,
        running(connection_to(pbx.settings(), Told())) as connection,
    ):
        await eventually(is_up(connection))
        with pytest.raises(OutcomeUnknown, match=r"no answer within 0\.3 s"):
            await connection.act(CALL)
        assert is_up(connection)()
        assert len(pbx.link.asked("Originate")) == 1


async def test_i07_every_pending_action_ends_when_we_stop() -> None:
    async with ScriptedAmi(deaf_to("Originate")) as pbx:
        async with running(connection_to(pbx.settings(), Told())) as connection:
            await eventually(is_up(connection))
            call = asyncio.create_task(connection.act(CALL))
            await eventually(lambda: pbx.link.asked("Originate"))
        with pytest.raises(OutcomeUnknown):
            await call


async def test_without_a_link_nothing_is_sent_nor_kept() -> None:
    async with ScriptedAmi() as pbx:
        connection = connection_to(pbx.settings(), Told())
        with pytest.raises(AmiNotConnected):
            await connection.act(CALL)
        async with running(connection):
            await eventually(is_up(connection))
            await asyncio.sleep(0.05)
            assert not pbx.link.asked("Originate")


async def test_an_error_answer_is_raised_as_such() -> None:
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), Told())) as connection:
        await eventually(is_up(connection))
        with pytest.raises(AmiActionRefused, match="unknown command"):
            await connection.act(Action("Nonsense"))


async def test_t01_an_unsafe_action_reaches_no_socket() -> None:
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), Told())) as connection:
        await eventually(is_up(connection))
        with pytest.raises(UnsafeActionText):
            await connection.act(Action("Ping", (("X", "1\r\n\r\nAction: Command"),)))
        await connection.act(Action("Ping"))
        assert not pbx.link.asked("Command")


async def test_i10_more_pending_actions_than_allowed_are_refused_unsent() -> None:
    limits = Limits(pending_actions=3)
    deaf = ScriptedAmi(deaf_to("Originate"))
    async with deaf as pbx, running(connection_to(pbx.settings(limits=limits), Told())) as connection:
        await eventually(is_up(connection))
        calls = [asyncio.create_task(connection.act(CALL)) for _ in range(5)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(outcome, TooManyPending) for outcome in outcomes) >= 2
        assert all(isinstance(outcome, TooManyPending | OutcomeUnknown) for outcome in outcomes)


async def test_i10_a_full_queue_closes_the_link_and_the_snapshot_makes_good() -> None:
    told = Told()
    limits = Limits(queued_messages=50)
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(limits=limits), told)) as connection:
        await eventually(is_up(connection))
        pbx.link.say(b"".join(map(new_channel, range(400))))
        await eventually(lambda: len(pbx.links) == 2 and is_up(connection)())
        assert connection.state.counters.overflows >= 1
        assert "link_lost" in told.codes
        assert told.snapshots == 2


async def test_i18_a_raising_handler_costs_its_own_event_only(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    told.raises_at = lambda event: (
        isinstance(event, ChannelCreated) and event.channel.channel_id.endswith(".2")
    )
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.DEBUG):
        async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
            await eventually(is_up(connection))
            pbx.link.say(b"".join(map(new_channel, range(1, 4))))
            await eventually(lambda: len(told.channels) == 2)
            assert is_up(connection)()
            assert connection.state.counters.handler_errors == 1
    assert told.channels == ["1795293978.1", "1795293978.3"]
    (error,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert error["message"]["Uniqueid"] == "1795293978.2"
    assert error["error"] == "RuntimeError"
    for canary in ("s3cr3t", "89161234501", "Ромашка"):
        assert canary not in repr(logs) + caplog.text


async def test_i18_a_raising_listener_of_the_state_breaks_nothing() -> None:
    def fail(_state: LinkState) -> None:
        raise RuntimeError

    async with ScriptedAmi() as pbx:
        connection = AmiConnection(pbx.settings(), emit=lambda _events: None, on_state=fail, tracker=Told())
        async with running(connection):
            await eventually(is_up(connection))


async def test_i05_time_without_events_is_told_when_they_flow_again() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        assert told.gaps == []
        pbx.link.writer.transport.abort()
        await eventually(lambda: len(pbx.links) == 2 and is_up(connection)())
    ((begin, end, why),) = told.gaps
    assert timedelta(0) < end - begin < timedelta(seconds=2)
    assert why == "link_lost"


async def test_i04_each_reconnect_takes_the_picture_anew_and_forgets_a_broken_one() -> None:
    told = Told()

    def breaking_off(link: Link, request: AmiMessage) -> None:
        if request["Action"] == "CoreShowChannels":
            link.answer(request, EventList="start", Message="Channels will follow")
            link.say(new_channel(1))  # held back, the snapshot never ends
            pbx.behave = obliging
            asyncio.get_running_loop().call_later(0.02, link.writer.transport.abort)
        else:
            obliging(link, request)

    async with ScriptedAmi(breaking_off) as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        pbx.link.say(new_channel(2))
        await eventually(lambda: told.channels == ["1795293978.2"])
        assert told.snapshots == 1


async def test_i04_a_pbx_that_boots_later_is_asked_again() -> None:
    told = Told()
    async with ScriptedAmi() as pbx, running(connection_to(pbx.settings(), told)) as connection:
        await eventually(is_up(connection))
        pbx.link.say(message(Event="FullyBooted", Privilege="system,all"))
        await eventually(lambda: told.snapshots == 2)
        assert len(pbx.links) == 1


async def test_i17_a_jump_of_the_clock_changes_no_duration() -> None:
    told = Told()
    wall = [datetime(2026, 3, 1, 12, tzinfo=UTC)]
    seconds = [100.0]
    async with ScriptedAmi() as pbx:
        connection = AmiConnection(
            pbx.settings(),
            emit=lambda _events: None,
            tracker=told,
            wall=lambda: wall[0],
            monotonic=lambda: seconds[0],
        )
        async with running(connection):
            await eventually(is_up(connection))
            pbx.link.say(new_channel(1))
            await eventually(lambda: len(told.channels) == 1)
            wall[0] += timedelta(hours=-3)
            seconds[0] += 7.0
            pbx.link.say(new_channel(2))
            await eventually(lambda: len(told.channels) == 2)
    first, second = (event.at for event in told.events if isinstance(event, ChannelCreated))
    assert first is not None
    assert second is not None
    assert second - first == timedelta(seconds=7)


async def test_i17_a_clock_put_right_holds_from_the_next_pause_between_calls_on() -> None:
    told = Told()
    wall = [datetime(1970, 1, 1, tzinfo=UTC)]
    async with ScriptedAmi() as pbx:
        connection = AmiConnection(
            pbx.settings(),
            emit=lambda _events: None,
            tracker=told,
            wall=lambda: wall[0],
            monotonic=lambda: 5.0,
        )
        async with running(connection):
            await eventually(is_up(connection))
            wall[0] = datetime(2026, 3, 1, 12, tzinfo=UTC)
            pbx.link.say(new_channel(1))
            await eventually(lambda: len(told.channels) == 1)
    (event,) = (event for event in told.events if isinstance(event, ChannelCreated))
    assert event.at == wall[0]


async def test_two_connections_at_once_have_their_own_state() -> None:
    one, other = Told(), Told()
    async with (
        ScriptedAmi() as pbx,
        ScriptedAmi(refusing) as refused,
        running(connection_to(pbx.settings(), one)) as up,
        running(connection_to(refused.settings(), other)) as down,
    ):
        await eventually(is_up(up))
        await eventually(lambda: down.state.status is LinkStatus.REFUSED)
        pbx.link.say(new_channel(1))
        await eventually(lambda: one.channels)
        assert is_up(up)()
        assert not other.events


async def test_t26_the_secret_is_in_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    told = Told()
    with structlog.testing.capture_logs() as logs, caplog.at_level(logging.DEBUG):
        async with ScriptedAmi(refusing) as pbx, running(connection_to(pbx.settings(), told)) as connection:
            await eventually(lambda: len(pbx.links) == 2)
            shown = repr(connection.settings) + repr(connection.state) + repr(vars(connection))
    assert "canary" not in shown + repr(logs) + caplog.text
