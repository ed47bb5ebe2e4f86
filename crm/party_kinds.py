"""Kinds of a party: prospect, client, supplier … with dates, so that former clients are known as such."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import ARRAY, BigInteger, any_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid
from crm.required_fields import check_stored
from crm.rights import Access
from crm.schema.parties import Party, PartyKind, PartyKindAssignment


@dataclass(frozen=True, slots=True, kw_only=True)
class KindInfo:
    """A kind, as it stands on a party. `name` is a message id for the system's own kinds."""

    code: str
    name: str
    colour: str | None
    is_system: bool
    is_archived: bool = False  # the kind itself: offered no more
    assignment_id: int = 0
    since: datetime | None = None
    until: datetime | None = None  # when it ended: a former client
    paused_at: datetime | None = None
    end_reason: str | None = None

    @property
    def status(self) -> str:
        """Of the assignment: active, paused, ended."""
        return "ended" if self.until else "paused" if self.paused_at else "active"


async def list_kinds(session: AsyncSession) -> list[KindInfo]:
    """All kinds, in the company's order."""
    rows = await session.scalars(select(PartyKind).order_by(PartyKind.position, PartyKind.id))
    return [_info(row) for row in rows]


async def kinds_of(session: AsyncSession, party_ids: Iterable[int]) -> dict[int, tuple[KindInfo, ...]]:
    """The kinds of many parties at once, the active ones first, then the ended."""
    rows = await session.execute(_KINDS_OF, {"ids": list(party_ids)})
    kinds: dict[int, tuple[KindInfo, ...]] = {}
    for row in rows:
        values = row._asdict()
        party_id = values.pop("party_id")
        kinds[party_id] = (*kinds.get(party_id, ()), KindInfo(**values))
    return kinds


# Made once, and the same text for any number of parties: to make it costs more than to ask with it.
_KINDS_OF: Final = (
    select(
        PartyKindAssignment.party_id,
        PartyKind.code,
        PartyKind.name,
        PartyKind.colour,
        PartyKind.is_system,
        PartyKind.archived_at.is_not(None).label("is_archived"),
        PartyKindAssignment.id.label("assignment_id"),
        PartyKindAssignment.since,
        PartyKindAssignment.until,
        PartyKindAssignment.paused_at,
        PartyKindAssignment.end_reason,
    )
    .join(PartyKind, PartyKind.id == PartyKindAssignment.kind_id)
    .where(PartyKindAssignment.party_id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
    .order_by(PartyKindAssignment.until.is_not(None), PartyKind.position, PartyKindAssignment.id)
)


async def put_kinds(
    session: AsyncSession, access: Access, party: Party, codes: Collection[str], *, via: str
) -> None:
    """Make these the active kinds of a party, and end the others. The caller has checked the right.

    Raises:
        Invalid: an unknown kind, a field that a new one requires is missing, or an organisation would be left without any.
    """
    ids = await kind_ids(session, codes)
    present = await active_kinds(session, party.id)
    if set(present) == set(ids):
        return
    if not ids and party.type == "organisation":
        raise Invalid("kinds", "", "An organisation has at least one kind: prospect, client, supplier …")
    new = ids.keys() - present.keys()
    await _refuse_archived(session, new)
    await check_stored(session, party, new)
    now = datetime.now(UTC)
    ending = [present[code] for code in present if code not in ids]
    await session.execute(
        update(PartyKindAssignment)
        .where(
            PartyKindAssignment.party_id == party.id,
            PartyKindAssignment.kind_id.in_(ending),
            PartyKindAssignment.status != "ended",
        )
        .values(status="ended", until=now, paused_at=None)
    )
    await _add(session, access, party.id, [ids[code] for code in ids if code not in present], now)
    before, after = {"kinds": sorted(present)}, {"kinds": sorted(ids)}
    await record_change(session, access, "party", party.id, before=before, after=after, via=via)


async def add_kinds(session: AsyncSession, access: Access, party_id: int, codes: Collection[str]) -> None:
    """The kinds of a new party. Raises Invalid for an unknown or archived one."""
    ids = await kind_ids(session, codes)
    await _refuse_archived(session, codes)
    await _add(session, access, party_id, list(ids.values()), datetime.now(UTC))


async def _add(
    session: AsyncSession, access: Access, party_id: int, kinds: Collection[int], now: datetime
) -> None:
    if not kinds:
        return
    common = {"party_id": party_id, "since": now, "assigned_by": "person", "assigned_by_id": access.actor_id}
    await session.execute(insert(PartyKindAssignment), [{**common, "kind_id": kind_id} for kind_id in kinds])


async def kind_ids(session: AsyncSession, codes: Collection[str]) -> dict[str, int]:
    """The ids of kinds by their codes. Raises Invalid for an unknown one."""
    rows = await session.execute(select(PartyKind.code, PartyKind.id).where(PartyKind.code.in_(codes)))
    known: dict[str, int] = dict(rows.all())
    for code in codes:
        if code not in known:
            raise Invalid("kinds", code, "There is no kind “%(kind)s”.", kind=code)
    return known


async def active_kinds(session: AsyncSession, party_id: int) -> dict[str, int]:
    """The kinds that a party has, paused ones too: code → id."""
    rows = await session.execute(
        select(PartyKind.code, PartyKind.id)
        .join(PartyKindAssignment, PartyKindAssignment.kind_id == PartyKind.id)
        .where(PartyKindAssignment.party_id == party_id, PartyKindAssignment.status != "ended")
    )
    return dict(rows.all())


def _info(kind: PartyKind) -> KindInfo:
    return KindInfo(
        code=kind.code,
        name=kind.name,
        colour=kind.colour,
        is_system=kind.is_system,
        is_archived=kind.archived_at is not None,
    )


async def _refuse_archived(session: AsyncSession, codes: Collection[str]) -> None:
    archived = select(PartyKind.name).where(PartyKind.code.in_(codes), PartyKind.archived_at.is_not(None))
    if (name := await session.scalar(archived.limit(1))) is not None:
        raise Invalid("kinds", name, "The kind “%(kind)s” is archived. Choose another one.", kind=name)
