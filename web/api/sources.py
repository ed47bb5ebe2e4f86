"""The directory of sources."""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from crm.sources import list_sources
from web.api.contract import ApiRoutes
from web.api.reading import NoQuery
from web.keys import SESSIONS
from web.routes import SIGNED_IN

routes = ApiRoutes()


class Source(msgspec.Struct, kw_only=True):
    """Where clients and enquiries come from. Records tell its `name`, which may change; its `code` never does."""

    id: int
    code: str
    name: str
    archived_at: datetime | None
    words: list[str]  # other texts that mean it


class SourceList(msgspec.Struct):
    items: list[Source]
    next: str | None = None


@routes.endpoint(
    "GET",
    "/api/v1/sources",
    right=SIGNED_IN,
    summary="The directory of sources, in the company's order",
    description="Name, code and `words` are understood wherever a source is written; an unknown text is kept as it is.",
    answer=SourceList,
)
async def list_(request: web.Request, _query: NoQuery) -> SourceList:
    async with request.app[SESSIONS]() as session:
        found = await list_sources(session)
    return SourceList(items=[msgspec.convert(each, Source, from_attributes=True) for each in found])
