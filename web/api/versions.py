"""Changes that are based on what was read: the version goes out as ETag and comes back in If-Match."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from crm.based_changes import latest_change
from web.api.contract import Reply

IF_MATCH: Final = {"If-Match": "The ETag that the change is based on; another version is a 409."}
ETAG: Final = {"ETag": "The version of the record, for If-Match."}


def versioned(body: Any, version: int, status: int = HTTPStatus.OK, **headers: str) -> Reply:
    """The answer with the record's version."""
    return Reply(body=body, status=status, headers={"ETag": f'"{version}"', **headers})


async def party_reply(session: AsyncSession, body: Any, party_id: int, version: int) -> Reply:
    """The same of a party: behind its version stands its newest change, for its parts have no version of their own."""
    change = await latest_change(session, party_id)
    return Reply(body=body, status=HTTPStatus.OK, headers={"ETag": f'"{version}.{change}"'})
