"""The calls that are going on now, from the desk; the database is not asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from aiohttp import web

from cti.calls.records import CallState, Direction
from web.api.contract import ApiRoutes
from web.api.reading import NoQuery
from web.keys import ACCESS, DESK
from web.live import BoardSight

routes = ApiRoutes()


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


class LivePicture(msgspec.Struct):
    """Present calls, the oldest first; always one page."""

    items: list[LiveCall]
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
    summary="The calls that are going on now",
    description="With the right live.board everybody's within one's rights, else one's own.",
    answer=LivePicture,
)
async def show(request: web.Request, _query: NoQuery) -> LivePicture:
    access = request[ACCESS]
    sight = BoardSight(access) if access.may("live.board") else OwnSight(access.user_id)
    calls = request.app[DESK].board(sight)
    return LivePicture(items=[msgspec.convert(call, LiveCall, from_attributes=True) for call in calls])
