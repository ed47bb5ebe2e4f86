"""Fields of the company's own: their definitions, and their values on parties."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from crm import custom_fields
from crm.custom_fields import FieldInfo
from web.api.contract import ApiRoutes, Reply
from web.api.reading import NoQuery, Text, id_in_path, read_version
from web.api.versions import ETAG, IF_MATCH, party_reply, versioned
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
PATH: Final = "/api/v1/custom-fields"
ONE: Final = PATH + "/{id:[0-9]+}"

FieldType = Literal["text", "number", "date", "flag", "choice"]
Key = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$", max_length=40)]
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Options = Annotated[list[Text], Meta(max_length=100)]
Value = str | int | float | bool | None
Values = Annotated[
    dict[str, Value],
    Meta(
        max_length=100,
        description="own field's key → its value: a text, a number, a date as 2027-12-31, true or false",
    ),
]


class CustomField(msgspec.Struct, kw_only=True):
    """A field of the company's own; `options` of a choice. Its key and type stay for good."""

    id: int
    key: str
    name: str
    type: FieldType
    options: list[str]
    archived_at: datetime | None
    version: int


class CustomFieldList(msgspec.Struct):
    items: list[CustomField]
    next: str | None = None


class NewCustomField(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new field. A choice has options, no other type has."""

    key: Key
    name: Name
    type: FieldType
    options: Options = []


class CustomFieldChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Everything of a field that can change; what is left out becomes empty. An archived field takes no new values."""

    name: Name
    options: Options = []
    is_archived: bool = False


class CustomValues(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Values by the keys of their fields; null takes one away, what is not named stays."""

    values: Values


@routes.endpoint(
    "GET", PATH, right="party.read", summary="Fields of the company's own", answer=CustomFieldList
)
async def list_(request: web.Request, _query: NoQuery) -> CustomFieldList:
    async with request.app[SESSIONS]() as session:
        found = await custom_fields.list_fields(session)
    return CustomFieldList(items=[_told(each) for each in found])


@routes.endpoint(
    "POST",
    PATH,
    right="directory.manage",
    summary="A new field of the company's own",
    answer=CustomField,
    status=HTTPStatus.CREATED,
    sends=ETAG,
)
async def add(request: web.Request, _query: NoQuery, new: NewCustomField) -> Reply:
    async with request.app[SESSIONS].begin() as session:
        field = await custom_fields.add_field(
            session, request[ACCESS], key=new.key, name=new.name, type=new.type, options=new.options
        )
    return versioned(_told(field), field.version, HTTPStatus.CREATED)


@routes.endpoint(
    "GET", ONE, right="party.read", summary="One field of the company's own", answer=CustomField, sends=ETAG
)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        field = await custom_fields.read_field(session, id_in_path(request))
    return versioned(_told(field), field.version)


@routes.endpoint(
    "PUT",
    ONE,
    right="directory.manage",
    summary="Another name, other options, archived or back",
    answer=CustomField,
    headers=IF_MATCH,
    sends=ETAG,
)
async def edit(request: web.Request, _query: NoQuery, change: CustomFieldChange) -> Reply:
    version = read_version(request)
    async with request.app[SESSIONS].begin() as session:
        field = await custom_fields.edit_field(
            session,
            request[ACCESS],
            id_in_path(request),
            name=change.name,
            options=change.options,
            is_archived=change.is_archived,
            version=version,
        )
    return versioned(_told(field), field.version)


@routes.endpoint(
    "PATCH",
    "/api/v1/parties/{id:[0-9]+}/custom",
    right="party.edit",
    summary="Write values of own fields of a party",
    answer=CustomValues,
    headers=IF_MATCH,
    sends=ETAG,
)
async def write(request: web.Request, _query: NoQuery, given: CustomValues) -> Reply:
    party_id, version = id_in_path(request), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        stored, now = await custom_fields.set_custom(
            session, request[ACCESS], party_id, given.values, version=version
        )
        return await party_reply(session, CustomValues(values=stored), party_id, now)


def _told(field: FieldInfo) -> CustomField:
    return msgspec.convert(field, CustomField, from_attributes=True)
