"""The card of a lead: who asks for what, how it went, and everything one can do with it."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import leads
from crm.comments import pinned_lead_comments
from crm.directories import names_of
from crm.drafts import StoredDraft, drop_draft
from crm.errors import Conflict, CrmError, Invalid, NotFound
from crm.lead_cards import LeadCard, lead_card, likely_parties
from crm.lead_likeness import similar_leads
from crm.lead_values import FIELD_NAMES
from crm.merge_list import merges_of
from crm.owners import possible_owners
from crm.party_story import lead_story
from crm.rights import Access
from crm.schemes import list_reasons
from crm.sources import SOURCE
from crm.stage_rules import StageIncomplete
from crm.stages import Move
from web.i18n import gettext as _
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.drafts import restored
from web.pages.forms import Form, filled, form_of, read_date
from web.pages.leads.drafts import EDIT
from web.pages.leads.words import FIELDS, LEAD_ERRORS
from web.pages.problems import tell
from web.render import render, render_fragment
from web.routes import RouteKind

routes = PageRoutes()
ONE = r"/leads/{id:\d+}"


@routes.get(ONE, right="lead.read")
async def show_lead(request: web.Request) -> web.Response:
    return await answer_card(request)


async def answer_card(
    request: web.Request,
    *,
    status: int = 200,
    problem: str = "",
    comment_form: Form | None = None,
    edit_form: Form | None = None,
    edit_error: CrmError | None = None,
) -> web.Response:
    """The card, with a problem above it if there is one, and with what was typed into one of its forms."""
    access, lead_id = request[ACCESS], id_in_path(request)
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, access, lead_id)
        page = await lead_story(session, access, lead_id)
        pinned = await pinned_lead_comments(session, access, lead_id)
        if card.lead.id != lead_id:  # merged: the one that goes on answers
            raise web.HTTPMovedPermanently(f"/leads/{card.lead.id}")
        similar = await similar_leads(session, access, card)
        merges = await merges_of(session, access, lead_id, record_kind="lead")
        may_look = card.is_open and access.may("party.read")
        likely = await likely_parties(session, access, card) if may_look else []
        may_give = card.may_assign and access.may("party.change_owner")
        owners = await possible_owners(session, access) if may_give else []
        reasons = await list_reasons(session, "lead")
        sources = await names_of(session, SOURCE)
        draft = None
        if edit_form is None:
            edit_form, draft = await _edit_form(session, access, card)
    return render(
        request,
        "leads/card.html",
        status=status,
        card=card,
        lead=card.lead,
        timeline=page,
        pinned=pinned,
        comment_form=comment_form or Form(),
        edit_form=edit_form,
        draft=draft,
        is_editing=draft is not None or edit_error is not None,
        conflict=edit_error.fields if isinstance(edit_error, Conflict) else {},
        sources=sources,
        likely=likely,
        similar=similar,
        merges=merges,
        owners=owners,
        reasons=reasons,
        problem_text=problem,
    )


async def _edit_form(
    session: AsyncSession, access: Access, card: LeadCard
) -> tuple[Form, StoredDraft | None]:
    """The form as it stands for what is stored, or as it was left."""
    form = filled({name: getattr(card.lead, name) for name in (*FIELD_NAMES, "version")})
    if not card.may_edit or not card.is_open:
        return form, None
    return form, await restored(session, access, form, EDIT, str(card.lead.id))


@routes.get(ONE + "/timeline", right="lead.read", kind=RouteKind.FRAGMENT)
async def show_timeline(request: web.Request) -> web.Response:
    """The next items of the timeline, after a cursor."""
    lead_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        try:
            page = await lead_story(session, request[ACCESS], lead_id, cursor=request.query.get("after"))
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    path = f"/leads/{lead_id}/timeline"
    return render_fragment(request, "parties/timeline.html", timeline=page, party_id=0, timeline_path=path)


@routes.post(ONE + "/move", right="lead.edit")
async def move(request: web.Request) -> web.Response:
    """To another stage, from the card, the board or the form that asks for what is missing."""
    form = form_of((await request.post()).items())
    lead_id = id_in_path(request)
    asked = Move(
        to_stage_id=form.whole("stage_id") or 0,
        fields=_written(form),
        comment=form.prose("comment"),
        base_version=form.whole("version"),
        reason=form.whole("reason_id"),
        via="board" if form.text("back") == "board" else "form",
    )
    try:
        async with request.app[SESSIONS].begin() as session:
            await leads.move_lead(session, request[ACCESS], lead_id, asked)
    except StageIncomplete as error:
        return await _ask_for_missing(request, form, error)
    except LEAD_ERRORS as error:
        return await answer_card(request, status=409, problem=tell(error))
    raise web.HTTPSeeOther(_way_back(form, lead_id))


def _written(form: Form) -> dict[str, str]:
    """What of a lead's own fields was sent."""
    return {name: form.prose(name) for name in FIELD_NAMES if name in form.values}


