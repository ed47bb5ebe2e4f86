"""What people do to their calls from the screen, written down; and the cards that travel with a call passed on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
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
LOST: Final = frozenset({"refused", "not_sent"})  # outcomes of what the PBX did not do


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAct:
    """What somebody does to a call of theirs. `outcome`: done, refused, not_sent, unknown; None while it is being asked for."""

    id: UUID
    call_id: UUID
    user_id: int
    action: str
    at: datetime
    target: str | None = None
    card: Card | None = None
    outcome: str | None = None


def new_act(
    access: Access,
    call_id: UUID,
    action: str,
    at: datetime,
    *,
    target: str | None = None,
    card: NewCard | None = None,
) -> CallAct:
    """Not written yet: `write_act` does that before it is sent.

    Raises:
        NotAllowed, Invalid (the card is too long).
    """
    access.require("call.control")
    return CallAct(
        id=uuid7(),
        call_id=call_id,
        user_id=access.user_id,
        action=action,
        at=at,
        target=target,
        card=_card(access, call_id, card, at) if card else None,
    )


async def write_act(session: AsyncSession, act: CallAct) -> None:
    """Before it is sent, and again with what came of it: of a call that was not passed on the card goes. Twice is once."""
    row = {
        "id": act.id,
        "call_id": act.call_id,
        "user_id": act.user_id,
        "action": act.action,
        "at": act.at,
        "target": act.target,
        "outcome": act.outcome,
    }
    new = upsert(ControlledCall).values(row)
    await session.execute(
        new.on_conflict_do_update(index_elements=["id"], set_={"outcome": new.excluded.outcome})
    )
    if act.card is not None and act.outcome in LOST:
        await withdraw_card(session, act.card.id)
    elif act.card is not None:
        await _keep_card(session, act.user_id, act.card)


def _card(access: Access, call_id: UUID, card: NewCard, at: datetime) -> Card | None:
    """What was typed at a transfer; None where nothing was."""
    reason, note = storable(card.reason.strip()), storable(card.note.strip())
    _check("reason", reason, MOST_REASON)
    _check("note", note, MOST_NOTE)
    if not (reason or note):
        return None
    return Card(
        id=uuid7(),
        call_id=call_id,
        by=access.name,
        from_extension=card.from_extension,
        to=card.to,
        reason=reason,
        note=note,
        caller=card.caller,
        at=at,
    )


async def _keep_card(session: AsyncSession, user_id: int, card: Card) -> None:
    row = {
        "id": card.id,
        "call_id": card.call_id,
        "user_id": user_id,
        "from_extension": card.from_extension,
        "to_target": card.to,
        "reason": card.reason,
        "note": card.note,
        "caller": card.caller,
        "at": card.at,
    }
    await session.execute(upsert(HandOverCard).values(row).on_conflict_do_nothing())


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
