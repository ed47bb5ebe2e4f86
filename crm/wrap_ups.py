"""Wrap-up: an agent's time after a talk, the code they choose, and the talks that were not finished. Nothing typed is lost.

The comment of a talk is its note (`crm.notes`), saved while it is typed; here stands what came of it, and until when the
agent's state is wrap_up. When the time is up nothing happens to the row: it waits in «Не обработаны».
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVarTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    func,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.sql.selectable import LateralFromClause

from crm.errors import CrmError, Invalid, NotFound
from crm.paging import Page, decode_cursor, encode_cursor, moment_of, page_size, uuid_of
from crm.rights import Access
from crm.schema.communications import Call, CallNote, Communication, Participation
from crm.schema.desk import WrapUp, WrapUpLine
from crm.schema.parties import Party
from crm.schema.telephony import Line
from crm.wrap_up_codes import CodeInfo, list_codes

WRAP_UP_CHANNEL: Final = "ringcard_wrap_up"  # payload: "started|ended USER CALL UNTIL", UNTIL as ISO 8601
SECONDS: Final = 60  # where the queue says nothing else
MOST_MINUTES: Final = 10  # that an agent may add
MOST_COUNTED: Final = 99

# One row for each agent whose part in a talk is over, once, whatever is told again; the call may go on with others. What
# two connections saw is one talk: its row stands by the sighting that it began with, else by the one that counts, if the
# agent talked there. To whom it came back, the time is given anew, also if they were done with the first talk: its code
# stands chosen, unless something else was said since. What was restored afterwards is nobody's work now.
_BEGIN: Final = text(
    """
    with roots as (select distinct coalesce(mirror_of_id, id) as root from call where id = any(:calls)),
    seen as (
        select call.id, roots.root from roots join call on call.id = roots.root
        union all select call.id, roots.root from roots join call on call.mirror_of_id = roots.root
    ),
    parts as (
        select seen.root, p.call_id, p.user_id,
            max(coalesce(p.left_at, c.ended_at)) filter (where p.answered_at is not null) over mine as started_at,
            max(p.answered_at) over mine as answered_at,
            bool_and(coalesce(p.left_at, c.ended_at) is not null) over mine as is_over,
            make_interval(secs => coalesce(max(q.wrap_up_seconds) over mine, :seconds)) as seconds,
            p.answered_at is not null as has_talked, w.call_id is not null as is_begun
        from seen join call c on c.id = seen.id join participation p on p.call_id = c.id
        left join queue q on q.connection_id = c.connection_id and q.name = c.queue
        left join wrap_up w on w.call_id = c.id and w.user_id = p.user_id
        where c.answered_at is not null and c.direction <> 'internal' and c.origin <> 'back_filled'
            and c.joined_into_id is null and p.user_id is not null
        window mine as (partition by seen.root, p.user_id)
    ),
    ended as (
        select distinct on (root, user_id) root, call_id, user_id, started_at, answered_at, seconds
        from parts where is_over and has_talked
        order by root, user_id, is_begun desc, call_id <> root, call_id
    ),
    gone as (
        delete from said_outcome s using ended e join seen on seen.root = e.root
        where s.call_id = seen.id and s.user_id = e.user_id returning e.call_id, s.user_id, s.code_id, s.at
    ),
    said as (
        select distinct on (call_id, user_id) call_id, user_id, code_id from gone order by call_id, user_id, at desc
    ),
    begun as (
        insert into wrap_up (call_id, user_id, started_at, due_at, code_id)
        select call_id, user_id, started_at, started_at + seconds, said.code_id
        from ended left join said using (call_id, user_id)
        order by call_id, user_id on conflict do nothing
        returning call_id, user_id, due_at
    ),
    again as (
        update wrap_up w set version = version + 1,
            code_id = case when w.finished_at is null then coalesce(w.code_id, said.code_id)
                else coalesce(said.code_id, w.code_id) end,
            started_at = greatest(w.started_at, e.started_at), finished_at = null,
            due_at = case when w.finished_at is null then greatest(w.due_at, e.started_at + e.seconds)
                else e.started_at + e.seconds end,
            extended = case when w.finished_at is null then w.extended else 0 end
        from ended e left join said using (call_id, user_id)
        where (w.call_id, w.user_id) = (e.call_id, e.user_id)
            and (w.finished_at is null or e.answered_at > w.started_at)
            and (e.started_at > w.started_at + interval '1 second' or (w.code_id is null and said.code_id is not null))
        returning w.call_id, w.user_id, w.due_at
    )
    select pg_notify(:channel, 'started ' || user_id || ' ' || call_id || ' '
        || to_char(due_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    from (select * from begun union all select * from again) told
    """
)
Columns = TypeVarTuple("Columns")
_seen = aliased(Call)
_TELL: Final = text("select pg_notify(:channel, :payload)")


class WrapUpOver(CrmError):
    """The wrap-up was finished, in another tab perhaps."""

    template = "This talk has been wrapped up already."


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpInfo:
    """One talk to wrap up, as windows and lists show it."""

    call_id: UUID
    user_id: int
    direction: str
    started_at: datetime  # of the wrap-up: the end of the agent's part in the talk
    due_at: datetime
    extended: int
    finished_at: datetime | None
    code_id: int | None
    e164: str | None
    line_id: int | None
    line_name: str | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    talk_seconds: float | None
    note: str
    note_version: int
    note_call_id: UUID  # under which the comment stands: that of the window, if two connections saw the call
    is_code_required: bool

    def seconds_left(self, at: datetime) -> float:
        """Of the countdown; 0 once it is over or the talk is wrapped up."""
        return 0.0 if self.finished_at else max((self.due_at - at).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningWrapUp:
    """Somebody's time after a talk that has not run out, with the talk as it is stored."""

    user_id: int
    due_at: datetime
    call: Call
    extension: str
    answered_at: datetime  # by this user


async def begin_wrap_ups(connection: AsyncConnection, calls: Iterable[UUID]) -> None:
    """For every agent whose part in these stored calls is over; in the transaction that stored them."""
    ids = list(calls)
    if ids:
        values = {"calls": ids, "seconds": SECONDS, "channel": WRAP_UP_CHANNEL}
        await connection.execute(_BEGIN, values)


async def wrap_up_of(session: AsyncSession, access: Access, call_id: UUID) -> WrapUpInfo:
    """One's own wrap-up of a call, by whichever sighting of it. Raises NotAllowed, NotFound."""
    access.require("live.own")
    row = (await session.execute(_of_call(_mine(access), call_id))).first()
    if row is None:
        raise NotFound("wrap-up", call_id)
    return _info(row, access)


async def codes_for(session: AsyncSession, info: WrapUpInfo) -> list[CodeInfo]:
    """The codes that are offered for this talk; the one that was chosen is among them."""
    codes = await list_codes(session, with_archived=True)
    return [
        code for code in codes if code.is_offered(info.direction, info.line_id) or code.id == info.code_id
    ]


async def extend(session: AsyncSession, access: Access, call_id: UUID, at: datetime) -> datetime:
    """One more minute, ten at most. Returns until when.

    Raises:
        NotAllowed, NotFound, WrapUpOver, Invalid (ten minutes were added).
    """
    row = await _locked(session, access, call_id)
    if row.extended >= MOST_MINUTES:
        why = "At most %(most)d minutes can be added. The talk waits in the list of those not wrapped up."
        raise Invalid("minutes", row.extended, why, most=MOST_MINUTES)
    due_at = max(row.due_at, at) + timedelta(minutes=1)
    await _write(session, row, due_at=due_at, extended=row.extended + 1)
    await _tell(session, "started", row, due_at)
    return due_at


async def finish(
    session: AsyncSession, access: Access, call_id: UUID, code_id: int | None
) -> CodeInfo | None:
    """«Готово». Finished again with the same code, nothing changes; another code corrects the first.

    Returns:
        the code, if it was chosen just now.

    Raises:
        NotAllowed, NotFound, Invalid (the line insists on a code, the code on a comment, it is not offered here).
    """
    row = await _locked(session, access, call_id, is_over_fine=True)
    info = await wrap_up_of(session, access, call_id)
    code = _chosen(await codes_for(session, info), code_id)
    if code is None and info.is_code_required:
        raise Invalid("code_id", "", "This line asks what came of the talk: choose an outcome.")
    if code is not None and code.needs_comment and not info.note.strip():
        raise Invalid("comment", "", "This outcome needs a comment: say in a few words why.")
    is_same = row.code_id == (code and code.id)
    await _write(
        session, row, code_id=code and code.id, finished_at=row.finished_at or func.statement_timestamp()
    )
    await _tell(session, "ended", row, row.due_at)
    return None if is_same else code


async def list_unfinished(
    session: AsyncSession,
    access: Access,
    at: datetime,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[WrapUpInfo]:
    """«Не обработаны»: one's own talks whose time is up, without a code or comment (a code, where the line insists), newest first.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require("live.own")
    size = page_size(limit)
    query = _waiting(access, at).order_by(WrapUp.started_at.desc(), WrapUp.call_id.desc()).limit(size + 1)
    if cursor:
        started_at, last_id = decode_cursor(cursor, str, str)
        after = tuple_(moment_of(started_at, cursor), uuid_of(last_id, cursor))
        query = query.where(tuple_(WrapUp.started_at, WrapUp.call_id) < after)
    items = [_info(row, access) for row in await session.execute(query)]
    last = items[size - 1] if len(items) > size else None
    more = encode_cursor(last.started_at.isoformat(), str(last.call_id)) if last else None
    return Page(items=tuple(items[:size]), next=more)


async def count_unfinished(session: AsyncSession, access: Access, at: datetime) -> int:
    """How many of one's own wait, counted up to 100. Raises NotAllowed."""
    access.require("live.own")
    some = _waiting(access, at).limit(MOST_COUNTED + 1).subquery()
    return (await session.execute(select(func.count()).select_from(some))).scalar_one()


async def running_wrap_ups(session: AsyncSession, at: datetime) -> list[RunningWrapUp]:
    """Who wraps up which talk now, and until when; what ends first stands first."""
    part = (
        select(Participation.extension, Participation.answered_at)
        .where(Participation.call_id == WrapUp.call_id, Participation.user_id == WrapUp.user_id)
        .where(Participation.answered_at.is_not(None))
        .order_by(Participation.answered_at.desc())
        .limit(1)
        .lateral()
    )
    rows = await session.execute(
        select(WrapUp.user_id, WrapUp.due_at, Call, part.c.extension, part.c.answered_at)
        .join(Call, Call.id == WrapUp.call_id)
        .join(part, true())
        .where(WrapUp.finished_at.is_(None), WrapUp.due_at > at)
        .order_by(WrapUp.due_at, WrapUp.call_id)
        .execution_options(populate_existing=True)
    )
    return [
        RunningWrapUp(user_id=user_id, due_at=due_at, call=call, extension=extension, answered_at=answered_at)
        for user_id, due_at, call, extension, answered_at in rows
    ]


def same_call(call_id: Any) -> Select[UUID]:
    """The ids under which connections saw this call, itself among them; none of a call that is not stored."""
    root = select(func.coalesce(Call.mirror_of_id, Call.id)).where(Call.id == call_id).scalar_subquery()
    return select(_seen.id).where(or_(_seen.id == root, _seen.mirror_of_id == root))


def _of_call(query: Select[*Columns], call_id: UUID) -> Select[*Columns]:
    is_it = WrapUp.call_id == call_id
    return query.where(or_(is_it, WrapUp.call_id.in_(same_call(call_id)))).order_by(is_it.desc()).limit(1)


def _comment(access: Access) -> LateralFromClause:
    """What this user typed of a call, under whichever of its sightings their window stood."""
    root = func.coalesce(Call.mirror_of_id, Call.id)
    sightings = select(_seen.id).where(or_(_seen.id == root, _seen.mirror_of_id == root)).correlate(Call)
    return (
        select(CallNote.call_id, CallNote.text, CallNote.version)
        .where(CallNote.user_id == access.user_id, CallNote.call_id.in_(sightings))
        .order_by((CallNote.text != "").desc(), CallNote.updated_at.desc())
        .limit(1)
        .correlate(Call)
        .lateral("comment")
    )


def _mine(access: Access) -> Select[*tuple[Any, ...]]:
    note = _comment(access)
    return (
        select(
            WrapUp.call_id, WrapUp.user_id, Call.direction, WrapUp.started_at, WrapUp.due_at, WrapUp.extended,
            WrapUp.finished_at, WrapUp.code_id, Call.customer_e164.label("e164"), Call.line_id,
            Line.name.label("line_name"), Communication.party_id, Party.display_name.label("party_name"),
            Communication.contact_id, Call.talk_seconds, func.coalesce(note.c.text, "").label("note"),
            func.coalesce(note.c.version, 0).label("note_version"),
            func.coalesce(note.c.call_id, WrapUp.call_id).label("note_call_id"),
            WrapUpLine.line_id.is_not(None).label("is_code_required"),
        )
        .join(Call, Call.id == WrapUp.call_id)
        .join(Communication, Communication.id == WrapUp.call_id)
        .outerjoin(Line, Line.id == Call.line_id)
        .outerjoin(Party, Party.id == Communication.party_id)
        .outerjoin(WrapUpLine, WrapUpLine.line_id == Call.line_id)
        .outerjoin(note, true())
        .where(WrapUp.user_id == access.user_id)
    )  # fmt: skip


def _waiting(access: Access, at: datetime) -> Select[*tuple[Any, ...]]:
    query = _mine(access)
    note: ColumnElement[str] = query.selected_columns["note"]
    is_enough = and_(WrapUpLine.line_id.is_(None), or_(func.btrim(note) != "", WrapUp.code_id.is_not(None)))
    return query.where(WrapUp.finished_at.is_(None), WrapUp.due_at <= at, ~is_enough)


def _chosen(codes: list[CodeInfo], code_id: int | None) -> CodeInfo | None:
    if code_id is None:
        return None
    found = next((code for code in codes if code.id == code_id), None)
    if found is None:
        raise Invalid("code_id", code_id, "This outcome is not offered for this talk. Choose another one.")
    return found


async def _locked(
    session: AsyncSession, access: Access, call_id: UUID, *, is_over_fine: bool = False
) -> WrapUp:
    access.require("live.own")
    mine = select(WrapUp).where(WrapUp.user_id == access.user_id)
    query = _of_call(mine, call_id).with_for_update(of=WrapUp)
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("wrap-up", call_id)
    if row.finished_at is not None and not is_over_fine:
        raise WrapUpOver
    return row


async def _write(session: AsyncSession, row: WrapUp, **values: Any) -> None:
    mine = (WrapUp.call_id == row.call_id) & (WrapUp.user_id == row.user_id)
    await session.execute(update(WrapUp).where(mine).values(**values, version=WrapUp.version + 1))


async def _tell(session: AsyncSession, what: str, row: WrapUp, until: datetime) -> None:
    payload = f"{what} {row.user_id} {row.call_id} {until.isoformat()}"
    await session.execute(_TELL, {"channel": WRAP_UP_CHANNEL, "payload": payload})


def _info(row: Any, access: Access) -> WrapUpInfo:
    """Who may not read clients is told of none."""
    values = row._asdict()
    if not access.may("party.read"):
        values |= {"party_id": None, "party_name": None, "contact_id": None}
    return WrapUpInfo(**values)
