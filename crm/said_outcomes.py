"""«Ошиблись номером», «Спам»: an agent says in mid-call what came of the talk, and its wrap-up begins with that outcome."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access
from crm.schema.communications import Call
from crm.schema.desk import WrapUp, WrapUpCode
from crm.schema.outcomes import SaidOutcome
from crm.wrap_ups import same_call

WRONG_NUMBER: Final = "wrong_number"
SPAM: Final = "spam"
KEPT: Final = timedelta(days=7)  # of calls that never came to an end


async def say_outcome(session: AsyncSession, access: Access, call_id: UUID, meaning: str) -> None:
    """From now on this is the outcome of one's own talk. What is wrapped up stays so; of a talk that follows it, it is kept.

    Args:
        meaning: `WRONG_NUMBER` or `SPAM`; nothing happens where the company archived the code of it.

    Raises:
        NotAllowed
    """
    access.require("call.notes")
    code_id = await _code(session, meaning)
    if code_id is None:
        return
    call_id = await _as_stored(session, call_id)
    if await _write(session, access, call_id, code_id, None):
        return
    await session.execute(delete(SaidOutcome).where(SaidOutcome.at < func.now() - KEPT))
    new = upsert(SaidOutcome).values(call_id=call_id, user_id=access.user_id, code_id=code_id)
    await session.execute(
        new.on_conflict_do_update(index_elements=["call_id", "user_id"], set_={"code_id": code_id})
    )


async def take_outcome_back(session: AsyncSession, access: Access, call_id: UUID, meaning: str) -> None:
    """It was a mistake; an outcome that was chosen since stays. Raises NotAllowed."""
    access.require("call.notes")
    code_id = await _code(session, meaning)
    if code_id is None:
        return
    call_id = await _as_stored(session, call_id)
    mine = (SaidOutcome.call_id == call_id) & (SaidOutcome.user_id == access.user_id)
    await session.execute(delete(SaidOutcome).where(mine, SaidOutcome.code_id == code_id))
    await _write(session, access, call_id, None, code_id)


async def _as_stored(session: AsyncSession, call_id: UUID) -> UUID:
    """The call that this one has become part of, else itself; the window may not have heard of it yet."""
    joined = await session.scalar(select(Call.joined_into_id).where(Call.id == call_id))
    return joined or call_id


async def _code(session: AsyncSession, meaning: str) -> int | None:
    return await session.scalar(
        select(WrapUpCode.id).where(WrapUpCode.meaning == meaning, WrapUpCode.archived_at.is_(None))
    )


async def _write(
    session: AsyncSession, access: Access, call_id: UUID, code_id: int | None, before: int | None
) -> bool:
    """Into a wrap-up that has begun; False: it is to be kept for the one that begins with the end of this talk."""
    mine = WrapUp.call_id.in_(same_call(call_id)) & (WrapUp.user_id == access.user_id)
    row = await session.scalar(
        select(WrapUp).where(mine).with_for_update().execution_options(populate_existing=True)
    )
    if row is None:
        return False
    if row.finished_at is not None:  # of an earlier talk, if the call came back to them
        goes_on = select(Call.id).where(Call.id.in_(same_call(call_id)), Call.ended_at.is_(None))
        return not await session.scalar(select(goes_on.exists()))
    if row.code_id == before:
        await session.execute(update(WrapUp).where(mine).values(code_id=code_id, version=WrapUp.version + 1))
    return True
