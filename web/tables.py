"""Lists as tables for a spreadsheet, in the reader's language: headings that our own import understands, values as people write them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Generic
from zoneinfo import ZoneInfo

from aiohttp import web

from crm.calls_read import CallFilter, CallInfo
from crm.custom_fields import FieldInfo, list_fields
from crm.exporting import Line, PartyLine, call_lines, exporting, log_export, party_lines
from crm.party_lists import PartyFilter, condition_of
from web.formats import duration, phone
from web.i18n import current_language
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.render import zone_of
from web.sheets import Row, SheetFormat, send_sheet

DISPOSITIONS: Final[Mapping[str, str]] = {
    "answered": N_("Answered"),
    "voicemail": N_("Voicemail"),
    "abandoned": N_("Caller left"),
    "not_served": N_("Not served"),
    "after_hours": N_("After hours"),
    "menu_only": N_("Left in the menu"),
    "blocked": N_("Blocked"),
    "busy": N_("Busy"),
    "no_answer": N_("No answer"),
    "declined": N_("Declined"),
    "failed": N_("Failed"),
    "cancelled": N_("Cancelled"),
}
_DIRECTIONS: Final[Mapping[str, str]] = {
    "inbound": N_("Incoming"),
    "outbound": N_("Outgoing"),
    "internal": N_("Internal"),
}
_PARTY_HEADINGS: Final = (
    N_("No."),
    N_("Organisation"),
    N_("Full name"),
    N_("INN"),
    N_("KPP"),
    N_("Kind"),
    N_("Contact person"),
    N_("Position"),
    N_("Phone"),
    N_("E-mail"),
    N_("Letters come back"),
    N_("Not to be written to"),
    N_("Responsible"),
    N_("Source"),
    N_("City"),
    N_("Website"),
    N_("Note"),
    N_("Created"),
    N_("Last communication"),
)
_CALL_HEADINGS: Final = (
    N_("Beginning"),
    N_("Direction"),
    N_("Outcome"),
    N_("Number"),
    N_("Counterparty"),
    N_("Contact person"),
    N_("Line"),
    N_("Queue"),
    N_("Agent"),
    N_("Answered by"),
    N_("Wait"),
    N_("Talk"),
)


async def send_parties(
    request: web.Request,
    wanted: PartyFilter,
    written_as: SheetFormat,
    chosen: Mapping[str, object],
    only: Sequence[int] | None = None,
) -> web.StreamResponse:
    """The list as a file; refused before the first byte if the right is missing or the list does not exist.

    `chosen`: the filter as it is written to the access log; `only`: of these parties alone, a search found them.

    Raises:
        NotAllowed, Invalid.
    """
    access, sessions = request[ACCESS], request.app[SESSIONS]
    exporting(access, "party.read")
    async with sessions.begin() as session:
        await condition_of(session, wanted)
        own = [each for each in await list_fields(session) if each.archived_at is None]
        await log_export(session, access, "parties", dict(chosen), request.remote)
    zone = zone_of(request)
    headings = [*headings_of(_PARTY_HEADINGS), *[each.name for each in own]]

    async def pages() -> AsyncIterator[Sequence[Row]]:
        async for lines in party_lines(sessions, access, wanted, only):
            yield [(*_party_row(line, zone), *_own_cells(line, own)) for line in lines]

    return await send_sheet(request, written_as, _("Counterparties"), headings, pages())


def headings_of(words: Sequence[str]) -> Row:
    """In the reader's language."""
    return [_(word) for word in words]


def _party_row(line: PartyLine, zone: ZoneInfo) -> Row:
    return (
        str(line.number),
        line.organisation,
        line.full_name,
        line.inn,
        line.kpp,
        ", ".join(_(name) for _code, name in line.kinds),
        line.person,
        line.position,
        "; ".join(number_of(e164, extension) for e164, extension in line.phones),
        "; ".join(line.emails),
        _marked(line.bounced, zone),
        _marked(line.opted_out, zone),
        line.owner,
        line.source,
        line.city,
        line.website,
        line.note,
        moment_of(line.created_at, zone),
        moment_of(line.last_communication_at, zone),
    )


