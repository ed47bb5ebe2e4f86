"""What was sent to a subscriber: state, tries, answer, body; sent once more by hand."""

from __future__ import annotations

import json
from datetime import datetime, time
from typing import Any, Final

from aiohttp import web

from crm import deliveries, subscribers
from crm.errors import Invalid, NotFound
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.i18n import ngettext
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.admin.subscriber_words import EVENTS, trouble_text
from web.pages.admin.subscribers import ONE, PATH, RIGHT
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of, read_date
from web.pages.problems import tell
from web.pages.saving import saving
from web.render import render_fragment, wants_rows, zone_of

routes = PageRoutes()
_LIST: Final = ONE + "/deliveries"
_ONE: Final = _LIST + r"/{delivery:\d+}"
_ROWS: Final = "delivery-rows"


@routes.get(_LIST, right=RIGHT)
async def list_deliveries(request: web.Request) -> web.Response:
    return await _show(request, Form())


@routes.post(_LIST + "/repeat", right=RIGHT)
async def repeat_failed(request: web.Request) -> web.Response:
    """Everything that was given up, of events since a day."""
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        since, at = _since(request, form), request.app[NOW]()
        count = await deliveries.repeat_failed(session, request[ACCESS], id_in_path(request), at, since=since)
    if not form.is_good:
        return await _show(request, form)
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}/deliveries?repeated={count}")


@routes.get(_ONE, right=RIGHT)
async def show_delivery(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        subscriber = await subscribers.subscriber(session, request[ACCESS], id_in_path(request))
        found = await deliveries.delivery(session, request[ACCESS], id_in_path(request, "delivery"))
    if found.subscriber_id != subscriber.id:
        raise NotFound("delivery", found.id)
    return render_section(
        request,
        "admin/delivery.html",
        PATH,
        subscriber=subscriber,
        delivery=found,
        body=_readable(found.body),
        events=EVENTS,
        trouble_text=trouble_text,
    )


@routes.post(_ONE + "/repeat", right=RIGHT)
async def repeat_delivery(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        at, delivery_id = request.app[NOW](), id_in_path(request, "delivery")
        await deliveries.repeat_delivery(session, request[ACCESS], delivery_id, at)
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}/deliveries?repeated=1")


async def _show(request: web.Request, form: Form) -> web.Response:
    state = request.query.get("state", "")
    wanted = state if state in deliveries.STATES else None
    try:
        async with request.app[SESSIONS]() as session:
            subscriber = await subscribers.subscriber(session, request[ACCESS], id_in_path(request))
            page = await deliveries.list_deliveries(
                session, request[ACCESS], subscriber.id, state=wanted, cursor=request.query.get("after")
            )
    except Invalid as error:  # an address that somebody made up
        raise web.HTTPBadRequest(text=tell(error)) from error
    context: dict[str, Any] = {
        "subscriber": subscriber,
        "page": page,
        "state": wanted or "",
        "events": EVENTS,
        "form": form,
    }
    context |= {"trouble_text": trouble_text, "repeated": _repeated(request)}
    if wants_rows(request, _ROWS) or wants_rows(request, f"{_ROWS}-more"):
        return render_fragment(request, "admin/delivery_rows.html", **context)
    return render_section(request, "admin/deliveries.html", PATH, status=form.status, **context)


def _since(request: web.Request, form: Form) -> datetime | None:
    """The beginning of a day where the reader is. Raises Invalid."""
    typed = form.text("since")
    if not typed:
        return None
    if (day := read_date(typed)) is None:
        raise Invalid("since", typed, N_("This is not a date. Write it as 31.12.2027."))
    return datetime.combine(day, time(), tzinfo=zone_of(request))


def _readable(body: str | None) -> str:
    """A body with its fields below one another, as it is for whoever reads it."""
    return json.dumps(json.loads(body), ensure_ascii=False, indent=2) if body else ""


def _repeated(request: web.Request) -> str:
    typed = request.query.get("repeated", "")
    if not (typed.isascii() and typed.isdigit() and len(typed) < 10):
        return ""
    text = ngettext("%(num)d event is sent once more.", "%(num)d events are sent once more.", int(typed))
    return text % {"num": int(typed)}
