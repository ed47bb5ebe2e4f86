"""What people do to their calls from the screen, written down; and the cards that travel with a call passed on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import storable
from crm.errors import Invalid
from crm.rights import Access
from crm.schema.access import User
from crm.schema.base import uuid7
from crm.schema.dialling import ControlledCall, HandOverCard

MOST_REASON: Final = 200
MOST_NOTE: Final = 2000
MOST_CARDS: Final = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCard:
    """What an agent wrote for the next one."""

    from_extension: str
    to: str
    reason: str
    note: str
    caller: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card as it travels: who wrote it, for whom, what."""

    id: UUID
    call_id: UUID
    by: str  # by name
    from_extension: str
    to: str
    reason: str
    note: str
    caller: str | None
    at: datetime


async def begin_action(
    session: AsyncSession,
    access: Access,
    call_id: UUID,
    action: str,
    at: datetime,
    *,
    target: str | None = None,
) -> UUID:
    """Before it is sent; `end_action` tells what came of it.

    Raises:
        NotAllowed.
    """
    access.require("call.control")
    action_id = uuid7()
    row = {"call_id": call_id, "user_id": access.user_id, "action": action, "at": at, "target": target}
    await session.execute(insert(ControlledCall).values(id=action_id, **row))
    return action_id


async def end_action(session: AsyncSession, action_id: UUID, outcome: str) -> None:
    """`outcome`: done, refused, not_sent, unknown."""
    await session.execute(
        update(ControlledCall).where(ControlledCall.id == action_id).values(outcome=outcome)
    )


async def write_card(
    session: AsyncSession, access: Access, call_id: UUID, card: NewCard, at: datetime
) -> Card | None:
    """Keep what was typed at a transfer; None where nothing was.

    Raises:
        NotAllowed, Invalid (too long).
    """
    access.require("call.control")
    reason, note = storable(card.reason.strip()), storable(card.note.strip())
    _check("reason", reason, MOST_REASON)
    _check("note", note, MOST_NOTE)
    if not (reason or note):
        return None
    card_id = uuid7()
    row = {
        "id": card_id,
        "call_id": call_id,
        "user_id": access.user_id,
        "from_extension": card.from_extension,
        "to_target": card.to,
        "reason": reason,
        "note": note,
        "caller": card.caller,
        "at": at,
    }
    await session.execute(insert(HandOverCard).values(row))
    return Card(
        id=card_id,
        call_id=call_id,
        by=access.name,
        from_extension=card.from_extension,
        to=card.to,
        reason=reason,
        note=note,
        caller=card.caller,
        at=at,
    )


async def withdraw_card(session: AsyncSession, card_id: UUID) -> None:
    """The PBX refused to pass the call on: nobody else shall read it."""
    await session.execute(delete(HandOverCard).where(HandOverCard.id == card_id))


async def cards_of(session: AsyncSession, call_ids: Collection[UUID]) -> Sequence[Card]:
    """The cards of these calls, oldest first."""
    rows = await session.execute(
        select(HandOverCard, User.name)
        .join(User, User.id == HandOverCard.user_id)
        .where(HandOverCard.call_id.in_(call_ids))
        .order_by(HandOverCard.at, HandOverCard.id)
        .limit(MOST_CARDS)
    )
    return [
        Card(
            id=row.id,
            call_id=row.call_id,
            by=name,
            from_extension=row.from_extension,
            to=row.to_target,
            reason=row.reason,
            note=row.note,
            caller=row.caller,
            at=row.at,
        )
        for row, name in rows
    ]


def _check(field: str, text: str, most: int) -> None:
    if len(text) > most:
        raise Invalid(field, text[:50], "It has at most %(most)d characters.", most=most)
