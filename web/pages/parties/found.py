"""Somebody has it already: whom, and whether the reader may open their card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from crm.errors import AlreadyExists, NotFound
from crm.party_access import readable_party
from web.keys import ACCESS, SESSIONS

JUST_NOW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundParty:
    """The party that a number or INN belongs to; outside the reader's rights only its responsible is told."""

    id: int
    name: str
    owner: str
    field: str  # number, inn, email
    is_readable: bool
    created_by: str
    is_new: bool  # made just now: somebody was faster


async def found_party(request: web.Request, error: AlreadyExists) -> FoundParty:
    try:
        async with request.app[SESSIONS]() as session:
            await readable_party(session, request[ACCESS], error.party_id)
        is_readable = True
    except NotFound:
        is_readable = False
    return FoundParty(
        id=error.party_id,
        name=error.values["name"],
        owner=error.values["owner"],
        field=error.field,
        is_readable=is_readable,
        created_by=error.values["created_by"],
        is_new=datetime.now(UTC) - error.created_at < JUST_NOW,
    )
