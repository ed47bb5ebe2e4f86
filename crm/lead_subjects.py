"""Whom a lead is about: an existing party, or somebody new who is known from the lead alone (lifecycle "unqualified")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.affiliations import ContactValues, affiliate
from crm.emails import email_key
from crm.errors import Invalid
from crm.names import normal_name
from crm.numbering import home_profile
from crm.numbers import NumberValues, lock_key, read_number
from crm.parties import create_party
from crm.party_access import lock_keys, readable_party
from crm.party_values import ORGANISATION, organisation_values, person_values
from crm.rights import Access
from crm.schema.parties import EmailAddress, Party, PartyEmail, PartyPhone, PhoneNumber
from cti.numbers import format_number

UNQUALIFIED = "unqualified"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectValues:
    """Who asks, as told: an existing party, or names, number and address of somebody new."""

    party_id: int | None = None
    person: str = ""
    organisation: str = ""
    number: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Whose lead it is; somebody who is known from it alone is theirs, too."""

    owner_id: int | None
    team_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The person or organisation, or both, that a lead points to."""

    person_id: int | None = None
    organisation_id: int | None = None
    is_known: bool = False  # it was there before this lead

    @property
    def party_id(self) -> int:
        party_id = self.person_id or self.organisation_id
        assert party_id is not None, "a lead is about somebody"
        return party_id


async def subject_by_hand(
    session: AsyncSession, access: Access, values: SubjectValues, *, keeper: Keeper, via: str
) -> Subject:
    """The party that was picked, or a new one. A number or address of somebody else is theirs to say: nobody is picked.

    Raises:
        NotFound (the party), Invalid (nothing was told), NotAllowed, AlreadyExists.
    """
    if values.party_id is not None:
        return _known(await readable_party(session, access, values.party_id))
    if not any(
        (values.person.strip(), values.organisation.strip(), values.number.strip(), values.email.strip())
    ):
        raise Invalid("person", "", "Say who asks: a name, a number or an e-mail address.")
    return await _new(session, access, values, keeper=keeper, is_shared=False, via=via)


async def subject_by_number(
    session: AsyncSession, access: Access, values: SubjectValues, *, keeper: Keeper, via: str
) -> Subject:
    """For leads that nobody types: the one owner of the number or address, or somebody new if it is nobody's.

    Where several share the number nobody is picked: somebody new shares it, and people decide who it was. The locks are held
    until the transaction ends, so that a form and a call of one new number find one another.

    Raises:
        Invalid (neither number nor address, or not readable), NotAllowed.
    """
    if not (values.number.strip() or values.email.strip()):
        raise Invalid("number", "", "An automatic lead needs a number or an e-mail address.")
    keys = []
    if values.number.strip():
        keys.append(lock_key(read_number(values.number, home_profile(session))))
    if values.email.strip():
        keys.append(email_key(values.email))
    await lock_keys(session, keys)
    owners = await _owners(session, values)
    if len(owners) == 1:
        return _known(owners[0])
    told = values.person if values.person.strip() else nameless(session, values.number)
    if same := [owner for owner in owners if _is_named(owner, told)]:
        return _known(same[0])
    return await _new(session, access, values, keeper=keeper, is_shared=bool(owners), via=via)


def _is_named(owner: Party, told: str) -> bool:
    """Somebody made for an earlier lead of this shared number, under this very name."""
    return owner.lifecycle == UNQUALIFIED and normal_name(owner.display_name) == normal_name(told)


async def _owners(session: AsyncSession, values: SubjectValues) -> Sequence[Party]:
    """Everybody who answers to the number now; if it is nobody's, to the address."""
    owners = (
        select(Party).where(Party.deleted_at.is_(None), Party.merged_into_id.is_(None)).order_by(Party.id)
    )
    if values.number.strip():
        number = read_number(values.number, home_profile(session))
        by_number = (
            owners.join(PartyPhone, PartyPhone.party_id == Party.id)
            .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
            .where(PhoneNumber.e164 == number.e164, PartyPhone.ended_at.is_(None))
            .where(PartyPhone.extension == (number.extension or ""))
        )
        if found := (await session.scalars(by_number)).unique().all():
            return found
    if not values.email.strip():
        return []
    by_email = (
        owners.join(PartyEmail, PartyEmail.party_id == Party.id)
        .join(EmailAddress, EmailAddress.id == PartyEmail.email_id)
        .where(EmailAddress.address == values.email.strip().lower(), PartyEmail.ended_at.is_(None))
    )
    return (await session.scalars(by_email)).unique().all()


def _known(party: Party) -> Subject:
    if party.type == ORGANISATION:
        return Subject(organisation_id=party.id, is_known=True)
    return Subject(person_id=party.id, is_known=True)


async def _new(
    session: AsyncSession,
    access: Access,
    values: SubjectValues,
    *,
    keeper: Keeper,
    is_shared: bool,
    via: str,
) -> Subject:
    """An unqualified person, organisation, or both; number and address go to the person, unless there is none."""
    numbers = [NumberValues(presented=values.number, is_shared=is_shared)] if values.number.strip() else []
    emails = [values.email] if values.email.strip() else []
    organisation_id = person_id = None
    async with session.begin_nested():
        if values.organisation.strip():
            organisation_id = await create_party(
                session,
                access,
                organisation_values(values.organisation.strip()),
                kinds=["prospect"],
                numbers=[] if values.person.strip() else numbers,
                emails=[] if values.person.strip() else emails,
                via=via,
            )
        if values.person.strip() or organisation_id is None:
            person_id = await _new_person(session, access, values, numbers, emails, via)
        if organisation_id and person_id:
            await affiliate(session, access, person_id, organisation_id, ContactValues(), via=via)
        ids = [each for each in (organisation_id, person_id) if each is not None]
        await session.execute(
            update(Party)
            .where(Party.id.in_(ids))
            .values(lifecycle=UNQUALIFIED, owner_id=keeper.owner_id, team_id=keeper.team_id)
        )
    return Subject(person_id=person_id, organisation_id=organisation_id)


async def _new_person(
    session: AsyncSession,
    access: Access,
    values: SubjectValues,
    numbers: Sequence[NumberValues],
    emails: Sequence[str],
    via: str,
) -> int:
    name = values.person.strip()
    if name:
        told = person_values(name)
    else:
        told = replace(
            person_values("x"), first_name=nameless(session, values.number) or values.email.strip()
        )
    return await create_party(session, access, told, numbers=numbers, emails=emails, via=via)


def nameless(session: AsyncSession, number: str) -> str:
    """How somebody is called of whom only the number is known; "" without one. Raises Invalid."""
    if not number.strip():
        return ""
    return f"Без имени, {format_number(read_number(number, home_profile(session)).e164 or number)}"
