"""«Объединение»: records side by side, one value per field; and undoing it within 30 days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.duplicates import likely_same
from crm.errors import Invalid
from crm.merge_list import list_merges
from crm.merge_log import MOST_AT_ONCE, CannotMerge
from crm.merge_values import Record, completeness, differing_fields, fields_of
from crm.merging import merge_parties, records_of, undo_merge
from crm.party_cards import PartyCard, party_card
from crm.party_lists import rows_of
from crm.party_search import FoundBy, SearchHit, search_parties
from web.keys import ACCESS, SESSIONS
from web.pages import comparing
from web.pages.answers import PageRoutes
from web.pages.comparing import ALL, Merging, comparison, ids_in, show_merge, wish_of
from web.pages.forms import Form
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()
_MOST_FOUND: Final = 20
_KIND: Final = Merging(
    path="/parties/merges",
    template="parties/merge_done.html",
    record_kind="party",
    read_card=party_card,
    undo=undo_merge,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the records that are compared."""

    record: Record
    card: PartyCard

    @property
    def id(self) -> int:
        return self.card.id

    @property
    def whose(self) -> str:
        return self.card.name


@routes.get("/parties/merge", right="party.merge")
async def show_merging(request: web.Request) -> web.Response:
    """The records of the address (`id`, several), and a search for one more."""
    return await _answer(request, ids_in(request.query.getall("id", [])))


@routes.post("/parties/merge", right="party.merge")
async def merge(request: web.Request) -> web.Response:
    wish = await wish_of(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            merged = await merge_parties(
                session, request[ACCESS], wish.survivor_id, wish.merged_ids, wish.choices
            )
    except (CannotMerge, Invalid) as error:
        return await _answer(request, wish.ids, form=wish.form, problem=tell(error))
    raise web.HTTPSeeOther(f"{_KIND.path}/{merged.merge_id}")


async def _answer(
    request: web.Request, ids: list[int], *, form: Form | None = None, problem: str = ""
) -> web.Response:
    access, typed = request[ACCESS], request.query.get("q", "").strip()[:100]
    sides: list[Side] = []
    found: list[SearchHit] = []
    async with request.app[SESSIONS]() as session:
        if ids:
            try:
                records = await records_of(session, access, ids)
            except CannotMerge as error:
                raise web.HTTPConflict(text=tell(error)) from error
            cards = [await party_card(session, access, party_id) for party_id in ids]
            sides = [Side(record=record, card=card) for record, card in zip(records, cards, strict=True)]
        if typed:
            result = await search_parties(session, access, typed, limit=_MOST_FOUND)
            found = [hit for hit in result.hits if _fits(hit, sides)]
        elif len(ids) == 1:
            (one,) = await rows_of(session, [sides[0].card.id])
            alike = await likely_same(session, access, one)
            found = [SearchHit(party=each, found_by=FoundBy.NAME, shown="") for each in alike]
    if wants_rows(request, "merge-found"):
        return render_fragment(request, "parties/merge_found.html", ids=ids, found=found, typed=typed)
    return render(
        request,
        "parties/merge.html",
        status=422 if problem else 200,
        sides=sides,
        ids=ids,
        found=found,
        typed=typed,
        problem_text=problem,
        most=MOST_AT_ONCE,
        **_comparison(sides, form),
    )


def _fits(hit: SearchHit, sides: list[Side]) -> bool:
    ids = {side.card.id for side in sides}
    is_same_type = not sides or hit.party.type == sides[0].card.type
    return is_same_type and hit.party.id not in ids


def _comparison(sides: list[Side], form: Form | None) -> dict[str, Any]:
    """The fields to choose in, the survivor that is offered, and what is ticked."""
    if len(sides) < 2:
        return {"fields": [], "same": [], "survivor_id": 0, "ticked": {}}
    records = [side.record for side in sides]
    differing = differing_fields(records)
    survivor = preferred_survivor(records)
    same = [
        field
        for field in fields_of(records[0].type)
        if field not in differing and any(each.value(field) for each in records)
    ]
    chosen = comparison(differing, survivor.id, lambda field: _preselected(field, survivor, records), form)
    return {**chosen, "same": same}


def preferred_survivor(records: list[Record]) -> Record:
    """Whom the dialog offers: the older one, of equally old ones the fuller one."""
    return min(records, key=lambda each: (each.party["created_at"], -completeness(each), each.id))


def _preselected(field: str, survivor: Record, records: list[Record]) -> str:
    """The survivor's value, else whoever has one. Of two INN none: that has to be looked at."""
    if field == "note":
        return ALL
    if field == "inn":
        return ""
    owner = survivor if survivor.value(field) else next(each for each in records if each.value(field))
    return str(owner.id)


@routes.get("/parties/merges", right="party.merge")
async def show_merges(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_merges(session, request[ACCESS], cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    if wants_rows(request, "merge-more"):
        return render_fragment(request, "parties/merge_rows.html", merges=page)
    return render(request, "parties/merges.html", merges=page)


@routes.get(r"/parties/merges/{merge:\d+}", right="party.merge")
async def show_done(request: web.Request) -> web.Response:
    return await show_merge(request, _KIND)


@routes.post(r"/parties/merges/{merge:\d+}/undo", right="party.merge")
async def undo(request: web.Request) -> web.Response:
    return await comparing.undo_merge(request, _KIND)
