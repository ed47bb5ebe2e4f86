"""Working hours: calendars that lines follow."""

from __future__ import annotations

from aiohttp import web

from crm import calendars
from crm.calendars import CalendarInfo, WorkHours
from crm.errors import NotFound
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SERVICES, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.saving import saving

routes = PageRoutes()
_PATH = "/admin/calendars"
_WEEKDAYS = (
    *(N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday")),
    *(N_("Saturday"), N_("Sunday")),
)


@routes.get(_PATH, right="line.manage")
async def list_calendars(request: web.Request) -> web.Response:
    async with request.app[SESSIONS]() as session:
        found = await calendars.list_calendars(session)
    shown = [(calendar, calendar.hours.is_open(request.app[SERVICES].now())) for calendar in found]
    return render_section(request, "admin/calendars.html", _PATH, calendars=shown)


@routes.get(_PATH + "/new", right="line.manage")
async def show_new_calendar(request: web.Request) -> web.Response:
    usual = {f"day{day}": "9:00-18:00" for day in range(5)}
    return _show_form(request, filled({"time_zone": request.app[SERVICES].time_zone, **usual}), None)


@routes.post(_PATH + "/new", right="line.manage")
async def add_calendar(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await calendars.add_calendar(session, request[ACCESS], form.text("name"), _hours(form))
    if not form.is_good:
        return _show_form(request, form, None)
    raise web.HTTPSeeOther(_PATH)


@routes.get(_PATH + r"/{id:\d+}", right="line.manage")
async def show_calendar(request: web.Request) -> web.Response:
    calendar = await _calendar(request)
    week = {f"day{day}": calendars.write_spans(spans) for day, spans in calendar.hours.week.items()}
    form = filled(
        {
            "name": calendar.name,
            "time_zone": calendar.hours.time_zone,
            "days": calendars.write_days(calendar.hours.days),
            "version": calendar.version,
            **week,
        }
    )
    return _show_form(request, form, calendar)


@routes.post(_PATH + r"/{id:\d+}", right="line.manage")
async def edit_calendar(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    calendar = await _calendar(request)
    async with saving(request, form) as session:
        await calendars.edit_calendar(
            session,
            request[ACCESS],
            calendar.id,
            form.text("name"),
            _hours(form),
            version=form.whole("version") or 0,
        )
    if not form.is_good:
        return _show_form(request, form, calendar)
    raise web.HTTPSeeOther(_PATH)


@routes.post(_PATH + r"/{id:\d+}/remove", right="line.manage")
async def remove_calendar(request: web.Request) -> web.Response:
    async with request.app[SESSIONS].begin() as session:
        await calendars.remove_calendar(session, request[ACCESS], id_in_path(request))
    raise web.HTTPSeeOther(_PATH)


def _hours(form: Form) -> WorkHours:
    week = {day: calendars.read_spans(f"day{day}", form.text(f"day{day}")) for day in range(7)}
    return WorkHours(
        time_zone=form.text("time_zone"), week=week, days=calendars.read_days(form.prose("days"))
    )


async def _calendar(request: web.Request) -> CalendarInfo:
    calendar_id = id_in_path(request)
    async with request.app[SESSIONS]() as session:
        found = await calendars.list_calendars(session)
    calendar = next((each for each in found if each.id == calendar_id), None)
    if calendar is None:
        raise NotFound("work_calendar", calendar_id)
    return calendar


def _show_form(request: web.Request, form: Form, calendar: CalendarInfo | None) -> web.Response:
    weekdays = [(f"day{day}", _(name)) for day, name in enumerate(_WEEKDAYS)]
    return render_section(
        request,
        "admin/calendar.html",
        _PATH,
        status=form.status,
        form=form,
        calendar=calendar,
        weekdays=weekdays,
    )
