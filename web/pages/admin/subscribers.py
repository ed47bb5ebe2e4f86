"""«Подписчики»: other programs that are told what happens, a trial of each, and what became of every event."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from crm import subscribers
from crm.errors import Invalid
from crm.subscribers import SubscriberInfo, SubscriberValues
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, NOW, SERVICES, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.admin.subscriber_words import groups, told_trial
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.saving import saving
from web.render import render_fragment
from web.routes import RouteKind
from web.subscriber_trial import seal_for, try_subscriber
from webhooks.addresses import checked_url

routes = PageRoutes()
RIGHT: Final = "subscriber.manage"
PATH: Final = "/admin/subscribers"
ONE: Final = PATH + r"/{id:\d+}"


@routes.get(PATH, right=RIGHT)
async def list_subscribers(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        found = await subscribers.list_subscribers(session, request[ACCESS])
    return render_section(request, "admin/subscribers.html", PATH, subscribers=found)


@routes.get(PATH + "/new", right=RIGHT)
async def show_new_subscriber(request: web.Request) -> web.Response:
    return _show_form(request, filled({}, event_types=["call.ended"]), None)


@routes.post(PATH + "/new", right=RIGHT)
async def add_subscriber(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        values, seal = _typed(request, form), seal_for(request)
        made, secret = await subscribers.add_subscriber(session, request[ACCESS], values, seal)
        subscriber = await subscribers.subscriber(session, request[ACCESS], made)
    if not form.is_good:
        return _show_form(request, form, None)
    return _show_form(request, _form_of(subscriber), subscriber, secret=secret)


@routes.get(ONE, right=RIGHT)
async def show_subscriber(request: web.Request) -> web.Response:
    subscriber = await _subscriber(request)
    return _show_form(request, _form_of(subscriber), subscriber)


@routes.post(ONE, right=RIGHT)
async def edit_subscriber(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    subscriber = await _subscriber(request)
    async with saving(request, form) as session:
        await subscribers.edit_subscriber(
            session,
            request[ACCESS],
            subscriber.id,
            _typed(request, form),
            version=form.whole("version") or 0,
        )
    if not form.is_good:
        return _show_form(request, form, subscriber)
    raise web.HTTPSeeOther(f"{PATH}/{subscriber.id}?saved=1")


@routes.post(ONE + "/pause", right=RIGHT)
async def pause_subscriber(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        at = request.app[NOW]()
        await subscribers.pause_subscriber(session, request[ACCESS], id_in_path(request), at)
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}")


@routes.post(ONE + "/resume", right=RIGHT)
async def resume_subscriber(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        at = request.app[NOW]()
        await subscribers.resume_subscriber(session, request[ACCESS], id_in_path(request), at)
    raise web.HTTPSeeOther(f"{PATH}/{id_in_path(request)}")


@routes.post(ONE + "/secret", right=RIGHT)
async def rotate_secret(request: web.Request) -> web.Response:
    seal, at = seal_for(request), request.app[NOW]()
    async with request.app[SESSIONS].begin() as session:
        secret = await subscribers.rotate_secret(session, request[ACCESS], id_in_path(request), seal, at)
    subscriber = await _subscriber(request)
    return _show_form(request, _form_of(subscriber), subscriber, secret=secret)


@routes.post(ONE + "/remove", right=RIGHT)
async def remove_subscriber(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        at = request.app[NOW]()
        await subscribers.remove_subscriber(session, request[ACCESS], id_in_path(request), at)
    raise web.HTTPSeeOther(PATH)


@routes.post(ONE + "/check", right=RIGHT, kind=RouteKind.FRAGMENT)
async def check_subscriber(request: web.Request) -> web.Response:
    """One signed request, at once; takes 15 seconds at most."""
    tried = await try_subscriber(request, id_in_path(request))
    return render_fragment(request, "admin/check.html", answers=told_trial(tried))


async def _subscriber(request: web.Request) -> SubscriberInfo:
    async with request.app[SESSIONS]() as session:
        return await subscribers.subscriber(session, request[ACCESS], id_in_path(request))


def _typed(request: web.Request, form: Form) -> SubscriberValues:
    """Raises Invalid."""
    if not form.text("url"):
        raise Invalid("url", "", N_("Enter the address of the receiver."))
    url = checked_url(form.text("url"), request.app[SERVICES].subscriber_networks)
    types = tuple(form.several("event_types"))
    form.chosen.setdefault("event_types", frozenset())
    return SubscriberValues(name=form.text("name"), url=url, event_types=types)


def _form_of(subscriber: SubscriberInfo) -> Form:
    values = {"name": subscriber.name, "url": subscriber.url, "version": subscriber.version}
    return filled(values, event_types=subscriber.event_types)


def _show_form(
    request: web.Request,
    form: Form,
    subscriber: SubscriberInfo | None,
    *,
    secret: str | None = None,
) -> web.Response:
    return render_section(
        request,
        "admin/subscriber.html",
        PATH,
        status=form.status,
        form=form,
        subscriber=subscriber,
        groups=groups(),
        secret=secret,
        is_saved="saved" in request.query,
    )
