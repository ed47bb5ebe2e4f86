"""What becomes of a kind that a party has: a pause, its end with a reason; each with its moment, so that history stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.party_access import editable_party
from crm.rights import Access
from crm.schema.parties import PartyKind, PartyKindAssignment

MAX_REASON: Final = 200


async def pause_kind(
    session: AsyncSession, access: Access, party_id: int, assignment_id: int, *, via: str = "form"
) -> None:
    """For the time being: the party leaves the lists of this kind, where «paused» finds it; its card shows the kind, with a mark.

    Raises:
        NotAllowed, NotFound (also of an ended one).
    """
    stay, code = await _present(session, access, party_id, assignment_id)
    if stay.status == "active":
        now = datetime.now(UTC)
        await _move(session, access, stay, code, "paused", via, {"status": "paused", "paused_at": now})


async def resume_kind(
    session: AsyncSession, access: Access, party_id: int, assignment_id: int, *, via: str = "form"
) -> None:
    """The pause is over.

    Raises:
        NotAllowed, NotFound (also of an ended one).
    """
    stay, code = await _present(session, access, party_id, assignment_id)
    if stay.status == "paused":
        await _move(session, access, stay, code, "active", via, {"status": "active", "paused_at": None})


async def end_kind(
    session: AsyncSession,
    access: Access,
    party_id: int,
    assignment_id: int,
    reason: str,
    *,
    via: str = "form",
) -> None:
    """It is over, from now on. The last kind may end, too: that is how a client becomes a former one.

    Args:
        reason: in words, of the directory or one's own; "" if there is none to tell.

    Raises:
        NotAllowed, NotFound (also of an ended one), Invalid (the reason is too long).
    """
    reason = " ".join(reason.split())
    if len(reason) > MAX_REASON:
        raise Invalid("reason", reason[:50], "At most %(most)d characters fit here.", most=MAX_REASON)
    stay, code = await _present(session, access, party_id, assignment_id)
    ended = {"status": "ended", "until": datetime.now(UTC), "paused_at": None, "end_reason": reason or None}
    told = f"ended: {reason}" if reason else "ended"
    await _move(session, access, stay, code, told, via, ended)


async def stay_named(session: AsyncSession, access: Access, party_id: int, code: str) -> int:
    """The id of the kind that a party has now, by its code, for changing it.

    Raises:
        NotAllowed, NotFound, Invalid (the party has no such kind).
    """
    party = await editable_party(session, access, party_id)
    stay = await session.scalar(
        select(PartyKindAssignment.id)
        .join(PartyKind, PartyKind.id == PartyKindAssignment.kind_id)
        .where(
            PartyKindAssignment.party_id == party.id,
            PartyKindAssignment.status != "ended",
            PartyKind.code == code,
        )
    )
    if stay is None:
        raise Invalid("kind", code, "The record has no kind “%(kind)s” now.", kind=code)
    return stay


async def _present(
    session: AsyncSession, access: Access, party_id: int, assignment_id: int
) -> tuple[PartyKindAssignment, str]:
    party = await editable_party(session, access, party_id)
    row = (
        await session.execute(
            select(PartyKindAssignment, PartyKind.code)
            .join(PartyKind, PartyKind.id == PartyKindAssignment.kind_id)
            .where(
                PartyKindAssignment.id == assignment_id,
                PartyKindAssignment.party_id == party.id,
                PartyKindAssignment.status != "ended",
            )
            .execution_options(populate_existing=True)
        )
    ).one_or_none()
    if row is None:
        raise NotFound("kind", assignment_id)
    return row[0], row[1]


async def _move(
    session: AsyncSession,
    access: Access,
    stay: PartyKindAssignment,
    code: str,
    told: str,
    via: str,
    values: dict[str, Any],
) -> None:
    field = f"kind.{code}"
    before, after = {field: stay.status}, {field: told}
    await record_change(session, access, "party", stay.party_id, before=before, after=after, via=via)
    is_this = PartyKindAssignment.id == stay.id
    await session.execute(update(PartyKindAssignment).where(is_this).values(values))
