"""One folder per page: its routes, its templates, the fragments it shows."""

from __future__ import annotations

from typing import Final

from web.routes import Routes

ROUTES: Final[tuple[Routes, ...]] = ()
"""The table of every page; `web.app` adds them all."""
