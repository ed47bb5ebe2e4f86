"""The core and a small PBX side by side: whatever people do, the core says who rings and who talks, and every call once."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cti.calls.call_events import CallArrived, CallEnded, CallsJoined, SnapshotApplied
from cti.calls.channel_events import ChannelState
from cti.calls.records import CallRecord, CallState
from cti.calls.tracker import CallTracker
from tests.cti.calls.people import LINE, Party, Talk
from tests.cti.calls.small_pbx import CUSTOMER, DECLINED, EXTENSIONS, SmallPbx

DATA = st.data()
SPARE = 4  # calls at once


class Office(RuleBasedStateMachine):
    """What people do in any order; after each step the core's picture is compared with what the PBX knows."""

    def __init__(self) -> None:
        super().__init__()
        self.pbx = SmallPbx(CallTracker(extensions=EXTENSIONS, lines=["line"]))
        self.read = 0
        self.arrived: Counter[str] = Counter()
        self.over: set[str] = set()

    # -- steps ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.pbx.talks) < SPARE)
    @rule()
    def a_customer_calls(self) -> None:
        self.pbx.call_in()

    @precondition(lambda self: self.callers() and self.pbx.free_extensions())
    @rule(data=DATA, through_helper=st.booleans())
    def a_telephone_is_called(self, data: st.DataObject, through_helper: bool) -> None:
        caller = pick(data, self.callers())
        extension = pick(data, self.pbx.free_extensions())
        self.pbx.reach(caller, extension, through_helper=through_helper)

    @precondition(lambda self: len(self.pbx.free_extensions()) > 1)
    @rule(data=DATA)
    def a_colleague_dials(self, data: st.DataObject) -> None:
        one, other = self.pbx.free_extensions()[:2]
        if data.draw(st.booleans()):
            self.pbx.reach(self.pbx.dial(one, other), other)
        else:
            self.pbx.reach_outside(self.pbx.dial(one, CUSTOMER))

    @precondition(lambda self: self.pbx.free_extensions())
    @rule(data=DATA)
    def a_program_calls(self, data: st.DataObject) -> None:
        phone = self.pbx.click(pick(data, self.pbx.free_extensions()))
        if data.draw(st.booleans()):
            self.pbx.ring(phone)
        if data.draw(st.booleans()):
            self.pbx.pick_up_click(phone)

    @precondition(lambda self: self.silent())
    @rule(data=DATA)
    def it_rings(self, data: st.DataObject) -> None:
        self.pbx.ring(pick(data, self.silent()))

    @precondition(lambda self: self.pbx.pending())
    @rule(data=DATA)
    def somebody_answers(self, data: st.DataObject) -> None:
        self.pbx.answer(pick(data, self.pbx.pending()))

    @precondition(lambda self: self.pbx.pending())
    @rule(data=DATA)
    def somebody_declines(self, data: st.DataObject) -> None:
        self.pbx.give_up(pick(data, self.pbx.pending()), DECLINED)

    @precondition(lambda self: self.behind_helpers())
    @rule(data=DATA)
    def helpers_are_taken_out(self, data: st.DataObject) -> None:
        self.pbx.take_out_helpers(pick(data, self.behind_helpers()))

    @precondition(lambda self: self.pbx.talkers())
    @rule(data=DATA, holds=st.booleans())
    def somebody_holds_or_resumes(self, data: st.DataObject, holds: bool) -> None:
        phone = pick(data, self.pbx.talkers())
        (self.pbx.hold if holds else self.pbx.resume)(phone)

    @precondition(lambda self: self.idle_talkers() and self.pbx.free_extensions())
    @rule(data=DATA)
    def somebody_passes_the_customer_on(self, data: st.DataObject) -> None:
        phone = pick(data, self.idle_talkers())
        self.pbx.pass_on(phone, pick(data, self.pbx.free_extensions()))

    @precondition(lambda self: self.idle_talkers() and self.pbx.free_extensions())
    @rule(data=DATA)
    def somebody_consults(self, data: st.DataObject) -> None:
        phone = pick(data, self.idle_talkers())
        self.pbx.consult(phone, pick(data, self.pbx.free_extensions()))

    @precondition(lambda self: self.consulting())
    @rule(data=DATA)
    def the_consulted_one_gets_the_customer(self, data: st.DataObject) -> None:
        self.pbx.complete(pick(data, self.consulting()))

    @precondition(lambda self: self.idle_talkers())
    @rule(data=DATA)
    def somebody_parks(self, data: st.DataObject) -> None:
        self.pbx.park(pick(data, self.idle_talkers()))

    @precondition(lambda self: self.parked() and self.pbx.free_extensions())
    @rule(data=DATA)
    def somebody_fetches(self, data: st.DataObject) -> None:
        customer = pick(data, self.parked())
        self.pbx.fetch(customer, pick(data, self.pbx.free_extensions()))

    @precondition(lambda self: self.people())
    @rule(data=DATA)
    def somebody_hangs_up(self, data: st.DataObject) -> None:
        self.pbx.hang_up(pick(data, self.people()))

    @precondition(lambda self: self.pbx.is_heard)
    @rule()
    def the_link_breaks(self) -> None:
        self.pbx.break_link()

    @precondition(lambda self: not self.pbx.is_heard)
    @rule()
    def the_link_is_restored(self) -> None:
        self.pbx.restore_link()

    # -- who can ---------------------------------------------------------------------------------------------------

    def callers(self) -> list[Party]:
        """For whom the dialplan may call a colleague: customers, and whoever dialled a colleague."""
        return [
            one for one in self.pbx.waiting_callers() if one.endpoint == LINE or one.dialled in EXTENSIONS
        ]

    def silent(self) -> list[Party]:
        return [one for one in self.pbx.pending() if one.state is ChannelState.DOWN]

    def behind_helpers(self) -> list[Party]:
        return [one for one in self.pbx.parties() if one.helpers and one.bridge]

    def idle_talkers(self) -> list[Party]:
        return [one for one in self.pbx.talkers() if one.consults_on is None]

    def consulting(self) -> list[Party]:
        found = [one for one in self.pbx.talkers() if one.consults_on in self.pbx.parties()]
        return [one for one in found if one.consults_on and self.pbx.partner(one.consults_on)]

    def parked(self) -> list[Party]:
        return [one for one in self.pbx.parties() if one.is_parked]

    def people(self) -> list[Party]:
        pending = self.pbx.pending()
        return [one for one in self.pbx.parties() if not one.is_helper and one not in pending]

    # -- what must hold --------------------------------------------------------------------------------------------

    @invariant()
    def the_core_says_who_rings_and_who_talks(self) -> None:
        if not self.pbx.is_heard:
            return
        present = self.pbx.tracker.present()
        found = [self.record_of(talk, present) for talk in self.pbx.talks]
        told = [one.key for one in found if one is not None]
        assert sorted(told) == sorted(call.key for call in present)
        for talk, call in zip(self.pbx.talks, found, strict=True):
            if call is None:
                assert not talk.lines() or not talk.was_reported
                assert not self.pbx.talking(talk)
                continue
            assert set(call.ringing) == self.pbx.ringing(talk)
            assert set(call.talking) == self.pbx.talking(talk)

    def record_of(self, talk: Talk, present: list[CallRecord]) -> CallRecord | None:
        ids = {party.channel_id for party in talk.real()}
        found = [call for call in present if ids & {leg.channel_id for leg in call.legs}]
        assert len(found) <= 1
        return found[0] if found else None

    @invariant()
    def every_call_is_told_once_and_ended_is_final(self) -> None:
        for event in self.pbx.told[self.read :]:
            if isinstance(event, SnapshotApplied):
                continue
            assert event.call.key not in self.over
            self.arrived[event.call.key] += isinstance(event, CallArrived)
            assert self.arrived[event.call.key] == 1
            if isinstance(event, CallsJoined):
                self.over.add(event.absorbed_key)
            if isinstance(event, CallEnded):
                assert event.call.state is CallState.ENDED
                self.over.add(event.call.key)
        self.read = len(self.pbx.told)

    def teardown(self) -> None:
        if not self.pbx.is_heard:
            self.pbx.restore_link()
        for one in self.pbx.everyone():
            self.pbx.hang_up(one)
        self.every_call_is_told_once_and_ended_is_final()
        assert self.pbx.tracker.present() == []
        assert set(self.arrived) == self.over


Some = TypeVar("Some")


def pick(data: st.DataObject, some: list[Some]) -> Some:
    return some[data.draw(st.integers(0, len(some) - 1))]


TestOffice = Office.TestCase
TestOffice.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
