"""Callers to call back, as the journal follows them: in the transaction that stores the calls, and judged from calls alone.

Who was missed when, and who talked with them since, is read from what is stored, never counted up. So a call told again, told
late or corrected leaves the same cases (invariant I2); one follower at a time, so that none misses what another stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from crm import callback_statements as statements
from crm.calendars import hours_of_lines
from crm.callback_news import CaseNews
from crm.callback_states import line_group_of
from crm.changes import notify
from crm.handling_rules import (
    ACTION_CHANNEL,
    FollowUp,
    Situation,
    all_rules,
    is_known_caller,
    situation_of,
)
from crm.mirrors import LOCKS
from crm.schema.desk import CallAction
from cti.calls.records import Direction, Disposition

SHORTEST_TALK_SECONDS: Final = 5.0  # of ours, to count as having spoken
LONGEST_WAIT: Final = timedelta(days=1)  # a call answered after the miss began so long before at most


async def follow_calls(connection: AsyncConnection, calls: Iterable[Any]) -> None:
    """What these stored calls change for callers who were missed; at the end of the transaction that stored them."""
    ids = list(calls)
    if not ids:
        return
    told = (await connection.execute(statements.TOLD, {"calls": ids})).all()
    if not told:
        return
    async with AsyncSession(bind=connection, expire_on_commit=False) as session:
        await session.execute(statements.LOCK, {"locks": LOCKS + 1})
        await _follow(session, told)
        await session.commit()  # of the session alone: the transaction stays the caller's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Miss:
    """A call that its rule owes an answer."""

    call: Any
    line_group: str
    due_at: datetime

    @property
    def key(self) -> tuple[str, str]:
        return (self.call.customer_e164, self.line_group)


async def _follow(session: AsyncSession, told: Sequence[Any]) -> None:
    news = CaseNews()
    changed = await _take_back(session, [row for row in told if row.case_id and not _stays(row)], news)
    misses = await _apply_rules(session, [row for row in told if row.ended_at is not None and _counts(row)])
    if misses:
        changed |= await _miss(session, misses, news)
        await news.describe(session)
    changed |= await _concerned(session, [row for row in told if _counts(row)])
    await _judge_touched(session, changed, news)
    await news.tell(session)


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


async def _take_back(session: AsyncSession, rows: Sequence[Any], news: CaseNews) -> set[int]:
    """Nobody was missed after all: another connection saw the call answered, or the number was corrected."""
    if not rows:
        return set()
    cases = {row.case_id for row in rows}
    for case in await session.execute(statements.SEEN, {"cases": sorted(cases)}):
        news.seen(case)
    await session.execute(statements.DROP_MISSES, {"calls": [row.id for row in rows]})
    for empty in await session.execute(statements.DROP_EMPTY, {"cases": sorted(cases)}):
        cases.discard(empty.id)
        news.add("resolved", empty.id, empty.team_id)
    for left in await session.execute(statements.COUNT, {"cases": sorted(cases)}):
        news.add("changed", left.id, left.team_id)
    await news.describe(session)
    return cases


async def _apply_rules(session: AsyncSession, rows: Sequence[Any]) -> list[_Miss]:
    """What the rules of these calls say: the cases to come are returned, all else is done beside the journal."""
    if not rows:
        return []
    rules, owed, wanted = await all_rules(session), [], []
    for row in rows:
        if (situation := _situation(row)) is None:
            continue
        rule = rules.of(row.line_id, situation, is_known_caller(row.match_status, row.party_id))
        others = sorted(rule.actions - {FollowUp.CALLBACK_CASE})
        wanted += [{"call_id": row.id, "action": action.value} for action in others]
        is_owed = FollowUp.CALLBACK_CASE in rule.actions and row.customer_e164 is not None
        if is_owed and (row.case_id is None or not _stays(row)):
            owed.append((row, rule.due_minutes))
    if wanted:
        await session.execute(upsert(CallAction).values(wanted).on_conflict_do_nothing())
        await notify(session, ACTION_CHANNEL, "")
    return await _misses(session, owed) if owed else []


async def _misses(session: AsyncSession, owed: Sequence[tuple[Any, int]]) -> list[_Miss]:
    """Due after so many minutes in which the line is open."""
    hours = await hours_of_lines(session, [row.line_id for row, _ in owed if row.line_id])
    misses = []
    for row, minutes in owed:
        own = hours.get(row.line_id)
        at = row.started_at
        due_at = own.later(at, minutes) if own else at + timedelta(minutes=minutes)
        misses.append(_Miss(call=row, line_group=line_group_of(row.team_id, row.line_id), due_at=due_at))
    return misses


async def _miss(session: AsyncSession, misses: Sequence[_Miss], news: CaseNews) -> set[int]:
    """Put missed calls, which come by their start, into the cases they belong to: open at their moment, else new ones."""
    held, fresh = await _place(session, misses, news)
    opened = await _open(session, fresh) if fresh else {}
    if held:
        await _add_to(session, held)
    placed = {**held, **{opened[key]: added for key, added in fresh.items()}}
    pairs = [(miss.call, case_id) for case_id, added in placed.items() for miss in added]
    values = {
        "calls": [call.id for call, _ in pairs],
        "cases": [case_id for _, case_id in pairs],
        "moments": [call.started_at for call, _ in pairs],
    }
    await session.execute(statements.ADD_MISSES, values)
    if held:
        await session.execute(statements.COUNT, {"cases": sorted(held)})
    for case_id in sorted(placed):
        news.add("changed" if case_id in held else "opened", case_id, placed[case_id][0].call.team_id)
    return set(placed)


async def _place(
    session: AsyncSession, misses: Sequence[_Miss], news: CaseNews
) -> tuple[dict[int, list[_Miss]], dict[tuple[str, str], list[_Miss]]]:
    """By stored case, and by caller and line group of cases to come.

    A miss belongs to the first case that was settled after it, else to the open one.
    """
    since = {miss.key: miss.call.started_at for miss in reversed(misses)}  # of each the first
    values = {
        "e164s": [e164 for e164, _ in since],
        "line_groups": [group for _, group in since],
        "since": list(since.values()),
    }
    stored = (await session.execute(statements.CASES, values)).all()
    for case in stored:
        news.seen(case)
    held: dict[int, list[_Miss]] = {}
    fresh: dict[tuple[str, str], list[_Miss]] = {}
    for miss in misses:
        fitting = (
            case.id
            for case in stored
            if (case.e164, case.line_group) == miss.key
            and (case.resolved_at is None or case.resolved_at >= miss.call.started_at)
        )
        if (case_id := next(fitting, None)) is not None:
            held.setdefault(case_id, []).append(miss)
        else:
            fresh.setdefault(miss.key, []).append(miss)
    return held, fresh


async def _open(
    session: AsyncSession, fresh: Mapping[tuple[str, str], Sequence[_Miss]]
) -> dict[tuple[str, str], int]:
    rows = [
        {
            "e164": e164,
            "line_group": line_group,
            "team_id": misses[0].call.team_id,
            **_summary(misses),
            "first": misses[0].call.started_at,
            "last": misses[-1].call.started_at,
            "count": len(misses),
        }
        for (e164, line_group), misses in fresh.items()
    ]
    opened = await session.execute(statements.OPEN, {name: [row[name] for row in rows] for name in rows[0]})
    return {(case.e164, case.line_group): case.id for case in opened}


async def _add_to(session: AsyncSession, held: Mapping[int, Sequence[_Miss]]) -> None:
    rows = [_summary(misses) for misses in held.values()]
    await session.execute(
        statements.ADDED, {"ids": list(held)} | {name: [row[name] for row in rows] for name in rows[0]}
    )


def _summary(misses: Sequence[_Miss]) -> dict[str, Any]:
    """The earliest due moment, the latest line, the first people known."""
    calls = [miss.call for miss in misses]
    return {
        "due_at": min(miss.due_at for miss in misses),
        "line_id": next((call.line_id for call in reversed(calls) if call.line_id), None),
        "party_id": next((call.party_id for call in calls if call.party_id), None),
        "contact_id": next((call.contact_id for call in calls if call.contact_id), None),
    }


async def _concerned(session: AsyncSession, rows: Sequence[Any]) -> set[int]:
    """The open cases that a talk or an attempt among these calls may have settled."""
    ours = [row for row in rows if row.direction == Direction.OUTBOUND or _is_answered(row)]
    if not ours:
        return set()
    numbers = sorted({row.customer_e164 for row in ours if row.customer_e164})
    parties = sorted({row.party_id for row in ours if row.party_id and row.link_source == "agent"})
    return set(await session.scalars(statements.CONCERNED, {"numbers": numbers, "parties": parties}))


async def _judge_touched(session: AsyncSession, cases: Iterable[int], news: CaseNews) -> None:
    """Judge those of the cases that have anything to judge."""
    values = {"cases": sorted(cases), "longest_wait": LONGEST_WAIT}
    if not values["cases"]:
        return
    for case_id in (await session.scalars(statements.TOUCHED, values)).all():
        await _judge(session, case_id, news)


async def _judge(session: AsyncSession, case_id: int, news: CaseNews) -> None:
    """Read from the calls since the first miss whether anybody has spoken with the caller, or tried to."""
    case = (await session.execute(statements.LOCKED, {"case_id": case_id})).first()
    if case is None:
        return
    news.seen(case)
    people = (
        await session.execute(
            statements.NUMBERS, {"e164": case.e164, "party_id": case.party_id, "contact_id": case.contact_id}
        )
    ).one()
    values = {
        "numbers": people.numbers,
        "parties": people.parties,
        "missed_at": case.first_missed_at,
        "since": case.first_missed_at - LONGEST_WAIT,
        "shortest": SHORTEST_TALK_SECONDS,
    }
    since = (await session.execute(statements.SINCE, values)).all()
    talk = next((call for call in since if call.is_talk), None)
    before = since if talk is None else since[: since.index(talk) + 1]
    tries = [call.started_at for call in before if call.direction == Direction.OUTBOUND]
    if talk is not None:
        await _resolve(session, case, talk, tries, news)
    elif tries:
        values = {"case_id": case_id, "attempts": len(tries), "reacted_at": min(tries)}
        if await session.scalar(statements.ATTEMPTED, values) is not None:
            news.add("changed", case_id, case.team_id)


async def _resolve(
    session: AsyncSession, case: Any, talk: Any, tries: Sequence[datetime], news: CaseNews
) -> None:
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
    await session.execute(statements.RESOLVE, values)
    later = await _split(session, case.id, talk.spoke_at)
    news.add("resolved", case.id, case.team_id)
    if later is not None:
        await session.execute(statements.COUNT, {"cases": [case.id, later]})
        news.add("opened", later, case.team_id)
    await news.describe(session)
    if later is not None:
        await _judge(session, later, news)


async def _split(session: AsyncSession, case_id: int, resolved_at: datetime) -> int | None:
    """A talk that was told late lies between misses: those after it are a case of their own, due by their own rules and hours."""
    values = {"case_id": case_id, "resolved_at": resolved_at}
    calls = (await session.scalars(statements.LATER, values)).all()
    if not calls:
        return None
    told = (await session.execute(statements.TOLD, {"calls": calls})).all()
    misses = await _misses(session, await _owed(session, [row for row in told if row.case_id == case_id]))
    later: int | None = await session.scalar(statements.SPLIT, values | _summary(misses))
    return later


async def _owed(session: AsyncSession, rows: Sequence[Any]) -> list[tuple[Any, int]]:
    """Missed calls, each with the minutes that its rule gives."""
    rules = await all_rules(session)
    owed = []
    for row in rows:
        is_known = is_known_caller(row.match_status, row.party_id)
        owed.append((row, rules.of(row.line_id, Situation.INBOUND_MISSED, is_known).due_minutes))
    return owed
