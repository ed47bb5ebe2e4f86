"""Leads: list, read, take in, move, convert, end, reopen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from inspect import signature
from typing import Any, Final, TypeVar, get_type_hints

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm import lead_conversion, leads
from crm.changed_records import changed_leads
from crm.errors import Invalid, NotFound
from crm.lead_cards import lead_card
from crm.lead_intake import NewLead as NewLeadValues
from crm.lead_intake import create_automatic_lead, create_lead
from crm.lead_lists import LeadFilter, list_leads
from crm.lead_search import LeadsFound, search_leads
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.rights import Access
from crm.schemes import asked_by_stages, list_reasons, list_schemes
from crm.sources import source_named
from crm.stages import Move
from web.api.contract import ApiRoutes, Reply
from web.api.lead_types import (
    Assignment,
    Conversion,
    ConvertedLead,
    CreatedLead,
    Disqualification,
    Enquiry,
    Holding,
    Lead,
    LeadChanges,
    LeadItem,
    LeadList,
    LeadMove,
    LeadQuery,
    LeadSchemes,
    LeadVersion,
    NewLead,
    Reopening,
)
from web.api.once import ONCE, once
from web.api.reading import NoQuery, Nothing, given, id_in_path, read_changed_since, read_version
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
PATH: Final = "/api/v1/leads"
ONE: Final = PATH + "/{id:[0-9]+}"
IF_MATCH: Final = {"If-Match": "The ETag that the change is based on; another version is a 409."}
ETAG: Final = {"ETag": "The version of the lead, for If-Match."}
T = TypeVar("T")
Body = TypeVar("Body", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Act:
    """One change of one lead, in its transaction."""

    session: AsyncSession
    access: Access
    lead_id: int
    version: int | None  # of If-Match

    @property
    def who(self) -> tuple[AsyncSession, Access]:
        return self.session, self.access

    @property
    def how(self) -> dict[str, Any]:
        return {"base_version": self.version, "via": "api"}


def _change(
    method: str, path: str, right: str, summary: str, description: str = "", *, is_based: bool = True
) -> Callable[[Callable[[Act, Body], Awaitable[None]]], Any]:
    """An endpoint that changes a lead and answers where it stands then. `is_based`: whether it takes If-Match."""

    def named(act: Callable[[Act, Body], Awaitable[None]]) -> Any:
        async def handler(request: web.Request, _query: NoQuery, body: Body) -> Reply:
            lead_id, version = id_in_path(request), read_version(request) if is_based else None
            async with request.app[SESSIONS].begin() as session:
                await act(Act(session, request[ACCESS], lead_id, version), body)
                return await _now(session, lead_id)

        handler.__name__ = act.__name__
        handler.__annotations__["body"] = get_type_hints(act)[list(signature(act).parameters)[1]]
        return routes.endpoint(
            method,
            path,
            right=right,
            summary=summary,
            description=description,
            answer=LeadVersion,
            headers=IF_MATCH if is_based else {},
            sends=ETAG,
        )(handler)

    return named


@routes.endpoint("GET", PATH, right="lead.read", summary="Leads, newest first", answer=LeadList)
async def list_(request: web.Request, query: LeadQuery) -> LeadList:
    access = request[ACCESS]
    since, cursor = read_changed_since(query), query.cursor or None
    async with request.app[SESSIONS]() as session:
        if since is not None:
            changed = await changed_leads(session, access, since, cursor=cursor, limit=query.limit)
            return told(changed, LeadList)
        if query.q.strip():
            return _found(await search_leads(session, access, query.q, limit=query.limit))
        wanted = _filter(query)
        if wanted.source is not None:
            wanted = replace(wanted, source=await source_named(session, wanted.source))
        page = await list_leads(session, access, wanted, cursor=cursor, limit=query.limit)
    return told(page, LeadList)


def _filter(query: LeadQuery) -> LeadFilter:
    return LeadFilter(
        state=query.state,
        scheme_id=given(query.scheme),
        stage_id=given(query.stage),
        owner_id=given(query.owner),
        is_unassigned=query.unassigned,
        source=given(query.source),
        party_id=given(query.party),
        number=given(query.number),
        line_id=given(query.line),
        response=given(query.response),
        utm_source=given(query.utm_source),
        utm_campaign=given(query.utm_campaign),
    )


def _found(found: LeadsFound) -> LeadList:
    if found.is_too_short:
        raise Invalid("q", "", N_("Type at least three letters or digits to search."))
    items = [told(hit.lead, LeadItem) for hit in found.hits]
    return LeadList(items=items, next=None, is_cut=found.is_cut)


@routes.endpoint(
    "GET",
    "/api/v1/lead-schemes",
    right="lead.read",
    summary="The schemes of leads with their stages and what these ask for, and the reasons of disqualifying",
    answer=LeadSchemes,
)
async def schemes(request: web.Request, _query: NoQuery) -> LeadSchemes:
    async with request.app[SESSIONS]() as session:
        found = await list_schemes(session, request[ACCESS], "lead")
        reasons = await list_reasons(session, "lead")
        asked = await asked_by_stages(session, [scheme.id for scheme in found])
    return told({"items": found, "reasons": reasons, "requirements": asked}, LeadSchemes)


@routes.endpoint("GET", ONE, right="lead.read", summary="One lead", answer=Lead, sends=ETAG, moves=True)
async def show(request: web.Request, _query: NoQuery) -> Reply:
    async with request.app[SESSIONS]() as session:
        card = await lead_card(session, request[ACCESS], id_in_path(request))
    if card.lead.id != id_in_path(request):  # merged into another one
        address = {"Location": f"{PATH}/{card.lead.id}"}
        return Reply(status=HTTPStatus.MOVED_PERMANENTLY, headers=address)
    return _with_version(told(card, Lead), card.lead.version)


@routes.endpoint(
    "POST",
    PATH,
    right="lead.create",
    summary="A lead that a person opens",
    description="Open leads of the same party are a 409 until `is_further` says that this is another matter.",
    answer=CreatedLead,
    status=HTTPStatus.CREATED,
    headers=ONCE,
    sends={"Location": "The new lead."},
)
async def create(request: web.Request, _query: NoQuery, new: NewLead) -> Reply:
    async def act(session: AsyncSession) -> CreatedLead:
        values = _new(new, party_id=new.party_id, call_id=new.call_id, is_further=new.is_further)
        return told(await _take_in(create_lead(session, request[ACCESS], values, via="api")), CreatedLead)

    created = await once(request, act, CreatedLead)
    return Reply(body=created, status=HTTPStatus.CREATED, headers={"Location": f"{PATH}/{created.id}"})


@routes.endpoint(
    "POST",
    "/api/v1/lead-enquiries",
    right="lead.create",
    summary="An enquiry from a site: opens a lead, or is added to the open one of the same caller",
    description="One open lead of a person and scheme, however often and from wherever it comes.",
    answer=CreatedLead,
    headers=ONCE,
)
async def enquire(request: web.Request, _query: NoQuery, new: Enquiry) -> CreatedLead:
    async def act(session: AsyncSession) -> CreatedLead:
        made = create_automatic_lead(session, request[ACCESS], _new(new), request_text=new.text, via="api")
        return told(await _take_in(made), CreatedLead)

    return await once(request, act, CreatedLead)


@_change("PATCH", ONE, "lead.edit", "Change what a lead says")
async def edit(act: Act, changes: LeadChanges) -> None:
    await leads.edit_lead(*act.who, act.lead_id, _fields(changes), **act.how)


@_change(
    "POST",
    ONE + "/move",
    "lead.edit",
    "Move a lead to another stage of its scheme",
    "A move that the scheme does not permit is a 409 with `allowed`; fields that the stage asks for, with `missing`.",
)
async def move(act: Act, asked: LeadMove) -> None:
    wanted = Move(
        to_stage_id=asked.stage_id,
        fields=_fields(asked.fields),
        comment=asked.comment,
        reason=asked.reason_id,
        **act.how,
    )
    await leads.move_lead(*act.who, act.lead_id, wanted)


@routes.endpoint(
    "POST",
    ONE + "/convert",
    right="lead.edit",
    summary="Convert a lead into a client, all or nothing",
    description="Sent again, the first result is answered again.",
    answer=ConvertedLead,
    headers=IF_MATCH,
)
async def convert(request: web.Request, _query: NoQuery, wish: Conversion) -> ConvertedLead:
    counterparty, contact = msgspec.structs.asdict(wish.counterparty), msgspec.structs.asdict(wish.contact)
    choices = lead_conversion.Conversion(
        counterparty=lead_conversion.CounterpartyBlock(
            **counterparty | {"choice": lead_conversion.Choice(wish.counterparty.choice)}
        ),
        contact=lead_conversion.ContactBlock(
            **contact | {"choice": lead_conversion.Choice(wish.contact.choice)}
        ),
    )
    version, lead_id = read_version(request), id_in_path(request)
    async with request.app[SESSIONS].begin() as session:
        done = await lead_conversion.convert_lead(
            session, request[ACCESS], lead_id, choices, base_version=version, via="api"
        )
    return told(done, ConvertedLead)


@_change("POST", ONE + "/disqualify", "lead.edit", "End a lead without a client")
async def disqualify(act: Act, asked: Disqualification) -> None:
    reason = asked.reason_id if asked.reason_id is not None else asked.code
    await leads.disqualify_lead(*act.who, act.lead_id, reason, note=asked.note, **act.how)


@_change("POST", ONE + "/reopen", "lead.reopen", "Open a converted or disqualified lead again")
async def reopen(act: Act, asked: Reopening) -> None:
    await leads.reopen_lead(*act.who, act.lead_id, stage_id=asked.stage_id, **act.how)


@_change("POST", ONE + "/hold", "lead.edit", "Pause an open lead")
async def hold(act: Act, asked: Holding) -> None:
    await leads.hold_lead(*act.who, act.lead_id, reason=asked.reason, resume_on=asked.resume_on, **act.how)


@_change("POST", ONE + "/resume", "lead.edit", "End the pause of a lead")
async def resume(act: Act, _asked: Nothing) -> None:
    await leads.resume_lead(*act.who, act.lead_id, **act.how)


@_change("POST", ONE + "/take", "lead.edit", "Take a lead that is nobody's", is_based=False)
async def take(act: Act, _asked: Nothing) -> None:
    await leads.take_lead(*act.who, act.lead_id, via="api")


@_change(
    "POST",
    ONE + "/owner",
    "lead.change_owner",
    "Give a lead to another user",
    "Who gives it out of their own sight gets the version all the same.",
)
async def assign(act: Act, asked: Assignment) -> None:
    try:
        await leads.assign_lead(*act.who, act.lead_id, asked.owner_id, **act.how)
    except NotFound as error:
        if error.values["kind"] != "user":
            raise
        raise Invalid("owner_id", asked.owner_id, N_("There is no such active user.")) from error


def told(value: Any, into: type[T]) -> T:
    return msgspec.convert(value, into, from_attributes=True)


async def _take_in(making: Any) -> Any:
    """What a body names and is not there is a mistake of the body."""
    try:
        return await making
    except NotFound as error:
        field = {"party": "party_id", "call": "call_id"}.get(str(error.values["kind"]), "party_id")
        raise Invalid(
            field, error.values["id"], N_("There is no such record, or you may not see it.")
        ) from error


def _new(body: NewLead | Enquiry, *, party_id: int | None = None, **more: Any) -> NewLeadValues:
    return NewLeadValues(
        subject=SubjectValues(
            party_id=party_id,
            person=body.person,
            organisation=body.organisation,
            number=body.number,
            email=body.email,
        ),
        values=LeadValues(title=body.title, need=body.need, source=body.source, campaign=body.campaign),
        scheme_id=body.scheme_id,
        owner_id=body.owner_id,
        line_id=body.line_id,
        **more,
    )


def _fields(changes: LeadChanges) -> dict[str, str]:
    said = msgspec.structs.asdict(changes).items()
    return {name: value for name, value in said if isinstance(value, str)}


async def _now(session: AsyncSession, lead_id: int) -> Reply:
    lead = await leads.stand_of(session, lead_id)
    return _with_version(told(lead, LeadVersion), lead.version)


def _with_version(body: Any, version: int) -> Reply:
    return Reply(body=body, status=HTTPStatus.OK, headers={"ETag": f'"{version}"'})
