"""Fields that a party of a kind must have: set by the administrator, checked by every route when a party is saved.

What is stored already stays as it is until somebody saves it the next time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import delete, exists, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.party_values import PERSON
from crm.rights import Access
from crm.schema.directories import RequiredField
from crm.schema.parties import Affiliation, Organisation, Party, PartyEmail, PartyKind, PartyPhone, Person

PHONE: Final = "phone"
EMAIL: Final = "email"
# field → what to tell whoever leaves it out; the order is that of the settings page
WHY: Final[Mapping[str, str]] = {
    "inn": "The kinds chosen need an INN. Fill it in; the long form has the field.",
    "kpp": "The kinds chosen need a KPP. Fill it in; the long form has the field.",
    "ogrn": "The kinds chosen need an OGRN. Fill it in; the long form has the field.",
    "full_name": "The kinds chosen need the full name. Fill it in; the long form has the field.",
    "last_name": "The kinds chosen need the last name. Fill it in; the long form has the field.",
    "first_name": "The kinds chosen need the first name. Fill it in; the long form has the field.",
    "birth_date": "The kinds chosen need the birth date. Fill it in; the long form has the field.",
    PHONE: "The kinds chosen need a telephone number, of the party or of a contact. Add one.",
    EMAIL: "The kinds chosen need an e-mail address. Add one.",
    "website": "The kinds chosen need the website. Fill it in; the long form has the field.",
    "industry": "The kinds chosen need the industry. Fill it in; the long form has the field.",
    "city": "The kinds chosen need the city. Fill it in; the long form has the field.",
    "source": "The kinds chosen need the source. Fill it in; the long form has the field.",
    "note": "The kinds chosen need a note. Fill it in; the long form has the field.",
}
FIELDS: Final = tuple(WHY)
_OF_PERSONS: Final = frozenset({"last_name", "first_name", "birth_date"})
_OF_ORGANISATIONS: Final = frozenset({"kpp", "ogrn", "full_name", "website", "industry"})


def applies(field: str, party_type: str, form: str | None = None) -> bool:
    """Whether such a party has the field at all: a person has no website, a sole trader no KPP."""
    if field == "kpp" and form == "sole_trader":
        return False
    return field not in (_OF_ORGANISATIONS if party_type == PERSON else _OF_PERSONS)


async def required_fields(session: AsyncSession) -> dict[str, frozenset[str]]:
    """Kind (its code) → the fields that a party of this kind must have; kinds that need nothing are left out."""
    rows = await session.execute(
        select(PartyKind.code, RequiredField.field).join(RequiredField, RequiredField.kind_id == PartyKind.id)
    )
    found: dict[str, frozenset[str]] = {}
    for code, field in rows:
        found[code] = found.get(code, frozenset()) | {field}
    return found


async def require_fields(
    session: AsyncSession, access: Access, kind: str, fields: Collection[str], *, via: str = "form"
) -> None:
    """Exactly these fields are required of a kind.

    Raises:
        NotAllowed, NotFound (no such kind), Invalid (no such field).
    """
    access.require("directory.manage")
    for field in fields:
        if field not in WHY:
            raise Invalid("fields", field, "There is no field “%(name)s” to require.", name=field)
    kind_id = await session.scalar(select(PartyKind.id).where(PartyKind.code == kind).with_for_update())
    if kind_id is None:
        raise NotFound("kind", kind)
    present = set(await session.scalars(select(RequiredField.field).where(RequiredField.kind_id == kind_id)))
    before, after = {"required": sorted(present)}, {"required": sorted(fields)}
    if not await record_change(session, access, "kind", kind_id, before=before, after=after, via=via):
        return
    await session.execute(delete(RequiredField).where(RequiredField.kind_id == kind_id))
    if fields:
        rows = [{"kind_id": kind_id, "field": field} for field in sorted(fields)]
        await session.execute(insert(RequiredField), rows)


async def check_required(
    session: AsyncSession,
    kinds: Collection[str],
    values: Mapping[str, Any],
    *,
    has_phone: bool | None = None,
    has_email: bool | None = None,
    party_id: int | None = None,
) -> None:
    """Refuse a party that lacks what its kinds need. Every route that saves one calls this.

    Args:
        values: the columns about to be stored, with the party's `type`.
        has_phone, has_email: whether it comes with one; None: look at what is stored of `party_id`.

    Raises:
        Invalid: naming the first field that is missing.
    """
    needed = await _needed(session, kinds)
    if PHONE in needed and has_phone is None:
        has_phone = await _has_phone(session, party_id)
    if EMAIL in needed and has_email is None:
        has_email = await _has_email(session, party_id)
    points = {PHONE: has_phone, EMAIL: has_email}
    for field in missing_fields(needed, {**values, **points}):
        raise Invalid(field, "", WHY[field])


def missing_fields(needed: Collection[str], values: Mapping[str, Any]) -> list[str]:
    """Which of the needed fields such a party has and these values leave out, in the order of the settings page. Pure.

    Args:
        values: the columns about to be stored, with the party's `type`; `phone` and `email` tell whether there is one.
    """
    of_party = (field for field in FIELDS if applies(field, values["type"], values.get("form")))
    return [field for field in of_party if field in needed and not values.get(field)]


async def check_stored(session: AsyncSession, party: Party, kinds: Collection[str]) -> None:
    """The same for a party as it is stored, which gets these kinds without a form.

    Raises:
        Invalid: naming the first field that is missing.
    """
    if not await _needed(session, kinds):
        return
    detail: Any = Person if party.type == PERSON else Organisation
    query = select(Party, detail).join(detail, detail.party_id == Party.id).where(Party.id == party.id)
    rows = (await session.execute(query.execution_options(populate_existing=True))).one()
    values = {
        field: next(filter(None, (getattr(row, field, None) for row in rows)), None) for field in FIELDS
    }
    more = {"type": party.type, "form": getattr(rows[1], "form", None)}
    await check_required(session, kinds, values | more, party_id=party.id)


async def _needed(session: AsyncSession, kinds: Collection[str]) -> frozenset[str]:
    if not kinds:
        return frozenset()
    query = select(RequiredField.field).join(PartyKind, PartyKind.id == RequiredField.kind_id)
    return frozenset(await session.scalars(query.where(PartyKind.code.in_(kinds))))


async def _has_phone(session: AsyncSession, party_id: int | None) -> bool:
    """Of its own, or of one of its contacts."""
    tie = aliased(Affiliation)
    of_contact = exists().where(
        tie.organisation_id == party_id, tie.ended_at.is_(None), tie.person_id == PartyPhone.party_id
    )
    query = select(PartyPhone.id).where(
        PartyPhone.ended_at.is_(None), or_(PartyPhone.party_id == party_id, of_contact)
    )
    return await session.scalar(query.limit(1)) is not None


async def _has_email(session: AsyncSession, party_id: int | None) -> bool:
    query = select(PartyEmail.id).where(PartyEmail.party_id == party_id, PartyEmail.ended_at.is_(None))
    return await session.scalar(query.limit(1)) is not None
