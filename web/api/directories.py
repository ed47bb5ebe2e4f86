"""Directories that the administrator keeps: kinds, sources, tags, industries, reasons. All of them are kept alike."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import directories, sources
from crm.errors import NotFound
from crm.rights import Access
from web.api.contract import ApiRoutes, Reply
from web.api.directory_types import (
    Entry,
    EntryChange,
    EntryList,
    NewCodedEntry,
    NewEntry,
    NewReason,
    ReasonChange,
    Source,
    SourceList,
    SourceWord,
    UnknownSources,
)
from web.api.once import ONCE, once
from web.api.reading import NoQuery, id_in_path, read_version
from web.api.versions import ETAG, IF_MATCH, versioned
from web.keys import ACCESS, SESSIONS
from web.routes import SIGNED_IN

routes = ApiRoutes()
RIGHT: Final = "directory.manage"
_SOURCES: Final = "/api/v1/sources"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One directory as the API has it."""

    name: str  # of `crm.directories`
    path: str
    what: str  # as a summary names it
    new: type[msgspec.Struct] = NewEntry
    change: type[msgspec.Struct] = EntryChange
    description: str = ""

    @property
    def one(self) -> str:
        return self.path + "/{id:[0-9]+}"

    @property
    def is_of_sources(self) -> bool:
        return self.name == sources.SOURCE


KEPT: Final = (
    Kept(name=directories.KIND, path="/api/v1/kinds", what="kinds of counterparties", new=NewCodedEntry),
    Kept(
        name=sources.SOURCE,
        path=_SOURCES,
        what="sources",
        new=NewCodedEntry,
        description="Name, code and `words` are understood wherever a source is written; an unknown text is kept as it is.",
    ),
    Kept(name=directories.TAG, path="/api/v1/tags", what="tags"),
    Kept(name=directories.INDUSTRY, path="/api/v1/industries", what="industries"),
    Kept(name=directories.END_REASON, path="/api/v1/end-reasons", what="reasons why a kind ends"),
    Kept(
        name=directories.LEAD_REASON,
        path="/api/v1/lead-reasons",
        what="reasons of disqualifying leads",
        new=NewReason,
        change=ReasonChange,
    ),
    Kept(name=directories.PAUSE_REASON, path="/api/v1/pause-reasons", what="reasons for a pause"),
    Kept(
        name=directories.CALLBACK_REASON,
        path="/api/v1/callback-reasons",
        what="reasons why a missed caller is closed",
    ),
)


def _keep(kept: Kept) -> None:
    """The four endpoints of a directory."""
    _reading(kept)
    _adding(kept)
    _changing(kept)


def _reading(kept: Kept) -> None:
    answers: Any = (SourceList, Source) if kept.is_of_sources else (EntryList, Entry)

    @routes.endpoint(
        "GET",
        kept.path,
        right=SIGNED_IN,
        summary=f"The directory of {kept.what}, in the company's order",
        description=kept.description,
        answer=answers[0],
    )
    async def list_(request: web.Request, _query: NoQuery) -> Any:
        async with request.app[SESSIONS]() as session:
            return answers[0](items=await _entries(session, kept))

    @routes.endpoint(
        "GET",
        kept.one,
        right=SIGNED_IN,
        summary=f"One entry of the directory of {kept.what}",
        answer=answers[1],
        sends=ETAG,
    )
    async def show(request: web.Request, _query: NoQuery) -> Reply:
        async with request.app[SESSIONS]() as session:
            return await _now(session, kept, id_in_path(request))


def _adding(kept: Kept) -> None:
    async def add(request: web.Request, _query: NoQuery, body: Any) -> Reply:
        async def act(session: AsyncSession) -> Any:
            said = {"colour": None, **msgspec.to_builtins(body)}
            entry_id = await directories.add_entry(session, request[ACCESS], kept.name, **said, via="api")
            return await _entry(session, kept, entry_id)

        made = await once(request, act, _type_of(kept))
        return versioned(made, made.version, HTTPStatus.CREATED, Location=f"{kept.path}/{made.id}")

    add.__annotations__["body"] = kept.new
    routes.endpoint(
        "POST",
        kept.path,
        right=RIGHT,
        summary=f"A further entry of the directory of {kept.what}",
        answer=_type_of(kept),
        status=HTTPStatus.CREATED,
        headers=ONCE,
        sends={**ETAG, "Location": "the entry"},
    )(add)


def _changing(kept: Kept) -> None:
    async def change(request: web.Request, _query: NoQuery, body: Any) -> Reply:
        wanted, version = msgspec.to_builtins(body), read_version(request)
        async with request.app[SESSIONS].begin() as session:
            await _change(session, request[ACCESS], kept, id_in_path(request), wanted, version)
            return await _now(session, kept, id_in_path(request))

    change.__annotations__["body"] = kept.change
    routes.endpoint(
        "PATCH",
        kept.one,
        right=RIGHT,
        summary=f"Change, order, archive or restore one of the {kept.what}",
        answer=_type_of(kept),
        headers=IF_MATCH,
        sends=ETAG,
    )(change)


async def _change(
    session: AsyncSession,
    access: Access,
    kept: Kept,
    entry_id: int,
    wanted: dict[str, Any],
    version: int | None,
) -> None:
    place = wanted.pop("place", None)
    await directories.change_entry(session, access, kept.name, entry_id, wanted, version=version, via="api")
    if place is not None:
        await directories.place_entry(session, access, kept.name, entry_id, place, via="api")


def _type_of(kept: Kept) -> type[Any]:
    return Source if kept.is_of_sources else Entry


async def _entries(session: AsyncSession, kept: Kept) -> list[Any]:
    found: Any = (
        await sources.list_sources(session)
        if kept.is_of_sources
        else await directories.list_entries(session, kept.name, with_archived=True)
    )
    return [msgspec.convert(each, _type_of(kept), from_attributes=True) for each in found]


async def _entry(session: AsyncSession, kept: Kept, entry_id: int) -> Any:
    """Raises NotFound."""
    found = next((each for each in await _entries(session, kept) if each.id == entry_id), None)
    if found is None:
        raise NotFound(kept.name, entry_id)
    return found


async def _now(session: AsyncSession, kept: Kept, entry_id: int) -> Reply:
    entry = await _entry(session, kept, entry_id)
    return versioned(entry, entry.version)


@routes.endpoint(
    "POST",
    _SOURCES + "/{id:[0-9]+}/words",
    right=RIGHT,
    summary="A text means this source: records that have it get the source's name within minutes",
    answer=Source,
    sends=ETAG,
)
async def add_word(request: web.Request, _query: NoQuery, body: SourceWord) -> Reply:
    kept = next(each for each in KEPT if each.is_of_sources)
    async with request.app[SESSIONS].begin() as session:
        await sources.join_source(session, request[ACCESS], body.word, id_in_path(request), via="api")
        return await _now(session, kept, id_in_path(request))


@routes.endpoint(
    "GET",
    "/api/v1/unknown-sources",
    right=RIGHT,
    summary="Texts of records that mean no source, the first hundred by name",
    answer=UnknownSources,
)
async def list_unknown(request: web.Request, _query: NoQuery) -> UnknownSources:
    async with request.app[SESSIONS]() as session:
        return UnknownSources(items=await sources.unknown_sources(session))


for _each in KEPT:
    _keep(_each)
