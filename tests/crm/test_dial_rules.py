"""The number policy: the default is no, the first rule that speaks against a number is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm.dial_rules import REASONS, Dialled, DialVerdict, Policy, TargetFacts, judge, refusal
from cti.numbers import NumberingProfile, to_e164
from web.i18n import read_catalogues

PROFILE = NumberingProfile(extensions=frozenset({"101", "205"}))
POLICY = Policy(countries=frozenset({"RU"}))
NOBODY = TargetFacts()


def verdict(typed: str, policy: Policy = POLICY, facts: TargetFacts = NOBODY, **dialled: int) -> DialVerdict:
    return judge(to_e164(typed, PROFILE), policy, Dialled(**dialled), facts)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("8 (916) 123-45-67", DialVerdict.ALLOWED),
        ("+7 495 123-45-67", DialVerdict.ALLOWED),
        ("8 800 200-06-00", DialVerdict.ALLOWED),
        ("112", DialVerdict.ALLOWED),
        ("103", DialVerdict.ALLOWED),
        ("8-10-375-17-123-45-67", DialVerdict.COUNTRY),
        ("+7 727 250-00-00", DialVerdict.COUNTRY),  # Kazakhstan has the same code
        ("+870 773 111 632", DialVerdict.COUNTRY),  # a satellite is in no country
        ("8 809 505-10-10", DialVerdict.PREMIUM),
        ("8800", DialVerdict.SHORT),
        ("*67#", DialVerdict.NOT_A_NUMBER),
        ("anonymous", DialVerdict.NOT_A_NUMBER),
        ("Ivan", DialVerdict.NOT_A_NUMBER),
    ],
)
def test_t03_what_may_be_dialled_by_default(typed: str, said: DialVerdict) -> None:
    assert verdict(typed) is said


def test_the_administrator_allows_more() -> None:
    wide = replace(POLICY, countries=frozenset({"RU", "BY"}), allows_premium=True, allows_short=True)
    for typed in ("8-10-375-17-123-45-67", "8 809 505-10-10", "8800"):
        assert verdict(typed, wide) is DialVerdict.ALLOWED


def test_t03_dialling_stops_for_everybody_but_for_emergencies() -> None:
    stopped = replace(POLICY, is_stopped=True)
    assert verdict("8 (916) 123-45-67", stopped) is DialVerdict.STOPPED
    assert verdict("112", stopped) is DialVerdict.ALLOWED
    noted = TargetFacts(is_emergency=True)
    assert verdict("+7 495 123-45-67", stopped, noted) is DialVerdict.ALLOWED


@pytest.mark.parametrize(
    ("limit", "said"),
    [("last_hour", DialVerdict.PER_HOUR), ("last_day", DialVerdict.PER_DAY), ("of_all", DialVerdict.OF_ALL)],
)
def test_t03_limits_are_kept_to_the_last_click(limit: str, said: DialVerdict) -> None:
    few = replace(POLICY, most_per_hour=3, most_per_day=3, most_of_all=3)
    assert verdict("89161234567", few, NOBODY, **{limit: 2}) is DialVerdict.ALLOWED
    assert verdict("89161234567", few, NOBODY, **{limit: 3}) is said


def test_own_numbers_and_extensions() -> None:
    assert verdict("+74951234501", facts=TargetFacts(is_ours=True)) is DialVerdict.OWN_NUMBER
    assert verdict("205", facts=TargetFacts(is_colleague=True)) is DialVerdict.ALLOWED
    own = TargetFacts(is_colleague=True, is_own_extension=True)
    assert verdict("205", facts=own) is DialVerdict.OWN_EXTENSION
    assert verdict("205") is DialVerdict.NOBODY_THERE


def test_do_not_call_comes_last_since_a_reason_overrides_it() -> None:
    unwanted = TargetFacts(do_not_call=True)
    assert verdict("89161234567", facts=unwanted) is DialVerdict.DO_NOT_CALL
    assert verdict("+375171234567", facts=unwanted) is DialVerdict.COUNTRY


def test_a_refusal_names_the_value_and_what_to_do() -> None:
    number = to_e164("+375171234567", PROFILE)
    told = str(refusal(DialVerdict.COUNTRY, number, POLICY))
    assert "BY" in told
    assert "+375171234567" in told
    assert "administrator" in told


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_reason_stands_in_both_catalogues(language: str) -> None:
    known = {text for _, text in read_catalogues()[language].messages}
    assert set(REASONS.values()) - known == set()
