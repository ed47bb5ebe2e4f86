"""A telephone on the screen that notes what it is asked for: for tests of pages and of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.dial_requests import DialInfo
from crm.dial_rules import DialRefused, DialVerdict, Policy, target_of
from crm.dialling_policy import Judged, judge_number
from crm.rights import Access
from crm.schema.base import uuid7
from cti.numbers import Number, to_e164
from web.telephone import Click, DiallerState, Done, LineChoice, Place, Wanted

UNWANTED = "+79167776655"


@dataclass
class NotingTelephone:
    """Everybody dials from 101; whoever answers at UNWANTED asked not to be called."""

    sessions: async_sessionmaker[AsyncSession]
    clicks: list[Click] = field(default_factory=list)
    wanted: list[tuple[UUID, Wanted]] = field(default_factory=list)
    state: str = "ringing"
    reason: str | None = None

    def places(self, user_id: int) -> Sequence[Place]:
        line = LineChoice(id=3, name="Sales line", e164="+74950000001")
        return [Place(connection_id=1, connection="Office", extension="101", is_ready=True, lines=(line,))]

    def read(self, user_id: int, typed: str, connection_id: int | None = None) -> Number:
        return to_e164(typed)

    async def place(self, access: Access, click: Click) -> DialInfo:
        self.clicks.append(click)
        target = target_of(to_e164(click.number))
        if target == UNWANTED and not click.override_reason:
            raise DialRefused(DialVerdict.DO_NOT_CALL, target)
        return DialInfo(
            id=uuid7(),
            request_id=click.request_id,
            user_id=access.user_id,
            connection_id=1,
            extension="101",
            target=target,
            line_id=click.line_id,
            state=self.state,
            reason=self.reason,
            created_at=datetime.now(UTC),
        )

    async def judge(self, access: Access, typed: str, policy: Policy | None = None) -> Judged:
        async with self.sessions() as session:
            return await judge_number(session, access, to_e164(typed), 1, datetime.now(UTC), policy=policy)

    async def control(self, access: Access, call_id: UUID, wanted: Wanted) -> Done:
        self.wanted.append((call_id, wanted))
        return Done(outcome="done")

    def dialler_states(self) -> Sequence[DiallerState]:
        values: Mapping[str, str] = {"user": "ringcard-dialler", "answer": "Authentication failed"}
        return [DiallerState(connection="Main office", state="refused", code="login_refused", values=values)]
