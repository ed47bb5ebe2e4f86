"""Calls as the API tells them: the fields of `ringcard replay` first, then what the database knows besides."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from cti.calls.records import (
    CallState,
    CameBy,
    Direction,
    Disposition,
    Origin,
    ParticipationResult,
)
from web.api.reading import ChangedQuery, Id, Moment

Outcome = Literal[
    "answered", "voicemail", "abandoned", "not_served", "after_hours", "menu_only", "blocked", "busy", "no_answer",
    "declined", "failed", "cancelled", "missed", "open", "unseen",
]  # fmt: skip
MatchStatus = Literal["matched", "ambiguous", "unknown", "hidden", "internal", "ignored"]
Told = Annotated[str, Meta(description="ISO 8601 in UTC", extra_json_schema={"format": "date-time"})]
Number = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=50,
        pattern=r"^[+0-9() .-]*$",
        description="the customer's number as E.164, or its last digits, three or more",
    ),
]


class CallQuery(ChangedQuery, kw_only=True):
    """Calls, newest first. The period is half-open: `from` ≤ start < `to`."""

    direction: Direction | UnsetType = UNSET
    disposition: Outcome | UnsetType = UNSET
    from_: Moment | UnsetType = msgspec.field(default=UNSET, name="from")
    to: Moment | UnsetType = UNSET
    party: Id | UnsetType = UNSET
    number: Number | UnsetType = UNSET
    line: Id | UnsetType = UNSET
    connection: Id | UnsetType = UNSET
    user: Id | UnsetType = UNSET
    mirrors: Annotated[
        Literal["0", "1"],
        Meta(description="1: also calls that another connection saw and that are listed as seen by that one"),
    ] = "0"


class Transfer(msgspec.Struct):
    from_: str | None = msgspec.field(name="from")
    to: str
    kind: Literal["blind", "attended", "blonde", "park"]
    outcome: str | None


class Call(msgspec.Struct, kw_only=True):
    """A call. Extensions and numbers are texts, `…_s` are seconds, null is "not known"."""

    id: UUID
    key: str
    direction: Direction
    customer_number_raw: str | None
    customer_e164: str | None
    customer_name: str | None
    did: str | None
    did_raw: str | None
    queue: str | None
    rang: list[str]
    answered: bool
    answered_by: str | None
    placed_by: str | None
    dialled: str | None
    disposition: Disposition | None
    transfers: list[Transfer]
    final_agent: str | None
    hung_up_by: str | None
    ended_unseen: bool
    ring_s: float | None
    wait_s: float | None
    talk_s: float | None
    hold_s: float | None
    recording_file: str | None
    linked_ids: list[str]
    started_at: Told
    answered_at: Told | None
    ended_at: Told | None
    open: bool
    story: list[str]
    origin: Origin
    state: CallState
    connection_id: int
    line_id: int | None
    line_name: str | None
    match_status: MatchStatus | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    user_id: int | None
    user_name: str | None
    mirror_of: UUID | None
    mirrors: list[UUID]


class CallList(msgspec.Struct):
    items: list[Call]
    next: str | None
    gone: list[UUID] = []  # with `changed_since`: what is told under another call's id
    resume: str | None = None


class Leg(msgspec.Struct):
    """One channel of the PBX."""

    channel_id: str
    channel_name: str
    extension: str | None
    started_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    hangup_cause: int | None


class Participation(msgspec.Struct):
    """One agent's part, with the user and team of that moment."""

    extension: str
    attempt: int
    user_id: int | None
    user_name: str | None
    team_id: int | None
    team_name: str | None
    came_by: CameBy
    rang_at: datetime | None
    answered_at: datetime | None
    left_at: datetime | None
    result: ParticipationResult | None
    is_first_answer: bool
    legs: list[Leg]


class Note(msgspec.Struct):
    """What an agent wrote during the call."""

    user_id: int
    user_name: str
    text: str
    updated_at: datetime


class WholeCall(Call, kw_only=True):
    """A call with everybody's part in it. `notes` are those within one's right to them."""

    participations: list[Participation]
    notes: list[Note]
