"""The bin («Корзина»): a deleted party waits 30 days, its numbers, addresses and INN are free meanwhile.

Restoring gives back what nobody has taken, and says who has the rest. What leaves the bin for good leaves the journals behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import PARTIES_CHANNEL, notify, record_change, record_many
from crm.duplicate_pairs import drop_pairs
from crm.errors import NotFound
from crm.merge_references import REFERENCES, Purge
from crm.merge_undo import detail_of
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_access import editable_party
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.binned import BinEntry
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

KEPT_DAYS: Final = 30
_Released = defaultdict[
    int, list[dict[str, Any]]
]  # party → its rows that ended, and whether they were marked
# What is released: table → whose mark goes on to the next one when a marked row ends.
_POINTS: Final[Mapping[str, Any]] = {"phones": PartyPhone, "emails": PartyEmail, "ties": Affiliation}


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedParty:
    """A party in the bin; it goes for good at `until`. None: another record (a lead) is nothing without it, so it stays."""

    id: int
    number: int
    type: str
    name: str
    owner_name: str | None
    deleted_at: datetime
    deleted_by: str | None
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenPoint:
    """What could not be given back. `by` has it now, with `owner` responsible; "" where it is there for another reason."""

    what: str  # number, email, inn, contact
    shown: str
    by: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    party_id: int
    taken: tuple[TakenPoint, ...]


async def bin_party(session: AsyncSession, access: Access, party_id: int, *, via: str = "form") -> None:
    """Put a party into the bin; what it had is free for others at once.

    Raises:
        NotAllowed, NotFound (unknown, in the bin already, or outside this user's right to delete).
    """
    party = await editable_party(session, access, party_id, right="party.delete")
    await _bin(session, access, [party], via, None)


async def bin_parties(
    session: AsyncSession,
    access: Access,
    ids: Collection[int],
    *,
    via: str = "form",
    request_id: str | None = None,
) -> list[int]:
    """Put several parties into the bin at once. Returns those that went: none that is there already, or merged away, or
    outside this user's right to delete.

    Raises:
        NotAllowed.
    """
    access.require("party.delete")
    present = (Party.id.in_(ids), Party.deleted_at.is_(None), Party.merged_into_id.is_(None))
    query = select(Party).where(*present, condition(access, "party.delete", Party)).order_by(Party.id)
    locked = query.with_for_update(of=Party, key_share=True).execution_options(populate_existing=True)
    parties = list(await session.scalars(locked))
    if parties:
        await _bin(session, access, parties, via, request_id)
    return [party.id for party in parties]


async def _bin(
    session: AsyncSession, access: Access, parties: Sequence[Party], via: str, request_id: str | None
) -> None:
    """These parties, which are locked, in a fixed number of statements."""
    now, ids = datetime.now(UTC), [party.id for party in parties]
    phones = await _release(session, PartyPhone, ids, now)
    emails = await _release(session, PartyEmail, ids, now)
    ties = await _release_ties(session, ids, now)
    inns = await _release_inns(session, ids)
    changed = {"deleted_at": now, "version": Party.version + 1}
    await session.execute(update(Party).where(Party.id.in_(ids)).values(changed))
    common = {"at": now, "by_id": access.actor_id, "via": via}
    kept = {
        each: {"phones": phones[each], "emails": emails[each], "ties": ties[each], "inn": inns.get(each)}
        for each in ids
    }
    entries = [{"party_id": each, "released": released, **common} for each, released in kept.items()]
    await session.execute(insert(BinEntry), entries)
    await drop_pairs(session, ids)
    changes: dict[int, Any] = {each: ({"deleted_at": None}, {"deleted_at": now}) for each in ids}
    await record_many(session, access, "party", changes, event="party.binned", via=via, request_id=request_id)
    await notify(session, PARTIES_CHANNEL, "")


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


async def restore_party(
    session: AsyncSession, access: Access, party_id: int, *, via: str = "form"
) -> Restored:
    """Out of the bin again, with what is still free.

    Raises:
        NotAllowed, NotFound (not in the bin, or outside this user's right to delete).
    """
    access.require("party.delete")
    party, entry = await _binned(session, access, party_id)
    taken: list[TakenPoint] = []
    changed = {"deleted_at": None, "version": Party.version + 1, "updated_at": func.now()}
    await session.execute(update(Party).where(Party.id == party.id).values(changed))
    for name, table in _POINTS.items():
        taken += await _give_back_all(session, table, entry.released[name])
    inn = entry.released["inn"]
    if inn and not await _give_back_inn(session, party, inn):
        taken.append(await _who_has_inn(session, party, inn))
    await session.execute(delete(BinEntry).where(BinEntry.party_id == party.id))
    before, after = {"deleted_at": entry.at}, {"deleted_at": None}
    await record_change(
        session, access, "party", party.id, before=before, after=after, event="party.restored", via=via
    )
    await notify(session, PARTIES_CHANNEL, "")
    return Restored(party_id=party.id, taken=tuple(taken))


async def _binned(session: AsyncSession, access: Access, party_id: int) -> tuple[Party, BinEntry]:
    row = await session.execute(
        select(Party, BinEntry)
        .join(BinEntry, BinEntry.party_id == Party.id)
        .where(Party.id == party_id, condition(access, "party.delete", Party))
        .with_for_update(of=Party)
        .execution_options(populate_existing=True)
    )
    found = row.one_or_none()
    if found is None:
        raise NotFound("party", party_id)
    return found[0], found[1]


async def _give_back_all(
    session: AsyncSession, table: Any, rows: Sequence[Mapping[str, Any]]
) -> list[TakenPoint]:
    refused = [row["id"] for row in rows if not await _give_back(session, table, row)]
    return [await _who_has(session, table, row_id) for row_id in refused]


async def _give_back(session: AsyncSession, table: Any, row: Mapping[str, Any]) -> bool:
    """The row is active again, with its mark unless another one has that; False: somebody has what it stands for."""
    if table is Affiliation and not await _both_live(session, row["id"]):
        return False
    for mark in (True, False) if row["is_primary"] else (False,):
        try:
            async with session.begin_nested():
                active = {"ended_at": None, "is_primary": mark}
                await session.execute(
                    update(table).where(table.id == row["id"], table.ended_at.is_not(None)).values(active)
                )
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


async def list_bin(
    session: AsyncSession, access: Access, *, cursor: str | None = None, limit: int | None = None
) -> Page[BinnedParty]:
    """What is in the bin, the latest first, within one's right to delete.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("party.delete")
    size = page_size(limit)
    owner, by = User.__table__.alias("owner"), User.__table__.alias("by")
    query = (
        select(Party, BinEntry.at, owner.c.name, by.c.name, _is_held())
        .select_from(BinEntry)
        .join(Party, Party.id == BinEntry.party_id)
        .outerjoin(owner, owner.c.id == Party.owner_id)
        .outerjoin(by, by.c.id == BinEntry.by_id)
        .where(condition(access, "party.delete", Party))
        .order_by(BinEntry.at.desc(), BinEntry.party_id.desc())
    )
    if cursor:
        at, party_id = decode_cursor(cursor, str, int)
        before = tuple_(moment_of(at, cursor), party_id or 0)
        query = query.where(tuple_(BinEntry.at, BinEntry.party_id) < before)
    rows = (await session.execute(query.limit(size + 1))).all()
    items = tuple(_told(*row) for row in rows[:size])
    last = items[-1] if len(rows) > size else None
    return Page(items=items, next=encode_cursor(last.deleted_at.isoformat(), last.id) if last else None)


def _is_held() -> ColumnElement[bool]:
    """Whether emptying the bin would leave it there."""
    holding = [reference for reference in REFERENCES if reference.purge is Purge.HOLD]
    return or_(*[exists().where(reference.column == Party.id) for reference in holding])


def _told(party: Party, at: datetime, owner: str | None, by: str | None, is_held: bool) -> BinnedParty:
    return BinnedParty(
        id=party.id,
        number=party.number,
        type=party.type,
        name=party.display_name,
        owner_name=owner,
        deleted_at=at,
        deleted_by=by,
        until=None if is_held else at + timedelta(days=KEPT_DAYS),
    )
