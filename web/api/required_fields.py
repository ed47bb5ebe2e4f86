"""What parties of each kind must have when they are saved."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from crm.directories import KIND, list_entries
from crm.errors import NotFound
from crm.required_fields import FIELDS, require_fields, required_fields
from web.api.contract import ApiRoutes
from web.api.reading import NoQuery, id_in_path
from web.keys import ACCESS, SESSIONS
from web.routes import SIGNED_IN

routes = ApiRoutes()
Field = Literal[
    "inn", "kpp", "ogrn", "full_name", "last_name", "first_name", "birth_date", "phone", "email", "website", "industry",
    "city", "source", "note",
]  # fmt: skip
Fields = Annotated[list[Field], Meta(max_length=len(FIELDS))]
_PATH: Final = "/api/v1/required-fields"


class RequiredFields(msgspec.Struct, kw_only=True):
    """A kind of `/api/v1/kinds`, and what its parties must have; of persons and organisations what they can have."""

    kind_id: int
    kind: str
    fields: list[Field]


class RequiredFieldsList(msgspec.Struct):
    items: list[RequiredFields]
    next: str | None = None


class NewRequiredFields(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Exactly these are required from the next saving on; none: an empty list."""

    fields: Fields


@routes.endpoint(
    "GET", _PATH, right=SIGNED_IN, summary="What parties of each kind must have", answer=RequiredFieldsList
)
async def list_(request: web.Request, _query: NoQuery) -> RequiredFieldsList:
    async with request.app[SESSIONS]() as session:
        return RequiredFieldsList(items=await _all(session))


@routes.endpoint(
    "PUT",
    "/api/v1/kinds/{id:[0-9]+}/required-fields",
    right="directory.manage",
    summary="Say what parties of a kind must have",
    answer=RequiredFields,
)
async def set_fields(request: web.Request, _query: NoQuery, body: NewRequiredFields) -> RequiredFields:
    kind_id = id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        found = next((each for each in await _all(session) if each.kind_id == kind_id), None)
        if found is None:
            raise NotFound("kind", kind_id)
        await require_fields(session, request[ACCESS], found.kind, set(body.fields), via="api")
        return next(each for each in await _all(session) if each.kind_id == kind_id)


async def _all(session: AsyncSession) -> list[RequiredFields]:
    """Kinds in use, in the company's order; fields in that of the settings page."""
    required = await required_fields(session)
    kinds = await list_entries(session, KIND)
    return [
        msgspec.convert(
            {
                "kind_id": kind.id,
                "kind": kind.code,
                "fields": [field for field in FIELDS if field in required.get(kind.code or "", ())],
            },
            RequiredFields,
        )
        for kind in kinds
    ]
