"""The dialling accounts of all connections: a `DiallerLink` for each, made anew when its settings change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.actions import ClickToCall
from ami_adapter.dialler import EVENT_CLASSES, DiallerLink, Originated
from ami_adapter.link import AmiSettings
from ami_adapter.told import Telling
from crm.dialling_accounts import DiallingAccount, dialling_accounts
from crm.errors import SecretUnreadable
from crm.rights import command_access
from crm.sealing import Seal
from crm.telephony import AsteriskSettings, list_connections

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialPlan:
    """How one connection places calls and passes them on."""

    settings: AmiSettings
    how: ClickToCall
    transfer_context: str


def dial_plan(stored: AsteriskSettings, account: DiallingAccount, secret: str) -> DialPlan:
    """What the adapter needs, from what the administrator entered."""
    return DialPlan(
        settings=AmiSettings(
            host=stored.host,
            port=stored.port,
            user=account.user,
            secret=secret,
            event_classes=EVENT_CLASSES,
            accepts_excessive_rights=account.accepts_excessive_rights,
        ),
        how=ClickToCall(
            technology=account.technology,
            extension_context=account.extension_context,
            context=account.context,
            prefixes=account.prefix_pairs,
            ring_seconds=float(account.ring_seconds),
        ),
        transfer_context=account.transfer_context,
    )


async def dial_plans(session: AsyncSession, seal: Seal) -> dict[int, DialPlan]:
    """Of every connection with a dialling account; one whose secret does not open is left out, and logged."""
    accounts = await dialling_accounts(session)
    stored = {one.id: one.settings for one in await list_connections(session, command_access())}
    plans: dict[int, DialPlan] = {}
    for connection_id, (account, sealed) in accounts.items():
        try:
            secret = seal.open(sealed) if sealed else ""
        except SecretUnreadable as error:
            log.error("dialling_secret_unreadable", connection_id=connection_id, why=str(error))
            continue
        plans[connection_id] = dial_plan(stored[connection_id], account, secret)
    return plans


@dataclass(frozen=True, slots=True)
class Dialler:
    """A link that runs, and how it is to be used."""

    plan: DialPlan
    link: DiallerLink
    task: asyncio.Task[None]

    def may(self, ability: str) -> bool:
        """Whether it is connected and its account may ask for this."""
        return self.link.is_up and ability in self.link.abilities


class Diallers:
    """Starts, stops and renews the links so that they equal what is wanted.

    Args:
        on_originated: told, per connection, what became of each Originate.
        on_parked: told, which channel was parked and where.
        on_abilities: told what can be asked for now; nothing while the link is down.
    """

    def __init__(
        self,
        *,
        on_originated: Callable[[int, Originated], None],
        on_parked: Callable[[str, str], None] = lambda _channel, _place: None,
        on_abilities: Callable[[int, frozenset[str]], None] = lambda _id, _abilities: None,
    ) -> None:
        self._on_originated = on_originated
        self._on_parked = on_parked
        self._on_abilities = on_abilities
        self._running: dict[int, Dialler] = {}

    def of(self, connection_id: int) -> Dialler | None:
        return self._running.get(connection_id)

    def states(self) -> dict[int, Telling]:
        return {connection_id: one.link.telling for connection_id, one in self._running.items()}

    async def equal(self, wanted: Mapping[int, DialPlan]) -> None:
        """Make what runs equal to what is wanted."""
        await self._stop({id_ for id_, one in self._running.items() if wanted.get(id_) != one.plan})
        for connection_id, plan in wanted.items():
            if connection_id not in self._running:
                self._start(connection_id, plan)

    async def close(self) -> None:
        await self._stop(set(self._running))

    def _start(self, connection_id: int, plan: DialPlan) -> None:
        link = DiallerLink(
            plan.settings,
            on_originated=lambda originated: self._on_originated(connection_id, originated),
            on_parked=self._on_parked,
            on_state=lambda _telling: self._state_changed(connection_id),
        )
        task = asyncio.create_task(link.run(), name=f"dialler {connection_id}")
        self._running[connection_id] = Dialler(plan, link, task)

    def _state_changed(self, connection_id: int) -> None:
        one = self._running.get(connection_id)
        abilities = one.link.abilities if one is not None and one.link.is_up else frozenset()
        self._on_abilities(connection_id, abilities)

    async def _stop(self, connection_ids: set[int]) -> None:
        tasks = {id_: self._running.pop(id_).task for id_ in connection_ids}
        for task in tasks.values():
            task.cancel()
        for result in await asyncio.gather(*tasks.values(), return_exceptions=True):
            if isinstance(result, Exception):
                log.error("dialler_ended_badly", error=repr(result))
        for connection_id in tasks:
            self._on_abilities(connection_id, frozenset())
