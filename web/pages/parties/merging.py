"""«Объединение»: records side by side, one value per field; and undoing it within 30 days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.duplicates import likely_same
from crm.errors import Invalid, NotFound
from crm.merge_list import list_merges, read_merge
from crm.merge_log import MOST_AT_ONCE, CannotMerge, CannotUndo
from crm.merge_values import Choices, Record, completeness, differing_fields, fields_of
from crm.merging import merge_parties, records_of, undo_merge
from crm.party_cards import PartyCard, party_card
from crm.party_lists import rows_of
from crm.party_search import FoundBy, SearchHit, search_parties
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()
EMPTY: Final = "none"  # the choice that clears a field
ALL: Final = "all"  # of notes: all texts, one under the other
_MOST_FOUND: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the records that are compared."""

    record: Record
    card: PartyCard


@routes.get("/parties/merge", right="party.merge")
async def show_merging(request: web.Request) -> web.Response:
    """The records of the address (`id`, several), and a search for one more."""
    return await _answer(request, _ids(request.query.getall("id", [])))


@routes.post("/parties/merge", right="party.merge")
async def merge(request: web.Request) -> web.Response:
    posted = await request.post()
    form = form_of(posted.items())
    ids = _ids([each for each in posted.getall("id", []) if isinstance(each, str)])
    survivor_id = form.whole("survivor") or 0
    if survivor_id not in ids:
        raise web.HTTPNotFound
    try:
        async with request.app[SESSIONS].begin() as session:
            merged = await merge_parties(
                session,
                request[ACCESS],
                survivor_id,
                [party_id for party_id in ids if party_id != survivor_id],
                _choices(form, ids),
            )
    except (CannotMerge, Invalid) as error:
        return await _answer(request, ids, form=form, problem=tell(error))
    raise web.HTTPSeeOther(f"/parties/merges/{merged.merge_id}")


def _ids(texts: list[str]) -> list[int]:
    known = dict.fromkeys(int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19)
    return list(known)[:MOST_AT_ONCE]


def _choices(form: Form, ids: list[int]) -> Choices:
    """What was ticked; a field without a tick follows the rule of the merge."""
    ticked = {
        name.removeprefix("choose-"): form.text(name) for name in form.values if name.startswith("choose-")
    }
    numbers = {str(party_id): party_id for party_id in ids}
    return {
        field: numbers.get(value) for field, value in ticked.items() if value in numbers or value == EMPTY
    }


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
    survivor_id = (form.whole("survivor") if form else None) or survivor.id
    ticked = {field: _preselected(field, survivor, records) for field in differing}
    if form:
        ticked |= {field: form.text(f"choose-{field}") for field in differing if form.text(f"choose-{field}")}
    same = [
        field
        for field in fields_of(records[0].type)
        if field not in differing and any(each.value(field) for each in records)
    ]
    return {"fields": differing, "same": same, "survivor_id": survivor_id, "ticked": ticked}


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
async def show_merge(request: web.Request) -> web.Response:
    return await _answer_merge(request)


@routes.post(r"/parties/merges/{merge:\d+}/undo", right="party.merge")
async def undo(request: web.Request) -> web.Response:
    """Make them several again; the page then tells what stays with the survivor."""
    merge_id = id_in_path(request, "merge")
    try:
        async with request.app[SESSIONS].begin() as session:
            await undo_merge(session, request[ACCESS], merge_id)
    except CannotUndo as error:
        return await _answer_merge(request, status=409, problem=tell(error))
    raise web.HTTPSeeOther(f"/parties/merges/{merge_id}")


async def _answer_merge(request: web.Request, *, status: int = 200, problem: str = "") -> web.Response:
    async with request.app[SESSIONS]() as session:
        merge = await read_merge(session, request[ACCESS], id_in_path(request, "merge"))
        try:
            survivor = await party_card(session, request[ACCESS], merge.survivor_id)
        except NotFound:  # in the bin
            survivor = None
    return render(
        request,
        "parties/merge_done.html",
        status=status,
        merge=merge,
        survivor=survivor,
        problem_text=problem,
    )
