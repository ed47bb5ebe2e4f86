"""Clients and contacts: search, read, create, change."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from crm import parties
from crm.changed_records import changed_parties
from crm.errors import Invalid, NotFound
from crm.numbers import NumberValues
from crm.party_cards import party_card
from crm.party_lists import PartyFilter, Which, condition_of, list_parties
from crm.party_patching import patch_party
from crm.party_search import search_parties
from crm.party_values import PartyValues
from crm.rights import Access
from crm.sources import source_named
from web.api.contract import ApiRoutes, Reply
from web.api.once import ONCE, once
from web.api.party_answers import card_reply
from web.api.party_types import (
    Created,
    NewOrganisation,
    NewParty,
    NewPerson,
    Party,
    PartyChanges,
    PartyItem,
    PartyList,
    PartyQuery,
    PartyVersion,
    QuickParty,
)
from web.api.reading import NoQuery, given, id_in_path, read_changed_since, read_version
from web.api.versions import ETAG, IF_MATCH, party_reply
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
PATH: Final = "/api/v1/parties"
_APART: Final = {  # of a new party: what is not `PartyValues`
    "kinds",
    "numbers",
    "emails",
    "owner_id",
    "custom",
}


@routes.endpoint("GET", PATH, right="party.read", summary="Parties by name, or found", answer=PartyList)
async def list_(request: web.Request, query: PartyQuery) -> PartyList:
    since = read_changed_since(query)
    if since is not None:
        return await _changed(request, query, since)
    text = given(query.q)
    async with request.app[SESSIONS]() as session:
        wanted = await _wanted(session, query)
        if text is not None:
            return await _search(session, request[ACCESS], text, wanted, query.limit)
        page = await list_parties(
            session, request[ACCESS], wanted, cursor=query.cursor or None, limit=query.limit
        )
    return PartyList(items=[_item(row) for row in page.items], next=page.next)


async def _changed(request: web.Request, query: PartyQuery, since: datetime) -> PartyList:
    async with request.app[SESSIONS]() as session:
        page = await changed_parties(
            session, request[ACCESS], since, cursor=query.cursor or None, limit=query.limit
        )
    items = [_item(row) for row in page.items]
    return PartyList(items=items, next=page.next, gone=list(page.gone), resume=page.resume)


async def _wanted(session: AsyncSession, query: PartyQuery) -> PartyFilter:
    source = given(query.source)
    return PartyFilter(
        which=Which.EVERYBODY,
        kind=given(query.kind),
        kind_status=query.kind_status,
        type=given(query.type),
        owner_id=given(query.owner),
        source=None if source is None else await source_named(session, source),
        city=given(query.city),
        region=given(query.region),
        tag_id=given(query.tag),
    )


async def _search(
    session: AsyncSession, access: Access, text: str, wanted: PartyFilter, limit: int
) -> PartyList:
    condition = await condition_of(session, wanted)
    found = await search_parties(session, access, text, condition=condition, limit=limit)
    if found.is_too_short:
        raise Invalid("q", text, N_("Type at least three letters or digits to search."))
    return PartyList(items=[_item(hit.party) for hit in found.hits], next=None, is_cut=found.is_cut)


def _item(row: Any) -> PartyItem:
    return msgspec.convert(row, PartyItem, from_attributes=True)


@routes.endpoint(
    "GET",
    PATH + "/{id:[0-9]+}",
    right="party.read",
    summary="One party with its numbers, contacts and organisations",
    answer=Party,
    moves=True,
    sends=ETAG,
)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    party_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        card = await party_card(session, request[ACCESS], party_id)
        if card.id != party_id:  # merged into another one
            address = {"Location": f"{PATH}/{card.id}"}
            return Reply(status=HTTPStatus.MOVED_PERMANENTLY, headers=address)
        return await card_reply(session, card)


@routes.endpoint(
    "PATCH",
    PATH + "/{id:[0-9]+}",
    right="party.edit",
    summary="Change some fields of a party",
    description="Another responsible needs the right party.change_owner. Numbers, addresses and own fields have their own ways.",
    answer=PartyVersion,
    headers=IF_MATCH,
    sends=ETAG,
)
async def edit(request: web.Request, _query: NoQuery, changes: PartyChanges) -> Reply:
    access, version, said = request[ACCESS], read_version(request), msgspec.structs.asdict(changes)
    said = {name: value for name, value in said.items() if value is not UNSET}
    kinds, has_owner, owner_id = said.pop("kinds", None), "owner_id" in said, said.pop("owner_id", None)
    if has_owner:
        access.require("party.change_owner")
    async with request.app[SESSIONS].begin() as session:
        party_id, now = await patch_party(
            session, access, id_in_path(request), said, kinds=kinds, version=version
        )
        if has_owner:
            await _give(session, access, party_id, owner_id)
            now = (await party_card(session, access, party_id)).version
        return await party_reply(session, PartyVersion(id=party_id, version=now), party_id, now)


@routes.endpoint(
    "POST",
    PATH,
    right="party.create",
    summary="A new person, a new organisation, or both by the quick form",
    description="A number, address or INN that somebody has already is refused with 409, and `party` names them.",
    answer=Created,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends={"Location": "The new party."},
)
async def create(request: web.Request, _query: NoQuery, new: NewParty) -> Reply:
    access = request[ACCESS]
    created = await once(request, lambda session: _create(session, access, new), Created)
    address = {"Location": f"{PATH}/{created.id}"}
    return Reply(body=created, status=HTTPStatus.CREATED, headers=address)


async def _create(session: AsyncSession, access: Access, new: NewParty) -> Created:
    if isinstance(new, QuickParty):
        made = await parties.quick_create(session, access, **msgspec.structs.asdict(new), via="api")
        return Created(id=made.party_id, organisation_id=made.organisation_id, person_id=made.person_id)
    if new.owner_id is not None:
        access.require("party.change_owner")
    party_id = await parties.create_party(
        session,
        access,
        _values(new),
        kinds=list(dict.fromkeys(new.kinds)),
        numbers=[
            NumberValues(presented=each.number, label=each.label, is_shared=each.is_shared)
            for each in new.numbers
        ],
        emails=list(dict.fromkeys(new.emails)),
        custom=new.custom,
        via="api",
    )
    if new.owner_id is not None:
        await _give(session, access, party_id, new.owner_id)
    is_person = isinstance(new, NewPerson)
    return Created(
        id=party_id,
        organisation_id=None if is_person else party_id,
        person_id=party_id if is_person else None,
    )


async def _give(session: AsyncSession, access: Access, party_id: int, owner_id: int | None) -> None:
    try:
        await parties.change_owner(session, access, party_id, owner_id, via="api")
    except NotFound as error:
        raise Invalid("owner_id", owner_id, N_("There is no such active user.")) from error


def _values(new: NewPerson | NewOrganisation) -> PartyValues:
    said = {name: value for name, value in msgspec.structs.asdict(new).items() if name not in _APART}
    return PartyValues(type="person" if isinstance(new, NewPerson) else "organisation", **said)
