"""What follows from a call: a rule for each line (or all), situation, and whether the caller is known. The most specific line wins."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.rights import Access, narrow
from crm.schema.communications import Call, Communication
from crm.schema.desk import CallHandlingRule
from crm.schema.telephony import Line
from cti.calls.records import Direction, Disposition

ACTION_CHANNEL: Final = "ringcard_action"  # payload: nothing; something is to be done about a call
DUE_MINUTES: Final = 20
MOST_DUE_MINUTES: Final = 7 * 24 * 60


class Situation(StrEnum):
    """How a call came out, as rules tell calls apart."""

    INBOUND_ANSWERED = "inbound_answered"
    INBOUND_MISSED = "inbound_missed"
    OUTBOUND_ANSWERED = "outbound_answered"
    OUTBOUND_FAILED = "outbound_failed"


class FollowUp(StrEnum):
    """What a rule may have done."""

    CALLBACK_CASE = "callback_case"
    LEAD = "lead"
    TASK = "task"
    NOTIFY = "notify"
    ASSIGN = "assign_owner"


# Short ones, too; whoever left in the voice menu, or was turned away, asked for nobody.
MISSED: Final = frozenset(
    {
        Disposition.ABANDONED,
        Disposition.NOT_SERVED,
        Disposition.VOICEMAIL,
        Disposition.AFTER_HOURS,
        Disposition.BUSY,
        Disposition.NO_ANSWER,
    }
)
FAILED: Final = frozenset({Disposition.BUSY, Disposition.NO_ANSWER, Disposition.DECLINED, Disposition.FAILED})
KNOWN: Final = frozenset({"matched", "ambiguous"})


def situation_of(direction: str, *, is_answered: bool, disposition: str | None) -> Situation | None:
    """The situation of a call that is over; None where no rule is asked."""
    if direction == Direction.INBOUND:
        if is_answered:
            return Situation.INBOUND_ANSWERED
        return Situation.INBOUND_MISSED if disposition in MISSED else None
    if direction == Direction.OUTBOUND:
        if is_answered:
            return Situation.OUTBOUND_ANSWERED
        return Situation.OUTBOUND_FAILED if disposition in FAILED else None
    return None


def fitting(situation: Situation) -> tuple[FollowUp, ...]:
    """What can follow from it: only whoever was missed is owed a call."""
    if situation is Situation.INBOUND_MISSED:
        return tuple(FollowUp)
    return tuple(each for each in FollowUp if each is not FollowUp.CALLBACK_CASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One cell of the matrix. `line_id` None: of all lines. `due_minutes`: when the caller is to be called back."""

    line_id: int | None
    situation: Situation
    is_known: bool
    actions: frozenset[FollowUp] = frozenset()
    due_minutes: int = DUE_MINUTES

    @property
    def key(self) -> tuple[int | None, Situation, bool]:
        return (self.line_id, self.situation, self.is_known)


class Rules:
    """All rules of the installation, to be asked for many calls."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: Mapping[tuple[int | None, Situation, bool], Rule] = {rule.key: rule for rule in rules}

    def own(self, line_id: int | None, situation: Situation, is_known: bool) -> Rule | None:
        """The rule of exactly this line."""
        return self._rules.get((line_id, situation, is_known))

    def of(self, line_id: int | None, situation: Situation, is_known: bool) -> Rule:
        """The rule that holds: the line's own, else that of all lines, else nothing follows."""
        found = self.own(line_id, situation, is_known) or self.own(None, situation, is_known)
        return found or Rule(line_id=None, situation=situation, is_known=is_known)

    def lines(self) -> set[int]:
        """The lines that have rules of their own."""
        return {line_id for line_id, _situation, _is_known in self._rules if line_id is not None}


async def all_rules(session: AsyncSession) -> Rules:
    query = select(
        CallHandlingRule.line_id,
        CallHandlingRule.situation,
        CallHandlingRule.is_known,
        CallHandlingRule.actions,
        CallHandlingRule.due_minutes,
    )
    return Rules([_rule(row) for row in await session.execute(query)])


def _rule(row: Any) -> Rule:
    known = set(FollowUp)  # an action of a newer version that was rolled back means nothing here
    return Rule(
        line_id=row.line_id,
        situation=Situation(row.situation),
        is_known=row.is_known,
        actions=frozenset(FollowUp(action) for action in row.actions if action in known),
        due_minutes=row.due_minutes,
    )


async def set_rule(session: AsyncSession, access: Access, rule: Rule, *, via: str = "form") -> None:
    """Write one cell.

    Raises:
        NotAllowed, NotFound (the line), Invalid (the minutes, an action that cannot follow).
    """
    access.require("line.manage")
    _check(rule)
    await _check_line(session, rule.line_id)
    before = (await all_rules(session)).own(*rule.key)
    values = {"actions": sorted(rule.actions), "due_minutes": rule.due_minutes}
    key = {"line_id": rule.line_id, "situation": rule.situation.value, "is_known": rule.is_known}
    changed = await _record(session, access, key, _values(before) if before else None, values, via)
    if changed:
        new = upsert(CallHandlingRule).values(**key, **values, created_by=access.actor_id)
        await session.execute(
            new.on_conflict_do_update(
                index_elements=["line_id", "situation", "is_known"],
                set_={**values, "version": CallHandlingRule.version + 1},
            )
        )


