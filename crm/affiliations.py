"""Contacts: a person at an organisation, with a position; exactly one of them is the primary contact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.party_access import editable_party, readable_party
from crm.party_values import ORGANISATION, PERSON
from crm.rights import Access
from crm.schema.parties import Affiliation

MAX_POSITION = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactValues:
    """What a person is at an organisation."""

    position: str = ""
    contact_role: str = ""  # decides, pays, technical …


async def add_contact(
    session: AsyncSession,
    access: Access,
    organisation_id: int,
    person_id: int,
    values: ContactValues,
    *,
    via: str = "form",
) -> int:
    """An existing person becomes a contact of an organisation; the first one is primary. Returns the tie's id.

    Raises:
        NotAllowed, NotFound (either, or outside one's rights), Invalid (not a person and an organisation).
    """
    organisation = await editable_party(session, access, organisation_id)
    person = await readable_party(session, access, person_id)
    if organisation.type != ORGANISATION or person.type != PERSON:
        raise Invalid("person_id", person_id, "A contact is a person at an organisation.")
    return await affiliate(session, access, person.id, organisation.id, values, via=via)


async def affiliate(
    session: AsyncSession,
    access: Access,
    person_id: int,
    organisation_id: int,
    values: ContactValues,
    *,
    via: str = "form",
) -> int:
    """The writing part of `add_contact`; whoever calls it has checked the rights and locked the organisation."""
    of_organisation = select(Affiliation).where(
        Affiliation.organisation_id == organisation_id, Affiliation.ended_at.is_(None)
    )
    active = (await session.scalars(of_organisation)).all()
    known = next((row for row in active if row.person_id == person_id), None)
    if known is not None:
        return known.id
    row = {
        "person_id": person_id,
        "organisation_id": organisation_id,
        "position": values.position.strip()[:MAX_POSITION] or None,
        "contact_role": values.contact_role.strip()[:MAX_POSITION] or None,
        "is_primary": not any(each.is_primary for each in active),
        "created_by": access.actor_id,
    }
    made = await session.execute(insert(Affiliation).values(row).returning(Affiliation.id))
    after = {"contact": person_id, "position": row["position"], "is_primary": row["is_primary"]}
    event = "party.contact_added"
    await record_change(
        session, access, "party", organisation_id, before={}, after=after, event=event, via=via
    )
    return made.scalar_one()


async def edit_contact(
    session: AsyncSession,
    access: Access,
    affiliation_id: int,
    values: ContactValues,
    *,
    via: str = "form",
) -> int:
    """Position and role of a contact. Returns the organisation's id.

    Raises:
        NotAllowed, NotFound.
    """
    row = await _locked(session, access, affiliation_id)
    new = {
        "position": values.position.strip()[:MAX_POSITION] or None,
        "contact_role": values.contact_role.strip()[:MAX_POSITION] or None,
    }
    old = {name: getattr(row, name) for name in new}
    if await record_change(session, access, "party", row.organisation_id, before=old, after=new, via=via):
        await session.execute(update(Affiliation).where(Affiliation.id == row.id).values(**new))
    return row.organisation_id


async def change_contact(
    session: AsyncSession,
    access: Access,
    affiliation_id: int,
    *,
    position: str | None = None,
    contact_role: str | None = None,
    is_primary: bool = False,
    via: str = "form",
) -> int:
    """All of it at once; what is None, or false for `is_primary`, stays. Returns the organisation's id.

    Raises:
        NotAllowed, NotFound.
    """
    row = await _locked(session, access, affiliation_id)
    values = ContactValues(
        position=(row.position or "") if position is None else position,
        contact_role=(row.contact_role or "") if contact_role is None else contact_role,
    )
    await edit_contact(session, access, affiliation_id, values, via=via)
    if is_primary:
        await make_primary_contact(session, access, affiliation_id, via=via)
    return row.organisation_id


async def make_primary_contact(
    session: AsyncSession, access: Access, affiliation_id: int, *, via: str = "form"
) -> int:
    """☆: the contact shown first; the earlier primary one becomes an ordinary one. Returns the organisation's id.

    Raises:
        NotAllowed, NotFound.
    """
    row = await _locked(session, access, affiliation_id)
    if row.is_primary:
        return row.organisation_id
    earlier = Affiliation.organisation_id == row.organisation_id
    old = await session.scalar(select(Affiliation.person_id).where(earlier, Affiliation.is_primary))
    await session.execute(update(Affiliation).where(earlier, Affiliation.is_primary).values(is_primary=False))
    await session.execute(update(Affiliation).where(Affiliation.id == row.id).values(is_primary=True))
    before, after = {"primary_contact": old}, {"primary_contact": row.person_id}
    await record_change(session, access, "party", row.organisation_id, before=before, after=after, via=via)
    return row.organisation_id


async def end_contact(
    session: AsyncSession,
    access: Access,
    affiliation_id: int,
    *,
    next_primary_id: int | None = None,
    via: str = "form",
) -> int:
    """The person no longer works there. Ending the primary contact names the next one, if others remain.

    Args:
        next_primary_id: the affiliation that becomes primary.

    Returns the organisation's id.

    Raises:
        NotAllowed, NotFound, Invalid (the primary contact leaves and nobody was named).
    """
    row = await _locked(session, access, affiliation_id)
    others = await session.scalars(
        select(Affiliation.id).where(
            Affiliation.organisation_id == row.organisation_id,
            Affiliation.ended_at.is_(None),
            Affiliation.id != row.id,
        )
    )
    remaining, was_primary = set(others), row.is_primary  # the update below refreshes `row`
    if was_primary and remaining and next_primary_id not in remaining:
        raise Invalid("next_primary_id", next_primary_id, "Choose who becomes the primary contact.")
    ended = {"ended_at": datetime.now(UTC), "is_primary": False}
    await session.execute(update(Affiliation).where(Affiliation.id == row.id).values(ended))
    if was_primary and next_primary_id in remaining:
        await session.execute(
            update(Affiliation).where(Affiliation.id == next_primary_id).values(is_primary=True)
        )
    before = {"contact": row.person_id}
    event = "party.contact_ended"
    await record_change(
        session, access, "party", row.organisation_id, before=before, after={}, event=event, via=via
    )
    return row.organisation_id


async def _locked(session: AsyncSession, access: Access, affiliation_id: int) -> Affiliation:
    access.require("party.edit")
    query = select(Affiliation).where(Affiliation.id == affiliation_id, Affiliation.ended_at.is_(None))
    row = await session.scalar(query)
    if row is None:
        raise NotFound("contact", affiliation_id)
    await editable_party(session, access, row.organisation_id)
    current = await session.scalar(query.execution_options(populate_existing=True))
    if current is None:
        raise NotFound("contact", affiliation_id)
    return current
