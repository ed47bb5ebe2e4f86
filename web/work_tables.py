"""Leads, communications and users as tables for a spreadsheet; the manner is that of `web.tables`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from aiohttp import web

from crm.communication_filters import CommunicationFilter
from crm.communications import CommunicationInfo
from crm.exporting import communication_lines, lead_lines, log_export, user_lines
from crm.lead_lists import LeadFilter, LeadRow
from crm.roles import list_roles
from crm.user_lists import UserInfo
from web.formats import duration, installed_word, phone
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.render import zone_of
from web.sheets import Row, SheetFormat, send_sheet
from web.tables import DISPOSITIONS, Table, headings_of, moment_of, number_of, send_table

_LEAD_HEADINGS: Final = (
    N_("No."),
    N_("Counterparty"),
    N_("Organisation"),
    N_("Title"),
    N_("Need"),
    N_("State"),
    N_("Stage"),
    N_("Source"),
    N_("Line"),
    N_("Phone"),
    N_("First response"),
    N_("Responsible"),
    N_("Came in"),
)
_LEAD_STATES: Final[Mapping[str, str]] = {
    "open": N_("Going on"),
    "on_hold": N_("On pause"),
    "converted": N_("Converted"),
    "disqualified": N_("Disqualified"),
}
_COMMUNICATION_HEADINGS: Final = (
    N_("Time"),
    N_("Kind"),
    N_("Direction"),
    N_("Subject"),
    N_("Counterparty"),
    N_("Contact person"),
    N_("Number"),
    N_("Who"),
    N_("Outcome"),
    N_("Talk"),
    N_("Summary"),
    N_("Place"),
    N_("Result"),
)
_COMMUNICATION_KINDS: Final[Mapping[str, str]] = {
    "call": N_("Phone call"),
    "email": N_("Letter"),
    "meeting": N_("Meeting"),
    "web_request": N_("Request from the site"),
    "chat": N_("Chat"),
    "sms": N_("SMS"),
    "other": N_("Other"),
}
_BEGAN: Final[Mapping[str, str]] = {"in": N_("they to us"), "out": N_("we to them"), "none": N_("together")}
_MEETINGS: Final[Mapping[str, str]] = {
    "planned": N_("Planned"),
    "held": N_("Held"),
    "cancelled": N_("Called off"),
}
_ROLES: Final[Mapping[str, str]] = {  # of every installation; those of the company's own have their names
    "agent": N_("Agent"),
    "manager": N_("Manager"),
    "head": N_("Head of team"),
    "telephony": N_("Telephony administrator"),
    "admin": N_("Administrator"),
}
_USER_HEADINGS: Final = (
    N_("Name and surname"),
    N_("Login"),
    N_("Roles"),
    N_("Team"),
    N_("Extensions"),
    N_("State"),
    N_("Created"),
)


async def send_leads(
    request: web.Request, wanted: LeadFilter, written_as: SheetFormat, chosen: Mapping[str, object]
) -> web.StreamResponse:
    """The list of leads as a file.

    Raises:
        NotAllowed.
    """
    zone = zone_of(request)
    lines = lead_lines(request.app[SESSIONS], request[ACCESS], wanted)
    table: Table[LeadRow] = Table(
        what="leads", name=_("Leads"), headings=_LEAD_HEADINGS, row=lambda lead: _lead_row(lead, zone)
    )
    return await send_table(request, written_as, table, lines, chosen)


def _lead_row(lead: LeadRow, zone: ZoneInfo) -> Row:
    answered_at = lead.first_response_at
    response = (answered_at - lead.created_at).total_seconds() if answered_at else None
    return (
        str(lead.number),
        lead.party_name,
        lead.organisation_name or "",
        lead.title or "",
        lead.need or "",
        _(_LEAD_STATES.get(lead.state, lead.state)),
        installed_word(lead.stage_name),
        lead.source or "",
        lead.line_name or "",
        number_of(lead.phone, lead.phone_extension) if lead.phone else "",
        duration(response),
        lead.owner_name or "",
        moment_of(lead.created_at, zone),
    )


async def send_communications(
    request: web.Request,
    wanted: CommunicationFilter,
    written_as: SheetFormat,
    chosen: Mapping[str, object],
) -> web.StreamResponse:
    """The list of communications as a file.

    Raises:
        NotAllowed.
    """
    zone = zone_of(request)
    lines = communication_lines(request.app[SESSIONS], request[ACCESS], wanted)
    table: Table[CommunicationInfo] = Table(
        what="communications",
        name=_("Communications"),
        headings=_COMMUNICATION_HEADINGS,
        row=lambda each: _communication_row(each, zone),
    )
    return await send_table(request, written_as, table, lines, chosen)


def _communication_row(each: CommunicationInfo, zone: ZoneInfo) -> Row:
    outcome = DISPOSITIONS.get(each.disposition or "") or _MEETINGS.get(each.meeting_state or "")
    is_contact = each.contact_id is not None and each.contact_id != each.party_id
    return (
        moment_of(each.started_at, zone),
        each.own_kind or _(_COMMUNICATION_KINDS.get(each.kind, each.kind)),
        _(_BEGAN.get(each.direction, each.direction)),
        each.subject or "",
        each.party_name or "",
        (each.contact_name or "") if is_contact else "",
        phone(each.customer_e164),
        each.user_name or "",
        _(outcome) if outcome else "",
        duration(each.talk_seconds),
        each.summary or "",
        each.place or "",
        each.result or "",
    )


async def send_users(request: web.Request, written_as: SheetFormat) -> web.StreamResponse:
    """The list of users as a file.

    Raises:
        NotAllowed.
    """
    zone = zone_of(request)
    async with request.app[SESSIONS].begin() as session:
        users = await user_lines(session, request[ACCESS])
        roles = await list_roles(session, request[ACCESS])
        await log_export(session, request[ACCESS], "users", {}, request.remote)
    names = {role.code: _(_ROLES.get(role.code, "")) or role.name for role in roles}
    rows = [_user_row(user, names, zone) for user in users]
    return await send_sheet(request, written_as, _("Users"), headings_of(_USER_HEADINGS), _at_once(rows))


async def _at_once(rows: Sequence[Row]) -> AsyncIterator[Sequence[Row]]:
    yield rows


def _user_row(user: UserInfo, role_names: Mapping[str, str], zone: ZoneInfo) -> Row:
    state = N_("Blocked") if user.status == "blocked" else N_("Active")
    return (
        user.name,
        user.login,
        ", ".join(role_names.get(code, code) for code in user.role_codes),
        user.team_name or "",
        ", ".join(user.extensions),
        _(state),
        moment_of(user.created_at, zone),
    )
