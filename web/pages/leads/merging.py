"""Leads side by side, one value per field, made one; and undoing it within 30 days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.errors import CrmError, Invalid, NotFound
from crm.lead_cards import LeadCard, lead_card
from crm.lead_errors import LeadIsOver
from crm.lead_merge_values import FIELDS, Row, differing_fields
from crm.lead_merging import leads_to_merge, merge_leads, undo_lead_merge
from crm.lead_search import LeadHit, search_leads
from crm.lead_values import OPEN_STATES
from crm.merge_list import read_merge
from crm.merge_log import MOST_AT_ONCE, CannotMerge, CannotUndo
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.problems import tell
from web.render import render

routes = PageRoutes()
EMPTY: Final = "none"  # the choice that clears a field
ALL: Final = "all"  # of needs: all texts, one under the other
_MOST_FOUND: Final = 20
_RIGHT: Final = "party.merge"
_LEAD: Final = "lead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the leads that are compared."""

    row: Row
    card: LeadCard


@routes.get("/leads/merge", right=_RIGHT)
async def show_merging(request: web.Request) -> web.Response:
    """The leads of the address (`id`, several), and a search for one more."""
    return await _answer(request, _ids(request.query.getall("id", [])))


@routes.post("/leads/merge", right=_RIGHT)
async def merge(request: web.Request) -> web.Response:
    posted = await request.post()
    form = form_of(posted.items())
    ids = _ids([each for each in posted.getall("id", []) if isinstance(each, str)])
    survivor_id = form.whole("survivor") or 0
    if survivor_id not in ids:
        raise web.HTTPNotFound
    others = [lead_id for lead_id in ids if lead_id != survivor_id]
    try:
        async with request.app[SESSIONS].begin() as session:
            merged = await merge_leads(session, request[ACCESS], survivor_id, others, _choices(form, ids))
    except (CannotMerge, Invalid, LeadIsOver) as error:
        return await _answer(request, ids, form=form, problem=error)
    raise web.HTTPSeeOther(f"/leads/merges/{merged.merge_id}")


def _ids(texts: list[str]) -> list[int]:
    known = dict.fromkeys(int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19)
    return list(known)[:MOST_AT_ONCE]


def _choices(form: Form, ids: list[int]) -> dict[str, int | None]:
    """What was ticked; a field without a tick follows the rule of the merge."""
    numbers = {str(lead_id): lead_id for lead_id in ids}
    ticked = {field: form.text(f"choose-{field}") for field in FIELDS}
    return {
        field: numbers.get(value) for field, value in ticked.items() if value in numbers or value == EMPTY
    }


async def _answer(
    request: web.Request, ids: list[int], *, form: Form | None = None, problem: CrmError | None = None
) -> web.Response:
    access, typed = request[ACCESS], form_of(request.query.items()).text("q")[:100]
    found: list[LeadHit] = []
    async with request.app[SESSIONS]() as session:
        try:
            rows = await leads_to_merge(session, access, ids) if ids else []
        except LeadIsOver as error:
            raise web.HTTPConflict(text=tell(error)) from error
        cards = [await lead_card(session, access, lead_id) for lead_id in ids]
        if typed:
            hits = (await search_leads(session, access, typed, limit=_MOST_FOUND)).hits
            found = [hit for hit in hits if hit.lead.state in OPEN_STATES and hit.lead.id not in ids]
    sides = [Side(row=row, card=card) for row, card in zip(rows, cards, strict=True)]
    return render(
        request,
        "leads/merge.html",
        status=422 if problem else 200,
        sides=sides,
        ids=ids,
        found=found,
        typed=typed,
        problem_text=tell(problem) if problem else "",
        most=MOST_AT_ONCE,
        **_comparison(rows, form),
    )


def _comparison(rows: list[Row], form: Form | None) -> dict[str, Any]:
    """The fields to choose in, the survivor that is offered (the oldest), and what is ticked."""
    if len(rows) < 2:
        return {"fields": [], "survivor_id": 0, "ticked": {}}
    differing = differing_fields(rows)
    survivor = min(rows, key=lambda row: (row["created_at"], row["id"]))
    survivor_id = (form.whole("survivor") if form else None) or survivor["id"]
    ticked = {field: _preselected(field, survivor, rows) for field in differing}
    if form:
        ticked |= {field: form.text(f"choose-{field}") for field in differing if form.text(f"choose-{field}")}
    return {"fields": differing, "survivor_id": survivor_id, "ticked": ticked}


def _preselected(field: str, survivor: Row, rows: list[Row]) -> str:
    if field == "need":
        return ALL
    owner = survivor if survivor[field] is not None else next(row for row in rows if row[field] is not None)
    return str(owner["id"])


@routes.get(r"/leads/merges/{merge:\d+}", right=_RIGHT)
async def show_merge(request: web.Request) -> web.Response:
    return await _answer_merge(request)


@routes.post(r"/leads/merges/{merge:\d+}/undo", right=_RIGHT)
async def undo(request: web.Request) -> web.Response:
    """Make them several again; the page then tells what stays with the survivor."""
    merge_id = id_in_path(request, "merge")
    try:
        async with request.app[SESSIONS].begin() as session:
            await undo_lead_merge(session, request[ACCESS], merge_id)
    except CannotUndo as error:
        return await _answer_merge(request, status=409, problem=tell(error))
    raise web.HTTPSeeOther(f"/leads/merges/{merge_id}")


async def _answer_merge(request: web.Request, *, status: int = 200, problem: str = "") -> web.Response:
    async with request.app[SESSIONS]() as session:
        merge_id = id_in_path(request, "merge")
        info = await read_merge(session, request[ACCESS], merge_id, record_kind=_LEAD)
        try:
            survivor = await lead_card(session, request[ACCESS], info.survivor_id)
        except NotFound:
            survivor = None
    shown: dict[str, Any] = {"merge": info, "survivor": survivor, "problem_text": problem}
    return render(request, "leads/merge_done.html", status=status, **shown)
