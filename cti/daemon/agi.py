"""The dialplan asks over FastAGI who should get a call; the answer stands in variables `RINGCARD_…` of the channel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from ami_adapter.fast_agi import AgiTalk, FastAgi
from crm.errors import CrmError
from crm.journal import is_away
from crm.readers import Readers
from crm.routing import CallRoute, RouteAction, route_call
from crm.tokens import MOST_TOKEN_CHARACTERS
from cti.numbers import DEFAULT_PROFILE, NumberingProfile
from web.gate import Credential, Gate

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 0.8  # a caller hears nothing meanwhile: better the usual way than a late answer
_SCRIPT: Final = "route"
_MOST_CHARACTERS: Final = 80


class RouteAgi:
    """`AGI(agi://host:port/route,CONNECTION)`; the token stands in the global variable RINGCARD_TOKEN, where no log shows it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        readers: Readers,
        gate: Gate,
        now: Callable[[], datetime],
        home: NumberingProfile = DEFAULT_PROFILE,
    ) -> None:
        self._readers = readers
        self._home = home
        self._gate = gate
        self._now = now
        self.server = FastAgi(host, port, self._answer)

    async def _answer(self, talk: AgiTalk) -> None:
        token = await talk.variable("RINGCARD_TOKEN")
        route = await self._route(talk, token)
        for name, value in (
            ("ACTION", route.action.value),
            ("REASON", route.reason),
            ("EXTENSIONS", "&".join(route.extensions)),
            ("EXTENSION", route.extensions[0] if route.extensions else ""),
            ("NAME", route.name),
        ):
            await talk.set_variable(f"RINGCARD_{name}", value)

    async def _route(self, talk: AgiTalk, token: str) -> CallRoute:
        asked = talk.environment
        if asked.get("network_script") != _SCRIPT:
            return _fallback("no_such_script")
        caller = asked.get("callerid", "")
        dnid = asked.get("dnid", "")
        did = asked.get("extension", "") if dnid in ("", "unknown") else dnid
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                access = None
                if 0 < len(token) <= MOST_TOKEN_CHARACTERS:
                    access = await self._gate.access(Credential(secret=token, is_token=True))
                if access is None:
                    return _fallback("token_refused")
                async with self._readers() as reader:
                    return await route_call(
                        reader,
                        access,
                        asked.get("arg_1", "")[:_MOST_CHARACTERS],
                        "" if caller == "unknown" else caller[:_MOST_CHARACTERS],
                        did[:_MOST_CHARACTERS],
                        self._now(),
                        home=self._home,
                    )
        except CrmError as error:
            log.warning("route_not_asked_rightly", why=str(error)[:200])
            return _fallback("not_asked_rightly")
        except TimeoutError:
            return _fallback("too_late")
        except Exception as error:
            if not is_away(error):
                raise
            return _fallback("database_away")


def _fallback(reason: str) -> CallRoute:
    return CallRoute(action=RouteAction.FALLBACK, reason=reason)
