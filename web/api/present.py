"""The calls that are going on now, what agents do and who waits in queues, from the desk; the database is not asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

import msgspec
from aiohttp import web

from cti.calls.presence_events import DeviceState
from cti.calls.records import CallState, Direction
from cti.desk import AgentState
from web.api.contract import ApiRoutes
from web.api.reading import NoQuery
from web.board_sight import BoardSight
from web.keys import ACCESS, DESK

routes = ApiRoutes()
Kind = TypeVar("Kind")


class LiveAgent(msgspec.Struct):
    extension: str
    name: str | None


class LiveParty(msgspec.Struct):
    """A client to whom the number may belong."""

    id: int
    name: str
    kinds: list[str]
    contact_id: int | None
    contact_name: str | None
    position: str | None
    is_primary: bool


class LiveMatch(msgspec.Struct):
    """Who calls: the outcome and why we think so; several parties when the number is shared."""

    outcome: Literal["matched", "ambiguous", "unknown", "hidden", "internal", "ignored"]
    reasons: list[str]
    parties: list[LiveParty]


class LiveCall(msgspec.Struct, kw_only=True):
    """A call as it stands. `phone`: E.164, else as presented; null when withheld."""

    id: UUID
    connection_id: int
    line: str | None
    direction: Direction
    phone: str | None
    queue: str | None
    state: CallState
    placed_by: LiveAgent | None
    ringing: list[LiveAgent]
    talking: list[LiveAgent]
    started_at: datetime | None
    queued_at: datetime | None
    answered_at: datetime | None
    match: LiveMatch | None


class AgentNow(msgspec.Struct, kw_only=True):
    """What an agent does. `reason` of a pause, or why they are offline; `since` is when we first saw it."""

    id: int
    name: str
    team: str | None
    extensions: list[str]
    state: AgentState
    reason: str | None
    since: datetime | None


class LiveQueueMember(msgspec.Struct, kw_only=True):
    """A place in a queue; `state` is that of its telephone."""

    extension: str
    user_id: int | None
    name: str
    state: DeviceState
    is_paused: bool
    reason: str | None
    is_in_call: bool
    penalty: int


class LiveWaiting(msgspec.Struct, kw_only=True):
    """A caller in a queue; `call` and `phone` are null where one may not see the call."""

    position: int
    since: datetime | None
    call: UUID | None
    phone: str | None


class LiveQueue(msgspec.Struct, kw_only=True):
    """A queue. `waiting_since`: of whoever waits longest; `is_current` is false while its PBX is not heard."""

    connection_id: int
    name: str
    is_current: bool
    waiting: list[LiveWaiting]
    waiting_since: datetime | None
    members: list[LiveQueueMember]


class LivePicture(msgspec.Struct, kw_only=True):
    """Present calls, the oldest first, agents by name, queues; always one page."""

    items: list[LiveCall]
    agents: list[AgentNow]
    queues: list[LiveQueue]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class OwnSight:
    """Without the right to the board: the calls that came to this user, and who calls them."""

    user_id: int

    @property
    def shows_parties(self) -> bool:
        return True

    def covers(self, *, users: Iterable[int | None], teams: Iterable[int | None]) -> bool:
        return self.user_id in set(users)


@routes.endpoint(
    "GET",
    "/api/v1/live",
    right="live.own",
    summary="The calls that are going on now, what agents do, who waits in queues",
    description="With the right live.board everybody's within one's rights, else one's own, and the queues one sits in.",
    answer=LivePicture,
)
async def show(request: web.Request, _query: NoQuery) -> LivePicture:
    access = request[ACCESS]
    sight = BoardSight(access) if access.may("live.board") else OwnSight(access.user_id)
    desk = request.app[DESK]
    return LivePicture(
        items=_as(list[LiveCall], desk.board(sight)),
        agents=_as(list[AgentNow], desk.shift.agents(sight)),
        queues=_as(list[LiveQueue], desk.shift.queues(sight)),
    )


def _as(kind: type[Kind], values: object) -> Kind:
    return msgspec.convert(values, kind, from_attributes=True)
