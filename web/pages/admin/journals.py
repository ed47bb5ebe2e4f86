"""The journals of changes and of access: by record, user, event and period, within one's rights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.errors import Invalid
from crm.journals_read import JournalFilter, list_accesses, list_changes, readable_actors
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.admin.right_words import right_words
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.periods import PeriodName, period_of
from web.pages.problems import tell
from web.render import render_fragment, wants_rows, zone_of

routes = PageRoutes()
CHANGES: Final = "/admin/changes"
ACCESSES: Final = "/admin/access"
_MOST_CHARACTERS: Final = 50
_MOST_SHOWN: Final = 200  # characters of a value
KINDS: Final[Mapping[str, str]] = {
    "party": N_("Client or contact"),
    "number": N_("Number"),
    "user": N_("User"),
    "role": N_("Role"),
    "team": N_("Team"),
    "kind": N_("Kind"),
    "source": N_("Source"),
    "tag": N_("Tag"),
    "end_reason": N_("Reason for the end"),
    "industry": N_("Industry"),
    "lead": N_("Lead"),
    "task": N_("Task"),
    "lead_reason": N_("Reason of disqualifying"),
    "scheme": N_("Scheme"),
    "stage": N_("Stage"),
    "custom_field": N_("Own field"),
    "connection": N_("Connection"),
    "line": N_("Line"),
    "work_calendar": N_("Working hours"),
    "queue": N_("Queue"),
    "extension": N_("Extension"),
    "profile": N_("Numbering profile"),
    "subscriber": N_("Subscriber"),
}
EVENTS: Final[Mapping[str, str]] = {
    "sign_in": N_("Signed in"),
    "sign_in_refused": N_("Sign-in refused"),
    "access_refused": N_("Access refused"),
    "password_changed": N_("Password changed"),
    "user_created": N_("User created"),
    "user_blocked": N_("User blocked"),
    "user_unblocked": N_("User unblocked"),
    "roles_changed": N_("Roles of a user changed"),
    "role_created": N_("Role created"),
    "role_changed": N_("Rights of a role changed"),
    "role_removed": N_("Role removed"),
    "token_created": N_("API token created"),
    "token_ended": N_("API token ended"),
    "secret_changed": N_("Secret changed"),
    "do_not_call_overridden": N_("Called in spite of “do not call”"),
    "call_exported": N_("Call exported"),
    "deliveries_repeated": N_("Events sent once more"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the reader chose, as it stands in the address; "" is everything."""

    kind: str = ""
    id: str = ""
    event: str = ""
    user: str = ""
    period: str = ""
    first: str = ""
    last: str = ""

    @property
    def address(self) -> Mapping[str, str]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value}


@routes.get(CHANGES, right="journal.read")
async def show_changes(request: web.Request) -> web.Response:
    return await _show(
        request, CHANGES, list_changes, "change-rows", "admin/change_rows.html", "admin/changes.html"
    )


@routes.get(ACCESSES, right="journal.read")
async def show_accesses(request: web.Request) -> web.Response:
    return await _show(
        request, ACCESSES, list_accesses, "access-rows", "admin/access_rows.html", "admin/access.html"
    )


async def _show(
    request: web.Request, path: str, find: Any, rows_id: str, rows: str, page: str
) -> web.Response:
    chosen = _chosen(request)
    try:
        async with request.app[SESSIONS]() as session:
            found = await find(
                session, request[ACCESS], _filter(request, chosen), cursor=request.query.get("after")
            )
            actors = await readable_actors(session, request[ACCESS])
    except Invalid as error:  # an address that somebody made up or an old one
        raise web.HTTPBadRequest(text=tell(error)) from error
    context: dict[str, Any] = {
        "page": found,
        "chosen": chosen,
        "journal": path,
        "kinds": KINDS,
        "events": EVENTS,
    }
    context |= {"shown": _shown, "right_words": right_words()}
    if wants_rows(request, rows_id) or wants_rows(request, f"{rows_id}-more"):
        return render_fragment(request, rows, **context)
    return render_section(request, page, path, actors=actors, periods=tuple(PeriodName), **context)


def _chosen(request: web.Request) -> Chosen:
    typed = {name: request.query.get(name, "").strip()[:_MOST_CHARACTERS] for name in Chosen.__slots__}
    known = {"kind": typed["kind"] if typed["kind"] in KINDS else ""}
    known["event"] = typed["event"] if typed["event"] in EVENTS else ""
    known["user"] = typed["user"] if _is_id(typed["user"]) else ""
    known["id"] = typed["id"] if known["kind"] else ""
    return Chosen(**typed | known)


def _filter(request: web.Request, chosen: Chosen) -> JournalFilter:
    zone, now = zone_of(request), request.app[NOW]()
    period = period_of(chosen.period, chosen.first, chosen.last, now, zone)
    return JournalFilter(
        record_kind=chosen.kind or None,
        record_id=chosen.id.replace("\0", "") or None,
        actor_id=int(chosen.user) if chosen.user else None,
        event=chosen.event or None,
        since=period.start,
        until=period.end,
    )


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _shown(value: object) -> str:
    """A stored value on one line, cut if it is long."""
    text = _plain(value) or "—"
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _plain(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case dict():
            return "; ".join(f"{name}: {_plain(each) or '—'}" for name, each in value.items())
        case list():
            return ", ".join(map(_plain, value))
        case _:
            return json.dumps(value)
