"""Each click on a number: written before anything is sent, marked before the action goes out, never sent a second time (I7).

The steps of one click are transactions of their own: `begin_dial`, `mark_sent`, then the action, then `settle_dial`. Whatever
breaks in between leaves a row that says how far it came; `settle_left_over` tells it honestly at the next start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.dial_rules import target_of
from crm.dialling_policy import require_callable
from crm.errors import CrmError, NotFound
from crm.rights import Access
from crm.schema.base import uuid7
from crm.schema.dialling import DialRequest
from crm.schema.telephony import Line
from cti.numbers import Number

MOST_LATEST: Final = 8
_SENT_STATES: Final = ("sent", "ringing", "unknown")  # what a later word of the PBX may still change


class RequestReused(CrmError):
    """One id for two different calls: a mistake of the program that sends them."""

    template = "This id belongs to another call. Take a new id for every new call."
    field = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialOrder:
    """What somebody clicked, read and addressed."""

    request_id: UUID  # made by the page: the same click has the same id
    connection_id: int
    extension: str  # the agent's
    number: Number
    typed: str
    line_id: int | None = None  # the number of ours to show
    override_reason: str = ""
    endpoint: str = ""  # the agent's telephone, where it is not named after the extension


@dataclass(frozen=True, slots=True, kw_only=True)
class DialInfo:
    """A click as it stands. `state`: new, sent, ringing, answered, failed, refused, not_sent, unknown."""

    id: UUID  # of the call, if it comes to one
    request_id: UUID
    user_id: int
    connection_id: int
    extension: str
    target: str
    line_id: int | None
    state: str
    reason: str | None
    created_at: datetime
    is_repeated: bool = False  # the click was known already: nothing may be sent for it


async def begin_dial(session: AsyncSession, access: Access, order: DialOrder, at: datetime) -> DialInfo:
    """Write a click down, if the number may be dialled; a click that is known already answers as it stands.

    Raises:
        NotAllowed, NotFound (the line), DialRefused, RequestReused.
    """
    access.require("call.place")
    if (known := await _known(session, access, order)) is not None:
        return known
    await require_callable(
        session, access, order.number, order.connection_id, at, override_reason=order.override_reason
    )
    if order.line_id is not None:
        await outgoing_number(session, order.connection_id, order.line_id)
    row = {
        "id": uuid7(),
        "user_id": access.user_id,
        "request_id": order.request_id,
        "connection_id": order.connection_id,
        "extension": order.extension,
        "target": target_of(order.number),
        "typed": order.typed[:100],
        "line_id": order.line_id,
        "override_reason": order.override_reason.strip() or None,
        "created_at": at,
    }
    made = insert(DialRequest).values(row).on_conflict_do_nothing(index_elements=["user_id", "request_id"])
    if (await session.execute(made.returning(DialRequest.id))).first() is None:
        known = await _known(session, access, order)  # two tabs at one moment
        assert known is not None, "the click that was in the way is there"
        return known
    return _info((await session.scalars(select(DialRequest).where(DialRequest.id == row["id"]))).one())


async def mark_sent(session: AsyncSession, dial_id: UUID, at: datetime) -> bool:
    """Right before the action goes out. False: somebody else sent it, or it was settled; then nothing may be sent."""
    mine = (DialRequest.id == dial_id) & (DialRequest.state == "new")
    marked = update(DialRequest).where(mine).values(state="sent", sent_at=at).returning(DialRequest.id)
    return (await session.execute(marked)).first() is not None


async def settle_dial(
    session: AsyncSession, dial_id: UUID, state: str, at: datetime, *, reason: str | None = None
) -> None:
    """What became of it. A later word never takes back that it was answered or failed."""
    values: dict[str, Any] = {"state": state, "reason": reason, "settled_at": at}
    may_change = DialRequest.state.in_(("new", *_SENT_STATES))
    await session.execute(update(DialRequest).where(DialRequest.id == dial_id, may_change).values(values))


async def settle_left_over(session: AsyncSession, at: datetime) -> int:
    """At start: what an earlier run had not sent never will be; what it had sent has an outcome that nobody knows."""
    never = update(DialRequest).where(DialRequest.state == "new")
    await session.execute(never.values(state="not_sent", reason="restart", settled_at=at))
    unknown = update(DialRequest).where(DialRequest.state.in_(("sent", "ringing")))
    found = await session.execute(
        unknown.values(state="unknown", reason="restart", settled_at=at).returning(DialRequest.id)
    )
    return len(found.all())


async def dial_of(session: AsyncSession, access: Access, request_id: UUID) -> DialInfo:
    """One's own click, as it stands.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("call.place")
    found = await _own(session, access, request_id)
    if found is None:
        raise NotFound("dial", request_id)
    return _info(found)


async def latest_dialled(session: AsyncSession, access: Access) -> Sequence[str]:
    """The numbers this user dialled last, each once, latest first."""
    recent = (
        select(DialRequest.target)
        .where(DialRequest.user_id == access.user_id)
        .order_by(DialRequest.created_at.desc())
        .limit(MOST_LATEST * 4)
    )
    return list(dict.fromkeys(await session.scalars(recent)))[:MOST_LATEST]


async def outgoing_number(session: AsyncSession, connection_id: int, line_id: int) -> str:
    """The number of a line that may be shown to those we call, in E.164.

    Raises:
        NotFound: no such line of this connection, or it is not for outgoing calls.
    """
    found = await session.scalar(
        select(Line.e164).where(
            Line.id == line_id,
            Line.connection_id == connection_id,
            Line.deleted_at.is_(None),
            Line.allows_outgoing,
        )
    )
    if found is None:
        raise NotFound("line", line_id)
    return found


async def _known(session: AsyncSession, access: Access, order: DialOrder) -> DialInfo | None:
    row = await _own(session, access, order.request_id)
    if row is None:
        return None
    if row.target != target_of(order.number):
        raise RequestReused
    return _info(row, is_repeated=True)


async def _own(session: AsyncSession, access: Access, request_id: UUID) -> DialRequest | None:
    own = (DialRequest.user_id == access.user_id) & (DialRequest.request_id == request_id)
    return await session.scalar(select(DialRequest).where(own).execution_options(populate_existing=True))


def _info(row: DialRequest, *, is_repeated: bool = False) -> DialInfo:
    return DialInfo(
        id=row.id,
        request_id=row.request_id,
        user_id=row.user_id,
        connection_id=row.connection_id,
        extension=row.extension,
        target=row.target,
        line_id=row.line_id,
        state=row.state,
        reason=row.reason,
        created_at=row.created_at,
        is_repeated=is_repeated,
    )
