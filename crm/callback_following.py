"""Callers to call back, as the journal follows them: in the transaction that stores the calls, and judged from calls alone.

Who was missed when, and who talked with them since, is read from what is stored, never counted up. So a call told again, told
late or corrected leaves the same cases (invariant I2); one follower at a time, so that none misses what another stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from crm.callback_states import CALLBACK_CHANNEL, line_group_of
from crm.changes import notify, publish
from crm.handling_rules import (
    ACTION_CHANNEL,
    FollowUp,
    Rules,
    Situation,
    all_rules,
    is_known_caller,
    situation_of,
)
from crm.mirrors import LOCKS
from crm.rights import command_access
from crm.schema.desk import CallAction
from cti.calls.records import Direction, Disposition

SHORTEST_TALK_SECONDS: Final = 5.0  # of ours, to count as having spoken
LONGEST_WAIT: Final = timedelta(
    days=1
)  # an inbound call that was answered after the miss began so long before at most
_LOCK: Final = text(
    "select pg_advisory_xact_lock(:locks, 1)"
)  # the key space of the mirrors' numbers hashes, plus one
# The calls themselves, and those that became their mirrors or went into them just now.
_TOLD: Final = text(
    """
    select c.id, c.direction, c.customer_e164, c.started_at, c.answered_at, c.ended_at, c.disposition, c.line_id,
        c.match_status, c.mirror_of_id is not null or c.joined_into_id is not null as is_elsewhere,
        line.team_id, comm.party_id, comm.contact_id, comm.link_source, miss.case_id, held.e164 as held_e164
    from call c join communication comm on comm.id = c.id left join line on line.id = c.line_id
    left join callback_miss miss on miss.call_id = c.id left join callback_case held on held.id = miss.case_id
    where (c.id = any(:calls) or c.mirror_of_id = any(:calls) or c.joined_into_id = any(:calls)) and c.direction <> 'internal'
        and (c.ended_at is not null or c.answered_at is not null)
    order by c.started_at, c.id
    """
)
_CASE_FOR: Final = text(
    """
    select id, resolved_at from callback_case where e164 = :e164 and line_group = :line_group
        and (resolved_at is null or resolved_at >= :missed_at)
    order by resolved_at nulls last limit 1 for update
    """
)
_OPEN: Final = text(
    """
    insert into callback_case (e164, line_group, team_id, line_id, party_id, contact_id, first_missed_at, last_missed_at, due_at)
    values (:e164, :line_group, :team_id, :line_id, :party_id, :contact_id, :missed_at, :missed_at, :due_at)
    returning id
    """
)
_ADD_MISS: Final = text(
    "insert into callback_miss (call_id, case_id, missed_at) values (:call_id, :case_id, :missed_at) on conflict do nothing"
)
_ADDED: Final = text(
    """
    update callback_case set due_at = least(due_at, :due_at), line_id = coalesce(:line_id, line_id),
        party_id = coalesce(party_id, :party_id), contact_id = coalesce(contact_id, :contact_id)
    where id = :case_id
    """
)
_COUNT: Final = text(
    """
    update callback_case set missed_count = told.count, first_missed_at = told.first, last_missed_at = told.last,
        version = version + 1, updated_at = now()
    from (select count(*) as count, min(missed_at) as first, max(missed_at) as last from callback_miss where case_id = :case_id) told
    where id = :case_id and told.count > 0
    """
)
_DROP_MISSES: Final = text("delete from callback_miss where call_id = any(:calls)")
_DROP_EMPTY: Final = text(
    """
    delete from callback_case c where id = any(:cases) and not exists (select from callback_miss m where m.case_id = c.id)
    returning id, team_id
    """
)
# Whose calls may have settled a case: by the number itself, by another number of the same people, or linked by an agent.
_CONCERNED: Final = text(
    """
    with people as (
        select phone.party_id from party_phone phone join phone_number number on number.id = phone.number_id
        where number.e164 = any(:numbers) and phone.ended_at is null
      union
        select unnest(cast(:parties as bigint[]))
    ),
    numbers as (
        select number.e164 from party_phone phone join phone_number number on number.id = phone.number_id
        where phone.party_id in (select party_id from people) and phone.ended_at is null and number.e164 is not null
      union
        select unnest(cast(:numbers as text[]))
    )
    select id from callback_case where state in ('open', 'attempted') and e164 in (select e164 from numbers)
    union
    select id from callback_case where state in ('open', 'attempted') and party_id in (select party_id from people)
    union
    select id from callback_case where state in ('open', 'attempted') and contact_id in (select party_id from people)
    order by id
    """
)
_LOCKED: Final = text(
    "select * from callback_case where id = :case_id and state in ('open', 'attempted') for update"
)
# Of a number that several have nobody is picked; a contact who called is called back, not their whole company.
_NUMBERS: Final = text(
    """
    with people as (
        select unnest(array_remove(array[cast(:party_id as bigint), cast(:contact_id as bigint)], null)) as party_id
      union
        select min(phone.party_id) from party_phone phone join phone_number number on number.id = phone.number_id
        where number.e164 = :e164 and phone.ended_at is null having count(*) = 1
    )
    select array(
        select number.e164 from party_phone phone join phone_number number on number.id = phone.number_id
        where phone.party_id in (select party_id from people) and phone.ended_at is null and number.e164 is not null
      union
        select :e164
    ) as numbers, array(select party_id from people where party_id is not null) as parties
    """
)
# An answer whose moment nobody saw counts from the call's end; how long such a talk was is not argued about.
_SINCE: Final = text(
    """
    with theirs as (
        select id from call where customer_e164 = any(:numbers) and started_at > :since
      union
        select id from communication where party_id = any(:parties) and link_source = 'agent' and kind = 'call'
            and started_at > :since
    ),
    told as (
        select c.*, coalesce(c.answered_at, case when c.disposition = 'answered' then c.ended_at end) as spoke_at
        from theirs join call c on c.id = theirs.id
        where c.joined_into_id is null and c.mirror_of_id is null and c.direction <> 'internal'
    )
    select told.id, told.direction, told.started_at, told.spoke_at, comm.user_id,
        told.direction = 'inbound' or (told.spoke_at is not null and coalesce(
            told.talk_seconds, extract(epoch from told.ended_at - told.answered_at), :shortest
        ) >= :shortest) as is_talk
    from told join communication comm on comm.id = told.id
    where case when told.direction = 'inbound' then told.spoke_at > :missed_at
        else told.started_at > :missed_at and told.ended_at is not null end
    order by coalesce(told.spoke_at, told.started_at), told.id
    """
)
_ATTEMPTED: Final = text(
    """
    update callback_case set state = 'attempted', attempts = :attempts, reacted_at = :reacted_at, version = version + 1,
        updated_at = now()
    where id = :case_id and (state, attempts, reacted_at) is distinct from ('attempted', :attempts, :reacted_at)
    returning id
    """
)
_RESOLVE: Final = text(
    """
    update callback_case set state = :state, resolved_at = :resolved_at, resolved_by_id = :user_id, resolving_call_id = :call_id,
        attempts = :attempts, reacted_at = :reacted_at, taken_by_id = null, taken_until = null, version = version + 1,
        updated_at = now()
    where id = :case_id
    """
)
# A talk that was told late lies between misses: those after it belong to a case of their own.
_SPLIT: Final = text(
    """
    with later as (select min(missed_at) as first from callback_miss where case_id = :case_id and missed_at > :resolved_at),
    opened as (
        insert into callback_case (e164, line_group, team_id, line_id, party_id, contact_id, first_missed_at, last_missed_at, due_at)
        select e164, line_group, team_id, line_id, party_id, contact_id, later.first, later.first,
            later.first + (due_at - first_missed_at)
        from callback_case, later where id = :case_id and later.first is not null
        returning id
    )
    update callback_miss set case_id = opened.id from opened
    where callback_miss.case_id = :case_id and callback_miss.missed_at > :resolved_at
    returning opened.id
    """
)


async def follow_calls(connection: AsyncConnection, calls: Iterable[Any]) -> None:
    """What these stored calls change for callers who were missed; at the end of the transaction that stored them."""
    ids = list(calls)
    if not ids:
        return
    told = (await connection.execute(_TOLD, {"calls": ids})).all()
    if not told:
        return
    async with AsyncSession(bind=connection, expire_on_commit=False) as session:
        await session.execute(_LOCK, {"locks": LOCKS + 1})
        await _follow(session, told)
        await session.commit()  # of the session alone: the transaction stays the caller's


@dataclass(slots=True)
class _Found:
    """The cases that misses of this batch belong to: by caller and line group, and what to tell of each."""

    waiting: dict[tuple[str, str], int] = field(default_factory=dict)
    events: dict[int, tuple[str, int | None]] = field(default_factory=dict)  # opened or changed, and the team
    misses: list[dict[str, Any]] = field(default_factory=list)


async def _follow(session: AsyncSession, told: Sequence[Any]) -> None:
    rules = await all_rules(session)
    changed = await _take_back(session, [row for row in told if row.case_id and not _stays(row)])
    found = _Found()
    for row in told:
        if row.ended_at is not None and _counts(row):
            await _apply_rule(session, rules, row, found)
    if found.misses:
        await session.execute(_ADD_MISS, found.misses)
    for case_id, (what, team_id) in sorted(found.events.items()):
        await session.execute(_COUNT, {"case_id": case_id})
        await _tell(session, what, case_id, team_id)
    changed |= await _concerned(session, [row for row in told if _counts(row)])
    for case_id in sorted(changed | found.events.keys()):
        await judge(session, case_id)


def _counts(row: Any) -> bool:
    return not row.is_elsewhere and row.match_status not in ("ignored", "internal")


def _situation(row: Any) -> Situation | None:
    return situation_of(row.direction, is_answered=_is_answered(row), disposition=row.disposition)


def _is_answered(row: Any) -> bool:
    return row.answered_at is not None or row.disposition == Disposition.ANSWERED


def _is_missed(row: Any) -> bool:
    return row.ended_at is not None and _situation(row) is Situation.INBOUND_MISSED and _counts(row)


def _stays(row: Any) -> bool:
    """Whether a call that was counted as missed still is one, of the same caller."""
    return _is_missed(row) and row.customer_e164 == row.held_e164


async def _take_back(session: AsyncSession, rows: Sequence[Any]) -> set[int]:
    """Nobody was missed after all: another connection saw the call answered, or the number was corrected."""
    if not rows:
        return set()
    cases = {row.case_id for row in rows}
    await session.execute(_DROP_MISSES, {"calls": [row.id for row in rows]})
    for empty in await session.execute(_DROP_EMPTY, {"cases": sorted(cases)}):
        cases.discard(empty.id)
        await _tell(session, "resolved", empty.id, empty.team_id)
    for case_id in sorted(cases):
        await session.execute(_COUNT, {"case_id": case_id})
    return cases


async def _apply_rule(session: AsyncSession, rules: Rules, row: Any, found: _Found) -> None:
    """What the rule of this call says: its case now, all else beside the journal."""
    situation = _situation(row)
    if situation is None:
        return
    rule = rules.of(row.line_id, situation, is_known_caller(row.match_status, row.party_id))
    others = sorted(rule.actions - {FollowUp.CALLBACK_CASE})
    if others:
        wanted = [{"call_id": row.id, "action": action.value} for action in others]
        await session.execute(upsert(CallAction).values(wanted).on_conflict_do_nothing())
        await notify(session, ACTION_CHANNEL, "")
    is_owed = FollowUp.CALLBACK_CASE in rule.actions and row.customer_e164 is not None
    if is_owed and (row.case_id is None or not _stays(row)):
        await _miss(session, row, row.started_at + timedelta(minutes=rule.due_minutes), found)


async def _miss(session: AsyncSession, row: Any, due_at: datetime, found: _Found) -> None:
    """Put a missed call into the case it belongs to: the one that was open at its moment, else a new one.

    Calls come by their start. Where one found no case that was settled after it, later ones find none either.
    """
    values = {
        "e164": row.customer_e164,
        "line_group": line_group_of(row.team_id, row.line_id),
        "team_id": row.team_id,
        "line_id": row.line_id,
        "party_id": row.party_id,
        "contact_id": row.contact_id,
        "missed_at": row.started_at,
        "due_at": due_at,
    }
    key = (values["e164"], values["line_group"])
    case_id, is_new = found.waiting.get(key), False
    if case_id is None:
        stored = (await session.execute(_CASE_FOR, values)).first()
        is_new = stored is None
        case_id = stored.id if stored else (await session.execute(_OPEN, values)).scalar_one()
        if stored is None or stored.resolved_at is None:
            found.waiting[key] = case_id
    if not is_new and (case_id not in found.events or row.party_id):
        await session.execute(_ADDED, values | {"case_id": case_id})
    found.misses.append({"call_id": row.id, "case_id": case_id, "missed_at": row.started_at})
    found.events.setdefault(case_id, ("opened" if is_new else "changed", row.team_id))


async def _concerned(session: AsyncSession, rows: Sequence[Any]) -> set[int]:
    """The open cases that a talk or an attempt among these calls may have settled."""
    ours = [row for row in rows if row.direction == Direction.OUTBOUND or _is_answered(row)]
    if not ours:
        return set()
    numbers = sorted({row.customer_e164 for row in ours if row.customer_e164})
    parties = sorted({row.party_id for row in ours if row.party_id and row.link_source == "agent"})
    return set(await session.scalars(_CONCERNED, {"numbers": numbers, "parties": parties}))


async def judge(session: AsyncSession, case_id: int) -> None:
    """Read from the calls since the first miss whether anybody has spoken with the caller, or tried to."""
    case = (await session.execute(_LOCKED, {"case_id": case_id})).first()
    if case is None:
        return
    people = (
        await session.execute(
            _NUMBERS, {"e164": case.e164, "party_id": case.party_id, "contact_id": case.contact_id}
        )
    ).one()
    values = {
        "numbers": people.numbers,
        "parties": people.parties,
        "missed_at": case.first_missed_at,
        "since": case.first_missed_at - LONGEST_WAIT,
        "shortest": SHORTEST_TALK_SECONDS,
    }
    since = (await session.execute(_SINCE, values)).all()
    talk = next((call for call in since if call.is_talk), None)
    before = since if talk is None else since[: since.index(talk) + 1]
    tries = [call.started_at for call in before if call.direction == Direction.OUTBOUND]
    if talk is not None:
        await _resolve(session, case, talk, tries)
    elif tries:
        values = {"case_id": case_id, "attempts": len(tries), "reacted_at": min(tries)}
        if await session.scalar(_ATTEMPTED, values) is not None:
            await _tell(session, "changed", case_id, case.team_id)


async def _resolve(session: AsyncSession, case: Any, talk: Any, tries: Sequence[datetime]) -> None:
    is_ours = talk.direction == Direction.OUTBOUND
    values = {
        "case_id": case.id,
        "state": "resolved_by_callback" if is_ours else "resolved_by_client",
        "resolved_at": talk.spoke_at,
        "user_id": talk.user_id,
        "call_id": talk.id,
        "attempts": len(tries),
        "reacted_at": min([*tries, max(talk.started_at, case.first_missed_at)]),
    }
    await session.execute(_RESOLVE, values)
    later = await session.scalar(_SPLIT, values)
    await _tell(session, "resolved", case.id, case.team_id)
    if later is not None:
        await session.execute(_COUNT, {"case_id": case.id})
        await session.execute(_COUNT, {"case_id": later})
        await _tell(session, "opened", later, case.team_id)
        await judge(session, later)


async def _tell(session: AsyncSession, what: str, case_id: int, team_id: int | None) -> None:
    """To pages at commit, and to programs by the outbox."""
    await notify(session, CALLBACK_CHANNEL, f"{what} {case_id} {team_id or 0}")
    await publish(session, command_access(), f"callback.{what}", "callback_case", case_id)
