"""A person who turns out to be an organisation, and back: the same row, number, telephones and history."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import last_author, record_change
from crm.errors import Conflict, Invalid
from crm.party_access import editable_party, lock_keys
from crm.party_kinds import active_kinds, put_kinds
from crm.party_refusals import meaning_of
from crm.party_values import ORGANISATION, PERSON, PartyColumns, PartyValues, columns_of
from crm.required_fields import check_required
from crm.rights import Access
from crm.schema.parties import Affiliation, Organisation, Party, Person

_FOREIGN_KEY: Final = "23503"  # SQLSTATE: another row points here


async def turn_party(
    session: AsyncSession,
    access: Access,
    party_id: int,
    values: PartyValues,
    *,
    version: int,
    kinds: Collection[str] = (),
    via: str = "form",
) -> None:
    """Make a person an organisation, or an organisation a person.

    What both have in common (city, note, source, telephones, communications) stays; of the other fields those of `values` hold.

    Args:
        values: of the new type; its fields in common are not looked at.
        kinds: for a person without a kind, who becomes an organisation: it has at least one. () keeps those there are.

    Raises:
        NotAllowed, NotFound, Conflict (somebody saved meanwhile), AlreadyExists (the INN),
        Invalid (it is that already; a value does not fit; somebody is tied to it: end the ties first).
    """
    access.require("party.edit")
    inn = columns_of(values).detail["inn"]
    await lock_keys(session, [f"inn:{inn}/{values.kpp.strip()}"] if inn else [])
    party = await editable_party(session, access, party_id)
    if party.type == values.type:
        raise Invalid("type", values.type, "It is that already.")
    if party.version != version:
        by = await last_author(session, "party", party.id)
        raise Conflict({"version": (party.version, version)}, party.version, by)
    await _refuse_tied(session, party)
    columns = columns_of(_with_common(values, party))
    codes = kinds or await active_kinds(session, party.id)
    if values.type == ORGANISATION and not codes:
        raise Invalid("kinds", "", "An organisation has at least one kind: prospect, client, supplier …")
    await check_required(session, codes, columns.all, party_id=party.id)
    await _store(session, access, party, columns, via)
    await put_kinds(session, access, party, codes, via=via)


def _with_common(values: PartyValues, party: Party) -> PartyValues:
    return replace(
        values,
        city=party.city or "",
        note=party.note or "",
        source=party.source or "",
        language=party.language or "",
        do_not_call=party.do_not_call,
    )


async def _refuse_tied(session: AsyncSession, party: Party) -> None:
    tied = select(Affiliation.id).where(_ties_of(party), Affiliation.ended_at.is_(None))
    if await session.scalar(tied.limit(1)) is not None:
        why = "Somebody is tied to it as a contact or an organisation. End these ties first, then turn it."
        raise Invalid("type", party.display_name, why)


async def _store(
    session: AsyncSession, access: Access, party: Party, columns: PartyColumns, via: str
) -> None:
    """Ties that ended were never true (what is a firm worked nowhere): they go; the change log keeps them."""
    old: Any = Person if party.type == PERSON else Organisation
    new: Any = Organisation if old is Person else Person
    before = {"type": party.type, "name": party.display_name} | await _detail(session, old, party.id)
    after = {"type": columns.party["type"], "name": columns.party["display_name"]} | columns.detail
    ended = await session.scalars(select(Affiliation.id).where(_ties_of(party)).order_by(Affiliation.id))
    before["former_ties"] = list(ended) or None
    try:
        async with session.begin_nested():
            await session.execute(delete(Affiliation).where(_ties_of(party)))
            await session.execute(delete(old).where(old.party_id == party.id))
            await session.execute(insert(new).values(party_id=party.id, **columns.detail))
            changed = {**columns.party, "version": Party.version + 1, "updated_at": func.now()}
            await session.execute(update(Party).where(Party.id == party.id).values(changed))
    except IntegrityError as error:
        if getattr(error.orig, "sqlstate", "") == _FOREIGN_KEY:
            why = "Other records hold it as what it is so far. Point them to another card first."
            raise Invalid("type", party.display_name, why) from error
        raise await meaning_of(session, error, columns) from error
    await record_change(
        session, access, "party", party.id, before=before, after=after, event="party.turned", via=via
    )
    await session.refresh(party)


async def _detail(session: AsyncSession, model: Any, party_id: int) -> dict[str, Any]:
    query = select(model).where(model.party_id == party_id).execution_options(populate_existing=True)
    row = (await session.scalars(query)).one()
    names = [column.key for column in model.__table__.columns if column.key != "party_id"]
    found = {name: getattr(row, name) for name in names}
    session.expunge(row)  # the row goes, and must not be written again
    return found


def _ties_of(party: Party) -> Any:
    return or_(Affiliation.person_id == party.id, Affiliation.organisation_id == party.id)
