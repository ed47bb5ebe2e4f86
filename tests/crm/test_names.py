"""Names as they are compared and sorted; requisites with their check digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid
from crm.names import checked_name, normal_name, organisation_key, person_key, same_words
from crm.party_values import PartyValues, columns_of, person_values
from crm.requisites import is_inn, is_kpp, is_ogrn


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("ООО «Ромашка-Трейд»", "ромашка трейд"),
        ('О.О.О. "Ромашка"', "ромашка"),
        ("Общество с ограниченной ответственностью «Ёлка»", "елка"),
        ("Публичное акционерное общество Пример", "пример"),
        ("ИП Примеров", "примеров"),
        ("Example Ltd.", "example"),
        ("ООО", "ооо"),
        ("  Завод № 5  ", "завод no 5"),
        ("100%_скидка", "100 скидка"),
    ],
)
def test_a_company_is_compared_without_its_legal_form(name: str, key: str) -> None:
    assert organisation_key(name) == key


@given(st.text())
def test_normalising_twice_changes_nothing(name: str) -> None:
    assert normal_name(normal_name(name)) == normal_name(name)
    assert organisation_key(organisation_key(name)) is not None


def test_people_are_sorted_by_last_name_and_compared_in_any_order() -> None:
    assert person_key("Примеров", "Алёша", None) == "примеров алеша"
    assert same_words("Алёша Примеров", "примеров  алеша")


# Checked with the database that really compares them (crm-model 7).
@pytest.mark.parametrize(
    ("one", "other", "least"),
    [
        ("ромашка трейд", organisation_key("ооо ромашка-трейд"), 0.78),
        ("стройсервис", "строй сервис", 0.7),
        ("алеша примеров", "примеров алеша", 1.0),
        ("ромашка", "ромашки", 0.6),
    ],
)
async def test_the_database_finds_them_similar(
    session: AsyncSession, one: str, other: str, least: float
) -> None:
    similarity = await session.scalar(select(func.similarity(one, other)))
    assert similarity is not None
    assert round(similarity, 2) >= least


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "bell\x07", "null\0"])
def test_a_name_that_cannot_be_stored_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        checked_name(name)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Алёна", ("", "Алёна", "")),
        ("Алёна Примеровна", ("", "Алёна", "Примеровна")),
        ("Примерова Алёна", ("Примерова", "Алёна", "")),
        ("Примерова Алёна Ивановна", ("Примерова", "Алёна", "Ивановна")),
        ("Алёна Ивановна Примерова", ("Примерова", "Алёна", "Ивановна")),
    ],
)
def test_one_text_becomes_the_parts_of_a_name(text: str, parts: tuple[str, str, str]) -> None:
    values = person_values(text)
    assert (values.last_name, values.first_name, values.middle_name) == parts


# Widely published examples of right check digits.
@pytest.mark.parametrize("inn", ["7707083893", "7736207543", "500100732259"])
def test_an_inn_with_right_check_digits(inn: str) -> None:
    assert is_inn(inn)
    wrong = inn[:-1] + str((int(inn[-1]) + 1) % 10)
    assert not is_inn(wrong)


@pytest.mark.parametrize("inn", ["", "0000000000", "000000000000", "77070838", "770708389x", "٧٧٠٧٠٨٣٨٩٣"])
def test_what_is_no_inn(inn: str) -> None:
    assert not is_inn(inn)


def test_kpp_and_ogrn() -> None:
    assert is_kpp("770101001")
    assert is_kpp("7701AB001")
    assert not is_kpp("77010100")
    assert is_ogrn("1027700132195")
    assert not is_ogrn("1027700132196")
    assert is_ogrn("304500116000157")
    assert not is_ogrn("304500116000158")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (PartyValues(type="organisation", short_name="A", inn="7707083894"), "inn"),
        (PartyValues(type="organisation", short_name="A", inn="500100732259"), "inn"),
        (PartyValues(type="organisation", short_name="A", form="sole_trader", inn="7707083893"), "inn"),
        (PartyValues(type="organisation", short_name="A", form="sole_trader", kpp="770101001"), "kpp"),
        (PartyValues(type="organisation", short_name="A", kpp="77"), "kpp"),
        (PartyValues(type="organisation", short_name="A", ogrn="1"), "ogrn"),
        (PartyValues(type="organisation", short_name="…"), "short_name"),
        (PartyValues(type="organisation"), "short_name"),
        (PartyValues(type="person"), "last_name"),
        (PartyValues(type="person", first_name="A", sex="x"), "sex"),
        (PartyValues(type="person", first_name="A", inn="7707083893"), "inn"),
        (PartyValues(type="person", first_name="A", note="x" * 10_001), "note"),
        (PartyValues(type="person", first_name="A", note="\0"), "note"),
        (PartyValues(type="robot", first_name="A"), "type"),
    ],
)
def test_a_refusal_names_its_field(values: PartyValues, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        columns_of(values)
    assert refused.value.field == field


def test_a_sole_trader_has_an_inn_of_twelve() -> None:
    values = PartyValues(type="organisation", form="sole_trader", short_name="ИП Пример", inn="500100732259")
    assert columns_of(values).detail["inn"] == "500100732259"
