"""One's own settings: password, language, time zone, and the sessions that are open."""

from __future__ import annotations

from aiohttp import web

from crm import accounts
from crm.own_settings import change_own_settings
from crm.shortcuts import DEFAULT_KEYS, change_keys
from crm.tasks import follow_zone
from web.i18n import LANGUAGES
from web.i18n import gettext as _
from web.keys import ACCESS, SERVICES, SESSION_TOKEN, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.me.key_words import KEY_OFFERS, KEY_WORDS
from web.pages.problems import FORM_ERRORS, note_on
from web.render import render
from web.routes import SIGNED_IN

routes = PageRoutes()


@routes.get("/me", right=SIGNED_IN)
async def show_me(request: web.Request) -> web.Response:
    return await _show(request, _present(request))


@routes.post("/me/password", right=SIGNED_IN)
async def change_password(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    old, new = form.values.get("old_password", ""), form.values.get("password", "")
    try:
        async with request.app[SESSIONS].begin() as session:
            keep = request.get(SESSION_TOKEN)
            await accounts.change_own_password(session, request[ACCESS], old, new, keep_token=keep)
    except FORM_ERRORS as error:
        note_on(form, error)
        form.values |= _present(request).values
        return await _show(request, form, status=422)
    raise web.HTTPSeeOther("/me?saved=password")


@routes.post("/me/settings", right=SIGNED_IN)
async def change_settings(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    try:
        async with request.app[SESSIONS].begin() as session:
            await change_own_settings(
                session,
                request[ACCESS],
                language=form.text("language"),
                time_zone=form.optional("time_zone"),
            )
            await follow_zone(session, request[ACCESS], request.app[SERVICES].time_zone)
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _show(request, form, status=422)
    raise web.HTTPSeeOther("/me?saved=settings")


@routes.post(r"/me/sessions/{id:\d+}/end", right=SIGNED_IN)
async def end_session(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await accounts.end_sessions_of(session, request[ACCESS].user_id, session_id=id_in_path(request))
    raise web.HTTPSeeOther("/me?saved=sessions")


@routes.post("/me/sessions/end-others", right=SIGNED_IN)
async def end_other_sessions(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        keep = request.get(SESSION_TOKEN)
        await accounts.end_sessions_of(session, request[ACCESS].user_id, keep_token=keep)
    raise web.HTTPSeeOther("/me?saved=sessions")


@routes.post("/me/keys", right=SIGNED_IN)
async def change_own_keys(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    keys = (
        {}
        if form.flag("as_usual")
        else {action: form.text(action) for action in KEY_WORDS if form.text(action)}
    )
    try:
        async with request.app[SESSIONS].begin() as session:
            await change_keys(session, request[ACCESS], keys)
    except FORM_ERRORS as error:
        note_on(form, error)
        return await _show(request, form, status=422)
    raise web.HTTPSeeOther("/me?saved=settings")


def _present(request: web.Request) -> Form:
    access = request[ACCESS]
    own = {**DEFAULT_KEYS, **access.keys}
    return filled({"language": access.language, "time_zone": access.time_zone, **own})


async def _show(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    async with request.app[SESSIONS]() as session:
        sessions = await accounts.list_sessions(
            session, request[ACCESS].user_id, present_token=request.get(SESSION_TOKEN, "")
        )
    return render(
        request,
        "me/settings.html",
        status=status,
        form=form,
        sessions=sessions,
        languages=LANGUAGES,
        key_words=[(action, _(word)) for action, word in KEY_WORDS.items()],
        key_offers=KEY_OFFERS,
        saved=request.query.get("saved", ""),
    )
