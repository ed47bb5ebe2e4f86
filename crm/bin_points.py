"""What a party has that others may take while it is in the bin: numbers, addresses, ties, its INN; released, and given back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.merge_undo import detail_of
from crm.schema.access import User
from crm.schema.parties import (
    Affiliation,
    EmailAddress,
    Organisation,
    Party,
    PartyEmail,
    PartyPhone,
    Person,
    PhoneNumber,
)

_Released = defaultdict[
    int, list[dict[str, Any]]
]  # party → its rows that ended, and whether they were marked
# What is released: table → whose mark goes on to the next one when a marked row ends.
_POINTS: Final[Mapping[str, Any]] = {"phones": PartyPhone, "emails": PartyEmail, "ties": Affiliation}


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenPoint:
    """What could not be given back. `by` has it now, with `owner` responsible; "" where it is there for another reason."""

    what: str  # number, email, inn, contact
    shown: str
    by: str = ""
    owner: str = ""


async def release_points(
    session: AsyncSession, party_ids: Sequence[int], now: datetime
) -> dict[int, dict[str, Any]]:
    """End what these parties have. Returns what `give_back_points` needs to know of each."""
    phones = await _release(session, PartyPhone, party_ids, now)
    emails = await _release(session, PartyEmail, party_ids, now)
    ties = await _release_ties(session, party_ids, now)
    inns = await _release_inns(session, party_ids)
    return {
        each: {"phones": phones[each], "emails": emails[each], "ties": ties[each], "inn": inns.get(each)}
        for each in party_ids
    }


async def give_back_points(
    session: AsyncSession, party: Party, released: Mapping[str, Any]
) -> list[TakenPoint]:
    """What is still free is the party's again. Returns what somebody else has."""
    taken: list[TakenPoint] = []
    for name, table in _POINTS.items():
        taken += await _give_back_all(session, table, released[name])
    inn = released["inn"]
    if inn and not await _give_back_inn(session, party, inn):
        taken.append(await _who_has_inn(session, party, inn))
    return taken


async def _release(session: AsyncSession, table: Any, ids: Sequence[int], now: datetime) -> _Released:
    """End the numbers or addresses of these parties."""
    rows = await session.execute(
        select(table.party_id, table.id, table.is_primary)
        .where(table.party_id.in_(ids), table.ended_at.is_(None))
        .order_by(table.id)
    )
    released: _Released = defaultdict(list)
    for party_id, row_id, is_primary in rows:
        released[party_id].append({"id": row_id, "is_primary": is_primary})
    await _end(session, table, released, now)
    return released


async def _release_ties(session: AsyncSession, ids: Sequence[int], now: datetime) -> _Released:
    """End the affiliations; where a person was the primary contact, the next one is. A tie of two is kept with both."""
    sides = (Affiliation.person_id, Affiliation.organisation_id)
    rows = await session.execute(
        select(Affiliation.id, Affiliation.is_primary, *sides)
        .where(or_(*(side.in_(ids) for side in sides)), Affiliation.ended_at.is_(None))
        .order_by(Affiliation.id)
    )
    released: _Released = defaultdict(list)
    firms: set[int] = set()
    for row_id, is_primary, person_id, organisation_id in rows:
        for each in {person_id, organisation_id} & set(ids):
            released[each].append({"id": row_id, "is_primary": is_primary})
        firms |= {organisation_id} if is_primary else set()
    await _end(session, Affiliation, released, now)
    await _mark_next(session, firms - set(ids))
    return released


async def _end(session: AsyncSession, table: Any, released: _Released, now: datetime) -> None:
    ended = [row["id"] for rows in released.values() for row in rows]
    await session.execute(update(table).where(table.id.in_(ended)).values(ended_at=now, is_primary=False))


async def _mark_next(session: AsyncSession, firms: Collection[int]) -> None:
    oldest = (
        select(func.min(Affiliation.id))
        .where(Affiliation.organisation_id.in_(firms), Affiliation.ended_at.is_(None))
        .group_by(Affiliation.organisation_id)
    )
    await session.execute(
        update(Affiliation).where(Affiliation.id.in_(oldest.scalar_subquery())).values(is_primary=True)
    )


async def _release_inns(session: AsyncSession, ids: Sequence[int]) -> dict[int, str]:
    released: dict[int, str] = {}
    for detail in (Person, Organisation):
        here: tuple[Any, ...] = (detail.party_id.in_(ids), detail.inn.is_not(None))
        rows = await session.execute(select(detail.party_id, detail.inn).where(*here))
        released |= {party_id: inn for party_id, inn in rows if inn}
        await session.execute(update(detail).where(*here).values(inn=None))
    return released


