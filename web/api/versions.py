"""Changes that are based on what was read: the version goes out as ETag and comes back in If-Match."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from web.api.contract import Reply

IF_MATCH: Final = {"If-Match": "The ETag that the change is based on; another version is a 409."}
ETAG: Final = {"ETag": "The version of the record, for If-Match."}


def versioned(body: Any, version: int, status: int = HTTPStatus.OK, **headers: str) -> Reply:
    """The answer with the record's version."""
    return Reply(body=body, status=status, headers={"ETag": f'"{version}"', **headers})
