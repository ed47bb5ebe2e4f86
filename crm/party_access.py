"""A party for reading or changing: found within one's rights, followed to where it was merged, locked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.errors import NotFound
from crm.rights import Access, Scope, condition, narrow, of_teams, ways
from crm.schema.parties import Affiliation, Party

_firm = aliased(Party)  # once: to make one costs more than to ask with it


async def readable_party(session: AsyncSession, access: Access, party_id: int) -> Party:
    """The party, or the one it was merged into.

    Raises:
        NotFound: unknown, in the bin, or outside this user's rights.
    """
    return await _found(session, access, party_id, readable(access))


async def editable_party(
    session: AsyncSession,
    access: Access,
    party_id: int,
    *,
    right: str = "party.edit",
    is_shared: bool = False,
) -> Party:
    """The party, locked until the transaction ends: against every change, or (`is_shared`) against a merge only.

    Raises:
        NotAllowed, NotFound.
    """
    access.require(right)
    return await _found(
        session, access, party_id, condition(access, right, Party), lock="share" if is_shared else "change"
    )


async def editable_among(session: AsyncSession, access: Access, ids: Collection[int]) -> frozenset[int]:
    """Which of these parties this user may change."""
    if not (ids and access.may("party.edit")):
        return frozenset()
    query = select(Party.id).where(Party.id.in_(ids), Party.deleted_at.is_(None))
    return frozenset(await session.scalars(narrow(query, access, "party.edit", Party)))


async def _found(
    session: AsyncSession, access: Access, party_id: int, allowed: ColumnElement[bool], lock: str = ""
) -> Party:
    query = select(Party).where(Party.deleted_at.is_(None)).execution_options(populate_existing=True)
    if lock:
        query = query.with_for_update(of=Party, read=lock == "share", key_share=lock == "change")
    for wanted in (party_id, None):  # a chain has one link: a merge re-points earlier ones
        row = await session.scalar(query.where(Party.id == (wanted or party_id), allowed))
        if row is None:
            break
        if row.merged_into_id is None:
            return row
        party_id = row.merged_into_id
    raise NotFound("party", party_id)


def readable(access: Access, called: Sequence[int] | None = None) -> ColumnElement[bool]:
    """What a card may show: one's parties, and the contacts of organisations among them (crm-model 11).

    Lists use `narrow` alone: they show records by responsibility, and a contact comes with its organisation's card.

    Args:
        called: as of `crm.rights.ways`.
    """
    own = or_(*ways(access, "party.read", Party, called))
    if access.scope("party.read") in {Scope.NONE, Scope.ALL}:
        return own
    is_contact = (
        select(Affiliation.id)
        .join(_firm, _firm.id == Affiliation.organisation_id)
        .where(
            Affiliation.person_id == Party.id,
            Affiliation.ended_at.is_(None),
            _firm.deleted_at.is_(None),
            or_(*ways(access, "party.read", _firm, called)),
        )
        .offset(
            0
        )  # to be asked for each row: the planner must not gather the contacts of a whole department first
        .exists()
    )
    return or_(own, and_(Party.type == "person", is_contact))


async def have_more(session: AsyncSession, access: Access, most: int) -> bool:
    """Whether one's teams have more parties than that, the deleted ones included: told by an index alone."""
    for way in of_teams(access, access.scope("party.read"), Party):
        some = select(Party.team_id).where(way).limit(most + 1).subquery()
        if (await session.execute(select(func.count()).select_from(some))).scalar_one() > most:
            return True
    return False


async def lock_keys(session: AsyncSession, keys: Iterable[str]) -> None:
    """Wait for whoever writes the same number, address or INN; held until the transaction ends. Sorted: no deadlock."""
    for key in sorted(set(keys)):
        await session.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def constraint_of(error: Any) -> str:
    """The name of the constraint that an IntegrityError speaks of, "" if the driver does not tell."""
    cause = getattr(error.orig, "__cause__", None)
    return str(getattr(cause, "constraint_name", "") or "")
