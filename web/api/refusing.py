"""Why a request was not carried out, as problem details (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from crm.errors import AlreadyExists, Conflict, CrmError, Invalid, NotAllowed, NotFound
from crm.lead_errors import OpenLeads
from crm.stage_rules import MoveNotAllowed, StageIncomplete
from web.api.reading import Unreadable
from web.refusals import problem
from web.refusals import tell as sentence


class FoundParty(msgspec.Struct):
    """Who has it already; outside the reader's rights this is all that is told."""

    id: int
    name: str
    owner: str  # the responsible user, "—" if there is none


class AllowedStage(msgspec.Struct):
    """A stage that a record may go to instead."""

    id: int
    name: str


class OpenLead(msgspec.Struct):
    """A lead that is open already."""

    id: int
    number: int


class Problem(msgspec.Struct, omit_defaults=True):
    """Problem details (RFC 9457): what was wrong, with which field, what to try."""

    type: str
    title: str
    status: int
    detail: str | None = None
    field: str | None = None
    code: str | None = None
    version: int | None = None
    party: FoundParty | None = None
    incident: str | None = None
    allowed: list[AllowedStage] | None = None
    missing: list[str] | None = None
    leads: list[OpenLead] | None = None


def tell(error: CrmError) -> web.Response:
    """A rule of the CRM as problem details, with the field it is about and, for a duplicate, what was found."""
    if isinstance(error, (NotFound, NotAllowed)):  # the same answer on purpose
        return problem(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND.phrase, sentence(error))
    more: dict[str, Any] = {"code": error.code}
    if error.field:
        more["field"] = error.field
    if isinstance(error, AlreadyExists):
        values = error.values
        more["party"] = FoundParty(id=error.party_id, name=values["name"], owner=values["owner"])
    if isinstance(error, Conflict):
        more["version"] = error.version
    more |= _of_leads(error)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if isinstance(error, Invalid) else HTTPStatus.CONFLICT
    return problem(status, status.phrase, sentence(error), **more)


def _of_leads(error: CrmError) -> dict[str, Any]:
    """What a program needs to go on: the stages it may ask for, the fields to fill in, the leads that are open."""
    if isinstance(error, MoveNotAllowed):
        return {"allowed": [AllowedStage(id=stage.id, name=stage.name) for stage in error.allowed]}
    if isinstance(error, StageIncomplete):
        return {"missing": list(error.missing)}
    if isinstance(error, OpenLeads):
        return {"leads": [OpenLead(id=lead_id, number=number) for lead_id, number in error.leads.items()]}
    return {}


def tell_unreadable(error: Unreadable) -> web.Response:
    more: dict[str, Any] = {"field": error.field} if error.field else {}
    return problem(error.status, HTTPStatus(error.status).phrase, str(error), **more)
