"""The bin: deleted parties and leads, and restoring them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from aiohttp import web

from crm.based_changes import check_base
from crm.lead_bin import bin_lead, list_lead_bin, restore_lead
from crm.party_access import editable_party
from crm.party_bin import bin_party, list_bin, restore_party
from web.api.contract import ApiRoutes
from web.api.merging import Done
from web.api.party_types import PartyType
from web.api.reading import BinQuery, NoQuery, Nothing, id_in_path, read_base, read_version
from web.api.versions import IF_MATCH
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
_NUMBER = "{id:[0-9]+}"


class BinnedItem(msgspec.Struct, kw_only=True):
    """A record in the bin; it goes for good at `until`, or stays (null) while a lead is about it."""

    id: int
    number: int
    type: PartyType
    name: str
    owner_name: str | None
    deleted_at: datetime
    deleted_by: str | None
    until: datetime | None


class BinList(msgspec.Struct):
    items: list[BinnedItem]
    next: str | None


class Taken(msgspec.Struct):
    """What could not be given back; `by` has it now, "" where it is gone."""

    what: Literal["number", "email", "inn", "contact"]
    shown: str
    by: str
    owner: str


class Restored(msgspec.Struct):
    party_id: int
    taken: list[Taken]


class BinnedLeadItem(msgspec.Struct, kw_only=True):
    """A lead in the bin; it goes for good at `until`."""

    id: int
    number: int
    party_name: str
    title: str | None
    need: str | None
    owner_name: str | None
    deleted_at: datetime
    deleted_by: str | None
    until: datetime


class LeadBinList(msgspec.Struct):
    items: list[BinnedLeadItem]
    next: str | None


class RestoredLead(msgspec.Struct):
    lead_id: int
    taken: list[Taken]


@routes.endpoint(
    "GET", "/api/v1/bin", right="party.delete", summary="Deleted records, newest first", answer=BinList
)
async def binned(request: web.Request, query: BinQuery) -> BinList:
    async with request.app[SESSIONS]() as session:
        page = await list_bin(
            session, request[ACCESS], wanted=query.q, cursor=query.cursor or None, limit=query.limit
        )
    items = [msgspec.convert(each, BinnedItem, from_attributes=True) for each in page.items]
    return BinList(items=items, next=page.next)


@routes.endpoint(
    "POST",
    f"/api/v1/parties/{_NUMBER}/delete",
    right="party.delete",
    summary="Put a record into the bin",
    answer=Done,
    headers=IF_MATCH,
)
async def delete(request: web.Request, _query: NoQuery, _body: Nothing) -> Done:
    access, party_id, base = request[ACCESS], id_in_path(request), read_base(request)
    async with request.app[SESSIONS].begin() as session:
        if base is not None:
            held = await editable_party(session, access, party_id, right="party.delete")
            await check_base(session, access, held.id, base)
        await bin_party(session, access, party_id, via="api")
    return Done(id=party_id)


@routes.endpoint(
    "POST",
    f"/api/v1/parties/{_NUMBER}/restore",
    right="party.delete",
    summary="Take a record out of the bin",
    description="`taken` tells what somebody else has now.",
    answer=Restored,
)
async def restore(request: web.Request, _query: NoQuery, _body: Nothing) -> Restored:
    async with request.app[SESSIONS].begin() as session:
        restored = await restore_party(session, request[ACCESS], id_in_path(request), via="api")
    return msgspec.convert(restored, Restored, from_attributes=True)


@routes.endpoint(
    "GET", "/api/v1/lead-bin", right="lead.delete", summary="Deleted leads, newest first", answer=LeadBinList
)
async def binned_leads(request: web.Request, query: BinQuery) -> LeadBinList:
    async with request.app[SESSIONS]() as session:
        page = await list_lead_bin(
            session, request[ACCESS], wanted=query.q, cursor=query.cursor or None, limit=query.limit
        )
    items = [msgspec.convert(each, BinnedLeadItem, from_attributes=True) for each in page.items]
    return LeadBinList(items=items, next=page.next)


@routes.endpoint(
    "POST",
    f"/api/v1/leads/{_NUMBER}/delete",
    right="lead.delete",
    summary="Put a lead into the bin",
    description="Whoever is known from it alone goes along: their numbers and addresses are free.",
    answer=Done,
    headers=IF_MATCH,
)
async def delete_lead(request: web.Request, _query: NoQuery, _body: Nothing) -> Done:
    lead_id, version = id_in_path(request), read_version(request)
    async with request.app[SESSIONS].begin() as session:
        await bin_lead(session, request[ACCESS], lead_id, base_version=version, via="api")
    return Done(id=lead_id)


@routes.endpoint(
    "POST",
    f"/api/v1/leads/{_NUMBER}/restore",
    right="lead.delete",
    summary="Take a lead out of the bin",
    description="A 409 names an automatic lead of the same client that is open since.",
    answer=RestoredLead,
)
async def restore_one_lead(request: web.Request, _query: NoQuery, _body: Nothing) -> RestoredLead:
    async with request.app[SESSIONS].begin() as session:
        restored = await restore_lead(session, request[ACCESS], id_in_path(request), via="api")
    return msgspec.convert(restored, RestoredLead, from_attributes=True)
