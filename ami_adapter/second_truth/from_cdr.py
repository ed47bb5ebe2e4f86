"""Calls out of CDR. A record tells what one channel did, to the second, and calls every pick-up an answer.

So `ANSWERED` counts only where the record names the telephone (or line) that was connected, by Dial or a queue; of
menus, mailboxes and announcements it says nothing of a person. When the first person answered is known only if Dial
alone picked the channel up. What a record cannot know is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ami_adapter.channels import dialled_number, parts_of
from ami_adapter.second_truth.rows import CdrRow
from cti.calls.endpoints import is_outside_number, is_same_number, is_short_number
from cti.calls.records import (
    CallRecord,
    CallState,
    CameBy,
    Direction,
    Disposition,
    Origin,
    Participation,
    ParticipationResult,
)
from cti.calls.story import OUTCOMES

ANSWERED: Final = "ANSWERED"
CONNECTING: Final = frozenset({"Dial", "Queue"})
MENUS: Final = frozenset({"BackGround", "Background", "WaitExten", "Read"})
MAILBOXES: Final = frozenset({"VoiceMail"})
_OUTCOMES: Final[Mapping[str, Disposition]] = {
    "BUSY": Disposition.BUSY,
    "NO ANSWER": Disposition.NO_ANSWER,
    "FAILED": Disposition.FAILED,
    "CONGESTION": Disposition.FAILED,
}
_RESULTS: Final[Mapping[str, ParticipationResult]] = {
    ANSWERED: ParticipationResult.ANSWERED,
    "NO ANSWER": ParticipationResult.NOT_ANSWERED,
    "BUSY": ParticipationResult.BUSY,
    "FAILED": ParticipationResult.UNREACHABLE,
    "CONGESTION": ParticipationResult.UNREACHABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What we were told of a PBX: its extensions, the telephones not named after theirs, and our numbers."""

    extensions: frozenset[str] = frozenset()
    endpoints: Mapping[str, str] = field(default_factory=dict)  # "PJSIP/ivanov" → "101"
    lines: frozenset[str] = frozenset()

    def extension(self, channel: str) -> str | None:
        """The extension of a telephone's channel, also behind a helper channel; None for a line, or what may be one."""
        endpoint, pair = parts_of(channel)
        told = self.endpoints.get(endpoint)
        digits = pair.partition("/")[2].partition("@")[0] if pair else endpoint.partition("/")[2]
        return told or (digits if digits in self.extensions or is_short_number(digits) else None)

    def is_ours(self, number: str) -> bool:
        return any(is_same_number(number, line) for line in self.lines)


def calls_of(rows: Iterable[CdrRow], plant: Plant) -> list[CallRecord]:
    """The finished calls that these records tell of, oldest first.

    Where no linked id is kept, records of helper channels are left out: nothing says which call they belong to.
    """
    groups: defaultdict[str, list[CdrRow]] = defaultdict(list)
    for row in dict.fromkeys(rows):
        if row.linkedid or not row.is_helpers:
            groups[row.key].append(row)
    told = [_call(key, sorted(group, key=_order), plant) for key, group in groups.items()]
    return sorted((call for call in told if call), key=_age)


def _age(call: CallRecord) -> tuple[object, str]:
    return call.started_at, call.key


def _order(row: CdrRow) -> tuple[object, ...]:
    return row.start, row.is_helpers, row.end, row.lastapp not in CONNECTING, row.dstchannel


def _call(key: str, rows: Sequence[CdrRow], plant: Plant) -> CallRecord | None:
    direction = _direction(rows, plant)
    if direction is None:
        return None
    parts = _participations(rows, plant) if direction is not Direction.OUTBOUND else ()
    first = rows[0]
    answers = _answers(rows, direction, plant)
    answer = answers[0] if len(answers) == 1 and _is_by_dial_alone(answers[0], rows) else None
    placed_by = plant.extension(first.channel) if direction is not Direction.INBOUND else None
    agents = [part.extension for part in parts if part.result is ParticipationResult.ANSWERED]
    disposition = Disposition.ANSWERED if answers else _outcome(rows, direction, plant)
    return CallRecord(
        key=key,
        linked_ids=(key,),
        direction=direction,
        state=CallState.ENDED,
        origin=Origin.BACK_FILLED,
        customer_number=_customer(rows, direction, plant),
        customer_number_sent=_sent(rows, plant) if direction is Direction.OUTBOUND else None,
        customer_name=_name(first) if direction is Direction.INBOUND else None,
        did=_did(rows) if direction is Direction.INBOUND else None,
        queue=next((_argument(row) for row in rows if row.lastapp == "Queue"), None),
        placed_by=placed_by,
        dialled=first.dst if direction is Direction.INTERNAL else None,
        answered_by=agents[0] if agents else None,
        final_agent=agents[-1] if agents else placed_by,
        is_answered=disposition is Disposition.ANSWERED,
        disposition=disposition,
        started_at=first.start,
        answered_at=answer.answer if answer else None,
        ended_at=max(row.end for row in rows),
        ring_seconds=(answer.answer - first.start).total_seconds() if answer and answer.answer else None,
        talk_seconds=float(answer.billsec) if answer else None if answers or disposition is None else 0.0,
        recording_file=next((row.recording for row in rows if row.recording), None) if answers else None,
        participations=parts,
        story=_story(rows, disposition),
    )


