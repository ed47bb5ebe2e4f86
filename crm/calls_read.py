"""Calls as pages, the API and the export read them: within one's rights, newest first, each with its parts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    any_,
    func,
    or_,
    select,
    true,
    tuple_,
    union,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.call_parts import MirrorInfo, NoteInfo, ParticipationInfo, Parts, TransferInfo, parts_of
from crm.errors import Invalid, NotFound
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size, uuid_of
from crm.planning import plan_for_values
from crm.rights import Access, Scope, narrow, ways
from crm.schema.access import User
from crm.schema.communications import Call, Communication, Participation
from crm.schema.parties import Party
from crm.schema.telephony import Line
from cti.calls.records import Direction, Disposition, Origin
from cti.calls.telling import moment

EXPORT_BATCH = 500
FEWEST_DIGITS = 3
RARE_DIGITS = 4  # fewer end so many numbers that the newest calls soon give a page


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls; what is None does not narrow. The period is half-open."""

    since: datetime | None = None
    until: datetime | None = None
    direction: str | None = None  # inbound, outbound, internal
    disposition: str | None = None  # or "open", "unseen", "missed": inbound, over, and nobody of ours talked
    party_id: int | None = None
    number: str | None = None  # E.164, or the last digits of one as typed
    line_id: int | None = None
    connection_id: int | None = None
    user_id: int | None = None
    queue: str | None = None
    with_mirrors: bool = False  # also what other connections saw of calls that are listed already


@dataclass(frozen=True, slots=True, kw_only=True)
class CallInfo:
    """A call as a line of the journal. Times are UTC, seconds are floats, None is "not known"."""

    id: UUID
    connection_id: int
    direction: str
    state: str
    disposition: str | None
    ended_unseen: bool
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    customer_number: str | None  # as presented or dialled
    customer_e164: str | None
    customer_name: str | None  # the network's text
    did: str | None  # as the provider sent it
    did_e164: str | None
    dialled: str | None
    match_status: str | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    link_source: str | None
    line_id: int | None
    line_name: str | None
    line_colour: str | None
    queue: str | None
    placed_by: str | None  # extensions
    answered_by: str | None
    final_agent: str | None
    user_id: int | None
    user_name: str | None
    hung_up_by: str | None
    ring_seconds: float | None
    wait_seconds: float | None
    talk_seconds: float | None
    hold_seconds: float | None
    recording_file: str | None
    external_id: str
    mirror_of_id: UUID | None  # the call that this is too, seen by another connection: that one counts
    origin: str  # live, attached, back_filled

    @property
    def is_open(self) -> bool:
        return self.ended_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallCard:
    """One call with everything that belongs to it, and its story in lines that a person reads."""

    call: CallInfo
    participations: tuple[ParticipationInfo, ...]
    transfers: tuple[TransferInfo, ...]
    notes: tuple[NoteInfo, ...]  # within one's right to them
    linked_ids: tuple[str, ...]
    story: tuple[str, ...]
    mirrors: tuple[MirrorInfo, ...]


_contact = aliased(Party)
_COLUMNS: tuple[Any, ...] = (
    Call.id, Call.connection_id, Call.direction, Call.state, Call.disposition, Call.ended_unseen, Call.started_at,
    Call.answered_at, Call.ended_at, Call.presented_from, Call.presented_to, Call.presented_name, Call.customer_e164,
    Call.did_e164, Call.dialled, Call.match_status, Communication.party_id, Party.display_name.label("party_name"),
    Communication.contact_id, _contact.display_name.label("contact_name"), Communication.link_source, Call.line_id,
    Line.name.label("line_name"), Line.colour.label("line_colour"), Call.queue, Call.placed_by, Call.answered_by,
    Call.final_agent, Communication.user_id, User.name.label("user_name"), Call.hung_up_by, Call.ring_seconds,
    Call.wait_seconds, Call.talk_seconds, Call.hold_seconds, Call.recording_file, Call.external_id,
    Call.mirror_of_id,
    Call.origin,
)  # fmt: skip
_NEWEST_FIRST = (Call.started_at.desc(), Call.id.desc())


