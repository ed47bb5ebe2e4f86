"""Fields that a kind requires, asked by every way a party is saved; fields of the company's own, checked by one function."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from crm import custom_fields
from crm.custom_fields import add_field, checked_custom, edit_field, list_fields, set_custom
from crm.emails import attach_email
from crm.errors import Invalid, NotAllowed, NotFound, Taken
from crm.numbers import NumberValues, attach_number
from crm.parties import (
    PartyValues,
    create_party,
    edit_party,
    organisation_values,
    person_values,
    quick_create,
    set_kinds,
)
from crm.party_cards import party_card
from crm.required_fields import FIELDS, applies, require_fields, required_fields
from tests.crm.people import COMMAND, make_user

FIRM = organisation_values("Invented Ltd")


async def refused(act: Any) -> str:
    with pytest.raises(Invalid) as error:
        await act
    return error.value.field


async def test_what_a_kind_requires_is_asked_by_every_way_of_saving(session: AsyncSession) -> None:
    was = await create_party(session, COMMAND, FIRM, kinds=["client"])
    await require_fields(session, COMMAND, "client", ["inn", "city"])
    assert await required_fields(session) == {"client": {"inn", "city"}}
    assert await refused(create_party(session, COMMAND, FIRM, kinds=["client"])) == "inn"
    quick = quick_create(session, COMMAND, organisation="X", person="", number="+79161234501", kind="client")
    assert await refused(quick) == "inn"
    other = await create_party(session, COMMAND, FIRM, kinds=["supplier"])  # nothing is required of suppliers
    assert await refused(set_kinds(session, COMMAND, other, ["supplier", "client"])) == "inn"
    version = (
        await party_card(session, COMMAND, was)
    ).version  # a card from before is as it was until it is saved
    assert await refused(edit_party(session, COMMAND, was, FIRM, version=version)) == "inn"
    half = PartyValues(type="organisation", short_name="Invented Ltd", inn="7707083893")
    assert await refused(edit_party(session, COMMAND, was, half, version=version, kinds=["client"])) == "city"
    whole = PartyValues(type="organisation", short_name="Invented Ltd", inn="7707083893", city="Moscow")
    await edit_party(session, COMMAND, was, whole, version=version)
    await require_fields(session, COMMAND, "client", [])
    assert await required_fields(session) == {}


async def test_a_number_or_address_can_be_required(session: AsyncSession) -> None:
    await require_fields(session, COMMAND, "client", ["phone", "email"])
    assert await refused(create_party(session, COMMAND, FIRM, kinds=["client"])) == "phone"
    number = [NumberValues(presented="+79161234502")]
    only_number = create_party(session, COMMAND, FIRM, kinds=["client"], numbers=number)
    assert await refused(only_number) == "email"
    made = await create_party(
        session, COMMAND, FIRM, kinds=["client"], numbers=number, emails=["a@example.org"]
    )
    version = (await party_card(session, COMMAND, made)).version
    await edit_party(session, COMMAND, made, organisation_values("Other Ltd"), version=version)
    await require_fields(session, COMMAND, "client", ["phone"])
    # The number of the quick form goes to the contact: the organisation can be reached by it.
    both = await quick_create(
        session, COMMAND, organisation="Quick", person="Анна", number="+79161234503", kind="client"
    )
    assert both.organisation_id is not None
    card = await party_card(session, COMMAND, both.organisation_id)
    values = organisation_values("Quicker")
    await edit_party(session, COMMAND, both.organisation_id, values, version=card.version)
    bare = await create_party(session, COMMAND, FIRM, kinds=["supplier"])
    assert await refused(set_kinds(session, COMMAND, bare, ["client"])) == "phone"
    await attach_number(session, COMMAND, bare, NumberValues(presented="+79161234504"))
    await attach_email(session, COMMAND, bare, "b@example.org")
    await set_kinds(session, COMMAND, bare, ["client"])


async def test_what_a_party_cannot_have_is_not_asked_of_it(session: AsyncSession) -> None:
    await require_fields(session, COMMAND, "client", ["kpp", "birth_date", "website"])
    person = create_party(session, COMMAND, person_values("Анна"), kinds=["client"])
    assert await refused(person) == "birth_date"
    trader = PartyValues(type="organisation", short_name="ИП", form="sole_trader", website="example.org")
    await create_party(session, COMMAND, trader, kinds=["client"])
    assert {field for field in FIELDS if applies(field, "person")} & {"kpp", "website"} == set()


async def test_only_known_fields_of_known_kinds_are_required(session: AsyncSession) -> None:
    assert await refused(require_fields(session, COMMAND, "client", ["password"])) == "fields"
    with pytest.raises(NotFound):
        await require_fields(session, COMMAND, "nobody", ["inn"])
    head = await make_user(session, ("head",))
    with pytest.raises(NotAllowed):
        await require_fields(session, head, "client", ["inn"])


async def plant_fields(session: AsyncSession) -> None:
    for key, kind, options in (
        ("floor", "number", ()),
        ("since", "date", ()),
        ("vip", "flag", ()),
        ("motto", "text", ()),
        ("size", "choice", ("small", "large")),
    ):
        await add_field(session, COMMAND, key=key, name=key.title(), type=kind, options=options)


async def test_values_of_own_fields_are_checked_and_kept(session: AsyncSession) -> None:
    await plant_fields(session)
    good = {"floor": 3, "since": "2026-02-28", "vip": True, "motto": " On time ", "size": "small"}
    party = await create_party(session, COMMAND, FIRM, kinds=["client"], custom=good)
    assert (await party_card(session, COMMAND, party)).custom == good | {"motto": "On time"}
    left, _version = await set_custom(session, COMMAND, party, {"floor": None, "size": "large"})
    assert left == {"since": "2026-02-28", "vip": True, "motto": "On time", "size": "large"}
    assert (await party_card(session, COMMAND, party)).custom == left
    stranger = await make_user(session)
    with pytest.raises(NotFound):
        await set_custom(session, stranger, party, {"floor": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"unknown": 1},
        {"floor": "3"},
        {"floor": True},
        {"floor": float("nan")},
        {"floor": 10**400},
        {"since": "28.02.2026"},
        {"since": "2026-02-30"},
        {"since": "20260228"},
        {"vip": 1},
        {"motto": "x" * 2001},
        {"motto": "a\0b"},
        {"motto": ["x"]},
        {"size": "huge"},
        {"size": {}},
    ],
)
async def test_what_does_not_fit_an_own_field_is_refused(
    session: AsyncSession, wrong: dict[str, Any]
) -> None:
    await plant_fields(session)
    assert await refused(checked_custom(session, wrong)) == "custom"


async def test_an_own_field_is_defined_once_and_keeps_its_type(session: AsyncSession) -> None:
    field = await add_field(session, COMMAND, key="size", name="Size", type="choice", options=["s", "l", "s"])
    assert field.options == ("s", "l")
    with pytest.raises(Taken):
        await add_field(session, COMMAND, key="size", name="Again", type="text")
    for wrong in (
        {"key": "Размер", "name": "x", "type": "text"},
        {"key": "x", "name": "x", "type": "json"},
        {"key": "x", "name": " ", "type": "text"},
        {"key": "x", "name": "x", "type": "choice"},
        {"key": "x", "name": "x", "type": "text", "options": ["a"]},
        {"key": "x", "name": "x", "type": "text", "record_kind": "app_user"},
    ):
        with pytest.raises(Invalid):
            await add_field(session, COMMAND, **wrong)
    party = await create_party(session, COMMAND, FIRM, kinds=["client"], custom={"size": "s"})
    await edit_field(session, COMMAND, field.id, name="Size", options=["l"], is_archived=True)
    assert (await party_card(session, COMMAND, party)).custom == {"size": "s"}  # what is stored stays
    assert await refused(set_custom(session, COMMAND, party, {"size": "l"})) == "custom"
    assert (await set_custom(session, COMMAND, party, {"size": None}))[0] == {}
    assert [each.archived_at is None for each in await list_fields(session)] == [False]
    with pytest.raises(NotFound):
        await edit_field(session, COMMAND, 10**9, name="x")
    head = await make_user(session, ("head",))
    with pytest.raises(NotAllowed):
        await add_field(session, head, key="y", name="y", type="text")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    ),
    st.sampled_from(custom_fields.TYPES),
)
def test_whatever_is_sent_is_stored_as_its_type_or_refused(value: Any, kind: str) -> None:
    field = custom_fields.FieldInfo(
        id=1, record_kind="party", key="x", name="x", type=kind, options=("a",), archived_at=None, version=1
    )
    try:
        stored = custom_fields._checked(field, value)
    except Invalid:
        return
    wanted = {"text": (str,), "number": (int, float), "date": (str,), "flag": (bool,), "choice": (str,)}
    assert isinstance(stored, wanted[kind])
