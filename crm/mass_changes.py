"""One change for many parties: the responsible user, a kind begun or ended; in batches, each a transaction of its own.

Whatever a batch cannot change (outside one's rights, gone, the last kind of an organisation) is counted and left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.changes import record_many
from crm.errors import Invalid, NotFound
from crm.notifications import tell_users
from crm.owners import possible_owners
from crm.party_kinds import kind_ids
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.parties import Party, PartyKind, PartyKindAssignment

BATCH: Final = 200
MOST_PARTIES: Final = 1000  # of one action: a page waits for it
ACTIONS: Final = ("owner", "add_kind", "end_kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class MassResult:
    """What became of the parties that were named."""

    changed: int = 0
    unchanged: int = 0  # it was so already
    refused: int = 0  # gone, or outside one's rights to change it
    kept: int = 0  # an organisation keeps its last kind

    def __add__(self, other: MassResult) -> MassResult:
        return MassResult(
            changed=self.changed + other.changed,
            unchanged=self.unchanged + other.unchanged,
            refused=self.refused + other.refused,
            kept=self.kept + other.kept,
        )


async def change_owner_of(
    sessions: async_sessionmaker[AsyncSession],
    access: Access,
    party_ids: Sequence[int],
    owner_id: int,
    *,
    via: str = "form",
) -> MassResult:
    """Make a user responsible for these parties; they are notified once.

    Raises:
        NotAllowed, NotFound (the user, or one may not give records to them), Invalid (too many).
    """
    _check(access, party_ids, "party.change_owner")
    async with sessions() as session:
        if owner_id not in dict(await possible_owners(session, access)):
            raise NotFound("user", owner_id)
        team_id = await session.scalar(select(User.team_id).where(User.id == owner_id))
    result, after = MassResult(), {"owner_id": owner_id, "team_id": team_id}
    for ids in _batches(party_ids):
        async with sessions.begin() as session:
            result += await _give(session, access, ids, after, via)
    if result.changed:
        async with sessions.begin() as session:
            detail = {"count": result.changed}
            await tell_users(session, access, [owner_id], "assigned", record_kind="party", detail=detail)
    return result


async def change_kind_of(
    sessions: async_sessionmaker[AsyncSession],
    access: Access,
    party_ids: Sequence[int],
    code: str,
    *,
    is_added: bool,
    via: str = "form",
) -> MassResult:
    """Begin or end one kind of these parties.

    Raises:
        NotAllowed, Invalid (the kind, too many parties).
    """
    _check(access, party_ids, "party.edit")
    async with sessions() as session:
        kind_id = (await kind_ids(session, [code]))[code]
    result = MassResult()
    for ids in _batches(party_ids):
        async with sessions.begin() as session:
            result += await _change_kind(session, access, ids, code, kind_id, is_added, via)
    return result


def _check(access: Access, party_ids: Sequence[int], right: str) -> None:
    access.require(right)
    if len(party_ids) > MOST_PARTIES:
        why = "One action changes at most %(most)d records. Narrow the list."
        raise Invalid("parties", len(party_ids), why, most=MOST_PARTIES)


def _batches(party_ids: Sequence[int]) -> Iterator[list[int]]:
    ids = sorted(set(party_ids))  # the order in which everybody locks
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


async def _locked(session: AsyncSession, access: Access, ids: Sequence[int], right: str) -> list[Party]:
    """Those of them that may be changed, locked against everybody else."""
    return list(
        await session.scalars(
            select(Party)
            .where(
                Party.id.in_(ids),
                Party.deleted_at.is_(None),
                Party.merged_into_id.is_(None),
                condition(access, right, Party),
            )
            .order_by(Party.id)
            .with_for_update(of=Party, key_share=True)
            .execution_options(populate_existing=True)
        )
    )


async def _give(
    session: AsyncSession, access: Access, ids: Sequence[int], after: Mapping[str, Any], via: str
) -> MassResult:
    found = await _locked(session, access, ids, "party.change_owner")
    before = {party.id: {"owner_id": party.owner_id, "team_id": party.team_id} for party in found}
    changes = {party_id: (was, dict(after)) for party_id, was in before.items() if was != after}
    await record_many(session, access, "party", changes, via=via)
    await session.execute(
        update(Party).where(Party.id.in_(changes)).values(**after, version=Party.version + 1)
    )
    return MassResult(
        changed=len(changes), unchanged=len(found) - len(changes), refused=len(ids) - len(found)
    )


async def _change_kind(
    session: AsyncSession,
    access: Access,
    ids: Sequence[int],
    code: str,
    kind_id: int,
    is_added: bool,
    via: str,
) -> MassResult:
    found = await _locked(session, access, ids, "party.edit")
    present = await _kinds(session, [party.id for party in found])
    wanted = [party for party in found if (code in present.get(party.id, ())) is not is_added]
    last = {
        party.id
        for party in wanted
        if not is_added and party.type == "organisation" and present[party.id] == {code}
    }
    changes = {}
    for party in wanted:
        if party.id not in last:
            was = present.get(party.id, frozenset())
            becomes = was | {code} if is_added else was - {code}
            changes[party.id] = {"kinds": sorted(was)}, {"kinds": sorted(becomes)}
    await record_many(session, access, "party", changes, via=via)
    await _assign(session, access, list(changes), kind_id, is_added)
    return MassResult(
        changed=len(changes),
        unchanged=len(found) - len(wanted),
        refused=len(ids) - len(found),
        kept=len(last),
    )


async def _assign(
    session: AsyncSession, access: Access, ids: Sequence[int], kind_id: int, is_added: bool
) -> None:
    if not ids:
        return
    now = datetime.now(UTC)
    if is_added:
        common = {
            "kind_id": kind_id,
            "since": now,
            "assigned_by": "person",
            "assigned_by_id": access.actor_id,
        }
        await session.execute(
            insert(PartyKindAssignment), [{**common, "party_id": party_id} for party_id in ids]
        )
        return
    await session.execute(
        update(PartyKindAssignment)
        .where(
            PartyKindAssignment.party_id.in_(ids),
            PartyKindAssignment.kind_id == kind_id,
            PartyKindAssignment.status != "ended",
        )
        .values(status="ended", until=now, end_reason="by hand")
    )


async def _kinds(session: AsyncSession, ids: Sequence[int]) -> dict[int, frozenset[str]]:
    rows = await session.execute(
        select(PartyKindAssignment.party_id, PartyKind.code)
        .join(PartyKind, PartyKind.id == PartyKindAssignment.kind_id)
        .where(PartyKindAssignment.party_id.in_(ids), PartyKindAssignment.status != "ended")
    )
    found: dict[int, frozenset[str]] = {}
    for party_id, code in rows:
        found[party_id] = found.get(party_id, frozenset()) | {code}
    return found
