"""Working hours: how they are typed, when they hold, who follows them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm import calendars, telephony
from crm.calendars import WorkHours, read_days, read_spans, write_days, write_spans
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.schema.telephony import Line
from tests.crm import planting
from tests.crm.people import COMMAND

NINE_TO_SIX = WorkHours(
    time_zone="Europe/Moscow",
    week=dict.fromkeys(range(5), ((540, 1080),)),
    days={date(2026, 12, 31): ((600, 900),), date(2027, 1, 1): ()},
)


@pytest.mark.parametrize(
    ("typed", "spans"),
    [
        ("", ()),
        ("9:00-18:00", ((540, 1080),)),
        ("14-18, 9:30–13", ((570, 780), (840, 1080))),
        ("0-24", ((0, 1440),)),
    ],
)
def test_hours_are_read_as_people_type_them(typed: str, spans: calendars.Spans) -> None:
    assert read_spans("day0", typed) == spans


@pytest.mark.parametrize("typed", ["9", "18-9", "9:60-10", "9-25", "9-12, 11-13", "с 9 до 18", "9-18x"])
def test_what_is_no_span_of_hours_is_refused_with_the_field(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_spans("day0", typed)
    assert refused.value.field == "day0"


@pytest.mark.parametrize(
    ("at", "minutes", "due"),
    [
        ("2026-12-28 12:00", 20, "2026-12-28 12:20"),
        ("2026-12-28 14:50", 20, "2026-12-29 06:10"),  # ten minutes of Monday, ten of Tuesday
        ("2026-12-28 14:40", 20, "2026-12-28 15:00"),
        ("2026-12-26 09:00", 20, "2026-12-28 06:20"),  # a Saturday
        ("2026-12-30 14:00", 60 + 300 + 30, "2027-01-04 06:30"),  # over the short day and the holidays
    ],
)
def test_a_term_counts_the_hours_in_which_somebody_is_there(at: str, minutes: int, due: str) -> None:
    def moment(told: str) -> datetime:
        return datetime.fromisoformat(told).replace(tzinfo=UTC)

    assert NINE_TO_SIX.later(moment(at), minutes) == moment(due)
    assert WorkHours(time_zone="UTC").later(moment(at), 20) - moment(at) == timedelta(minutes=20)


@given(st.lists(st.tuples(st.integers(0, 1439), st.integers(1, 1440)), max_size=5))
def test_hours_are_written_as_they_are_read(pairs: list[tuple[int, int]]) -> None:
    spans: list[tuple[int, int]] = []
    for start, end in sorted(pairs):
        if start < end and (not spans or spans[-1][1] <= start):
            spans.append((start, end))
    assert read_spans("day0", write_spans(tuple(spans))) == tuple(spans)


@given(st.text(max_size=60))
def test_any_text_gives_days_or_a_refusal(typed: str) -> None:
    with suppress(Invalid):
        days = read_days(typed)
        assert read_days(write_days(days)) == days


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        (datetime(2026, 11, 27, 6, 0, tzinfo=UTC), True),  # Friday, nine in Moscow
        (datetime(2026, 11, 27, 5, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 27, 15, 0, tzinfo=UTC), False),  # six: whoever calls now is late
        (datetime(2026, 11, 28, 9, 0, tzinfo=UTC), False),  # Saturday
        (datetime(2026, 12, 31, 9, 0, tzinfo=UTC), True),  # the short day
        (datetime(2026, 12, 31, 13, 0, tzinfo=UTC), False),
        (datetime(2027, 1, 1, 9, 0, tzinfo=UTC), False),  # a Friday that is a holiday
    ],
)
def test_hours_hold_in_their_own_time_zone(moment: datetime, *, is_open: bool) -> None:
    assert NINE_TO_SIX.is_open(moment) is is_open


def test_the_next_opening_jumps_over_holidays_and_weekends() -> None:
    evening = datetime(2026, 12, 31, 14, 0, tzinfo=UTC)
    assert NINE_TO_SIX.next_open(evening) == datetime(2027, 1, 4, 6, 0, tzinfo=UTC)
    assert WorkHours(time_zone="UTC").next_open(evening) is None


async def test_a_line_follows_a_calendar_until_it_is_removed(session: AsyncSession) -> None:
    calendar_id = await calendars.add_calendar(session, COMMAND, "Office", NINE_TO_SIX)
    connection_id = await planting.connection(session, "office")
    line_id = await telephony.add_line(
        session, COMMAND, connection_id, "+74951234567", "Sales", calendar_id=calendar_id
    )
    (shown,) = await calendars.list_calendars(session)
    assert (shown.name, shown.lines, shown.hours) == ("Office", ("Sales",), NINE_TO_SIX)
    await calendars.remove_calendar(session, COMMAND, calendar_id)
    assert await session.scalar(select(Line.calendar_id).where(Line.id == line_id)) is None


async def test_a_calendar_is_edited_once_at_a_time_and_named_once(session: AsyncSession) -> None:
    first = await calendars.add_calendar(session, COMMAND, "Office", NINE_TO_SIX)
    await calendars.add_calendar(session, COMMAND, "Night", NINE_TO_SIX)
    with pytest.raises(Taken):
        await calendars.add_calendar(session, COMMAND, "OFFICE", NINE_TO_SIX)
    with pytest.raises(Taken):
        await calendars.edit_calendar(session, COMMAND, first, "night", NINE_TO_SIX, version=1)
    await calendars.edit_calendar(session, COMMAND, first, "Office", WorkHours(time_zone="UTC"), version=1)
    with pytest.raises(Conflict):
        await calendars.edit_calendar(session, COMMAND, first, "Office", NINE_TO_SIX, version=1)
    with pytest.raises(Invalid, match="time zone"):
        await calendars.add_calendar(session, COMMAND, "Other", WorkHours(time_zone="Mars/../Olympus"))
    with pytest.raises(NotFound):
        await calendars.remove_calendar(session, COMMAND, 10**9)