async def _give_back_all(
    session: AsyncSession, table: Any, rows: Sequence[Mapping[str, Any]]
) -> list[TakenPoint]:
    refused = [row["id"] for row in rows if not await _give_back(session, table, row)]
    return [await _who_has(session, table, row_id) for row_id in refused]


async def _give_back(session: AsyncSession, table: Any, row: Mapping[str, Any]) -> bool:
    """The row is active again, with its mark unless another one has that; False: somebody has what it stands for."""
    if table is Affiliation and not await _both_live(session, row["id"]):
        return False
    back: dict[str, Any] = {"ended_at": None}
    if table is PartyPhone:
        back["is_adopting"] = True  # who called meanwhile was nobody's
    for mark in (True, False) if row["is_primary"] else (False,):
        try:
            async with session.begin_nested():
                ended = (table.id == row["id"], table.ended_at.is_not(None))
                await session.execute(update(table).where(*ended).values({**back, "is_primary": mark}))
        except IntegrityError:
            continue
        return True
    return False


async def _both_live(session: AsyncSession, tie_id: int) -> bool:
    sides = select(Party.id).join(
        Affiliation, or_(Party.id == Affiliation.person_id, Party.id == Affiliation.organisation_id)
    )
    live = await session.scalars(
        sides.where(Affiliation.id == tie_id, Party.deleted_at.is_(None), Party.merged_into_id.is_(None))
    )
    return len(live.all()) == 2  # a tie has two sides


async def _give_back_inn(session: AsyncSession, party: Party, inn: str) -> bool:
    detail = detail_of(party.type)
    try:
        async with session.begin_nested():
            await session.execute(update(detail).where(detail.party_id == party.id).values(inn=inn))
    except IntegrityError:
        return False
    return True


async def _who_has(session: AsyncSession, table: Any, row_id: int) -> TakenPoint:
    if table is PartyPhone:
        return await _who_has_number(session, row_id)
    if table is PartyEmail:
        return await _who_has_email(session, row_id)
    name = await session.scalar(
        select(Party.display_name)
        .join(Affiliation, or_(Party.id == Affiliation.person_id, Party.id == Affiliation.organisation_id))
        .where(
            Affiliation.id == row_id, or_(Party.deleted_at.is_not(None), Party.merged_into_id.is_not(None))
        )
    )
    return TakenPoint(what="contact", shown=name or "")


async def _who_has_number(session: AsyncSession, row_id: int) -> TakenPoint:
    mine, theirs = PartyPhone.__table__.alias("mine"), PartyPhone.__table__.alias("theirs")
    same = and_(
        theirs.c.number_id == mine.c.number_id,
        theirs.c.extension == mine.c.extension,
        theirs.c.ended_at.is_(None),
    )
    row = await session.execute(
        select(func.coalesce(PhoneNumber.e164, PhoneNumber.local_digits), Party.display_name, User.name)
        .select_from(mine)
        .join(PhoneNumber, PhoneNumber.id == mine.c.number_id)
        .outerjoin(theirs, same)
        .outerjoin(Party, Party.id == theirs.c.party_id)
        .outerjoin(User, User.id == Party.owner_id)
        .where(mine.c.id == row_id)
        .limit(1)
    )
    shown, by, owner = row.one()
    return TakenPoint(what="number", shown=shown, by=by or "", owner=owner or "")


async def _who_has_email(session: AsyncSession, row_id: int) -> TakenPoint:
    mine, theirs = PartyEmail.__table__.alias("mine"), PartyEmail.__table__.alias("theirs")
    row = await session.execute(
        select(EmailAddress.address, Party.display_name, User.name)
        .select_from(mine)
        .join(EmailAddress, EmailAddress.id == mine.c.email_id)
        .outerjoin(theirs, and_(theirs.c.email_id == mine.c.email_id, theirs.c.ended_at.is_(None)))
        .outerjoin(Party, Party.id == theirs.c.party_id)
        .outerjoin(User, User.id == Party.owner_id)
        .where(mine.c.id == row_id)
        .limit(1)
    )
    shown, by, owner = row.one()
    return TakenPoint(what="email", shown=shown, by=by or "", owner=owner or "")


async def _who_has_inn(session: AsyncSession, party: Party, inn: str) -> TakenPoint:
    detail = detail_of(party.type)
    row = await session.execute(
        select(Party.display_name, User.name)
        .join(detail, detail.party_id == Party.id)
        .outerjoin(User, User.id == Party.owner_id)
        .where(detail.inn == inn)
        .limit(1)
    )
    by, owner = row.one_or_none() or ("", "")
    return TakenPoint(what="inn", shown=inn, by=by, owner=owner or "")
