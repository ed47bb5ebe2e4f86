"""The bin («Корзина»): a deleted party waits 30 days, its numbers, addresses and INN are free meanwhile.

Restoring gives back what nobody has taken, and says who has the rest. What leaves the bin for good leaves the journals behind.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Text,
    cast,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from crm.adopting import give_up_adopted
from crm.bin_points import TakenPoint, give_back_points, release_points
from crm.changes import PARTIES_CHANNEL, notify, record_change, record_many
from crm.duplicate_pairs import drop_pairs
from crm.errors import NotFound
from crm.merge_references import REFERENCES, Purge
from crm.names import normal_name
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size
from crm.party_access import editable_party
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.binned import BinEntry, LeadBinEntry
from crm.schema.leads import Lead
from crm.schema.parties import Party

KEPT_DAYS: Final = 30


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
class Restored:
    party_id: int
    taken: tuple[TakenPoint, ...]


async def bin_party(session: AsyncSession, access: Access, party_id: int, *, via: str = "form") -> None:
    """Put a party into the bin; what it had is free for others at once.

    Raises:
        NotAllowed, NotFound (unknown, in the bin already, or outside this user's right to delete).
    """
    party = await editable_party(session, access, party_id, right="party.delete")
    await put_into_bin(session, access, [party], via=via)


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
        await put_into_bin(session, access, parties, via=via, request_id=request_id)
    return [party.id for party in parties]


async def put_into_bin(
    session: AsyncSession,
    access: Access,
    parties: Sequence[Party],
    *,
    via: str,
    request_id: str | None = None,
    is_with_lead: bool = False,
) -> None:
    """These parties, which are locked and whose right was checked, in a fixed number of statements.

    Args:
        is_with_lead: they are known from a lead alone that goes as well, and come back with it.
    """
    now, ids = datetime.now(UTC), [party.id for party in parties]
    await give_up_adopted(session, access, ids)
    kept = await release_points(session, ids, now)
    changed = {"deleted_at": now, "version": Party.version + 1}
    await session.execute(update(Party).where(Party.id.in_(ids)).values(changed))
    common = {"at": now, "by_id": access.actor_id, "via": via, "is_with_lead": is_with_lead}
    entries = [{"party_id": each, "released": released, **common} for each, released in kept.items()]
    await session.execute(insert(BinEntry), entries)
    await drop_pairs(session, ids)
    changes: dict[int, Any] = {each: ({"deleted_at": None}, {"deleted_at": now}) for each in ids}
    await record_many(session, access, "party", changes, event="party.binned", via=via, request_id=request_id)
    await notify(session, PARTIES_CHANNEL, "")


async def restore_party(
    session: AsyncSession, access: Access, party_id: int, *, via: str = "form"
) -> Restored:
    """Out of the bin again, with what is still free.

    Raises:
        NotAllowed, NotFound (not in the bin, there with its lead, or outside this user's right to delete).
    """
    access.require("party.delete")
    party, entry = await _binned(session, access, party_id)
    return await take_out(session, access, party, entry, via=via)


async def take_out(
    session: AsyncSession, access: Access, party: Party, entry: BinEntry, *, via: str
) -> Restored:
    """A party, which is locked and whose right was checked, out of the bin."""
    changed = {"deleted_at": None, "version": Party.version + 1, "updated_at": func.now()}
    await session.execute(update(Party).where(Party.id == party.id).values(changed))
    taken = await give_back_points(session, party, entry.released)
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
        .where(
            Party.id == party_id, BinEntry.is_with_lead.is_(False), condition(access, "party.delete", Party)
        )
        .with_for_update(of=Party)
        .execution_options(populate_existing=True)
    )
    found = row.one_or_none()
    if found is None:
        raise NotFound("party", party_id)
    return found[0], found[1]


async def list_bin(
    session: AsyncSession,
    access: Access,
    *,
    wanted: str = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[BinnedParty]:
    """What is in the bin, the latest first, within one's right to delete; who went with a lead is listed with that.

    Args:
        wanted: a part of the name, or the record's number.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("party.delete")
    size = page_size(limit)
    owner, by = User.__table__.alias("owner"), User.__table__.alias("by")
    query = (
        select(Party, BinEntry.at, owner.c.name, by.c.name, _is_held(), _led_by())
        .select_from(BinEntry)
        .join(Party, Party.id == BinEntry.party_id)
        .outerjoin(owner, owner.c.id == Party.owner_id)
        .outerjoin(by, by.c.id == BinEntry.by_id)
        .where(
            BinEntry.is_with_lead.is_(False), condition(access, "party.delete", Party), called(wanted, Party)
        )
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


def called(wanted: str, party: Any, number: Any = None) -> ColumnElement[bool]:
    """Whether a party is called so, or the record has that number; "" is everybody."""
    typed = wanted.strip()
    if not typed:
        return true()
    digits = typed.lstrip("№# ")
    same_number = cast(party.number if number is None else number, Text) == digits
    name = normal_name(typed)
    return or_(same_number, party.sort_name.contains(name, autoescape=True)) if name else same_number


_ABOUT: Final = [
    reference.column for reference in REFERENCES if reference.purge is Purge.HOLD
]  # they are all of leads


def _is_held() -> ColumnElement[bool]:
    """Whether emptying the bin would leave it there: a lead that is about it is not in the bin itself."""
    return or_(*[exists().where(column == Party.id, Lead.deleted_at.is_(None)) for column in _ABOUT])


def _led_by() -> ColumnElement[datetime | None]:
    """When the last lead about it went into the bin: it goes after that."""
    entries = [
        select(LeadBinEntry.at).join(Lead, Lead.id == LeadBinEntry.lead_id).where(column == Party.id)
        for column in _ABOUT
    ]
    return select(func.max(union_all(*entries).subquery().c.at)).scalar_subquery()


def _told(
    party: Party, at: datetime, owner: str | None, by: str | None, is_held: bool, led: datetime | None
) -> BinnedParty:
    return BinnedParty(
        id=party.id,
        number=party.number,
        type=party.type,
        name=party.display_name,
        owner_name=owner,
        deleted_at=at,
        deleted_by=by,
        until=None if is_held else max(at, led or at) + timedelta(days=KEPT_DAYS),
    )
