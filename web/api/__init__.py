"""The JSON API and its OpenAPI document."""

from __future__ import annotations

from typing import Final

from web.routes import Routes

ROUTES: Final[tuple[Routes, ...]] = ()
"""The table of every part of the API; `web.app` adds them all."""
