"""The document itself, served to everybody: it tells nothing but the shape."""

from __future__ import annotations

from itertools import chain
from typing import Any

from aiohttp import web

from web.api.contract import ApiRoutes, Endpoint
from web.api.openapi import document
from web.api.reading import NoQuery
from web.routes import OPEN

PATH = "/api/v1/openapi.json"


def routes_describing(*tables: ApiRoutes) -> ApiRoutes:
    """The route of the document of these tables, itself included."""
    routes = ApiRoutes()

    @routes.endpoint("GET", PATH, right=OPEN, summary="This document, OpenAPI 3.1", answer=dict[str, Any])
    async def show(_request: web.Request, _query: NoQuery) -> dict[str, Any]:
        return described

    endpoints: chain[Endpoint] = chain.from_iterable(table.endpoints for table in (*tables, routes))
    described = document(endpoints)
    return routes
