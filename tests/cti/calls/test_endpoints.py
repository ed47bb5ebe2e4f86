"""Telephones are told from lines by what a stream shows."""

from __future__ import annotations

import pytest

from cti.calls.endpoints import Endpoints, Role, is_outside_number, is_same_number, is_short_number


@pytest.mark.parametrize(
    ("number", "is_outside"),
    [
        ("89161234567", True),
        ("+79161234567", True),
        ("1234567", True),
        ("+7(916)123-45-67", True),
        ("8 916 123 45 67", True),
        ("12-34-56", False),
        ("192.168.10.20", False),
        ("123456", False),
        ("101", False),
        ("", False),
        ("*7289031112233", False),
        ("RG-612*-89031112233#", False),
        ("anonymous", False),
    ],
)
def test_an_outside_number_is_long_and_no_feature_code(number: str, is_outside: bool) -> None:
    assert is_outside_number(number) is is_outside


def test_short_numbers_are_two_to_six_digits() -> None:
    assert [is_short_number(text) for text in ("1", "12", "123456", "1234567", "1a", "²²")] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]


def test_prefixes_do_not_make_another_number() -> None:
    assert is_same_number("+7 916 123-45-67", "89161234567")
    assert not is_same_number("101", "101")
    assert not is_same_number("89161234567", "89161234568")


def test_nothing_seen_nothing_known() -> None:
    assert Endpoints().role_of("PJSIP/x") is Role.UNKNOWN
    assert Endpoints().extension_of("PJSIP/x") == "x"


def test_a_line_is_handed_numbers() -> None:
    endpoints = Endpoints()
    endpoints.note_called("PJSIP/mango", "", "x")
    endpoints.note_dialled("PJSIP/mango", "79161234567")
    assert endpoints.role_of("PJSIP/mango") is Role.LINE


def test_a_telephone_is_called_by_its_own_name_and_bears_its_extension() -> None:
    endpoints = Endpoints()
    endpoints.note_called("SIP/0004F2AABBCC", "201", "x")
    endpoints.note_dialled("SIP/0004F2AABBCC", "")
    assert endpoints.role_of("SIP/0004F2AABBCC") is Role.PHONE
    assert endpoints.extension_of("SIP/0004F2AABBCC") == "201"


def test_a_line_presents_outside_numbers() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("PJSIP/alfa", "89161234567", "84951234567", "x")
    assert endpoints.role_of("PJSIP/alfa") is Role.LINE
    endpoints.note_caller("PJSIP/123456", "89161234567", "84951234567", "x")  # an account at a provider
    assert endpoints.role_of("PJSIP/123456") is Role.LINE


def test_a_hidden_caller_who_dials_our_number_comes_over_a_line() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("PJSIP/alfa", "", "84951234567", "x")
    assert endpoints.role_of("PJSIP/alfa") is Role.LINE


def test_a_telephone_that_shows_the_offices_number_is_known_by_what_goes_out() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("PJSIP/ivanov", "84951234567", "89161234567", "x")
    endpoints.note_number_went_out("PJSIP/ivanov")
    assert endpoints.role_of("PJSIP/ivanov") is Role.PHONE


def test_hints_win_over_appearances_and_name_the_extension() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("PJSIP/roof", "84951234567", "89161234567", "from-trunk")
    endpoints.note_known("PJSIP/roof", "305")
    assert (endpoints.role_of("PJSIP/roof"), endpoints.extension_of("PJSIP/roof")) == (
        Role.PHONE,
        "305",
    )


def test_endpoints_that_enter_at_the_same_place_are_mostly_of_one_kind() -> None:
    endpoints = Endpoints()
    for name in ("a", "b"):
        endpoints.note_called(f"PJSIP/{name}", "201", "desks")
        endpoints.note_dialled(f"PJSIP/{name}", "")
    endpoints.note_caller("PJSIP/c", "reception", "0", "desks")
    assert endpoints.role_of("PJSIP/c") is Role.PHONE


