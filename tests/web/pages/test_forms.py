"""What a person typed is read as meant, and never lost."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.pages.forms import Form, filled, form_of, read_date
from web.pages.periods import Period, period_of

MOSCOW = ZoneInfo("Europe/Moscow")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_posted_form_keeps_several_values_of_one_name() -> None:
    form = form_of([("kind", "client"), ("kind", "supplier"), ("name", "  ООО   «Пример» \x00")])
    assert form.several("kind") == {"client", "supplier"}
    assert form.text("name") == "ООО «Пример»"
    assert form.optional("city") is None


def test_the_first_word_on_a_field_stays() -> None:
    form = Form()
    form.refuse("inn", "first")
    form.refuse("inn", "second")
    assert (form.problems, form.is_good) == ({"inn": "first"}, False)


def test_a_form_first_shows_what_is_stored() -> None:
    form = filled({"name": "ООО «Пример»", "city": None, "is_shared": True}, kind=["client"])
    assert (form.text("name"), form.text("city"), form.flag("is_shared")) == ("ООО «Пример»", "", True)
    assert form.several("kind") == {"client"}


@pytest.mark.parametrize("typed", ["20.11.2026", " 20.11.2026 ", "2026-11-20"])
def test_a_date_is_read_as_russians_write_it(typed: str) -> None:
    assert read_date(typed) == date(2026, 11, 20)


@given(st.text())
def test_no_text_breaks_the_reading_of_dates_and_numbers(typed: str) -> None:
    read_date(typed)
    Form({"n": typed}).whole("n")


def test_periods_begin_at_midnight_of_the_persons_zone() -> None:
    assert period_of("today", "", "", NOON, MOSCOW) == Period(
        start=datetime(2026, 11, 19, 21, tzinfo=UTC), end=datetime(2026, 11, 20, 21, tzinfo=UTC)
    )
    assert period_of("dates", "01.11.2026", "", NOON, MOSCOW).start == datetime(2026, 10, 31, 21, tzinfo=UTC)
    assert period_of("dates", "01.13.2026", "", NOON, MOSCOW) == Period()
    assert period_of("drop table", "", "", NOON, MOSCOW) == Period()
    assert period_of("dates", "01.01.0001", "31.12.9999", NOON, MOSCOW) == Period()  # no midnight there


@pytest.mark.parametrize(("name", "length"), [("yesterday", 1), ("week", 7), ("month", 30)])
def test_named_periods_have_their_length(name: str, length: int) -> None:
    period = period_of(name, "", "", NOON, MOSCOW)
    assert period.start is not None
    assert period.end is not None
    assert (period.end - period.start).days == length


def test_a_field_with_thousands_of_values_is_read_at_once() -> None:
    began = time.process_time()
    form = form_of([("ids", str(number)) for number in range(20_000)])
    assert len(form.several("ids")) == 20_000
    assert time.process_time() - began < 1  # each value once, not all of them again with every one
