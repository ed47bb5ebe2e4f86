"""The JSON API and its OpenAPI document."""

from __future__ import annotations

from typing import Final

from web.api import calls, company, exports, imports, parties, present
from web.api.contract import ApiRoutes
from web.api.describing import routes_describing

_TABLES: Final = (
    parties.routes,
    calls.routes,
    present.routes,
    company.routes,
    imports.routes,
    exports.routes,
)
ROUTES: Final[tuple[ApiRoutes, ...]] = (*_TABLES, routes_describing(*_TABLES))
"""The table of every part of the API; `web.app` adds them all."""
