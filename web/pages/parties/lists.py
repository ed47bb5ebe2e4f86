"""The lists of counterparties, clients, suppliers and contacts: one handler, a fixed condition each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.directories import TAG, list_entries
from crm.errors import Invalid
from crm.mass_changes import MOST_PARTIES
from crm.owners import colleagues, possible_owners
from crm.party_access import readable_party
from crm.party_filters import known_cities, known_sources
from crm.party_kinds import list_kinds
from crm.party_lists import (
    Count,
    PartyFilter,
    PartyRow,
    condition_of,
    first_page,
    list_parties,
    party_ids,
    rows_of,
)
from crm.party_search import SearchHit, search_parties
from crm.regions import known_regions
from crm.rights import Access, Scope
from crm.sources import source_named
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.lists.frame import Arrangement, arranged
from web.pages.parties.sections import KIND_STATES, NOBODY, SECTIONS, SILENT_DAYS, SORTS, ListSection
from web.pages.periods import PeriodName
from web.pages.problems import tell
from web.render import render_apart, wants_rows, zone_of
from web.routes import Handler

routes = PageRoutes()
_MOST_FOUND: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What the list shows now. `count` is None on the pages after the first."""

    parties: Sequence[PartyRow]
    found: dict[int, SearchHit]  # by party: what of it matched
    next: str | None = None
    count: Count | None = None
    is_search: bool = False
    is_cut: bool = False
    is_too_short: bool = False


async def wanted_of(
    session: AsyncSession, request: web.Request, section: ListSection, values: dict[str, str]
) -> PartyFilter:
    """What these filters mean now, in the reader's time zone; a source also by a name that it had before."""
    wanted = section.wanted(values, request.app[NOW](), zone_of(request))
    return replace(wanted, source=await source_named(session, wanted.source)) if wanted.source else wanted


async def _rows(
    session: AsyncSession, request: web.Request, section: ListSection, list_: Arrangement
) -> Rows:
    access, text = request[ACCESS], list_.value("q")
    wanted = await wanted_of(session, request, section, dict(list_.values))
    if text:
        found = await _search(session, access, text, section.searched(wanted))
        if not found.is_too_short:
            return found
    cursor = request.query.get("after")
    listed = await _list(session, access, wanted, list_.sort, cursor)
    return replace(listed, is_too_short=bool(text))


async def _search(session: AsyncSession, access: Access, text: str, wanted: PartyFilter) -> Rows:
    condition = await condition_of(session, wanted)
    result = await search_parties(session, access, text, condition=condition, limit=_MOST_FOUND)
    return Rows(
        parties=[hit.party for hit in result.hits],
        found={hit.party.id: hit for hit in result.hits},
        count=Count(value=len(result.hits), is_more=result.is_cut),
        is_search=True,
        is_cut=result.is_cut,
        is_too_short=result.is_too_short,
    )


async def _list(
    session: AsyncSession, access: Access, wanted: PartyFilter, sort: str, cursor: str | None
) -> Rows:
    count = None
    if cursor:
        page = await list_parties(session, access, wanted, sort=SORTS[sort], cursor=cursor)
    else:
        page, count = await first_page(session, access, wanted, sort=SORTS[sort])
    return Rows(parties=page.items, found={}, next=page.next, count=count)


async def all_found(
    session: AsyncSession, request: web.Request, section: ListSection, values: dict[str, str]
) -> list[int]:
    """The ids of everything that these filters find, for an action on all of it; as many as one action takes."""
    access, text = request[ACCESS], values.get("q", "")
    wanted = await wanted_of(session, request, section, values)
    if text:
        condition = await condition_of(session, section.searched(wanted))
        found = await search_parties(session, access, text, condition=condition, limit=_MOST_FOUND)
        if not found.is_too_short:
            return [hit.party.id for hit in found.hits]
    return await party_ids(session, access, wanted, MOST_PARTIES)


async def _choices(session: AsyncSession, access: Access) -> dict[str, Any]:
    """What the filters and the actions on rows offer."""
    has_others = access.scope("party.read") is not Scope.OWN
    return {
        "kinds": await list_kinds(session),
        "owners": await colleagues(session, access) if has_others else [],
        "heirs": await possible_owners(session, access) if access.may("party.change_owner") else [],
        "sources": await known_sources(session),
        "cities": await known_cities(session),
        "regions": await known_regions(session),
        "tags": await list_entries(session, TAG),
        "periods": list(PeriodName),
        "silent_days": SILENT_DAYS,
        "nobody": NOBODY,
        "kind_states": KIND_STATES,
        "most_parties": MOST_PARTIES,
    }


def _handler(section: ListSection) -> Handler:
    async def show_list(request: web.Request) -> web.Response:
        async with request.app[SESSIONS]() as session:
            list_ = await arranged(session, request, section.frame)
            if "row" in request.query:
                return await _answer_row(session, request, section, list_)
            try:
                rows = await _rows(session, request, section, list_)
            except Invalid as error:  # an address that somebody made up or an old one
                raise web.HTTPBadRequest(text=tell(error)) from error
            shown: dict[str, Any] = {"section": section, "list": list_, "rows": rows}
            if wants_rows(request, "party-rows") or wants_rows(request, "party-more"):
                return await render_apart(
                    request, "parties/rows.html", is_fragment=True, is_alone=True, **shown
                )
            choices = await _choices(session, request[ACCESS])
        done = done_in(request.query.get("done", ""))
        shown |= choices
        return await render_apart(
            request, "parties/list.html", list_sections=SECTIONS, done=done, is_alone=False, **shown
        )

    return show_list


async def _answer_row(
    session: AsyncSession, request: web.Request, section: ListSection, list_: Arrangement
) -> web.Response:
    """One row as it is now, for a list that stands open: it stays where it is, even if the filters no longer fit."""
    typed = request.query["row"]
    wanted = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else 0
    party = await readable_party(session, request[ACCESS], wanted)
    rows = Rows(parties=await rows_of(session, [party.id]), found={})
    shown: dict[str, Any] = {"section": section, "list": list_, "rows": rows}
    return await render_apart(request, "parties/rows.html", is_fragment=True, is_alone=False, **shown)


def done_in(text: str) -> tuple[int, ...] | None:
    """What became of an action on many rows, as its redirect tells it: changed, unchanged, refused, kept."""
    parts = text.split(".")
    is_told = len(parts) == 4 and all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts)
    return tuple(map(int, parts)) if is_told else None


for _section in SECTIONS:
    routes.get(_section.path, right="party.read")(_handler(_section))
