"""Parties: people and organisations. Creating and changing them; reading a card is `crm.party_cards`.

Every write checks the right first, takes its locks in one order (numbers, addresses and INN by their text, then the
party), and leaves its rows in the change log and the outbox in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.affiliations import (
    ContactValues,
    add_contact,
    affiliate,
    edit_contact,
    end_contact,
    make_primary_contact,
)
from crm.changes import record_change
from crm.custom_fields import checked_custom
from crm.emails import attach_email, email_key, tie_email
from crm.errors import Invalid, NotFound
from crm.notifications import tell_assigned
from crm.numbering import home_profile
from crm.numbers import NumberValues, lock_key, owner_of, read_number, tie
from crm.party_access import editable_party, lock_keys
from crm.party_kinds import active_kinds, add_kinds, put_kinds
from crm.party_refusals import conflict_of, meaning_of
from crm.party_values import (
    ORGANISATION,
    PERSON,
    PartyColumns,
    PartyValues,
    columns_of,
    organisation_values,
    person_values,
)
from crm.required_fields import check_required
from crm.rights import Access
from crm.schema.access import NumberCounter, User
from crm.schema.parties import Organisation, Party, Person
from crm.sources import as_stored
from cti.numbers import Number, NumberingProfile

__all__ = [
    "ContactValues",
    "PartyValues",
    "QuickCreated",
    "add_contact",
    "affiliate",
    "archive_party",
    "attach_email",
    "change_owner",
    "create_party",
    "edit_contact",
    "edit_party",
    "end_contact",
    "make_primary_contact",
    "organisation_values",
    "person_values",
    "quick_create",
    "set_kinds",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickCreated:
    """What the quick form made; None where its field was empty."""

    organisation_id: int | None
    person_id: int | None

    @property
    def party_id(self) -> int:
        """The card to open."""
        party_id = self.organisation_id or self.person_id
        assert party_id is not None, "the quick form makes at least one of the two"
        return party_id


async def _stored_columns(session: AsyncSession, values: PartyValues) -> PartyColumns:
    columns = columns_of(values)
    return replace(columns, party=await as_stored(session, columns.party))


async def create_party(
    session: AsyncSession,
    access: Access,
    values: PartyValues,
    *,
    kinds: Collection[str] = (),
    numbers: Sequence[NumberValues] = (),
    emails: Sequence[str] = (),
    owner_id: int | None = None,
    custom: Mapping[str, Any] | None = None,
    is_reached: bool = False,
    profile: NumberingProfile | None = None,
    via: str = "form",
) -> int:
    """A new person or organisation with its numbers and addresses, all or nothing.

    Args:
        kinds: codes; an organisation has at least one.
        owner_id: the responsible user; whoever creates it, unless another one is named.
        custom: values of the company's own fields, by their keys.
        is_reached: somebody who comes with it has a number, as the contact of the quick form.

    Raises:
        NotAllowed, Invalid (also: a field that the kinds require is missing), AlreadyExists (a direct number, address or INN is somebody's already).
    """
    access.require("party.create")
    columns = await _stored_columns(session, values)
    if values.type == ORGANISATION and not kinds:
        raise Invalid("kinds", "", "An organisation has at least one kind: prospect, client, supplier …")
    if custom:
        columns = replace(columns, party={**columns.party, "custom": await checked_custom(session, custom)})
    has_phone = is_reached or bool(numbers)
    await check_required(session, kinds, columns.all, has_phone=has_phone, has_email=bool(emails))
    home = profile or home_profile(session)
    read = [(read_number(each.presented, home), each) for each in numbers]
    await _lock_and_look(session, columns, read, emails)
    try:
        async with session.begin_nested():
            party_id = await _insert(session, access, columns, owner_id)
            await add_kinds(session, access, party_id, kinds)
            after = {**columns.all, "kinds": sorted(kinds), "owner_id": owner_id or access.actor_id}
            known = {name: value for name, value in after.items() if value not in (None, "", False, [])}
            await record_change(session, access, "party", party_id, after=known, via=via)
            for number, each in read:
                await tie(session, access, party_id, number, each, via=via)
            for address in emails:
                await tie_email(session, access, party_id, address, via=via)
    except IntegrityError as error:
        raise await meaning_of(session, error, columns) from error
    return party_id


async def quick_create(
    session: AsyncSession,
    access: Access,
    *,
    organisation: str,
    person: str,
    number: str,
    position: str = "",
    kind: str = "prospect",
    is_shared: bool = False,
    profile: NumberingProfile | None = None,
    via: str = "form",
) -> QuickCreated:
    """The quick form «Название, Имя, Телефон»: organisation, contact, tie and number in one transaction.

    The number goes to the person, unless there is none or it is ticked as the organisation's («общий номер»).

    Raises:
        NotAllowed, Invalid (no name, no number), AlreadyExists (the number is somebody's: their card, what was typed stays).
    """
    access.require("party.create")
    if not organisation.strip() and not person.strip():
        raise Invalid("organisation", "", "Enter the name of the organisation or of the person.")
    numbers = [NumberValues(presented=number, is_shared=is_shared)] if number.strip() else []
    is_of_organisation = bool(organisation.strip()) and (is_shared or not person.strip())
    home = profile or home_profile(session)
    if numbers:
        await lock_keys(session, [lock_key(read_number(number, home))])
    async with session.begin_nested():  # all four or nothing, also for a caller that goes on after a refusal
        return await _quick_create(
            session,
            access,
            organisation.strip(),
            person.strip(),
            ContactValues(position=position),
            kind,
            [] if is_of_organisation else numbers,
            numbers if is_of_organisation else [],
            home,
            via,
        )


async def _quick_create(
    session: AsyncSession,
    access: Access,
    organisation: str,
    person: str,
    contact: ContactValues,
    kind: str,
    of_person: Sequence[NumberValues],
    of_organisation: Sequence[NumberValues],
    profile: NumberingProfile,
    via: str,
) -> QuickCreated:
    more: dict[str, Any] = {"profile": profile, "via": via}
    organisation_id = person_id = None
    if organisation:
        values = organisation_values(organisation)
        organisation_id = await create_party(
            session,
            access,
            values,
            kinds=[kind],
            numbers=of_organisation,
            is_reached=bool(of_person),
            **more,
        )
    if person:
        kinds = [] if organisation_id else [kind]
        person_id = await create_party(
            session, access, person_values(person), kinds=kinds, numbers=of_person, **more
        )
    if organisation_id and person_id:
        await affiliate(session, access, person_id, organisation_id, contact, via=via)
    return QuickCreated(organisation_id=organisation_id, person_id=person_id)


async def edit_party(
    session: AsyncSession,
    access: Access,
    party_id: int,
    values: PartyValues,
    *,
    version: int,
    kinds: Collection[str] | None = None,
    via: str = "form",
) -> int:
    """Everything a form says about a party; `kinds=None` leaves them. Returns the new version.

    Raises:
        NotAllowed, NotFound, Invalid, AlreadyExists (the INN is somebody else's),
        Conflict (saved by somebody meanwhile, in fields that would be overwritten).
    """
    access.require("party.edit")
    columns = await _stored_columns(session, values)
    await _lock_inn(session, columns)
    party = await editable_party(session, access, party_id)
    if party.type != values.type:
        raise Invalid("type", values.type, "A person stays a person, an organisation stays an organisation.")
    before = await _stored(session, party, columns)
    if party.version != version and before != columns.all:
        raise await conflict_of(session, party, before, columns.all)
    codes = kinds if kinds is not None else await active_kinds(session, party.id)
    await check_required(session, codes, columns.all, party_id=party.id)
    before.pop("sort_name")
    after = {name: value for name, value in columns.all.items() if name != "sort_name"}
    if await record_change(session, access, "party", party.id, before=before, after=after, via=via):
        await _update(session, party, columns)
    if kinds is not None:
        await put_kinds(session, access, party, kinds, via=via)
    return (await session.execute(select(Party.version).where(Party.id == party.id))).scalar_one()


async def set_kinds(
    session: AsyncSession, access: Access, party_id: int, kinds: Collection[str], *, via: str = "form"
) -> None:
    """Make these the active kinds of a party, and end the others.

    Raises:
        NotAllowed, NotFound, Invalid.
    """
    party = await editable_party(session, access, party_id)
    await put_kinds(session, access, party, kinds, via=via)


async def change_owner(
    session: AsyncSession, access: Access, party_id: int, owner_id: int | None, *, via: str = "form"
) -> None:
    """Another responsible user, and with them their team; None: nobody.

    Raises:
        NotAllowed, NotFound (the party, or no such active user).
    """
    party = await editable_party(session, access, party_id, right="party.change_owner")
    team_id = None
    if owner_id is not None:
        user = await session.scalar(select(User).where(User.id == owner_id, User.status == "active"))
        if user is None:
            raise NotFound("user", owner_id)
        team_id = user.team_id
    before = {"owner_id": party.owner_id, "team_id": party.team_id}
    after = {"owner_id": owner_id, "team_id": team_id}
    if await record_change(session, access, "party", party.id, before=before, after=after, via=via):
        await session.execute(
            update(Party).where(Party.id == party.id).values(**after, version=Party.version + 1)
        )
        await tell_assigned(session, access, owner_id, party.id, party.display_name)


async def archive_party(session: AsyncSession, access: Access, party_id: int, *, via: str = "form") -> None:
    """Out of the lists; a call from its number still knows it, with a mark.

    Raises:
        NotAllowed, NotFound.
    """
    party = await editable_party(session, access, party_id)
    before, after = {"lifecycle": party.lifecycle}, {"lifecycle": "archived"}
    if await record_change(session, access, "party", party.id, before=before, after=after, via=via):
        archived = {"lifecycle": "archived", "version": party.version + 1}
        await session.execute(update(Party).where(Party.id == party.id).values(archived))


async def _lock_and_look(
    session: AsyncSession,
    columns: PartyColumns,
    numbers: Sequence[tuple[Number, NumberValues]],
    emails: Sequence[str],
) -> None:
    keys = [lock_key(number) for number, _ in numbers]
    keys += [email_key(address) for address in emails]
    await lock_keys(session, keys + _inn_keys(columns))
    for number, values in numbers:
        if not values.is_shared and (taken := await owner_of(session, number)):  # sharing it is the way out
            raise taken


async def _lock_inn(session: AsyncSession, columns: PartyColumns) -> None:
    await lock_keys(session, _inn_keys(columns))


def _inn_keys(columns: PartyColumns) -> list[str]:
    inn = columns.detail["inn"]
    return [f"inn:{inn}/{columns.detail.get('kpp') or ''}"] if inn else []


async def _insert(session: AsyncSession, access: Access, columns: PartyColumns, owner_id: int | None) -> int:
    responsible = owner_id or access.actor_id
    team_id = access.team_id
    if responsible is not None and responsible != access.actor_id:
        team_id = await session.scalar(select(User.team_id).where(User.id == responsible))
    row = {
        **columns.party,
        "number": await _next_number(session),
        "owner_id": responsible,
        "team_id": team_id,
        "created_by": access.actor_id,
    }
    party_id = (await session.execute(insert(Party).values(row).returning(Party.id))).scalar_one()
    detail = Person if columns.party["type"] == PERSON else Organisation
    await session.execute(insert(detail).values(party_id=party_id, **columns.detail))
    return party_id


async def _next_number(session: AsyncSession) -> int:
    new = upsert(NumberCounter).values(kind="party", value=1)
    counted = new.on_conflict_do_update(
        index_elements=["kind"], set_={"value": NumberCounter.value + NumberCounter.step}
    )
    return (await session.execute(counted.returning(NumberCounter.value))).scalar_one()


async def _update(session: AsyncSession, party: Party, columns: PartyColumns) -> None:
    detail = Person if party.type == PERSON else Organisation
    try:
        async with session.begin_nested():
            await session.execute(
                update(Party)
                .where(Party.id == party.id)
                .values(**columns.party, version=Party.version + 1, updated_at=func.now())
            )
            await session.execute(update(detail).where(detail.party_id == party.id).values(**columns.detail))
    except IntegrityError as error:
        raise await meaning_of(session, error, columns) from error


async def _stored(session: AsyncSession, party: Party, columns: PartyColumns) -> dict[str, Any]:
    detail: Any = Person if party.type == PERSON else Organisation
    row = await session.scalar(
        select(detail).where(detail.party_id == party.id).execution_options(populate_existing=True)
    )
    common = {name: getattr(party, name) for name in columns.party}
    return common | {name: getattr(row, name) for name in columns.detail}