async def drop_rules_of_line(
    session: AsyncSession, access: Access, line_id: int, *, via: str = "form"
) -> None:
    """The line follows the rules of all lines again. Raises NotAllowed."""
    access.require("line.manage")
    rules = await all_rules(session)
    for situation in Situation:
        for is_known in (True, False):
            if (own := rules.own(line_id, situation, is_known)) is not None:
                key = {"line_id": line_id, "situation": situation.value, "is_known": is_known}
                await _record(session, access, key, _values(own), None, via)
    await session.execute(delete(CallHandlingRule).where(CallHandlingRule.line_id == line_id))


def _values(rule: Rule) -> dict[str, Any]:
    return {"actions": sorted(rule.actions), "due_minutes": rule.due_minutes}


async def _record(
    session: AsyncSession,
    access: Access,
    key: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    via: str,
) -> bool:
    """In the log of changes a cell goes by its key."""
    caller = "known" if key["is_known"] else "unknown"
    name = f"{key['line_id'] or 'all'}.{key['situation']}.{caller}"
    return bool(
        await record_change(session, access, "call_handling_rule", name, before=before, after=after, via=via)
    )


def _check(rule: Rule) -> None:
    if not 1 <= rule.due_minutes <= MOST_DUE_MINUTES:
        why = "Write the minutes as a whole number from 1 to %(most)d."
        raise Invalid("due_minutes", rule.due_minutes, why, most=MOST_DUE_MINUTES)
    wrong = rule.actions - set(fitting(rule.situation))
    if wrong:
        raise Invalid("actions", sorted(wrong)[0], "This cannot follow from such a call.")


async def _check_line(session: AsyncSession, line_id: int | None) -> None:
    if line_id is None:
        return
    known = select(Line.id).where(Line.id == line_id, Line.deleted_at.is_(None))
    if await session.scalar(known) is None:
        raise NotFound("line", line_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the rules make of one stored call. `rule` None: no rule is asked about it, `why` tells the reason."""

    call_id: UUID
    situation: Situation | None
    is_known: bool
    line_name: str | None
    rule: Rule | None
    why: str | None = None  # open, internal, ignored, mirror, turned_away
    has_number: bool = True


async def try_on_call(session: AsyncSession, access: Access, call_id: UUID) -> Trial:
    """What would follow from this call by the rules as they stand now; nothing is done.

    Raises:
        NotAllowed, NotFound (no such call, or outside one's rights).
    """
    access.require("line.manage")
    query = (
        select(
            Call.direction, Call.answered_at, Call.ended_at, Call.disposition, Call.match_status, Call.line_id,
            Call.customer_e164, Call.mirror_of_id, Call.joined_into_id, Line.name.label("line_name"),
            Communication.party_id,
        )
        .join(Communication, Communication.id == Call.id)
        .outerjoin(Line, Line.id == Call.line_id)
        .where(Call.id == call_id)
    )  # fmt: skip
    row = (await session.execute(narrow(query, access, "call.read", Communication))).first()
    if row is None:
        raise NotFound("call", call_id)
    why = _why_not(row)
    is_answered = row.answered_at is not None or row.disposition == Disposition.ANSWERED
    situation = situation_of(row.direction, is_answered=is_answered, disposition=row.disposition)
    is_known = is_known_caller(row.match_status, row.party_id)
    rule = None
    if why is None and situation is not None:
        rule = (await all_rules(session)).of(row.line_id, situation, is_known)
    return Trial(
        call_id=call_id,
        situation=situation,
        is_known=is_known,
        line_name=row.line_name,
        rule=rule,
        why=why or (None if situation else "turned_away"),
        has_number=row.customer_e164 is not None,
    )


def is_known_caller(match_status: str | None, party_id: int | None) -> bool:
    """Whether the number was somebody's at the time of the call, or the call was linked to somebody since."""
    return match_status in KNOWN or party_id is not None


def _why_not(row: Any) -> str | None:
    if row.ended_at is None:
        return "open"
    if row.direction == Direction.INTERNAL or row.match_status == "internal":
        return "internal"
    if row.match_status == "ignored":
        return "ignored"
    return "mirror" if row.mirror_of_id or row.joined_into_id else None


def actions_of(names: Collection[str]) -> frozenset[FollowUp]:
    """The actions that a form or a program names; unknown ones are refused.

    Raises:
        Invalid
    """
    known = {each.value for each in FollowUp}
    if wrong := sorted(set(names) - known):
        raise Invalid("actions", wrong[0], "There is no such action.")
    return frozenset(FollowUp(name) for name in names)
