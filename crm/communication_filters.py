"""Which communications a list is asked for, as conditions that its indexes serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, literal, or_, select

from crm.schema.communications import Call, Communication
from crm.schema.meetings import Meeting

KINDS: Final = ("call", "email", "meeting", "web_request", "chat", "sms", "other")
DIRECTIONS: Final = ("in", "out", "none")
MEETING_STATES: Final = ("planned", "held", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationFilter:
    """Which communications; what is None does not narrow. The period is half-open."""

    kind: str | None = None
    own_kind_id: int | None = None
    direction: str | None = None
    user_id: int | None = None
    party_id: int | None = None
    lead_id: int | None = None
    meeting_state: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    among: tuple[UUID, ...] | None = None  # what a search found

    @property
    def may_be_call(self) -> bool:
        return self.kind in {None, "call"} and self.meeting_state is None

    @property
    def may_be_meeting(self) -> bool:
        return self.kind in {None, "meeting"}


EVERYTHING: Final = CommunicationFilter()

# A call that went into another one, or that another connection tells better.
_IS_TOLD_ELSEWHERE: Final = (
    select(Call.id)
    .where(
        Call.id == Communication.id,
        or_(Call.joined_into_id.is_not(None), Call.mirror_of_id.is_not(None)),
    )
    .correlate(Communication)
    .exists()
)
IS_NO_CALL: Final = Communication.kind != "call"  # as indexes say it


def conditions_of(wanted: CommunicationFilter) -> list[ColumnElement[bool]]:
    """What the filter asks for of what is listed at all: neither told elsewhere nor in the bin."""
    found: list[ColumnElement[bool]] = [Communication.deleted_at.is_(None)]
    found += [
        column == value
        for column, value in (
            (Communication.kind, wanted.kind),
            (Communication.own_kind_id, wanted.own_kind_id),
            (Communication.direction, wanted.direction),
            (Communication.user_id, wanted.user_id),
            (Communication.party_id, wanted.party_id),
            (Communication.lead_id, wanted.lead_id),
            (Meeting.state, wanted.meeting_state),
        )
        if value is not None
    ]
    found.append(~_IS_TOLD_ELSEWHERE if wanted.may_be_call else IS_NO_CALL)
    if wanted.among is not None:
        found.append(is_among(Communication.id, wanted.among))
    return found + within_period(wanted, Communication.started_at)


def is_among(communication_id: Any, ids: Sequence[UUID]) -> ColumnElement[bool]:
    found: ColumnElement[bool] = communication_id == any_(literal(list(ids), ARRAY(Uuid)))
    return found


def within_period(wanted: CommunicationFilter, started_at: Any) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        found.append(started_at >= wanted.since)
    if wanted.until is not None:
        found.append(started_at < wanted.until)
    return found