async def list_calls(
    session: AsyncSession,
    access: Access,
    wanted: CallFilter = CallFilter(),
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[CallInfo]:
    """A page of the journal, newest first, within the right "call.read".

    Raises:
        Invalid: the cursor, or a value of the filter.
    """
    size = page_size(limit)
    await plan_for_values(session)
    ids = union(*_first_ones(access, wanted, cursor, size + 1))
    query = _calls().where(Call.id.in_(ids)).order_by(*_NEWEST_FIRST).limit(size + 1)
    items = [_info(row) for row in await session.execute(query)]
    last = items[size - 1] if len(items) > size else None
    return Page(
        items=tuple(items[:size]),
        next=encode_cursor(last.started_at.isoformat(), str(last.id)) if last else None,
    )


async def calls_of(session: AsyncSession, access: Access, ids: Sequence[UUID]) -> list[CallInfo]:
    """Those of these calls that this user may see, without those that went into another one."""
    query = _within(access, CallFilter(with_mirrors=True)).where(Call.id.in_(ids)).order_by(*_NEWEST_FIRST)
    return [_info(row) for row in await session.execute(query)]


async def call_card(session: AsyncSession, access: Access, call_id: UUID) -> CallCard:
    """One call, whole. An id that went into another call by a transfer shows that one.

    Raises:
        NotFound: no such call, or outside one's rights.
    """
    call, parts = await _one(session, access, call_id)
    return CallCard(
        call=call,
        participations=parts.participations.get(call.id, ()),
        transfers=parts.transfers.get(call.id, ()),
        notes=parts.notes.get(call.id, ()),
        linked_ids=parts.linked_ids.get(call.id, ()),
        story=parts.stories.get(call.id, ()),
        mirrors=parts.mirrors.get(call.id, ()),
    )


async def told_call(session: AsyncSession, access: Access, call_id: UUID) -> dict[str, Any]:
    """One call as outside programs read it: the fields of `ringcard replay`, and `id`. Raises NotFound."""
    return tell_stored(*await _one(session, access, call_id))


async def _one(session: AsyncSession, access: Access, call_id: UUID) -> tuple[CallInfo, Parts]:
    joined = await session.scalar(select(Call.joined_into_id).where(Call.id == call_id))
    query = _within(access, CallFilter(with_mirrors=True)).where(Call.id == (joined or call_id))
    row = (await session.execute(query)).first()
    if row is None:
        raise NotFound("call", call_id)
    call = _info(row)
    return call, await parts_of(session, access, [call.id])


async def export_calls(
    session: AsyncSession,
    access: Access,
    wanted: CallFilter = CallFilter(),
) -> AsyncIterator[dict[str, Any]]:
    """Every call within one's rights and the filter as outside programs read it, oldest first."""
    oldest_first = (Call.started_at, Call.id)
    last: tuple[datetime, UUID] | None = None
    while True:
        query = _within(access, wanted).order_by(*oldest_first).limit(EXPORT_BATCH)
        if last is not None:
            query = query.where(tuple_(*oldest_first) > tuple_(*last))
        calls = [_info(row) for row in await session.execute(query)]
        if not calls:
            return
        parts = await parts_of(session, access, [call.id for call in calls])
        for call in calls:
            yield tell_stored(call, parts)
        last = calls[-1].started_at, calls[-1].id


def tell_stored(call: CallInfo, parts: Parts) -> dict[str, Any]:
    """The JSON object of a stored call: the fields of `cti.calls.telling.tell_call`, with our ids."""
    rang = [part.extension for part in parts.participations.get(call.id, ()) if part.has_rung]
    return {
        "id": str(call.id),
        "key": call.external_id,
        "direction": call.direction,
        "customer_number_raw": call.customer_number,
        "customer_e164": call.customer_e164,
        "customer_name": call.customer_name,
        "did": call.did_e164,
        "did_raw": call.did,
        "queue": call.queue,
        "rang": list(dict.fromkeys(rang)),
        "answered": call.disposition == Disposition.ANSWERED or call.answered_at is not None,
        "answered_by": call.answered_by,
        "placed_by": call.placed_by,
        "dialled": call.dialled,
        "disposition": call.disposition,
        "transfers": [
            {"from": one.from_extension, "to": one.to, "kind": one.kind, "outcome": one.outcome}
            for one in parts.transfers.get(call.id, ())
        ],
        "final_agent": call.final_agent,
        "hung_up_by": call.hung_up_by,
        "ended_unseen": call.ended_unseen,
        "ring_s": call.ring_seconds,
        "wait_s": call.wait_seconds,
        "talk_s": call.talk_seconds,
        "hold_s": call.hold_seconds,
        "recording_file": call.recording_file,
        "linked_ids": list(parts.linked_ids.get(call.id, ())),
        "started_at": moment(call.started_at),
        "answered_at": moment(call.answered_at),
        "ended_at": moment(call.ended_at),
        "open": call.is_open,
        "story": list(parts.stories.get(call.id, ())),
        "origin": call.origin,
        "party_id": call.party_id,
        "contact_id": call.contact_id,
        "match_status": call.match_status,
        "mirror_of": str(call.mirror_of_id) if call.mirror_of_id else None,
        "mirrors": [str(mirror.id) for mirror in parts.mirrors.get(call.id, ())],
    }


def _ways(access: Access, wanted: CallFilter) -> list[ColumnElement[bool]]:
    """The ways in which a call can be within one's rights; a mirror is read by its root's right only where it is listed.

    Of one party or user, a team's are soon met, whichever way one of them may be seen: their calls are gone through once.
    """
    found = ways(access, "call.read", Call)
    if not wanted.with_mirrors:
        found = found[:2]
    is_of_one = wanted.party_id is not None or wanted.user_id is not None
    return [or_(*found)] if is_of_one and access.scope("call.read") is Scope.TEAM else found


def _first_ones(access: Access, wanted: CallFilter, cursor: str | None, most: int) -> Iterator[Select[UUID]]:
    """The newest after the cursor, of each way in which a call can be read. Raises Invalid: the cursor."""
    order, conditions = _order(wanted), [Call.joined_into_id.is_(None), *_conditions(wanted)]
    after = _after(cursor) if cursor else None
    if after is not None:
        conditions.append(tuple_(*order) < after)
    found = _ways(access, wanted)
    if access.scope("call.read") is Scope.OWN and wanted.party_id is None and wanted.user_id is None:
        yield _taken_part(access.user_id, conditions, after, most)
        found = found[1:]
    for way in found:
        for whose in _of_whom(wanted):
            yield _newest([*conditions, whose], way, most, order)


def _after(cursor: str) -> ColumnElement[Any]:
    started_at, call_id = decode_cursor(cursor, str, str)
    return tuple_(moment_of(started_at, cursor), uuid_of(call_id, cursor))


def _taken_part(
    user_id: int, conditions: Sequence[ColumnElement[bool]], after: ColumnElement[Any] | None, most: int
) -> Select[UUID]:
    """The newest of those in which one took part, each once, by the index of one's own parts: few of all calls are one's own."""
    order = Participation.started_at, Participation.call_id
    query = (
        select(Participation.call_id, Participation.started_at)
        .join(Call, Call.id == Participation.call_id)
        .join(Communication, Communication.id == Call.id)
        .where(Participation.user_id == user_id, *conditions)
    )
    if after is not None:
        query = query.where(tuple_(*order) < after)
    newest_first = [column.desc() for column in order]
    return select(query.distinct().order_by(*newest_first).limit(most).subquery().c.call_id)


def _order(wanted: CallFilter) -> tuple[Any, Any]:
    """What the journal is in order of. The same moment stands in both rows; a party's and a user's indexes are over one of them."""
    if wanted.party_id is None and wanted.user_id is None:
        return Call.started_at, Call.id
    return Communication.started_at, Communication.id


def _of_whom(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """The ways in which a call can be of the party that was asked for, each read from its own index."""
    if wanted.party_id is None:
        return [true()]
    return [Communication.party_id == wanted.party_id, Communication.contact_id == wanted.party_id]


def _newest(
    conditions: Sequence[ColumnElement[bool]], way: ColumnElement[bool], most: int, order: tuple[Any, Any]
) -> Select[UUID]:
    """The newest calls that one way leads to, read from its own index."""
    query = select(Call.id).join(Communication, Communication.id == Call.id).where(*conditions, way)
    newest_first = [column.desc() for column in order]
    return select(query.order_by(*newest_first).limit(most).subquery().c.id)


def _within(access: Access, wanted: CallFilter) -> Select[*tuple[Any, ...]]:
    query = _calls().where(Call.joined_into_id.is_(None), or_(*_of_whom(wanted)), *_conditions(wanted))
    return narrow(query, access, "call.read", Call)


def _calls() -> Select[*tuple[Any, ...]]:
    return (
        select(*_COLUMNS)
        .select_from(Call)
        .join(Communication, Communication.id == Call.id)
        .outerjoin(Party, Party.id == Communication.party_id)
        .outerjoin(_contact, _contact.id == Communication.contact_id)
        .outerjoin(Line, Line.id == Call.line_id)
        .outerjoin(User, User.id == Communication.user_id)
    )


def _conditions(wanted: CallFilter) -> Sequence[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if not wanted.with_mirrors:
        found.append(Call.mirror_of_id.is_(None))
    for column, value in (
        (Call.direction, wanted.direction),
        (Call.line_id, wanted.line_id),
        (Call.connection_id, wanted.connection_id),
        (Call.queue, wanted.queue),
        (Communication.user_id, wanted.user_id),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.since is not None:
        found.append(Call.started_at >= wanted.since)
    if wanted.until is not None:
        found.append(Call.started_at < wanted.until)
    if wanted.number:
        found.append(has_number(wanted.number))
    if wanted.disposition is not None:
        found += _came_out(wanted.disposition)
    return found


def has_number(number: str) -> ColumnElement[bool]:
    """Calls of a number: whole after a `+`, else its last digits as typed. Raises Invalid: fewer than three of them."""
    digits = re.sub(r"\D", "", number, flags=re.ASCII)
    if len(digits) < FEWEST_DIGITS:
        raise Invalid("number", number[:80], "Give a whole number, or at least its last three digits.")
    if number.strip().startswith("+"):
        return Call.customer_e164 == f"+{digits}"
    backwards = f"{digits[::-1]}%"
    is_known = Call.customer_e164.is_not(None)
    ways = (
        and_(is_known, func.reverse(Call.customer_e164).like(backwards)),
        and_(~is_known, func.reverse(Call.presented_from).like(backwards)),
        and_(~is_known, func.reverse(Call.presented_to).like(backwards)),
    )
    if len(digits) < RARE_DIGITS:
        return or_(*ways)
    # An array, not IN (…): computed once from the indexes of numbers read backwards, and looked up in that of ids.
    found = union_all(*(select(Call.id).where(way) for way in ways)).subquery()
    return Call.id == any_(func.array(select(found.c.id).scalar_subquery()))


def _came_out(disposition: str) -> list[ColumnElement[bool]]:
    match disposition:
        case "open":
            return [Call.ended_at.is_(None)]
        case "unseen":
            return [Call.ended_unseen == true()]
        case "missed":
            is_inbound = Call.direction == Direction.INBOUND
            # Told afterwards, a call may be answered at no known moment, or come out nobody knows how: neither is missed.
            # Whom we turned away ourselves nobody missed.
            is_unanswered = func.coalesce(Call.disposition, "").not_in(
                (Disposition.ANSWERED, Disposition.BLOCKED)
            )
            is_told = or_(Call.origin != Origin.BACK_FILLED, Call.disposition.is_not(None))
            return [
                is_inbound,
                Call.ended_at.is_not(None),
                Call.answered_at.is_(None),
                is_unanswered,
                is_told,
            ]
        case _ if disposition in {*Disposition}:
            return [Call.disposition == disposition]
        case _:
            raise Invalid("disposition", disposition[:80], "There is no such outcome of a call.")


def _info(row: Row[Any]) -> CallInfo:
    values = row._asdict()
    presented_from, presented_to = values.pop("presented_from"), values.pop("presented_to")
    is_inbound, is_internal = row.direction == Direction.INBOUND, row.direction == Direction.INTERNAL
    return CallInfo(
        **values | {"customer_name": values.pop("presented_name")},
        customer_number=None if is_internal else presented_from if is_inbound else presented_to,
        did=None if is_internal else presented_to if is_inbound else presented_from,
    )
