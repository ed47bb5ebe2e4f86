"""Changes that are based on what was read; those of a party's parts have a rule of their own.

Numbers, addresses, contacts and kinds have rows of their own and leave the party's `version` alone, so that a form that is being
filled in meets no conflict over them. What tells that they changed is the party's journal of changes: its newest line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from crm.changes import last_author
from crm.errors import Conflict
from crm.rights import Access
from crm.schema.journals import ChangeLog
from crm.schema.parties import Party

_MOST_TOLD: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What somebody had read of a party: its version, and the newest line of its journal if they know it."""

    version: int
    change: int | None


async def check_version(
    session: AsyncSession,
    record_kind: str,
    record_id: object,
    present: int,
    based_on: int | None,
    fields: Mapping[str, tuple[Any, Any]] | None = None,
) -> None:
    """Of a record that is locked: its version is still the one that the change is based on; None: whatever it is.

    Args:
        fields: what differs, by name: (what is stored now, what was sent).

    Raises:
        Conflict: somebody changed it meanwhile.
    """
    if based_on not in (None, present):
        told = {"version": (present, based_on)} if fields is None else fields
        raise Conflict(told, present, await last_author(session, record_kind, record_id))


async def latest_change(session: AsyncSession, party_id: int) -> int:
    """The newest line of a party's journal of changes; 0 before the first."""
    return await session.scalar(_lines(party_id).with_only_columns(func.max(ChangeLog.id))) or 0


async def queue_up(session: AsyncSession, of: InstrumentedAttribute[int], row_id: int) -> None:
    """Before a based change: behind those who change the same party on some base. Taken first of all locks, by them alone.

    Args:
        of: the column that names the party; `row_id` is its row's.
    """
    model = of.class_
    party_id = row_id if model is Party else await session.scalar(select(of).where(model.id == row_id))
    key = f"based:{party_id}"
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


async def check_base(session: AsyncSession, access: Access, party_id: int, base: Base) -> None:
    """After a change, in its transaction, which holds the party: nobody else changed it since.

    Raises:
        Conflict: somebody did; what, and who.
    """
    ours = and_(ChangeLog.at == func.now(), ChangeLog.actor_id.is_not_distinct_from(access.actor_id))
    since = (
        []
        if base.change is None
        else list(
            await session.execute(
                _lines(party_id)
                .where(ChangeLog.id > base.change, ~ours)
                .with_only_columns(ChangeLog.field, ChangeLog.new)
                .order_by(ChangeLog.id)
                .limit(_MOST_TOLD)
            )
        )
    )
    version = (await session.execute(select(Party.version).where(Party.id == party_id))).scalar_one()
    if since or version != base.version:
        fields: dict[str, tuple[Any, Any]] = {field: (new, None) for field, new in since} or {
            "version": (version, base.version)
        }
        raise Conflict(fields, version, await last_author(session, "party", party_id))


def _lines(party_id: int) -> Select[Any]:
    return select(ChangeLog).where(ChangeLog.record_kind == "party", ChangeLog.record_id == str(party_id))
