"""«Пропущенные»: whom we owe a call, the most urgent first; taken, handed over, closed with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.callback_acts import close_case, colleagues_for, give_back, hand_over, take_case, take_next
from crm.callback_figures import callback_figures
from crm.callbacks import (
    CaseFilter,
    CaseSettled,
    CaseTaken,
    count_waiting,
    lines_waiting,
    list_cases,
    misses_of,
    read_case,
)
from crm.directories import CALLBACK_REASON, names_of
from crm.errors import CrmError, Invalid
from web.i18n import gettext as _
from web.keys import ACCESS, NOW, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, form_of
from web.pages.periods import days
from web.pages.problems import note_on, tell
from web.render import company_zone, render, render_apart, wants_rows
from web.routes import RouteKind

routes = PageRoutes()
_ONE: Final = r"/missed/{id:\d+}"
_REFUSALS: Final = (CaseSettled, CaseTaken, Invalid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What the reader chose, as it stands in the address; "" are all who wait."""

    show: str = ""  # done
    mine: str = ""
    line: str = ""

    @property
    def is_narrow(self) -> bool:
        return any((self.mine, self.line))

    @property
    def address(self) -> Mapping[str, str]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value}


@routes.get("/missed", right="callback.read")
async def show_missed(request: web.Request) -> web.Response:
    access, now, chosen = request[ACCESS], request.app[NOW](), _chosen(request)
    async with request.app[SESSIONS]() as session:
        try:
            page = await list_cases(session, access, now, _filter(chosen), cursor=request.query.get("after"))
        except Invalid as error:  # an address that somebody made up, or an old one
            raise web.HTTPBadRequest(text=tell(error)) from error
        shown: dict[str, Any] = {"page": page, "chosen": chosen, "now": now}
        if wants_rows(request, "missed-rows") or wants_rows(request, "missed-more"):
            return await render_apart(request, "missed/rows.html", is_fragment=True, **shown)
        shown |= {"lines": await lines_waiting(session, access)}
        today = days(_today(request), _today(request), company_zone(request))
        shown |= {"figures": await callback_figures(session, access, today.start or now, today.end or now)}
    return await render_apart(request, "missed/list.html", **shown)


@routes.get("/missed/count", right="callback.read", kind=RouteKind.FRAGMENT)
async def tell_number(request: web.Request) -> web.Response:
    """What the badge shows: `{"waiting": 3}`, counted up to 100."""
    async with request.app[SESSIONS]() as session:
        return web.json_response({"waiting": await count_waiting(session, request[ACCESS])})


@routes.post("/missed/take-next", right="callback.work")
async def take_the_next(request: web.Request) -> web.Response:
    """The most urgent caller whom nobody has; the list again if there is none."""
    async with request.app[SESSIONS].begin() as session:
        case_id = await take_next(session, request[ACCESS], request.app[NOW]())
    raise web.HTTPSeeOther("/missed" if case_id is None else f"/missed/{case_id}")


@routes.get(_ONE, right="callback.read")
async def show_one(request: web.Request) -> web.Response:
    return await _show_one(request, Form())


@routes.post(_ONE + "/take", right="callback.work")
async def take(request: web.Request) -> web.Response:
    return await _act(request, take_case)


@routes.post(_ONE + "/give-back", right="callback.work")
async def let_go(request: web.Request) -> web.Response:
    return await _act(request, give_back)


@routes.post(_ONE + "/hand-over", right="callback.work")
async def give_to(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    form.values.setdefault("user_id", "")
    user_id = form.whole("user_id")
    if user_id is None:
        form.refuse("user_id", _("Choose a colleague."))
        return await _show_one(request, form, status=422)
    return await _act(request, hand_over, user_id, form=form)


@routes.post(_ONE + "/close", right="callback.work")
async def close(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    form.values.setdefault("reason", "")
    return await _act(request, close_case, form.text("reason"), form=form, then="/missed")


async def _act(
    request: web.Request, act: Any, *values: object, form: Form | None = None, then: str = ""
) -> web.Response:
    """Do it and go on; what cannot be done any more is told on the case's own page, with what was typed."""
    case_id = id_in_path(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, request[ACCESS], case_id, *values, request.app[NOW]())
    except _REFUSALS as error:
        form = form or Form()
        note_on(form, error)
        return await _show_one(request, form, status=_status(error))
    raise web.HTTPSeeOther(then or f"/missed/{case_id}")


def _status(error: CrmError) -> int:
    return 422 if isinstance(error, Invalid) else 409


async def _show_one(request: web.Request, form: Form, *, status: int = 200) -> web.Response:
    access, now, case_id = request[ACCESS], request.app[NOW](), id_in_path(request)
    async with request.app[SESSIONS]() as session:
        case = await read_case(session, access, case_id, now)
        may_work = access.may("callback.work")
        return render(
            request,
            "missed/case.html",
            status=status,
            case=case,
            misses=await misses_of(session, case_id),
            colleagues=await colleagues_for(session, access, case.team_id) if may_work else [],
            reasons=await names_of(session, CALLBACK_REASON) if may_work else [],
            form=form,
        )


def _today(request: web.Request) -> Any:
    return request.app[NOW]().astimezone(company_zone(request)).date()


def _chosen(request: web.Request) -> Chosen:
    form = form_of((name, value[:20]) for name, value in request.query.items())
    return Chosen(
        show="done" if form.text("show") == "done" else "",
        mine="1" if form.text("mine") else "",
        line=str(form.whole("line") or ""),
    )


def _filter(chosen: Chosen) -> CaseFilter:
    return CaseFilter(
        is_settled=chosen.show == "done",
        only_mine=bool(chosen.mine),
        line_id=int(chosen.line) if chosen.line else None,
    )
