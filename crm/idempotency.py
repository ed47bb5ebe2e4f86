"""Requests that may be repeated: the same key of the same user is carried out once and answered the same.

The key is taken in the transaction that does the work. Whoever comes second waits for the first to commit; if the first
one fails, nothing was done and the key is free again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import CrmError
from crm.rights import Access
from crm.schema.journals import IdempotencyKey

KEPT_FOR: Final = timedelta(days=1)
_SWEPT_AT_ONCE: Final = 100


class KeyReused(CrmError):
    """One key for two different requests: a mistake of the program that sends them."""

    template = "This idempotency key belongs to another request. Take a new key for every new request."
    field = "Idempotency-Key"


async def answer_before(
    session: AsyncSession, access: Access, key: UUID, request_hash: bytes
) -> dict[str, Any] | None:
    """What this request was answered before, without taking the key: for what is long to do; None if it is new.

    Raises:
        KeyReused: the key came with another request.
    """
    before = select(IdempotencyKey.request_hash, IdempotencyKey.answer).where(_is(access, key))
    row = (await session.execute(before)).first()
    if row is None:
        return None
    if row.request_hash != request_hash:
        raise KeyReused
    return dict(row.answer)


async def take_key(
    session: AsyncSession, access: Access, key: UUID, request_hash: bytes
) -> dict[str, Any] | None:
    """The answer that this request was given before; None if it is new: do the work, then `keep_answer`.

    Raises:
        KeyReused: the key came with another request.
    """
    await _sweep(session, access)
    row = {"user_id": access.user_id, "key": key, "request_hash": request_hash}
    taken = upsert(IdempotencyKey).values(row).on_conflict_do_nothing().returning(IdempotencyKey.key)
    if await session.scalar(taken) is not None:
        return None
    return await answer_before(session, access, key, request_hash)


async def keep_answer(session: AsyncSession, access: Access, key: UUID, answer: dict[str, Any]) -> None:
    """What to answer if the request comes again within a day."""
    await session.execute(update(IdempotencyKey).where(_is(access, key)).values(answer=answer))


async def _sweep(session: AsyncSession, access: Access) -> None:
    old = (
        select(IdempotencyKey.key)
        .where(IdempotencyKey.user_id == access.user_id, IdempotencyKey.created_at < func.now() - KEPT_FOR)
        .limit(_SWEPT_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    await session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.user_id == access.user_id, IdempotencyKey.key.in_(old))
    )


def _is(access: Access, key: UUID) -> Any:
    return (IdempotencyKey.user_id == access.user_id) & (IdempotencyKey.key == key)
