"""Leads side by side, one value per field, made one; and undoing it within 30 days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.errors import CrmError, Invalid
from crm.lead_cards import LeadCard, lead_card
from crm.lead_errors import LeadIsOver
from crm.lead_merge_values import FIELDS, Row, differing_fields
from crm.lead_merging import leads_to_merge, merge_leads, undo_lead_merge
from crm.lead_search import LeadHit, search_leads
from crm.lead_values import OPEN_STATES
from crm.merge_log import MOST_AT_ONCE, CannotMerge
from web.i18n import gettext as _
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.comparing import ALL, Merging, comparison, ids_in, show_merge, undo_merge, wish_of
from web.pages.forms import Form, form_of
from web.pages.problems import tell
from web.render import render

routes = PageRoutes()
_MOST_FOUND: Final = 20
_RIGHT: Final = "party.merge"
_KIND: Final = Merging(
    path="/leads/merges",
    template="leads/merge_done.html",
    record_kind="lead",
    read_card=lead_card,
    undo=undo_lead_merge,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the leads that are compared."""

    row: Row
    card: LeadCard

    @property
    def id(self) -> int:
        return self.card.lead.id

    @property
    def whose(self) -> str:
        return _("Lead No. %(num)s") % {"num": self.card.lead.number}


@routes.get("/leads/merge", right=_RIGHT)
async def show_merging(request: web.Request) -> web.Response:
    """The leads of the address (`id`, several), and a search for one more."""
    return await _answer(request, ids_in(request.query.getall("id", [])))


@routes.post("/leads/merge", right=_RIGHT)
async def merge(request: web.Request) -> web.Response:
    wish = await wish_of(request)
    choices = {field: whose for field, whose in wish.choices.items() if field in FIELDS}
    try:
        async with request.app[SESSIONS].begin() as session:
            merged = await merge_leads(session, request[ACCESS], wish.survivor_id, wish.merged_ids, choices)
    except (CannotMerge, Invalid, LeadIsOver) as error:
        return await _answer(request, wish.ids, form=wish.form, problem=error)
    raise web.HTTPSeeOther(f"{_KIND.path}/{merged.merge_id}")


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
    survivor = min(rows, key=lambda row: (row["created_at"], row["id"]))
    return comparison(
        differing_fields(rows), survivor["id"], lambda field: _preselected(field, survivor, rows), form
    )


def _preselected(field: str, survivor: Row, rows: list[Row]) -> str:
    if field == "need":
        return ALL
    owner = survivor if survivor[field] is not None else next(row for row in rows if row[field] is not None)
    return str(owner["id"])


@routes.get(r"/leads/merges/{merge:\d+}", right=_RIGHT)
async def show_done(request: web.Request) -> web.Response:
    return await show_merge(request, _KIND)


@routes.post(r"/leads/merges/{merge:\d+}/undo", right=_RIGHT)
async def undo(request: web.Request) -> web.Response:
    return await undo_merge(request, _KIND)
