"""What becomes of a stored call when it is told again: pure, so that any order of any repeats gives the same row.

A record is the whole call as it stood at one step of one run of the program. Of two records of one run the later one
is the whole truth as that run knows it. A restart in mid-call begins a new run that knows less of the past: then the last
word of each run is kept, times stay as they were stored first, and everything else is put together from those words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from crm.journal_entries import CallEntry
from cti.calls.records import CallRecord, CallState, Direction, Origin

T = TypeVar("T")

_ORIGINS: Final = (Origin.LIVE, Origin.ATTACHED, Origin.BACK_FILLED)
RUN_CHARACTERS: Final = 36  # a UUIDv7, so that a later run sorts later


class Word(msgspec.Struct, kw_only=True):
    """What one run said last: how far it was, and those of its facts that another run may not know."""

    told: str
    is_heard: bool  # and not told afterwards by the PBX's own journal
    facts: dict[str, Any]


class CallRow(msgspec.Struct, kw_only=True):
    """The columns of `call` that the journal writes."""

    id: str
    connection_id: int
    external_id: str
    direction: str
    state: str
    origin: str
    presented_from: str | None
    presented_to: str | None
    presented_name: str | None
    dialled: str | None
    customer_e164: str | None
    did_e164: str | None
    line_id: int | None
    queue: str | None
    placed_by: str | None
    answered_by: str | None
    final_agent: str | None
    started_at: datetime
    queued_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    disposition: str | None
    hung_up_by: str | None
    ended_unseen: bool
    ring_seconds: float | None
    wait_seconds: float | None
    talk_seconds: float | None
    hold_seconds: float | None
    match_status: str | None
    number_note_id: int | None
    recording_file: str | None
    told: str
    story: dict[str, list[str]]
    words: dict[str, Word] | None = None  # by run, once there are several


COLUMNS: Final = CallRow.__struct_fields__
_FACTS: Final = ("customer_e164", "did_e164", "line_id", "match_status", "number_note_id")
_TOLD: Final = (
    "direction", "presented_from", "presented_to", "presented_name", "dialled", "queue", "placed_by", "answered_by",
    "final_agent", "hung_up_by", "ring_seconds", "wait_seconds", "talk_seconds", "hold_seconds", "recording_file",
)  # fmt: skip
_OF_THE_BEGINNING: Final = ("dialled", "placed_by", "answered_by")  # whoever came later can only guess
_BEGUN_BEFORE: Final = ("ring_seconds", "wait_seconds")  # a later run hears the rest of them only


def row_of(entry: CallEntry) -> CallRow:
    """The row that this entry alone would make."""
    record, facts = entry.record, entry.facts
    started_at = earliest([record.started_at, record.answered_at, record.ended_at]) or entry.at
    is_ended = record.state is CallState.ENDED
    presented_from, presented_to = _presented(record)
    return CallRow(
        id=str(entry.call_id),
        connection_id=entry.connection_id,
        external_id=record.key,
        direction=record.direction,
        state=record.state,
        origin=record.origin,
        presented_from=clean(presented_from),
        presented_to=clean(presented_to),
        presented_name=clean(record.customer_name),
        dialled=clean(record.dialled),
        customer_e164=facts.customer_e164,
        did_e164=facts.did_e164,
        line_id=facts.line_id,
        queue=clean(record.queue),
        placed_by=clean(record.placed_by),
        answered_by=clean(record.answered_by),
        final_agent=clean(record.final_agent),
        started_at=started_at,
        queued_at=record.queued_at,
        answered_at=record.answered_at,
        ended_at=max(record.ended_at or entry.at, started_at) if is_ended else None,
        disposition=record.disposition if is_ended else None,
        hung_up_by=record.hung_up_by,
        ended_unseen=record.ended_unseen,
        ring_seconds=record.ring_seconds,
        wait_seconds=record.wait_seconds,
        talk_seconds=record.talk_seconds,
        hold_seconds=record.hold_seconds,
        match_status=facts.match_status,
        number_note_id=facts.number_note_id,
        recording_file=clean(record.recording_file),
        told=f"{is_ended:d} {entry.run:<{RUN_CHARACTERS}} {entry.step:012d}",
        story={entry.run: [clean(line) or "" for line in record.story]} if record.story else {},
    )


def merged(stored: CallRow, new: CallRow) -> CallRow:
    """The stored row after a further telling. Times move from empty to filled only, and ENDED is final."""
    later, earlier = (new, stored) if new.told >= stored.told else (stored, new)
    words = _words(stored, new)
    values = put_together(words) if words else {name: getattr(later, name) for name in _TOLD}
    values |= {name: first(getattr(later, name), getattr(earlier, name)) for name in _FACTS}
    if not (values["presented_from"] if values["direction"] == Direction.INBOUND else values["presented_to"]):
        values["customer_e164"] = None  # a number that turned out to be withheld is kept nowhere
    if words is None and later.direction != earlier.direction:
        # What was taken for a number of ours is the customer's, or a call among colleagues led to a customer's.
        values |= {"did_e164": later.did_e164, "line_id": later.line_id}
        stored, new = _at_times_of(later, stored), _at_times_of(later, new)
    ended = _end(stored, new)
    started_at = _first_time(stored, new, "started_at") or new.started_at
    story, answered_at = _stories(stored, new), _first_time(stored, new, "answered_at")
    if words and ended.ended_at and answered_at and not ended.ended_unseen:
        # No single run saw the whole talk; its two ends were seen, and a link that was down hung nobody up.
        whole = (ended.ended_at - answered_at).total_seconds() - (values["hold_seconds"] or 0.0)
        values["talk_seconds"] = max(0.0, round(whole, 3))
    return CallRow(
        id=stored.id,
        connection_id=stored.connection_id,
        external_id=min(stored.external_id, new.external_id, key=_age),
        state=later.state,
        origin=min(stored.origin, new.origin, key=lambda origin: _ORIGINS.index(Origin(origin))),
        started_at=started_at,
        queued_at=_first_time(stored, new, "queued_at"),
        answered_at=answered_at,
        ended_at=ended.ended_at,
        disposition=first(ended.disposition, later.disposition),
        ended_unseen=ended.ended_unseen,
        told=later.told,
        story=story,
        words=words,
        **values,
    )


def _at_times_of(later: CallRow, row: CallRow) -> CallRow:
    return msgspec.structs.replace(
        row, started_at=later.started_at, queued_at=later.queued_at, answered_at=later.answered_at
    )


def _words(stored: CallRow, new: CallRow) -> dict[str, Word] | None:
    """The last word of every run that told of this call, in the order of the runs; None while there was one only."""
    if stored.words is None and not is_other_run(stored, new):
        return None
    words: dict[str, Word] = {}
    for row in (stored, new):
        for run, word in (row.words or {_run(row.told): _word(row)}).items():
            if run not in words or word.told >= words[run].told:
                words[run] = word
    return dict(sorted(words.items()))


def _word(row: CallRow) -> Word:
    facts = {name: value for name in _TOLD if (value := getattr(row, name)) is not None}
    return Word(told=row.told, is_heard=not _is_told_afterwards(row), facts=facts)


def put_together(words: Mapping[str, Word]) -> dict[str, Any]:
    """What all runs know: of the latest that says it, but the beginning is told by whoever was there."""
    latest = sorted(words.values(), key=lambda word: word.told, reverse=True)
    values = {name: first(*(word.facts.get(name) for word in latest)) for name in _TOLD}
    for name in _OF_THE_BEGINNING:
        values[name] = first(*(word.facts.get(name) for word in words.values()))
    for name in _BEGUN_BEFORE:
        values[name] = max(
            (said for word in latest if (said := word.facts.get(name)) is not None), default=None
        )
    heard = [word.facts["hold_seconds"] for word in latest if word.is_heard and "hold_seconds" in word.facts]
    return values | ({"hold_seconds": round(sum(heard), 3)} if heard else {})


def adds_nothing(stored: CallRow, new: CallRow) -> bool:
    """An earlier record of the same run: what is stored was told later, and holds all of it."""
    knows_caller = new.match_status is not None and stored.match_status is None
    return new.told < stored.told and _run(new.told) == _run(stored.told) and not knows_caller


def is_other_run(stored: CallRow, new: CallRow) -> bool:
    return _run(new.told) != _run(stored.told)


def first(*values: T | None) -> T | None:
    for value in values:
        if value is not None:
            return value
    return None


def earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in times if at is not None), default=None)


def clean(text: str | None) -> str | None:
    """Text that PostgreSQL can store: no NUL, no half of a surrogate pair."""
    if text is None or (text.isprintable() and text.isascii()):
        return text
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _presented(record: CallRecord) -> tuple[str | None, str | None]:
    match record.direction:
        case Direction.INBOUND:
            return record.customer_number, record.did
        case Direction.OUTBOUND:
            return record.did, record.customer_number
        case Direction.INTERNAL:
            return record.placed_by, record.dialled


def _end(stored: CallRow, new: CallRow) -> CallRow:
    """The row whose end counts: one that was seen before one that was not, heard before told afterwards, the earlier."""
    ended = [row for row in (stored, new) if row.ended_at is not None]
    return min(
        ended, key=lambda row: (row.ended_unseen, _is_told_afterwards(row), row.ended_at), default=stored
    )


def _first_time(stored: CallRow, new: CallRow, name: str) -> datetime | None:
    """The earliest that was heard; what was told afterwards knows seconds only, and counts where nothing was heard."""
    by_ear = sorted((stored, new), key=_is_told_afterwards)
    if _is_told_afterwards(by_ear[0]) is _is_told_afterwards(by_ear[1]):
        return earliest([getattr(row, name) for row in by_ear])
    return first(*(getattr(row, name) for row in by_ear))


def _is_told_afterwards(row: CallRow) -> bool:
    return row.origin == Origin.BACK_FILLED


def _stories(stored: CallRow, new: CallRow) -> dict[str, list[str]]:
    runs = stored.story.keys() | new.story.keys()
    return {run: max(stored.story.get(run, []), new.story.get(run, []), key=len) for run in sorted(runs)}


def told_lines(story: dict[str, list[str]]) -> Sequence[str]:
    """The story of a call over all runs, in order."""
    return [line for run in sorted(story) for line in story[run]]


def _run(told: str) -> str:
    return told[2 : 2 + RUN_CHARACTERS]


def _age(external_id: str) -> tuple[float, int, str]:
    """Asterisk's linked ids begin with the second the call began and a counter: the smallest is the oldest."""
    seconds, _, count = external_id.rpartition("-")[2].partition(".")
    try:
        return float(seconds), int(count or 0), external_id
    except ValueError:
        return 0.0, 0, external_id
