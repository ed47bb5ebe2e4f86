"""The number policy with its trial, and the dialling account of a connection."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from crm.dial_rules import DialVerdict, Policy
from crm.dialling_accounts import TECHNOLOGIES, DiallingAccount, dialling_account, set_dialling_account
from crm.dialling_policy import edit_policy, read_policy
from crm.telephony import ConnectionInfo
from cti.numbers import tell_number, tell_problem
from web.i18n import current_language
from web.keys import ACCESS, SERVICES, SESSIONS
from web.pages.admin.connections import connection_of, seal_of
from web.pages.admin.link_words import told_state
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.forms import Form, filled, form_of
from web.pages.problems import tell
from web.pages.saving import saving
from web.render import render_fragment
from web.routes import RouteKind

routes = PageRoutes()
_PATH: Final = "/admin/dialling"
_SECTION: Final = "/admin/connections"
_ACCOUNT: Final = _SECTION + r"/{id:\d+}/dialling"
_MOST_TYPED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the policy, as it is typed now, would say of a number."""

    shown: str
    is_allowed: bool
    told: str  # why not; "" if it is dialled


@routes.get(_PATH, right="dialling.manage")
async def show_policy(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        policy = await read_policy(session)
    return _show_policy(request, _form_of_policy(policy))


@routes.post(_PATH, right="dialling.manage")
async def save_policy(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await edit_policy(session, request[ACCESS], _policy(form))
    if not form.is_good:
        return _show_policy(request, form)
    raise web.HTTPSeeOther(f"{_PATH}?saved=1")


@routes.post(_PATH + "/check", right="dialling.manage", kind=RouteKind.FRAGMENT)
async def try_number(request: web.Request) -> web.Response:
    """Ask the rules as they stand in the form, before they are saved. Nothing is dialled."""
    form = form_of((await request.post()).items())
    typed = form.text("trial")[:_MOST_TYPED]
    trial = await _try(request, typed, _policy(form)) if typed else None
    return render_fragment(request, "admin/dialling_trial.html", trial=trial)


@routes.get(_ACCOUNT, right="connection.manage")
async def show_account(request: web.Request) -> web.Response:
    connection = await connection_of(request)
    async with request.app[SESSIONS]() as session:
        account = await dialling_account(session, request[ACCESS], connection.id)
    return _show_account(request, connection, _form_of_account(account))


@routes.post(_ACCOUNT, right="connection.manage")
async def save_account(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    connection = await connection_of(request)
    async with saving(request, form) as session:
        await set_dialling_account(
            session,
            request[ACCESS],
            connection.id,
            _account(form),
            seal=seal_of(request),
            secret=form.values.get("secret") or None,
        )
    if not form.is_good:
        return _show_account(request, connection, form)
    raise web.HTTPSeeOther(f"{_SECTION}/{connection.id}?saved=1")


async def _try(request: web.Request, typed: str, policy: Policy) -> Trial | None:
    telephone = request.app[SERVICES].telephone
    if telephone is None:
        return None
    access, language = request[ACCESS], current_language()
    number = telephone.read(access.user_id, typed)
    judged = await telephone.judge(access, typed, policy)
    told = tell(judged.error) if judged.error else ""
    if judged.verdict is DialVerdict.NOT_A_NUMBER:
        told = tell_problem(number, language) or told
    return Trial(
        shown=tell_number(number, language), is_allowed=judged.verdict is DialVerdict.ALLOWED, told=told
    )


def _policy(form: Form) -> Policy:
    """What was typed; a limit that is no number is refused by its own rule."""
    limits = {name: _limit(form, name) for name in ("most_per_hour", "most_per_day", "most_of_all")}
    codes = re.split(r"[\s,;]+", form.text("countries").upper().strip())
    return replace(
        Policy(version=form.whole("version") or 0),
        is_stopped=form.flag("is_stopped"),
        countries=frozenset(code for code in codes if code),
        allows_premium=form.flag("allows_premium"),
        allows_short=form.flag("allows_short"),
        **limits,
    )


def _limit(form: Form, name: str) -> int:
    typed = form.whole(name)
    return -1 if typed is None else typed


def _form_of_policy(policy: Policy) -> Form:
    return filled(
        {
            "is_stopped": policy.is_stopped,
            "countries": " ".join(sorted(policy.countries)),
            "allows_premium": policy.allows_premium,
            "allows_short": policy.allows_short,
            "most_per_hour": str(policy.most_per_hour),
            "most_per_day": str(policy.most_per_day),
            "most_of_all": str(policy.most_of_all),
            "version": policy.version,
        }
    )


def _show_policy(request: web.Request, form: Form) -> web.Response:
    telephone = request.app[SERVICES].telephone
    return render_section(
        request,
        "admin/dialling.html",
        _PATH,
        status=form.status,
        form=form,
        states=telephone.dialler_states() if telephone else (),
        told_state=told_state,
        is_saved="saved" in request.query,
    )


def _account(form: Form) -> DiallingAccount:
    return DiallingAccount(
        user=form.text("user"),
        technology=form.text("technology") or "PJSIP",
        extension_context=form.text("extension_context"),
        context=form.text("context"),
        transfer_context=form.text("transfer_context"),
        prefixes=form.text("prefixes"),
        ring_seconds=form.whole("ring_seconds") or 0,
        accepts_excessive_rights=form.flag("accepts_excessive_rights"),
    )


def _form_of_account(account: DiallingAccount) -> Form:
    return filled(
        {
            "user": account.user,
            "technology": account.technology,
            "extension_context": account.extension_context,
            "context": account.context,
            "transfer_context": account.transfer_context,
            "prefixes": account.prefixes,
            "ring_seconds": str(account.ring_seconds),
            "accepts_excessive_rights": account.accepts_excessive_rights,
        }
    )


def _show_account(request: web.Request, connection: ConnectionInfo, form: Form) -> web.Response:
    return render_section(
        request,
        "admin/dialling_account.html",
        _SECTION,
        status=form.status,
        form=form,
        connection=connection,
        technologies=TECHNOLOGIES,
    )