async def _ask_for_missing(request: web.Request, form: Form, error: StageIncomplete) -> web.Response:
    """«Переход»: what the stage asks for, to be filled in on the spot."""
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, request[ACCESS], id_in_path(request))
        sources = await names_of(session, SOURCE)
    stage = card.scheme.stage(form.whole("stage_id") or 0)
    asked = [name for name in FIELD_NAMES if name in error.missing or name in form.values]
    form.problems = {name: _("Fill this in.") for name in error.missing if name in form.values}
    return render(
        request,
        "leads/move.html",
        status=422,
        card=card,
        stage=stage,
        form=form,
        asked=asked,
        sources=sources,
        elsewhere=[name for name in error.missing if name not in FIELD_NAMES],
        words=FIELDS,
        problem_text=tell(error),
    )


@routes.post(ONE + "/edit", right="lead.edit")
async def edit(request: web.Request) -> web.Response:
    """What was typed stays in the form, also beside what somebody else stored meanwhile."""
    form, lead_id = form_of((await request.post()).items()), id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            version, fields = form.whole("version"), _written(form)
            await leads.edit_lead(session, request[ACCESS], lead_id, fields, base_version=version)
            await drop_draft(session, request[ACCESS], EDIT, str(lead_id))
    except LEAD_ERRORS as error:
        if isinstance(error, Conflict):
            if not error.fields:  # what was typed is what is stored
                await _drop_draft(request, lead_id)
                raise web.HTTPSeeOther(f"/leads/{lead_id}") from error
            form.values["version"] = str(error.version)
        return await answer_card(
            request, status=_status_of(error), problem=tell(error), edit_form=form, edit_error=error
        )
    raise web.HTTPSeeOther(f"/leads/{lead_id}")


async def _drop_draft(request: web.Request, lead_id: int) -> None:
    async with request.app[SESSIONS].begin() as session:
        await drop_draft(session, request[ACCESS], EDIT, str(lead_id))


@routes.post(ONE + "/take", right="lead.edit")
async def take(request: web.Request) -> web.Response:
    """Whoever asks becomes responsible for what is nobody's."""

    async def act(session: AsyncSession, _form: Form) -> None:
        await leads.take_lead(session, request[ACCESS], id_in_path(request))

    return await _do(request, act)


@routes.post(ONE + "/owner", right="lead.change_owner")
async def change_owner(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, form: Form) -> None:
        owner_id = form.whole("owner_id")
        if owner_id not in dict(await possible_owners(session, request[ACCESS])):
            raise NotFound("user", owner_id or 0)
        await leads.assign_lead(session, request[ACCESS], id_in_path(request), owner_id)

    return await _do(request, act)


@routes.post(ONE + "/hold", right="lead.edit")
async def hold(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, form: Form) -> None:
        typed = form.text("resume_on")
        if typed and read_date(typed) is None:
            raise Invalid("resume_on", typed, "This is not a date. Write it as 31.12.2027.")
        more: dict[str, Any] = {"reason": form.prose("reason"), "resume_on": read_date(typed)}
        await leads.hold_lead(session, request[ACCESS], id_in_path(request), **more)

    return await _do(request, act)


@routes.post(ONE + "/resume", right="lead.edit")
async def resume(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, _form: Form) -> None:
        await leads.resume_lead(session, request[ACCESS], id_in_path(request))

    return await _do(request, act)


@routes.post(ONE + "/disqualify", right="lead.edit")
async def disqualify(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, form: Form) -> None:
        reason, note = form.whole("reason_id"), form.prose("note")
        await leads.disqualify_lead(session, request[ACCESS], id_in_path(request), reason, note=note)

    return await _do(request, act)


@routes.post(ONE + "/reopen", right="lead.reopen")
async def reopen(request: web.Request) -> web.Response:
    async def act(session: AsyncSession, form: Form) -> None:
        stage_id = form.whole("stage_id")
        await leads.reopen_lead(session, request[ACCESS], id_in_path(request), stage_id=stage_id)

    return await _do(request, act)


async def _do(request: web.Request, act: Any) -> web.Response:
    """One change of the lead in a transaction of its own; what cannot be done is told on the card."""
    form = form_of((await request.post()).items())
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, form)
    except LEAD_ERRORS as error:
        return await answer_card(request, status=_status_of(error), problem=tell(error))
    raise web.HTTPSeeOther(await _seen_after(request, form))


def _status_of(error: CrmError) -> int:
    return 422 if isinstance(error, Invalid) else 409


async def _seen_after(request: web.Request, form: Form) -> str:
    """Whoever loses sight of the lead by what they did goes back to the list."""
    lead_id = id_in_path(request)
    try:
        async with request.app[SESSIONS]() as session:
            await lead_card(session, request[ACCESS], lead_id)
    except NotFound:
        return "/leads"
    return _way_back(form, lead_id)


def _way_back(form: Form, lead_id: int) -> str:
    match form.text("back"):
        case "board":
            scheme = form.whole("scheme")
            return f"/leads/board?scheme={scheme}" if scheme else "/leads/board"
        case "list":
            return "/leads"
        case _:
            return f"/leads/{lead_id}"
