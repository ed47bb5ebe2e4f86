"""The lists of counterparties, clients, suppliers and contacts: one handler, a fixed condition each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid
from crm.party_kinds import list_kinds
from crm.party_lists import Count, PartyFilter, PartyRow, Sort, Which, count_parties, list_parties
from crm.party_search import MOST_CHARACTERS, SearchHit, search_parties
from crm.rights import Access
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows
from web.routes import Handler

routes = PageRoutes()
_MOST_FOUND: Final = 200
_SORTS: Final = {"name": Sort.NAME, "last": Sort.LAST_COMMUNICATION}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSection:
    """One of the lists; its condition is fixed, so that nobody needs a filter for it."""

    path: str
    title: str
    which: Which
    kind: str | None = None
    offers_kinds: bool = False

    def holds(self, party: PartyRow) -> bool:
        """Whether a party that was found belongs here. The first list finds everybody, archived ones with their mark."""
        if self.kind is not None:
            return has_kind(party, self.kind)
        return self.which is not Which.CONTACTS or party.type == "person"


SECTIONS: Final = (
    ListSection(path="/parties", title=N_("Counterparties"), which=Which.COUNTERPARTIES, offers_kinds=True),
    ListSection(path="/parties/clients", title=N_("Clients"), which=Which.COUNTERPARTIES, kind="client"),
    ListSection(
        path="/parties/suppliers", title=N_("Suppliers"), which=Which.COUNTERPARTIES, kind="supplier"
    ),
    ListSection(path="/parties/contacts", title=N_("Contacts"), which=Which.CONTACTS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What the reader chose; `kind` only where the list offers kinds."""

    text: str = ""
    kind: str = ""
    sort: str = "name"


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


def has_kind(party: PartyRow, code: str) -> bool:
    return any(kind.code == code and kind.until is None for kind in party.kinds)


def _filters(request: web.Request, section: ListSection) -> Filters:
    sort = request.query.get("sort", "")
    return Filters(
        text=request.query.get("q", "").strip()[:MOST_CHARACTERS],
        kind=request.query.get("kind", "") if section.offers_kinds else "",
        sort=sort if sort in _SORTS else "name",
    )


async def _rows(request: web.Request, section: ListSection, filters: Filters) -> Rows:
    async with request.app[SESSIONS]() as session:
        if filters.text:
            found = await _search(session, request[ACCESS], section, filters)
            if not found.is_too_short:
                return found
        cursor = request.query.get("after")
        listed = await _list(session, request[ACCESS], section, filters, cursor)
    return replace(listed, is_too_short=bool(filters.text))


async def _search(session: AsyncSession, access: Access, section: ListSection, filters: Filters) -> Rows:
    result = await search_parties(session, access, filters.text, limit=_MOST_FOUND)
    hits = [hit for hit in result.hits if section.holds(hit.party)]
    if filters.kind:
        hits = [hit for hit in hits if has_kind(hit.party, filters.kind)]
    return Rows(
        parties=[hit.party for hit in hits],
        found={hit.party.id: hit for hit in hits},
        count=Count(value=len(hits), is_more=result.is_cut),
        is_search=True,
        is_cut=result.is_cut,
        is_too_short=result.is_too_short,
    )


async def _list(
    session: AsyncSession, access: Access, section: ListSection, filters: Filters, cursor: str | None
) -> Rows:
    wanted = PartyFilter(which=section.which, kind=section.kind or filters.kind or None)
    page = await list_parties(session, access, wanted, sort=_SORTS[filters.sort], cursor=cursor)
    count = None if cursor else await count_parties(session, access, wanted)
    return Rows(parties=page.items, found={}, next=page.next, count=count)


def _handler(section: ListSection) -> Handler:
    async def show_list(request: web.Request) -> web.Response:
        filters = _filters(request, section)
        try:
            rows = await _rows(request, section, filters)
        except Invalid as error:  # an address that somebody made up or an old one
            raise web.HTTPBadRequest(text=tell(error)) from error
        if wants_rows(request, "party-rows") or wants_rows(request, "party-more"):
            return render_fragment(
                request, "parties/rows.html", section=section, filters=filters, rows=rows, is_alone=True
            )
        async with request.app[SESSIONS]() as session:
            kinds = await list_kinds(session)
        return render(
            request,
            "parties/list.html",
            section=section,
            list_sections=SECTIONS,
            filters=filters,
            rows=rows,
            kinds=kinds,
            is_alone=False,
        )

    return show_list


for _section in SECTIONS:
    routes.get(_section.path, right="party.read")(_handler(_section))