def _marked(addresses: Sequence[tuple[str, datetime]], zone: ZoneInfo) -> str:
    return "; ".join(f"{address} ({moment_of(at, zone)})" for address, at in addresses)


def _own_cells(line: PartyLine, own: Sequence[FieldInfo]) -> Row:
    """The values of the company's own fields, as the import reads them."""
    return [own_text(line.custom.get(field.key), field.type) for field in own]


def own_text(value: Any, kind: str) -> str:
    """A value of an own field as people write it: «да», 20.11.2026, 1234,5. `kind`: the type of the field."""
    if value is None:
        return ""
    match kind:
        case "flag":
            return _("yes") if value else _("no")
        case "date":
            return date.fromisoformat(value).strftime("%d.%m.%Y")
        case "number":
            return _number(value)
        case _:
            return str(value)


def _number(value: float) -> str:
    written = str(value) if isinstance(value, int) else f"{value:.10f}".rstrip("0").rstrip(".")
    return written.replace(".", ",") if current_language() == "ru" else written


def number_of(e164: str, extension: str) -> str:
    """«+7 495 123-45-67 доб. 12»."""
    shown = phone(e164)
    return f"{shown} " + _("extension %(digits)s") % {"digits": extension} if extension else shown


def moment_of(at: datetime | None, zone: ZoneInfo) -> str:
    """As people and their spreadsheets write it, in the reader's zone."""
    return at.astimezone(zone).strftime("%d.%m.%Y %H:%M") if at else ""


async def send_calls(
    request: web.Request,
    wanted: CallFilter,
    written_as: SheetFormat,
    chosen: Mapping[str, object],
) -> web.StreamResponse:
    """The journal as a file. `chosen`: the filter as it is written to the access log.

    Raises:
        NotAllowed, Invalid (a value of the filter).
    """
    zone, knows_clients = zone_of(request), request[ACCESS].may("party.read")
    lines = call_lines(request.app[SESSIONS], request[ACCESS], wanted)
    table: Table[CallInfo] = Table(
        what="calls",
        name=_("Calls"),
        headings=_CALL_HEADINGS,
        row=lambda call: _call_row(call, zone, knows_clients),
    )
    return await send_table(request, written_as, table, lines, chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Line]):
    """How a list is written: `what` for the access log, `name` for the file, and a row for each line."""

    what: str
    name: str
    headings: Sequence[str]  # message ids
    row: Callable[[Line], Row]


async def send_table(
    request: web.Request,
    written_as: SheetFormat,
    table: Table[Line],
    lines: AsyncIterator[Sequence[Line]],
    chosen: Mapping[str, object],
) -> web.StreamResponse:
    """A list as a file, sent while it is read; a filter that cannot be understood is told before the file begins."""
    first = await anext(lines, None) or ()  # not `()` as the default: Python 3.11 fails to give a tuple
    async with request.app[SESSIONS].begin() as session:
        await log_export(session, request[ACCESS], table.what, dict(chosen), request.remote)

    async def pages() -> AsyncIterator[Sequence[Row]]:
        yield [table.row(line) for line in first]
        async for more in lines:
            yield [table.row(line) for line in more]

    return await send_sheet(request, written_as, table.name, headings_of(table.headings), pages())


def _call_row(call: CallInfo, zone: ZoneInfo, knows_clients: bool) -> Row:
    outcome = DISPOSITIONS.get(call.disposition or "", call.disposition or "")
    return (
        call.started_at.astimezone(zone).strftime("%d.%m.%Y %H:%M:%S"),
        _(_DIRECTIONS.get(call.direction, call.direction)),
        _(outcome) if outcome else _("Going on now") if call.is_open else "",
        phone(call.customer_e164) or call.customer_number or "",
        (call.party_name or "") if knows_clients else "",
        (call.contact_name or "") if knows_clients else "",
        call.line_name or "",
        call.queue or "",
        call.user_name or "",
        call.answered_by or "",
        duration(call.wait_seconds),
        duration(call.talk_seconds),
    )
