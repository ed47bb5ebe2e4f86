"""The bin of communications: what was written down by hand waits 30 days; what a PBX told is a fact and never gets there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, func, literal_column, or_, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.based_changes import check_version
from crm.by_hand import lock_behind_parties, touch_parties, values_of
from crm.changes import record_change
from crm.communications import CommunicationCard, communication_card
from crm.errors import Invalid, NotFound
from crm.names import normal_name
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size, uuid_of
from crm.party_bin import KEPT_DAYS
from crm.rights import Access, Scope, condition
from crm.schema.access import User
from crm.schema.communications import WORDS, Call, Communication
from crm.schema.meetings import CommunicationKind, Meeting
from crm.schema.parties import Party

KIND: Final = "communication"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedCommunication:
    """A communication in the bin; it goes for good at `until`."""

    id: UUID
    kind: str
    own_kind: str | None
    subject: str | None
    started_at: datetime
    party_name: str | None
    user_name: str | None
    deleted_at: datetime
    deleted_by: str | None
    until: datetime


async def bin_communication(
    session: AsyncSession,
    access: Access,
    communication_id: UUID,
    *,
    base_version: int | None = None,
    via: str = "form",
) -> None:
    """Put one into the bin: its author, or whoever may edit the party it is about.

    Raises:
        NotFound (unknown, in the bin already, not one's to change), Invalid (a PBX told it), Conflict (changed meanwhile).
    """
    card = await locked_card(session, access, communication_id)
    info = card.communication
    await check_version(session, KIND, communication_id, info.version, base_version)
    now = datetime.now(UTC)
    await _write(session, communication_id, {"deleted_at": now, "deleted_by_id": access.actor_id})
    await _tell(session, access, communication_id, None, now, via)
    await _recall_last(session, card)


async def locked_card(
    session: AsyncSession, access: Access, communication_id: UUID, *others: int | None
) -> CommunicationCard:
    """One that was written by hand and that this user may change, behind the parties it is, or is to be, about.

    Raises:
        NotFound, Invalid.
    """
    access.require("party.read")
    await lock_behind_parties(session, communication_id, *others)
    card = await communication_card(session, access, communication_id)
    if not card.communication.is_by_hand:
        raise Invalid("id", str(communication_id), "The PBX told this call: it stays as it was.")
    if not card.may_edit:
        raise NotFound(KIND, communication_id)
    return card


async def restore_communication(
    session: AsyncSession, access: Access, communication_id: UUID, *, via: str = "form"
) -> None:
    """Out of the bin again. Raises NotAllowed, NotFound (not in the bin, or not one's to change)."""
    access.require("party.read")
    await lock_behind_parties(session, communication_id)
    binned = select(Communication.deleted_at).outerjoin(Party, Party.id == Communication.party_id)
    deleted_at = await session.scalar(binned.where(Communication.id == communication_id, _is_theirs(access)))
    if deleted_at is None:
        raise NotFound(KIND, communication_id)
    await _write(session, communication_id, {"deleted_at": None, "deleted_by_id": None})
    await _tell(session, access, communication_id, deleted_at, None, via)
    await touch_parties(session, values_of(await communication_card(session, access, communication_id)))


async def list_communication_bin(
    session: AsyncSession,
    access: Access,
    *,
    wanted: str = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[BinnedCommunication]:
    """What is in the bin that one could change, the latest first.

    Args:
        wanted: a part of what was written, or of the party's name.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("party.read")
    size, by = page_size(limit), aliased(User)
    query = (
        select(Communication, CommunicationKind.name, Party.display_name, User.name, by.name)
        .outerjoin(CommunicationKind, CommunicationKind.id == Communication.own_kind_id)
        .outerjoin(Party, Party.id == Communication.party_id)
        .outerjoin(User, User.id == Communication.user_id)
        .outerjoin(by, by.id == Communication.deleted_by_id)
        .where(_is_theirs(access), _says(wanted))
        .order_by(Communication.deleted_at.desc(), Communication.id.desc())
    )
    if cursor:
        at, last_id = decode_cursor(cursor, str, str)
        before = tuple_(moment_of(at, cursor), uuid_of(last_id, cursor))
        query = query.where(tuple_(Communication.deleted_at, Communication.id) < before)
    rows = (await session.execute(query.limit(size + 1).execution_options(populate_existing=True))).all()
    items = tuple(_told(*row) for row in rows[:size])
    last = items[-1] if len(rows) > size else None
    return Page(items=items, next=encode_cursor(last.deleted_at.isoformat(), str(last.id)) if last else None)


def _is_theirs(access: Access) -> ColumnElement[bool]:
    """In the bin, and one's own or of a party that one may edit; `Party` is the one it is about."""
    is_binned = Communication.deleted_at.is_not(None)
    if access.scope("party.edit") is Scope.ALL:
        return is_binned
    of_party = condition(access, "party.edit", Party) if access.may("party.edit") else false()
    mine = or_(Communication.user_id == access.user_id, and_(Party.id.is_not(None), of_party))
    return and_(is_binned, mine)


def _says(wanted: str) -> ColumnElement[bool]:
    typed = wanted.strip().lower().replace("ё", "е")
    if not typed:
        return true()
    written: ColumnElement[str] = literal_column(WORDS)
    found = [written.contains(typed, autoescape=True)]
    if name := normal_name(wanted):
        found.append(Party.sort_name.contains(name, autoescape=True))
    return or_(*found)


def _told(
    row: Communication, own_kind: str | None, party: str | None, user: str | None, by: str | None
) -> BinnedCommunication:
    assert row.deleted_at is not None, "it is in the bin"
    return BinnedCommunication(
        id=row.id,
        kind=row.kind,
        own_kind=own_kind,
        subject=row.subject,
        started_at=row.started_at,
        party_name=party,
        user_name=user,
        deleted_at=row.deleted_at,
        deleted_by=by,
        until=row.deleted_at + timedelta(days=KEPT_DAYS),
    )


async def _write(session: AsyncSession, communication_id: UUID, values: dict[str, Any]) -> None:
    changed = {**values, "version": Communication.version + 1, "updated_at": func.now()}
    await session.execute(update(Communication).where(Communication.id == communication_id).values(changed))


async def _tell(
    session: AsyncSession,
    access: Access,
    communication_id: UUID,
    was: datetime | None,
    now: datetime | None,
    via: str,
) -> None:
    event = f"{KIND}.{'restored' if now is None else 'binned'}"
    before, after = {"deleted_at": was}, {"deleted_at": now}
    await record_change(
        session, access, KIND, communication_id, before=before, after=after, event=event, via=via
    )


async def _recall_last(session: AsyncSession, card: CommunicationCard) -> None:
    """Where it was a party's last communication, that is now the one before it."""
    info = card.communication
    for party_id in {info.party_id, info.contact_id} - {None}:
        was_last = update(Party).where(Party.id == party_id, Party.last_communication_at == info.started_at)
        await session.execute(
            was_last.values(last_communication_at=await _last_of(session, party_id or 0)).execution_options(
                synchronize_session=False
            )
        )


async def _last_of(session: AsyncSession, party_id: int) -> datetime | None:
    """When a party was last in touch with us: planned meetings, and those called off, are no touch."""
    from_pbx = select(Call.id).where(Call.id == Communication.id, Call.joined_into_id.is_not(None))
    found = []
    for column in (Communication.party_id, Communication.contact_id):
        query = select(Communication.started_at).where(
            column == party_id,
            Communication.deleted_at.is_(None),
            Communication.started_at <= func.now(),
            ~from_pbx.exists(),
            _has_happened(),
        )
        found.append(await session.scalar(query.order_by(Communication.started_at.desc()).limit(1)))
    return max((moment for moment in found if moment is not None), default=None)


def _has_happened() -> ColumnElement[bool]:
    no_meeting = select(Meeting.id).where(
        Meeting.id == Communication.id, Meeting.state.in_(("planned", "cancelled"))
    )
    return ~no_meeting.exists()
