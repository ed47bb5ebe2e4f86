"""The eight steps from a presented text to a number: every line of the table, and laws for every text."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.numbers import (
    DEFAULT_PROFILE,
    NumberingProfile,
    NumberKind,
    NumberType,
    Problem,
    StepOutcome,
    describe,
    explain,
    find_numbers,
    format_number,
    tell_number,
    tell_problem,
    tell_steps,
    to_e164,
    warm_up,
)

MOSCOW = NumberingProfile(area_code="495")
OFFICE = NumberingProfile(
    area_code="495",
    outside_prefixes=("9",),
    feature_codes=("*67",),
    extensions=frozenset({"101", "200"}),
    service_numbers=frozenset({"0911"}),
)

VALID = {
    # ways to write one Moscow number
    "8 (495) 123-45-67": "+74951234567",
    "84951234567": "+74951234567",
    "74951234567": "+74951234567",
    "4951234567": "+74951234567",
    "+7 495 123-45-67": "+74951234567",
    "+7(495)123.45.67": "+74951234567",
    "8 495/123-45-67": "+74951234567",
    "+7\u00a0495\u00a0123\u201145\u201167": "+74951234567",  # no-break spaces and hyphens
    # words and foreign digits
    "тел. 8 900 000-00-01": "+79000000001",
    "Тел.:8 900 000-00-01": "+79000000001",
    "моб 89000000001": "+79000000001",
    "８４９５１２３４５６７": "+74951234567",
    "٨٤٩٥١٢٣٤٥٦٧": "+74951234567",
    "Приёмная 84951234567": "+74951234567",
    "84951234567 (Ирина, до 18)": "+74951234567",
    # URIs and what some PBXes put around a number
    "tel:+74951234567": "+74951234567",
    "tel:+7-495-123-45-67;phone-context=+7": "+74951234567",
    "sip:84951234567@pbx.example;user=phone": "+74951234567",
    "sips:%2B74951234567@pbx.example": "+74951234567",
    "<+74951234567>": "+74951234567",
    "\u202a+74951234567\u202c": "+74951234567",  # direction marks of a copied number
    "8495\x001234567": "+74951234567",
    # abroad
    "8-10-375-17-123-45-67": "+375171234567",
    "810375171234567": "+375171234567",
    "00375171234567": "+375171234567",
    "0079000000001": "+79000000001",
    "375171234567": "+375171234567",
    "998901234567": "+998901234567",
    "12025550123": "+12025550123",
    "8613800138000": "+8613800138000",
    # as long as a local number
    "1234567": "+74951234567",
    "123-45-67": "+74951234567",
    "290-81-23": "+74952908123",  # and not +290 8123 on Saint Helena
    "683-41-23": "+74956834123",  # and not +683 4123 on Niue
}


@pytest.mark.parametrize(("presented", "e164"), VALID.items())
def test_every_way_to_write_a_number(presented: str, e164: str) -> None:
    number = to_e164(presented, MOSCOW)
    assert (number.kind, number.e164, number.extension) == (NumberKind.E164, e164, None)
    assert number.presented == presented


@pytest.mark.parametrize(
    "tail",
    [
        " доб. 101",
        " доб 101",
        ", доб.101",
        " (доб. 101)",
        " добавочный 101",
        ",101",
        ",,101",
        "#101",
        " ext 101",
        " ext. 101",
        "x101",
        " х101",
        ";ext=101",
        " вн. 101",
        " вн 101",
        " (внутр. № 101)",
        " внутренний: 101",
    ],
)
@pytest.mark.parametrize("base", ["84951234567", "+7 495 123-45-67", "123-45-67"])
def test_the_extension_is_split_off(base: str, tail: str) -> None:
    number = to_e164(base + tail, MOSCOW)
    assert (number.e164, number.extension) == ("+74951234567", "101")


def test_the_extension_of_a_uri_is_kept() -> None:
    number = to_e164("sip:+74951234567;isub=1;ext=101;phone-context=x@pbx.example;user=phone")
    assert (number.e164, number.extension) == ("+74951234567", "101")


@pytest.mark.parametrize(
    "presented",
    [
        *("", " ", "anonymous", "Anonymous", "unknown", "<unknown>", "unavailable", "withheld", "private"),
        *("Restricted", "asterisk", "sip:anonymous@anonymous.invalid", "tel:", "\u200e", "\x00"),
    ],
)
def test_a_withheld_number_is_hidden(presented: str) -> None:
    assert to_e164(presented, OFFICE).kind is NumberKind.HIDDEN


def test_an_extension_comes_before_the_fire_brigade() -> None:
    assert to_e164("101", OFFICE).kind is NumberKind.INTERNAL
    assert to_e164("101", MOSCOW).kind is NumberKind.SERVICE
    assert to_e164("101", OFFICE).digits == "101"


@pytest.mark.parametrize("presented", ["102", "103", "104", "112", "9112", "9-112", "0911"])
def test_service_numbers(presented: str) -> None:
    number = to_e164(presented, OFFICE)
    assert number.kind is NumberKind.SERVICE
    assert number.digits == presented.removeprefix("9").lstrip("-")


@pytest.mark.parametrize(
    ("presented", "e164"),
    [
        ("984951234567", "+74951234567"),
        ("9 8 (495) 123-45-67", "+74951234567"),
        ("91234567", "+74951234567"),
        ("9810375171234567", "+375171234567"),
        ("900375171234567", "+375171234567"),
        ("*6784951234567", "+74951234567"),
        ("*67984951234567", "+74951234567"),
        ("9001234567", "+79001234567"),  # a mobile number, whole as it stands
        ("+79001234567", "+79001234567"),
        ("998901234567", "+998901234567"),  # Tashkent without its plus
    ],
)
def test_prefixes_are_stripped_where_they_are_prefixes(presented: str, e164: str) -> None:
    assert to_e164(presented, OFFICE).e164 == e164


@pytest.mark.parametrize(
    "presented", ["*79000000001", "79000000001*", "#31#84951234567", "*97", "84951234567#"]
)
def test_feature_codes_are_not_numbers(presented: str) -> None:
    number = to_e164(presented, MOSCOW)
    assert (number.kind, number.reason) == (NumberKind.NOT_A_NUMBER, Problem.FEATURE_CODE)
    assert number.problem is not None
    assert presented in number.problem


@pytest.mark.parametrize(
    ("presented", "reason"),
    [
        ("Иван", Problem.NO_DIGITS),
        ("-", Problem.NO_DIGITS),
        ("+", Problem.NO_DIGITS),
        ("8 800 FLOWERS", Problem.LETTERS),  # letters are never turned into digits
        ("ivanov2", Problem.LETTERS),
        ("код 812, 123-45-67", Problem.LETTERS),  # whose town? not ours
        ("84951234567/84951234568", Problem.TOO_LONG),
        ("Иван 84951234567, Пётр 84951234568", Problem.SEVERAL),
        ("9" * 300, Problem.TOO_LONG),
    ],
)
def test_what_is_not_a_number_says_why(presented: str, reason: Problem) -> None:
    number = to_e164(presented, MOSCOW)
    assert (number.kind, number.reason, number.e164) == (NumberKind.NOT_A_NUMBER, reason, None)
    for language in ("ru", "en"):
        assert presented[:20] in tell_problem(number, language)


@pytest.mark.parametrize("presented", ["2001", "20-01", "12345", "тел. 2001", "+2001"])
def test_short_digits_over_a_line_mean_something_there_only(presented: str) -> None:
    number = to_e164(presented, MOSCOW)
    assert (number.kind, number.digits) == (NumberKind.LOCAL, presented.strip("тел. +").replace("-", ""))


def test_short_digits_within_the_pbx_are_internal() -> None:
    assert to_e164("2001", MOSCOW, within_pbx=True).kind is NumberKind.INTERNAL
    assert to_e164("1234567", MOSCOW, within_pbx=True).e164 == "+74951234567"
    five_digit_town = NumberingProfile(area_code="48439")
    assert to_e164("51234", five_digit_town, within_pbx=True).kind is NumberKind.INTERNAL
    assert to_e164("51234", five_digit_town).e164 == "+74843951234"


def test_an_area_code_belongs_to_its_line() -> None:
    assert to_e164("1234567", NumberingProfile(area_code="812")).e164 == "+78121234567"
    assert to_e164("123456", NumberingProfile(area_code="4842")).e164 == "+74842123456"
    assert to_e164("123456", MOSCOW).kind is NumberKind.LOCAL
    assert to_e164("1234567").kind is NumberKind.LOCAL


def test_kazakhstan_shares_the_code_and_is_another_country() -> None:
    number = to_e164("+7 701 123 45 67")
    assert (number.e164, number.country, number.type) == ("+77011234567", "KZ", NumberType.MOBILE)
    assert to_e164("8 701 123 45 67", NumberingProfile(region="KZ")).e164 == "+77011234567"
    assert to_e164("84951234567").country == "RU"


def test_other_countries_dial_in_their_own_way() -> None:
    assert to_e164("8 017 123-45-67", NumberingProfile(region="BY")).e164 == "+375171234567"
    assert to_e164("030 901820", NumberingProfile(region="DE")).e164 == "+4930901820"
    berlin = NumberingProfile(region="DE", area_code="30")
    assert to_e164("901820", berlin).e164 == "+4930901820"
    assert to_e164("998901234567", berlin).e164 == "+998901234567"
    assert to_e164("84951234567", NumberingProfile(region="no such country")).e164 == "+84951234567"


def test_types_and_numbers_without_a_country() -> None:
    assert to_e164("8 800 555-35-35").type is NumberType.TOLL_FREE
    assert to_e164("8 900 000-00-01").type is NumberType.MOBILE
    assert to_e164("84951234567").type is NumberType.FIXED
    freephone = to_e164("+800 1234 5678")
    assert (freephone.e164, freephone.country) == ("+80012345678", None)


# Text as people, PBXes and attackers write it: any characters, with what numbers are made of more often.
TEXTS = st.text(
    st.characters() | st.sampled_from("0123456789+*#,;()- .xхдобвнext=@:/\u202e\u200b\x00"), max_size=80
)
PROFILES = st.sampled_from([DEFAULT_PROFILE, MOSCOW, OFFICE, NumberingProfile(region="KZ", area_code="727")])


@given(TEXTS, PROFILES, st.booleans())
def test_any_text_is_understood_without_an_error(
    text: str, profile: NumberingProfile, within_pbx: bool
) -> None:
    number = to_e164(text, profile, within_pbx=within_pbx)
    assert (number.e164 is not None) == (number.kind is NumberKind.E164)
    assert (number.problem is not None) == (number.kind is NumberKind.NOT_A_NUMBER)
    has_digits = number.kind in {NumberKind.INTERNAL, NumberKind.SERVICE, NumberKind.LOCAL}
    assert (number.digits is not None) == has_digits
    if number.e164 is not None:
        assert number.e164.startswith("+")
        assert number.e164[1:].isascii()
        assert number.e164[1:].isdigit()
        assert 7 <= len(number.e164) - 1 <= 15


@given(TEXTS, PROFILES)
def test_reading_is_idempotent(text: str, profile: NumberingProfile) -> None:
    if e164 := to_e164(text, profile).e164:
        again = to_e164(e164, profile)
        assert (again.kind, again.e164) == (NumberKind.E164, e164)


@given(st.from_regex(r"(\+|00|8|810|7|9)?[0-9]{5,13}", fullmatch=True), PROFILES)
def test_reading_digits_is_idempotent(text: str, profile: NumberingProfile) -> None:
    if e164 := to_e164(text, profile).e164:
        assert to_e164(e164).e164 == e164


@given(TEXTS, PROFILES)
def test_the_explanation_is_the_same_path(text: str, profile: NumberingProfile) -> None:
    number, steps = to_e164(text, profile), explain(text, profile)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert all(one.after == next_.before for one, next_ in pairwise(steps))
    if number.e164 is not None:
        assert (steps[-1].outcome, steps[-1].after) == (StepOutcome.ACCEPTED, number.e164)
    for language in ("ru", "en"):
        told = tell_steps(text, profile, language)
        assert len(told) == len(steps) + 1
        assert "".join(told).isprintable()


@given(TEXTS)
def test_looking_for_numbers_in_any_text(text: str) -> None:
    assert all(number.kind is NumberKind.E164 for number in find_numbers(text, MOSCOW))


@pytest.mark.parametrize(
    "text",
    ["," * 5000, "x1" * 5000, "8-" * 5000, "доб" * 5000 + "1", "(8" * 5000, "1 доб " * 900, "\ufdfa" * 5000],
)
def test_long_texts_take_bounded_time(text: str) -> None:
    started = time.perf_counter()
    to_e164(text)
    find_numbers(text)
    assert time.perf_counter() - started < 0.5


def test_the_presented_form_is_kept_up_to_256_characters() -> None:
    assert to_e164("x" * 300).presented == "x" * 256


def test_two_numbers_in_one_cell() -> None:
    def found(text: str) -> list[tuple[str | None, str | None]]:
        return [(number.e164, number.extension) for number in find_numbers(text, MOSCOW)]

    both = [("+74951234567", None), ("+74951234568", None)]
    assert found("84951234567, 84951234568") == both
    assert found("84951234567/84951234568") == both
    assert found("+7 495 123-45-67; +7 495 123-45-68") == both
    assert found("8 (495) 123-45-67\n8 (495) 123-45-68") == both
    assert found("84951234567 вн. 5, 84951234568 доб. 6") == [("+74951234567", "5"), ("+74951234568", "6")]
    assert found("8 495 123-45-67 ext 5; 84951234567 ext 5") == [("+74951234567", "5")]
    assert found("123-45-67") == [("+74951234567", None)]
    assert found("нет телефона") == []


def test_the_steps_are_told_as_they_went() -> None:
    assert tell_steps("8 (495) 123-45-67 доб. 12", language="en") == [
        "1. One spelling: unchanged",
        "2. Extension of this connection: unchanged",
        "3. Service or emergency number: unchanged",
        "4. Outside prefix and feature codes: unchanged",
        "5. Extension behind the number: extension split off: 8 (495) 123-45-67 доб. 12 → 8 (495) 123-45-67",
        "6. Parse by the country's rules: a valid number: 8 (495) 123-45-67 → +74951234567",
        "7. Lost plus or area code: unchanged",
        "8. Decision: accepted",
        "+7 495 123-45-67 ext. 12",
    ]
    assert tell_steps("*97", language="ru")[-1].startswith("«*97» начинается")


def test_numbers_are_shown_in_the_international_form() -> None:
    assert format_number("+74951234567") == "+7 495 123-45-67"
    assert format_number("2001") == "2001"
    assert tell_number(to_e164("84951234567 ext 12"), "ru") == "+7 495 123-45-67 доб. 12"
    assert tell_number(to_e164(""), "ru") == "Номер скрыт"
    assert tell_number(to_e164("2001"), "en") == "Local 2001"
    assert tell_problem(to_e164("2001"), "en") == ""


def test_a_number_tells_country_region_and_time() -> None:
    warm_up()
    assert describe("+78121234567", "ru").region == "г. Санкт-Петербург"
    moscow = describe("+74951234567", "en")
    assert (moscow.country, moscow.country_name, moscow.region) == ("RU", "Russia", "Moscow")
    assert moscow.time_zones == ("Europe/Moscow",)
    assert moscow.type is NumberType.FIXED
    assert describe("+375291234567", "en").carrier != ""
    nothing = describe("nonsense", "en")
    assert (nothing.country, nothing.region, nothing.time_zones) == (None, "", ())


def test_common_forms_are_read_quickly() -> None:
    """Uncached, each of these takes about 50 µs; the bound only catches a change of kind."""
    to_e164("84950000000")  # the country's tables are read once
    started = time.process_time()
    for number in range(1000):
        to_e164(f"8495{1000000 + number}")
    assert time.process_time() - started < 0.5