def _direction(rows: Sequence[CdrRow], plant: Plant) -> Direction | None:
    """None where the first channel may be either: then a record would say more than it knows."""
    first = rows[0]
    if first.is_helpers:
        return None  # a program placed it: the records do not tell who was called first
    if plant.extension(first.channel) is None:
        is_known = bool(first.did) or plant.is_ours(first.dst) or not is_short_number(first.src)
        return Direction.INBOUND if is_known else None
    goes_out = any(_is_line(row, plant) for row in rows) or is_outside_number(first.dst)
    return Direction.OUTBOUND if goes_out else Direction.INTERNAL


def _is_line(row: CdrRow, plant: Plant) -> bool:
    return (
        bool(row.dstchannel) and not parts_of(row.dstchannel)[1] and plant.extension(row.dstchannel) is None
    )


def _answers(rows: Sequence[CdrRow], direction: Direction, plant: Plant) -> list[CdrRow]:
    """The records of answers; a helper channel's repeats what that of its caller says."""
    answers = [row for row in rows if _is_answer(row, direction, plant)]
    return [row for row in answers if not row.is_helpers] or answers


def _is_answer(row: CdrRow, direction: Direction, plant: Plant) -> bool:
    """Whether a person answered: who else than ours, for what comes in or stays inside; the line, for what goes out."""
    if row.disposition != ANSWERED or row.lastapp not in CONNECTING or not row.dstchannel:
        return False
    if direction is Direction.OUTBOUND:
        return _is_line(row, plant)
    return plant.extension(row.dstchannel) is not None


def _is_by_dial_alone(row: CdrRow, rows: Sequence[CdrRow]) -> bool:
    """A queue or menu picks the channel up before anybody answers; then the record's answer is theirs."""
    own = [each for each in rows if not each.is_helpers]
    return (
        row.lastapp == "Dial"
        and row.start == own[0].start
        and row.answer is not None
        and row.answer > row.start
    )


def _outcome(rows: Sequence[CdrRow], direction: Direction, plant: Plant) -> Disposition | None:
    if direction is not Direction.INBOUND:
        dialled = [row for row in rows if row.dstchannel and row.lastapp == "Dial"]
        return _OUTCOMES.get(dialled[-1].disposition) if dialled else None
    last = rows[-1]
    if any(row.lastapp in MAILBOXES for row in rows):
        return Disposition.VOICEMAIL
    if last.lastapp == "Queue":
        return Disposition.ABANDONED  # the call ended while it waited there
    if any(row.lastapp == "Queue" for row in rows):
        return Disposition.NOT_SERVED
    was_called = any(row.dstchannel for row in rows)
    if not was_called:
        return Disposition.MENU_ONLY if last.lastapp in MENUS else None
    is_answered_outside = any(row.disposition == ANSWERED and _is_line(row, plant) for row in rows)
    if is_answered_outside and last.lastapp in CONNECTING:
        return Disposition.ANSWERED  # forwarded to somebody outside
    refusals = {row.disposition for row in rows if row.dstchannel}
    return (
        Disposition.BUSY
        if refusals == {"BUSY"}
        else Disposition.NO_ANSWER
        if ANSWERED not in refusals
        else None
    )


def _participations(rows: Sequence[CdrRow], plant: Plant) -> tuple[Participation, ...]:
    """Whoever was called; when it rang is not told, and a telephone that refused did not ring."""
    parts: list[Participation] = []
    for row in rows:
        extension = plant.extension(row.dstchannel) if row.dstchannel else None
        result = _RESULTS.get(row.disposition)
        if (
            extension is None
            or result is None
            or (row.linkedid and row.is_helpers and _is_told(parts, extension))
        ):
            continue
        is_first = result is ParticipationResult.ANSWERED and not any(part.is_first_answer for part in parts)
        parts.append(
            Participation(
                extension=extension,
                attempt=1 + sum(part.extension == extension for part in parts),
                came_by=CameBy.QUEUE if row.lastapp == "Queue" else CameBy.RING,
                result=result,
                is_first_answer=is_first,
                has_rung=row.disposition in (ANSWERED, "NO ANSWER"),
            )
        )
    return tuple(parts)


def _is_told(parts: Sequence[Participation], extension: str) -> bool:
    """A queue's helper channel has a record of its own for the telephone it called."""
    return any(part.extension == extension for part in parts)


def _customer(rows: Sequence[CdrRow], direction: Direction, plant: Plant) -> str | None:
    if direction is Direction.INBOUND:
        return rows[0].src or None
    if direction is Direction.INTERNAL:
        return None
    return next((row.dst for row in rows if is_outside_number(row.dst)), None) or _sent(rows, plant)


def _sent(rows: Sequence[CdrRow], plant: Plant) -> str | None:
    """What was handed to the line: the number of the dial string."""
    for row in rows:
        if row.lastapp == "Dial" and _is_line(row, plant):
            dial_string = row.lastdata.partition(",")[0].partition("/")[2]
            if number := dialled_number(parts_of(row.dstchannel)[0], dial_string):
                return number
    return None


def _did(rows: Sequence[CdrRow]) -> str | None:
    """Our number, where a column keeps it or the destination was not overwritten by the dialplan."""
    noted = next((row.did for row in rows if row.did), None)
    return noted or (rows[0].dst if is_outside_number(rows[0].dst) else None)


def _name(row: CdrRow) -> str | None:
    return row.name if row.name and row.name != row.src else None


def _argument(row: CdrRow) -> str | None:
    return row.lastdata.partition(",")[0] or None


def _story(rows: Sequence[CdrRow], disposition: Disposition | None) -> tuple[str, ...]:
    outcome = OUTCOMES[disposition] if disposition else "not known"
    return (f"told afterwards from {len(rows)} call detail records: {outcome}",)