def test_what_was_told_is_certain() -> None:
    told = Endpoints(extensions={"4951234567"}, lines={"alfa", "84950000000"})
    told.note_caller("PJSIP/alfa", "101", "102", "from-internal")
    assert told.role_of("PJSIP/alfa") is Role.LINE
    told.note_caller("PJSIP/4951234567", "89161234567", "89161234568", "from-trunk")
    assert told.role_of("PJSIP/4951234567") is Role.PHONE
    told.note_caller("PJSIP/beta", "900", "84950000000", "x")  # a bank's short number calls a number of ours
    assert told.role_of("PJSIP/beta") is Role.LINE
    assert not told.is_outside("4951234567")


def test_a_pattern_decides_alone() -> None:
    endpoints = Endpoints(internal_pattern=r"7\d{6}")
    endpoints.note_called("PJSIP/7000101", "", "x")
    endpoints.note_called("PJSIP/101", "101", "x")
    endpoints.note_known("PJSIP/desk", "7000102")
    assert endpoints.role_of("PJSIP/7000101") is Role.PHONE
    assert endpoints.role_of("PJSIP/101") is Role.LINE
    assert endpoints.extension_of("PJSIP/desk") == "7000102"
    assert not endpoints.is_outside("7000103")


def test_evidence_counts_once() -> None:
    once, often = Endpoints(), Endpoints()
    for endpoints, times in ((once, 1), (often, 50)):
        for _ in range(times):
            endpoints.note_caller("PJSIP/x", "101", "*8", "x")
        endpoints.note_dialled("PJSIP/x", "89161234567")
    assert once.role_of("PJSIP/x") is often.role_of("PJSIP/x")


def test_a_line_may_present_the_short_numbers_of_a_small_town() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("PJSIP/mango", "251234", "350123", "from-trunk")
    assert endpoints.role_of("PJSIP/mango") is Role.LINE
    endpoints.note_caller("PJSIP/74951234567", "251234", "123456", "one")
    assert endpoints.role_of("PJSIP/74951234567") is Role.LINE


def test_a_line_may_present_the_extensions_of_another_office() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("IAX2/office2", "301", "101", "one")
    assert endpoints.role_of("IAX2/office2") is Role.PHONE
    endpoints.note_caller("IAX2/office2", "302", "102", "one")
    assert endpoints.role_of("IAX2/office2") is Role.LINE


def test_what_the_dialplan_notes_as_a_did_came_over_a_line() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("PJSIP/mango", "251234", "350123", "one")
    assert endpoints.role_of("PJSIP/mango") is Role.PHONE
    endpoints.note_did("PJSIP/mango")
    assert endpoints.role_of("PJSIP/mango") is Role.LINE


def test_who_presents_no_number_at_all_is_no_telephone() -> None:
    endpoints = Endpoints()
    endpoints.note_caller("PJSIP/mango", "", "350123", "one")
    assert endpoints.role_of("PJSIP/mango") is Role.LINE


def test_a_lamp_for_a_line_makes_it_no_telephone() -> None:
    endpoints = Endpoints()
    endpoints.note_known("PJSIP/trunk-b", "901")
    endpoints.note_caller("PJSIP/trunk-b", "89161234567", "84951234567", "one")
    assert endpoints.role_of("PJSIP/trunk-b") is Role.LINE


def test_a_line_named_like_an_extension_in_one_context_with_telephones() -> None:
    """An account at a provider is six digits; what was dialled on it led to a telephone, so it is a number of ours."""
    endpoints = Endpoints()
    for number in ("201", "202", "203"):
        endpoints.note_called(f"PJSIP/{number}", number, "plan")
        endpoints.note_dialled(f"PJSIP/{number}", "")
    endpoints.note_caller("PJSIP/100500", "89161234567", "1230001", "plan")
    endpoints.note_led_inside("PJSIP/100500")
    assert endpoints.role_of("PJSIP/100500") is Role.LINE


def test_a_context_in_which_both_kinds_enter_tells_nothing() -> None:
    endpoints = Endpoints()
    endpoints.note_called("PJSIP/201", "201", "plan")
    endpoints.note_dialled("PJSIP/201", "")
    endpoints.note_caller("PJSIP/new", "", "", "plan")
    assert (
        endpoints.role_of("PJSIP/new") is Role.UNKNOWN
    )  # no number speaks for a line, the context against it
    endpoints.note_called("PJSIP/mango", "", "plan")
    endpoints.note_dialled("PJSIP/mango", "79161234567")
    assert endpoints.role_of("PJSIP/new") is Role.LINE
