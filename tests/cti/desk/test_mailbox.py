"""What is kept for those who come back: enough for a short absence, and no more than that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from cti.desk.mailbox import KEPT_ALWAYS, KEPT_FOR, KEPT_MESSAGES, Mailbox
from cti.desk.messages import CallRef

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEWS = CallRef(id=UUID(int=1))


def filled(count: int, *, every: timedelta) -> Mailbox:
    box = Mailbox(1, "e")
    for number in range(count):
        box.put("call.dismissed", NEWS, NOON + number * every)
    return box


def kept(box: Mailbox) -> int:
    return max(count for count in range(box.seq + 1) if box.since("e", box.seq - count) is not None)


def test_of_a_quiet_day_the_last_ones_are_kept_however_old() -> None:
    assert kept(filled(200, every=timedelta(hours=1))) == KEPT_ALWAYS


def test_of_a_busy_moment_more_is_kept_but_not_everything() -> None:
    assert kept(filled(100, every=timedelta(seconds=1))) == 100
    assert kept(filled(1000, every=timedelta(milliseconds=1))) == KEPT_MESSAGES


def test_what_is_older_than_an_absence_makes_room() -> None:
    assert kept(filled(1000, every=timedelta(seconds=1))) == KEPT_FOR.total_seconds()
