"""The JSON API and its OpenAPI document."""

from __future__ import annotations

from typing import Final

from web.api import (
    bins,
    call_notes,
    callbacks,
    calls,
    communication_kinds,
    communications,
    company,
    custom_fields,
    dialling,
    directories,
    exports,
    imports,
    lead_merging,
    leads,
    merging,
    parties,
    party_parts,
    present,
    required_fields,
    schemes,
    subscribers,
    tasks,
    views,
)
from web.api.contract import ApiRoutes
from web.api.describing import routes_describing

_TABLES: Final = (
    parties.routes,
    party_parts.routes,
    leads.routes,
    tasks.routes,
    lead_merging.routes,
    calls.routes,
    callbacks.routes,
    call_notes.routes,
    communications.routes,
    views.routes,
    present.routes,
    company.routes,
    custom_fields.routes,
    directories.routes,
    required_fields.routes,
    communication_kinds.routes,
    schemes.routes,
    merging.routes,
    bins.routes,
    imports.routes,
    exports.routes,
    dialling.routes,
    subscribers.routes,
)
ROUTES: Final[tuple[ApiRoutes, ...]] = (*_TABLES, routes_describing(*_TABLES))
"""The table of every part of the API; `web.app` adds them all."""
