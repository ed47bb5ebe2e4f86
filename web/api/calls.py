"""The journal of calls: list, read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.call_parts import Parts, parts_of
from crm.calls_read import CallCard, CallFilter, CallInfo, call_card, list_calls, tell_stored
from crm.changed_records import changed_calls
from crm.party_access import readable_party
from crm.rights import Access
from web.api.call_types import Call, CallList, CallQuery, WholeCall
from web.api.contract import ApiRoutes, Reply
from web.api.reading import NoQuery, given, read_changed_since, read_moment, uuid_in_path
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
PATH: Final = "/api/v1/calls"
_KNOWN_HERE: Final = ("state", "connection_id", "line_id", "line_name", "user_id", "user_name")
_OF_CLIENTS: Final = ("party_id", "party_name", "contact_id", "contact_name")


@routes.endpoint("GET", PATH, right="call.read", summary="Calls, newest first", answer=CallList)
async def list_(request: web.Request, query: CallQuery) -> CallList:
    access, changed_since = request[ACCESS], read_changed_since(query)
    if changed_since is not None:
        return await _changed(request, query, changed_since)
    since, until = read_moment("from", query.from_), read_moment("to", query.to)
    async with request.app[SESSIONS]() as session:
        wanted = CallFilter(
            since=since,
            until=until,
            direction=given(query.direction),
            disposition=given(query.disposition),
            party_id=await _readable(session, access, given(query.party)),
            number=given(query.number),
            line_id=given(query.line),
            connection_id=given(query.connection),
            user_id=given(query.user),
            with_mirrors=query.mirrors == "1",
        )
        page = await list_calls(session, access, wanted, cursor=query.cursor or None, limit=query.limit)
        parts = await parts_of(session, access, [call.id for call in page.items])
    items = [msgspec.convert(_told(access, call, parts), Call) for call in page.items]
    return CallList(items=items, next=page.next)


async def _changed(request: web.Request, query: CallQuery, since: datetime) -> CallList:
    access = request[ACCESS]
    async with request.app[SESSIONS]() as session:
        page = await changed_calls(session, access, since, cursor=query.cursor or None, limit=query.limit)
        parts = await parts_of(session, access, [call.id for call in page.items])
    items = [msgspec.convert(_told(access, call, parts), Call) for call in page.items]
    return CallList(items=items, next=page.next, gone=list(page.gone), resume=page.resume)


async def _readable(session: AsyncSession, access: Access, party_id: int | None) -> int | None:
    """The filter tells nothing of parties outside one's rights, not even whether they called."""
    if party_id is None:
        return None
    access.require("party.read")
    return (await readable_party(session, access, party_id)).id


@routes.endpoint(
    "GET",
    PATH + "/{id:[0-9a-fA-F-]{36}}",
    right="call.read",
    summary="One call, whole",
    answer=WholeCall,
    moves=True,
)
async def show(request: web.Request, _query: NoQuery) -> WholeCall | Reply:
    access, call_id = request[ACCESS], uuid_in_path(request, "call")
    async with request.app[SESSIONS]() as session:
        card = await call_card(session, access, call_id)
    if card.call.id != call_id:  # it went into another call by a transfer
        address = {"Location": f"{PATH}/{card.call.id}"}
        return Reply(status=HTTPStatus.MOVED_PERMANENTLY, headers=address)
    told = _told(access, card.call, _parts(card))
    more = {"participations": card.participations, "notes": card.notes}
    return msgspec.convert(told | more, WholeCall, from_attributes=True)


def _told(access: Access, call: CallInfo, parts: Parts) -> dict[str, Any]:
    clients = {name: getattr(call, name) for name in _OF_CLIENTS}
    if not access.may("party.read"):  # telephony's administrators see calls, not whose they are
        clients = dict.fromkeys(clients)
    told = tell_stored(call, parts) | {name: getattr(call, name) for name in _KNOWN_HERE}
    return told | clients


def _parts(card: CallCard) -> Parts:
    def of_call(values: tuple[Any, ...]) -> Mapping[UUID, tuple[Any, ...]]:
        return {card.call.id: values}

    return Parts(
        participations=of_call(card.participations),
        transfers=of_call(card.transfers),
        notes=of_call(card.notes),
        linked_ids=of_call(card.linked_ids),
        stories=of_call(card.story),
        mirrors=of_call(card.mirrors),
    )
