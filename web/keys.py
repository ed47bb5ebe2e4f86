"""Typed keys: what handlers find in `request.app[...]` and `request[...]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from aiohttp import web
from jinja2 import Environment
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.readers import Readers
from crm.rights import Access
from crm.sealing import Seal
from cti.desk import Desk

if TYPE_CHECKING:
    from ami_adapter.stories.shelf import StoryShelf
    from web.assets import Assets
    from web.gate import Gate
    from web.i18n import Catalogue
    from web.live import LiveHub
    from web.notes import NoteStore
    from web.proxies import Networks
    from web.refused_log import RefusedLog
    from web.routes import Route
    from web.telephone import Telephone


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the web needs from the rest of the program; `cti.daemon` fills it in, tests with fakes."""

    sessions: async_sessionmaker[AsyncSession]
    gate: Gate
    notes: NoteStore
    desk: Desk
    now: Callable[[], datetime]  # the wall clock, aware UTC
    secure_cookies: bool = False  # True when people reach us by https
    public_origins: frozenset[str] = frozenset()  # other addresses of ours: "https://crm.example.org"
    trusted_proxies: Networks = ()  # their X-Forwarded-For is believed
    default_language: str = "ru"
    time_zone: str = "Europe/Moscow"
    readers: Readers | None = None  # for what a dialplan waits for; None: sessions
    region: str = "RU"  # of captures that are exported, and of numbers where a PBX has no profile
    stories: StoryShelf | None = None  # None: no stories are shown
    telephone: Telephone | None = None  # None: nobody dials from the screen
    subscriber_networks: Networks = ()  # of our own, where subscribers may be
    seal: Seal | None = None  # opens the secrets of connections; None: they are neither entered nor checked


SERVICES: web.AppKey[Services] = web.AppKey("services")
SESSIONS: web.AppKey[async_sessionmaker[AsyncSession]] = web.AppKey("sessions")
READERS: web.AppKey[Readers] = web.AppKey("readers")
GATE: web.AppKey[Gate] = web.AppKey("gate")
NOTES: web.AppKey[NoteStore] = web.AppKey("notes")
DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)
LIVE: web.AppKey[LiveHub] = web.AppKey("live")
NOW: web.AppKey[Callable[[], datetime]] = web.AppKey("now")
TEMPLATES: web.AppKey[Environment] = web.AppKey("templates", Environment)
ASSETS: web.AppKey[Assets] = web.AppKey("assets")
CATALOGUES: web.AppKey[Mapping[str, Catalogue]] = web.AppKey("catalogues")
REFUSED_LOG: web.AppKey[RefusedLog] = web.AppKey("refused_log")
ROUTE_OF: web.AppKey[Mapping[web.AbstractRoute, Route]] = web.AppKey("route_of")

ACCESS: web.RequestKey[Access] = web.RequestKey("access", Access)
"""Who asks and what they may do; present on every route whose right is not `OPEN`."""
ROUTE: web.RequestKey[Route] = web.RequestKey("route")
MISSING_RIGHT: web.RequestKey[str] = web.RequestKey("missing_right", str)
"""The right that was missing, on a request that was refused for it."""
KNOWN_BEFORE: web.RequestKey[Access] = web.RequestKey("known_before", Access)
"""Who asks as the database last said: for the frame around the page that says it is away, and nothing else."""
IS_AWAY: web.RequestKey[bool] = web.RequestKey("is_away", bool)
"""True while the database is away, on a request that goes on without it."""
SESSION_TOKEN: web.RequestKey[str] = web.RequestKey("session_token", str)
"""The cookie's secret, when the request came with a live session (not with an API token)."""
