"""Who passed a call on, as the window of whoever gets it shows it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cti.calls.call_events import CallRinging, CallTransferred
from cti.calls.records import CallState, CameBy, Participation, Transfer
from cti.desk import BoardCall, CallView, Desk, HandOver
from tests.cti.desk.calls import CALL, answers, at, desk, record, rings
from tests.cti.desk.test_twins import Everyone

BLIND = Transfer(from_extension="101", to="102", kind="blind", at=at(10))
BY_FIRST = HandOver(by="Agent 1", extension="101", to="102", kind="blind", at=at(10))


def handed_over(office: Desk, user_id: int, seconds: float = 12) -> list[HandOver | None]:
    return [view.handed_over for view in office.hello(user_id, at(seconds)).calls]


def pass_on(office: Desk, transfer: Transfer, *to: str, **changes: Any) -> None:
    """101 answers and passes the call on; then it rings there."""
    for event in (rings("101"), answers("101")):
        office.apply(1, CALL, event)
    passed = record(state=CallState.TALKING, talking=("101",), transfers=(transfer,))
    office.apply(1, CALL, CallTransferred(call=passed, transfer=transfer, at=transfer.at))
    parts = tuple(
        Participation(extension=digits, attempt=1, came_by=CameBy.TRANSFER, rang_at=at(11)) for digits in to
    )
    call = replace(
        record(state=CallState.RINGING, ringing=to, transfers=(transfer,), participations=parts), **changes
    )
    office.apply(1, CALL, CallRinging(call=call, extension=to[0], at=at(11)))


def test_the_window_of_whoever_gets_it_says_who_passed_it_on() -> None:
    office = desk()
    pass_on(office, BLIND, "102")
    assert handed_over(office, 2) == [BY_FIRST]


def test_a_group_or_queue_that_it_was_passed_on_to() -> None:
    office = desk()
    pass_on(office, replace(BLIND, to="600"), "102", "103")
    assert handed_over(office, 2) == handed_over(office, 3) == [replace(BY_FIRST, to="600")]


def test_to_its_maker_it_only_comes_back() -> None:
    office = desk()
    pass_on(office, BLIND, "101")
    assert handed_over(office, 1) == [None]


def test_who_rang_before_was_not_passed_anything() -> None:
    office = desk()
    pass_on(office, replace(BLIND, at=at(12)), "103")
    assert handed_over(office, 3) == [None]


def test_by_somebody_nobody_knows() -> None:
    office = desk()
    pass_on(office, replace(BLIND, from_extension="199", kind="attended"), "102")
    (found,) = handed_over(office, 2)
    assert found is not None
    assert (found.by, found.kind) == ("199", "attended")


@pytest.mark.parametrize("state", [CallState.RINGING, CallState.TALKING])
def test_the_board_tells_it_too(state: CallState) -> None:
    office = desk()
    office.watch(1, 9, Everyone())
    pass_on(office, BLIND, "102", state=state)
    (call,) = office.board(Everyone())
    assert isinstance(call, BoardCall)
    assert call.handed_over == BY_FIRST


def test_the_transfer_alone_reaches_an_attended_targets_window() -> None:
    office = desk()
    for event in (rings("102"), answers("102")):
        office.apply(1, CALL, event)
    passed = replace(BLIND, kind="attended")
    call = record(state=CallState.TALKING, talking=("102",), transfers=(passed,))
    (message,) = office.apply(1, CALL, CallTransferred(call=call, transfer=passed, at=at(10)))
    assert isinstance(message.data, CallView)
    assert (message.type, message.data.handed_over) == ("call.updated", replace(BY_FIRST, kind="attended"))
