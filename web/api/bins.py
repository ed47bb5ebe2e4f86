"""The bins: deleted parties, leads and communications, and restoring them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.based_changes import check_base
from crm.communication_bin import bin_communication, list_communication_bin, restore_communication
from crm.lead_bin import bin_lead, list_lead_bin, restore_lead
from crm.party_access import editable_party
from crm.party_bin import bin_party, list_bin, restore_party
from crm.rights import Access
from web.api.communication_types import Kind
from web.api.contract import ApiRoutes
from web.api.merging import Done
from web.api.party_types import PartyType
from web.api.reading import (
    BinQuery,
    NoQuery,
    Nothing,
    id_in_path,
    read_base,
    read_version,
    uuid_in_path,
)
from web.api.versions import IF_MATCH
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()


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


class BinnedCommunicationItem(msgspec.Struct, kw_only=True):
    """A communication in the bin; it goes for good at `until`."""

    id: UUID
    kind: Kind
    own_kind: str | None
    subject: str | None
    started_at: datetime
    party_name: str | None
    user_name: str | None
    deleted_at: datetime
    deleted_by: str | None
    until: datetime


class CommunicationBinList(msgspec.Struct):
    items: list[BinnedCommunicationItem]
    next: str | None


class DoneWith(msgspec.Struct):
    """It is done."""

    id: UUID


Put = Callable[[AsyncSession, web.Request, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The bin of one kind of record: what waits there, putting a record in (`PATH/{id}/delete`) and taking it out (`PATH/{id}/restore`)."""

    path: str  # of a record
    bin_path: str
    right: str
    named: str  # as summaries say it: a record, a lead
    listed: str  # the list in words
    item: Any  # what answers are made of
    items: Any
    done: Any
    restored: Any
    read: Callable[..., Awaitable[Any]]
    put: Put
    restore: Callable[..., Awaitable[Any]]
    id_of: Callable[[web.Request], Any] = id_in_path
    put_how: str = ""
    restored_how: str = ""


async def _put_party(session: AsyncSession, request: web.Request, party_id: int) -> None:
    access, base = request[ACCESS], read_base(request)
    if base is not None:
        held = await editable_party(session, access, party_id, right="party.delete")
        await check_base(session, access, held.id, base)
    await bin_party(session, access, party_id, via="api")


async def _put_lead(session: AsyncSession, request: web.Request, lead_id: int) -> None:
    await bin_lead(session, request[ACCESS], lead_id, base_version=read_version(request), via="api")


async def _put_communication(session: AsyncSession, request: web.Request, communication_id: UUID) -> None:
    version = read_version(request)
    await bin_communication(session, request[ACCESS], communication_id, base_version=version, via="api")


async def _restore_communication(
    session: AsyncSession, access: Access, communication_id: UUID, *, via: str
) -> DoneWith:
    await restore_communication(session, access, communication_id, via=via)
    return DoneWith(id=communication_id)


BINS: Final = (
    Bin(
        path="/api/v1/parties/{id:[0-9]+}",
        bin_path="/api/v1/bin",
        right="party.delete",
        named="a record",
        listed="Deleted records, newest first",
        item=BinnedItem,
        items=BinList,
        done=Done,
        restored=Restored,
        read=list_bin,
        put=_put_party,
        restore=restore_party,
        restored_how="`taken` tells what somebody else has now.",
    ),
    Bin(
        path="/api/v1/leads/{id:[0-9]+}",
        bin_path="/api/v1/lead-bin",
        right="lead.delete",
        named="a lead",
        listed="Deleted leads, newest first",
        item=BinnedLeadItem,
        items=LeadBinList,
        done=Done,
        restored=RestoredLead,
        read=list_lead_bin,
        put=_put_lead,
        restore=restore_lead,
        put_how="Whoever is known from it alone goes along: their numbers and addresses are free.",
        restored_how="A 409 names an automatic lead of the same client that is open since.",
    ),
    Bin(
        path="/api/v1/communications/{id:[0-9a-fA-F-]{36}}",
        bin_path="/api/v1/communication-bin",
        right="party.read",
        named="a communication",
        listed="Deleted communications that one could change, newest first",
        item=BinnedCommunicationItem,
        items=CommunicationBinList,
        done=DoneWith,
        restored=DoneWith,
        read=list_communication_bin,
        put=_put_communication,
        restore=_restore_communication,
        id_of=lambda request: uuid_in_path(request, "communication"),
        put_how="Its author, or whoever may edit the party it is about. What a PBX told is never deleted.",
    ),
)


def _serve(each: Bin) -> None:
    @routes.endpoint("GET", each.bin_path, right=each.right, summary=each.listed, answer=each.items)
    async def list_(request: web.Request, query: BinQuery) -> Any:
        asked: dict[str, Any] = {"wanted": query.q, "cursor": query.cursor or None, "limit": query.limit}
        async with request.app[SESSIONS]() as session:
            page = await each.read(session, request[ACCESS], **asked)
        items = [msgspec.convert(item, each.item, from_attributes=True) for item in page.items]
        return each.items(items, page.next)

    @routes.endpoint(
        "POST",
        f"{each.path}/delete",
        right=each.right,
        summary=f"Put {each.named} into the bin",
        description=each.put_how,
        answer=each.done,
        headers=IF_MATCH,
    )
    async def delete(request: web.Request, _query: NoQuery, _body: Nothing) -> Any:
        record_id = each.id_of(request)
        async with request.app[SESSIONS].begin() as session:
            await each.put(session, request, record_id)
        return each.done(record_id)

    @routes.endpoint(
        "POST",
        f"{each.path}/restore",
        right=each.right,
        summary=f"Take {each.named} out of the bin",
        description=each.restored_how,
        answer=each.restored,
    )
    async def restore(request: web.Request, _query: NoQuery, _body: Nothing) -> Any:
        async with request.app[SESSIONS].begin() as session:
            restored = await each.restore(session, request[ACCESS], each.id_of(request), via="api")
        return msgspec.convert(restored, each.restored, from_attributes=True)


for _bin in BINS:
    _serve(_bin)
