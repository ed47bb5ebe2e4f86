"""Calls without an end: found again after a restart, closed when the PBX no longer knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from crm.call_joins import agree_over_runs
from crm.schema.communications import Call, CallKey, Communication


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A stored call that has not ended, with every linked id by which its source may speak of it."""

    id: UUID
    connection_id: int
    linked_ids: tuple[str, ...]
    started_at: datetime
    answered_at: datetime | None
    customer_e164: str | None
    party_id: int | None
    contact_id: int | None


async def open_calls(session: AsyncSession, connection_id: int | None = None) -> list[OpenCall]:
    """What is still open, of one connection or of all: a restarted program goes on with these ids."""
    query = (
        select(Call, Communication.party_id, Communication.contact_id)
        .join(Communication, Communication.id == Call.id)
        .where(Call.ended_at.is_(None), Call.joined_into_id.is_(None))
        .order_by(Call.started_at, Call.id)
    )
    if connection_id is not None:
        query = query.where(Call.connection_id == connection_id)
    rows = (await session.execute(query)).all()
    keys = await _keys(session, [call.id for call, _, _ in rows])
    return [
        OpenCall(
            id=call.id,
            connection_id=call.connection_id,
            linked_ids=tuple(keys.get(call.id, [call.external_id])),
            started_at=call.started_at,
            answered_at=call.answered_at,
            customer_e164=call.customer_e164,
            party_id=party_id,
            contact_id=contact_id,
        )
        for call, party_id, contact_id in rows
    ]


async def _keys(session: AsyncSession, calls: Sequence[UUID]) -> dict[UUID, list[str]]:
    keys: dict[UUID, list[str]] = {}
    query = select(CallKey.call_id, CallKey.linked_id).where(CallKey.call_id.in_(calls)).order_by(CallKey.id)
    for call_id, linked_id in await session.execute(query):
        keys.setdefault(call_id, []).append(linked_id)
    return keys


# The last moment the call was surely up: its own latest time, or the moment the link was lost while it was up.
_CLOSE = text(
    """
    with gone as (
        select call.id, call.answered_at, least(:at, greatest(
            call.started_at, call.queued_at, call.answered_at,
            (select max(greatest(p.rang_at, p.answered_at, p.left_at)) from participation p where p.call_id = call.id),
            (select max(greatest(l.started_at, l.answered_at, l.ended_at)) from leg l where l.call_id = call.id),
            (select max(g.from_at) from connection_gap g
                where g.connection_id = call.connection_id and g.from_at <= :at)
        )) as last_seen_at
        from call
        where call.connection_id = :connection_id and call.ended_at is null and call.joined_into_id is null
            and call.started_at <= :at
            and not exists (
                select from call_key key where key.call_id = call.id and key.linked_id = any(:present)
            )
        order by call.id for update of call
    ),
    ended as (
        update call set state = 'ended', ended_unseen = true, ended_at = greatest(call.started_at, gone.last_seen_at),
            disposition = case when call.answered_at is not null then 'answered' end, told = '1' || substr(told, 2)
        from gone where call.id = gone.id
        returning call.id, call.ended_at, call.direction, call.customer_e164, call.disposition
    ),
    news as (
        insert into outbox_event (type, record_kind, record_id, after, at)
        select 'call.ended', 'call', id::text, jsonb_build_object('direction', direction, 'customer_e164',
            customer_e164, 'disposition', disposition, 'ended_at', ended_at, 'ended_unseen', true), ended_at
        from ended
    )
    update communication set ended_at = ended.ended_at from ended where communication.id = ended.id
    returning communication.id
    """
)


async def close_unseen(
    connection: AsyncConnection, connection_id: int, present: Sequence[str], at: datetime
) -> list[UUID]:
    """End the open calls of a connection that a snapshot taken at that moment does not name by any linked id.

    Nobody saw their end: they end when they were last seen, and without a disposition unless they were answered.
    """
    values = {"connection_id": connection_id, "present": list(present), "at": at}
    closed: list[UUID] = list((await connection.execute(_CLOSE, values)).scalars())
    if closed:
        await agree_over_runs(connection, [str(call_id) for call_id in closed])
    return closed
