"""One folder per page: its routes, its templates, the fragments it shows."""

from __future__ import annotations

from typing import Final

from web.pages.admin import connections, extensions, lines, numbers, sections, tokens, users
from web.pages.me import pages as me
from web.routes import Routes

ROUTES: Final[tuple[Routes, ...]] = (
    me.routes,
    sections.routes,
    connections.routes,
    lines.routes,
    extensions.routes,
    users.routes,
    tokens.routes,
    numbers.routes,
)
