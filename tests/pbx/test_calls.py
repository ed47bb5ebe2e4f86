"""Real calls through a real Asterisk, told by our own connection with the reader's rights."""

from __future__ import annotations

from contextlib import AsyncExitStack

from ami_adapter import actions
from ami_adapter.link import LinkStatus
from cti.calls.call_events import CallAnswered, CallEnded, CallRinging, RingingStopped, SnapshotApplied
from cti.calls.records import CallState, Direction, Disposition, Origin
from tests.pbx.asterisk_lab import DIALLER, AsteriskLab
from tests.pbx.listening import Heard, connected, listening
from tests.pbx.telephones import NEVER_SECONDS, agent, agents, customer, far_end

NUMBER = "89161234567"
NAME = "ООО «Ромашка»"
DIRECT_TO_101 = "74951234501"
SALES = "74951234520"
SUPPORT = "74951234521"


async def test_a_queue_call_rings_at_three_agents_before_one_answers(pbx: AsteriskLab) -> None:
    async with agents(pbx, e101=NEVER_SECONDS, e102=NEVER_SECONDS, e103=2), listening(pbx) as heard:
        async with customer(pbx, NUMBER, SALES, name=NAME, stays=4):
            for extension in ("101", "102", "103"):
                await heard.until(CallRinging, extension=extension)
            assert not heard.told(CallAnswered)
            await heard.until(CallAnswered, extension="103")
            for extension in ("101", "102"):
                stopped = await heard.until(RingingStopped, extension=extension)
                assert (stopped.reason, stopped.answered_by) == ("elsewhere", "103")
        call = (await heard.until(CallEnded)).call
    assert call.direction is Direction.INBOUND
    assert (call.customer_number, call.customer_name, call.did) == (NUMBER, NAME, SALES)
    assert (call.queue, call.disposition, call.hung_up_by) == ("sales", Disposition.ANSWERED, "customer")
    assert (set(call.rang), call.answered_by, call.final_agent) == ({"101", "102", "103"}, "103", "103")
    assert call.recording_file is not None
    assert call.wait_seconds is not None
    assert 1.5 < call.wait_seconds < 3.5
    assert call.talk_seconds is not None
    assert 0.5 < call.talk_seconds < 2.5
    assert len(heard.told(CallEnded)) == 1


async def test_a_member_behind_a_local_channel_is_seen_as_the_telephone(pbx: AsteriskLab) -> None:
    async with agents(pbx, e101=1, e102=1), listening(pbx) as heard:
        async with customer(pbx, NUMBER, SUPPORT, stays=3):
            answered = await heard.until(CallAnswered)
        call = (await heard.until(CallEnded)).call
    assert call.queue == "support"
    assert call.answered_by == answered.extension
    assert call.rang == (answered.extension,)
    assert answered.extension in {"101", "102"}


async def test_a_caller_who_gives_up_leaves_no_ringing_behind(pbx: AsteriskLab) -> None:
    async with agent(pbx, "101"), listening(pbx) as heard:
        async with customer(pbx, NUMBER, DIRECT_TO_101, patience=1.5):
            ringing = await heard.until(CallRinging, extension="101")
        assert (await heard.until(RingingStopped, extension="101")).reason == "caller_left"
        call = (await heard.until(CallEnded)).call
    assert ringing.call.key == call.key
    assert (call.disposition, call.hung_up_by, call.did) == (Disposition.ABANDONED, "customer", DIRECT_TO_101)
    assert (call.answered_by, call.ringing) == (None, ())


async def test_the_plus_of_a_number_called_does_not_matter(pbx: AsteriskLab) -> None:
    async with agent(pbx, "101", answers_after=0.5, talks=1), listening(pbx) as heard:
        async with customer(pbx, NUMBER, f"+{DIRECT_TO_101}"):
            pass
        call = (await heard.until(CallEnded)).call
    assert (call.did or "").removeprefix("+") == DIRECT_TO_101
    assert (call.disposition, call.hung_up_by) == (Disposition.ANSWERED, "agent")


async def test_a_withheld_number_is_not_told(pbx: AsteriskLab) -> None:
    privacy = f"P-Asserted-Identity: <sip:+7{NUMBER[1:]}@{pbx.provider}>\n      Privacy: id"
    async with agent(pbx, "101"), listening(pbx) as heard:
        async with customer(pbx, "anonymous", DIRECT_TO_101, name="Anonymous", patience=1.5, privacy=privacy):
            ringing = await heard.until(CallRinging, extension="101")
        call = (await heard.until(CallEnded)).call
    assert ringing.call.customer_number in {None, "anonymous"}
    assert NUMBER[1:] not in repr(call)


async def test_click_to_call_through_the_dialler_is_an_outbound_call_of_the_agent(pbx: AsteriskLab) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(agent(pbx, "101", answers_after=0.5))
        await stack.enter_async_context(far_end(pbx, answers_after=1, talks=1.5))
        heard = await stack.enter_async_context(listening(pbx))
        dialler_heard = Heard()
        dialler = await stack.enter_async_context(connected(pbx, DIALLER, dialler_heard))
        await dialler_heard.until_status(LinkStatus.UP)
        how = actions.ClickToCall(context="ringcard-click-to-call")
        await dialler.act(actions.originate("101", "+79161234567", how=how))
        call = (await heard.until(CallEnded, seconds=15)).call
    assert (call.direction, call.placed_by) == (Direction.OUTBOUND, "101")
    assert call.customer_number == "+79161234567"
    assert (call.disposition, call.hung_up_by) == (Disposition.ANSWERED, "customer")
    assert call.talk_seconds is not None
    assert 0.5 < call.talk_seconds < 2.5


async def test_whoever_connects_in_mid_call_gets_the_call_and_its_end(pbx: AsteriskLab) -> None:
    async with agents(pbx, e103=0.5), customer(pbx, NUMBER, SALES, stays=5):
        async with listening(pbx) as early:
            await early.until(CallAnswered, extension="103")
        async with listening(pbx) as heard:
            (present,) = heard.told(SnapshotApplied)[0].present
            call = (await heard.until(CallEnded)).call
    assert (present.state, present.talking, present.origin) == (CallState.TALKING, ("103",), Origin.ATTACHED)
    assert (present.customer_number, present.direction) == (NUMBER, Direction.INBOUND)
    assert present.key == call.key


async def test_i04_a_call_cut_by_a_power_failure_ends_unseen(pbx: AsteriskLab) -> None:
    async with agents(pbx, e103=0.5), listening(pbx) as heard, customer(pbx, NUMBER, SALES, stays=4):
        answered = await heard.until(CallAnswered, extension="103")
        pbx.kill()
        pbx.start()
        ended = await heard.until(CallEnded, seconds=15)
        assert (ended.call.key, ended.call.ended_unseen) == (answered.call.key, True)
        assert heard.told(SnapshotApplied)[-1].present == ()
