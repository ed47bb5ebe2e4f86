"""The telephone on the screen: the directory, placing and control of calls behind the port that the web asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ami_adapter.actions import queue_pause
from ami_adapter.errors import UnsafeActionText
from crm.dial_requests import DialInfo, DialOrder
from crm.dial_rules import Dialled, DialVerdict, Policy, TargetFacts, judge, refusal, target_of
from crm.dialling_policy import Judged, judge_number
from crm.directory import ConnectionDirectory, Directory, DirectoryExtension
from crm.rights import Access
from cti.daemon.act_book import ActBook
from cti.daemon.call_ids import CallIds
from cti.daemon.controlling import Controlling, send
from cti.daemon.diallers import Diallers, DialPlan
from cti.daemon.placing import Placing, TellUser
from cti.daemon.recognition import Question
from cti.desk import AgentState, Desk, Message, Wish
from cti.desk.shift import OFF_SHIFT
from cti.numbers import Number, NumberKind, to_e164
from web.telephone import (
    Click,
    DiallerState,
    Done,
    LineChoice,
    NotJudged,
    NowhereToDial,
    Place,
    Wanted,
)


class OfficeTelephone:
    """Fits `web.telephone.Telephone`."""

    def __init__(
        self,
        *,
        sessions: async_sessionmaker[AsyncSession],
        diallers: Diallers,
        placing: Placing,
        controlling: Controlling,
        book: ActBook,
        now: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._diallers = diallers
        self._placing = placing
        self._controlling = controlling
        self._book = book
        self.run = book.run
        self._now = now
        self._directory = Directory()
        self._policy = Policy(is_stopped=True)  # until it is read

    async def begin(self, at: datetime) -> None:
        """At start: clicks that an earlier run left open are told as they are."""
        await self._placing.begin(at)

    async def equal(self, plans: Mapping[int, DialPlan]) -> None:
        """Take up what the administrator changed."""
        await self._diallers.equal(plans)

    async def close(self) -> None:
        """For the orderly stop."""
        await self._diallers.close()
        await self._placing.finish()
        await self._book.flush()

    def set_directory(self, directory: Directory) -> None:
        self._directory = directory

    def set_policy(self, policy: Policy) -> None:
        """As it was read last: what counts while the database is away."""
        self._policy = policy

    def places(self, user_id: int) -> Sequence[Place]:
        return [
            self._place(connection, extension)
            for extension in self._directory.extensions_of(user_id)
            if (connection := self._directory.connections[extension.connection_id]).is_enabled
            and self._diallers.of(connection.id) is not None
        ]

    def read(self, user_id: int, typed: str, connection_id: int | None = None) -> Number:
        places = self.places(user_id)
        wanted = (
            connection_id if connection_id is not None else next((one.connection_id for one in places), 0)
        )
        return self.read_on(wanted, typed)

    def read_on(self, connection_id: int, typed: str) -> Number:
        """A number as this connection writes numbers."""
        return to_e164(typed, self._directory.profile(connection_id))

    async def place(self, access: Access, click: Click) -> DialInfo:
        place = self._chosen(access.user_id, click.connection_id)
        extension = self._directory.extension(place.connection_id, place.extension)
        endpoints = extension.endpoints if extension else ()
        order = DialOrder(
            request_id=click.request_id,
            connection_id=place.connection_id,
            extension=place.extension,
            endpoint=endpoints[0] if endpoints else "",
            number=self.read_on(place.connection_id, click.number),
            typed=click.number,
            line_id=click.line_id,
            override_reason=click.override_reason,
        )
        return await self._placing.place(access, order)

    async def judge(self, access: Access, typed: str, policy: Policy | None = None) -> Judged:
        places = self.places(access.user_id)
        connection_id = places[0].connection_id if places else next(iter(self._directory.connections), 0)
        number = self.read_on(connection_id, typed)
        async with self._sessions() as session:
            return await judge_number(session, access, number, connection_id, self._now(), policy=policy)

    def judge_alone(self, access: Access, connection_id: int, number: Number) -> None:
        """Without the database: a colleague's telephone may ring, and a short number where they are allowed.

        Raises:
            DialRefused, NotJudged.
        """
        if number.kind not in (NumberKind.INTERNAL, NumberKind.SERVICE):
            raise NotJudged(target_of(number) or number.presented[:40])
        extension = self._directory.extension(connection_id, number.digits or "")
        is_own = extension is not None and extension.user_id == access.user_id
        facts = TargetFacts(is_colleague=extension is not None, is_own_extension=is_own)
        verdict = judge(number, self._policy, Dialled(), facts)
        if verdict is not DialVerdict.ALLOWED:
            raise refusal(verdict, number, self._policy)

    async def control(self, access: Access, call_id: UUID, wanted: Wanted) -> Done:
        return await self._controlling.control(access, call_id, wanted)

    async def pause(self, connection_id: int, interface: str, wish: Wish) -> Done:
        """Ask the dialling account to leave a member of queues alone, or not any more.

        Returns:
            `outcome` done, or why not: no_account, not_allowed, not_sent, refused, unknown.
        """
        dialler = self._diallers.of(connection_id)
        if dialler is None:
            return Done(outcome="no_account")
        if not dialler.link.is_up:
            return Done(outcome="not_sent")
        if not dialler.may("pause"):
            return Done(outcome="not_allowed")
        reason = OFF_SHIFT if wish.state is AgentState.OFFLINE else wish.reason or ""
        try:
            asked = queue_pause(interface, is_paused=wish.is_away, reason=reason)
            return await send(dialler, asked)
        except UnsafeActionText as error:
            return Done(outcome="refused", detail=str(error)[:200])

    def dialler_states(self) -> Sequence[DiallerState]:
        names = {one.id: one.name for one in self._directory.connections.values()}
        return [
            DiallerState(
                connection=names.get(id_, str(id_)),
                state=telling.status.value,
                code=telling.code,
                values=telling.values,
            )
            for id_, telling in self._diallers.states().items()
        ]

    def _chosen(self, user_id: int, connection_id: int | None) -> Place:
        places = self.places(user_id)
        if connection_id is not None:
            places = [one for one in places if one.connection_id == connection_id]
        if not places:
            raise NowhereToDial
        return next((one for one in places if one.is_ready), places[0])

    def _place(self, connection: ConnectionDirectory, extension: DirectoryExtension) -> Place:
        dialler = self._diallers.of(connection.id)
        return Place(
            connection_id=connection.id,
            connection=connection.name,
            extension=extension.digits,
            is_ready=dialler is not None and dialler.may("place"),
            lines=tuple(
                LineChoice(id=line.id, name=line.name, e164=line.e164)
                for line in connection.lines.values()
                if line.allows_outgoing
            ),
        )


def open_telephone(
    *,
    sessions: async_sessionmaker[AsyncSession],
    desk: Desk,
    ids: CallIds,
    ask: Callable[[Question], None],
    deliver: Callable[[Iterable[Message]], None],
    tell: TellUser,
    now: Callable[[], datetime],
    on_account: Callable[[int], None] = lambda _connection_id: None,
) -> OfficeTelephone:
    """Everything that placing and control of calls is made of, wired together.

    Args:
        on_account: told when a dialling account can be used (again), by its connection.
    """

    def can(connection_id: int, abilities: frozenset[str]) -> None:
        deliver(desk.set_abilities(connection_id, abilities))
        if abilities:
            on_account(connection_id)

    diallers = Diallers(
        on_originated=lambda connection_id, originated: placing.heard(connection_id, originated),
        on_parked=lambda channel, place: controlling.parked(channel, place),
        on_abilities=can,
    )
    placing = Placing(
        sessions=sessions, diallers=diallers, desk=desk, ids=ids, ask=ask, deliver=deliver, tell=tell, now=now
    )
    book = ActBook(sessions)
    controlling = Controlling(
        sessions=sessions,
        diallers=diallers,
        desk=desk,
        read=lambda connection_id, typed: telephone.read_on(connection_id, typed),
        judge_alone=lambda access, connection_id, number: telephone.judge_alone(
            access, connection_id, number
        ),
        book=book,
        deliver=deliver,
        now=now,
    )
    telephone = OfficeTelephone(
        sessions=sessions, diallers=diallers, placing=placing, controlling=controlling, book=book, now=now
    )
    return telephone
