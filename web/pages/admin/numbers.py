"""The tester of normalisation: paste numbers, see each step and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from crm import telephony
from cti.numbers import NumberingProfile, NumberKind, describe, tell_number, tell_problem, tell_step, to_e164
from cti.numbers import explain as steps_of
from web.i18n import current_language
from web.keys import SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes
from web.pages.forms import Form, form_of

routes = PageRoutes()
_PATH = "/admin/numbers"
_MOST_NUMBERS: Final = 50
_MOST_CODES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One pasted number: what became of it, and how."""

    presented: str
    is_number: bool
    result: str
    place: str
    steps: tuple[str, ...]


@routes.get(_PATH, right="number.normalise")
async def show_tester(request: web.Request) -> web.Response:
    """The numbers may come in the address, so that a trial can be shown to a colleague."""
    form = form_of(request.query.items())
    form.values.setdefault("region", "RU")
    async with request.app[SESSIONS]() as session:
        profiles = await telephony.list_profiles(session)
    return render_section(
        request, "admin/numbers.html", _PATH, form=form, trials=trials_of(form), profiles=profiles
    )


def trials_of(form: Form) -> list[Trial]:
    """Every pasted line tried, the first fifty."""
    lines = [line.strip() for line in form.prose("numbers").splitlines() if line.strip()]
    return [_trial(line, _profile(form)) for line in lines[:_MOST_NUMBERS]]


def _profile(form: Form) -> NumberingProfile:
    return NumberingProfile(
        region=form.text("region").upper()[:2] or "RU",
        area_code=form.text("area_code"),
        outside_prefixes=_words(form, "outside_prefixes"),
        feature_codes=_words(form, "feature_codes"),
        extensions=frozenset(_words(form, "extensions")),
    )


def _words(form: Form, name: str) -> tuple[str, ...]:
    return tuple(form.text(name).replace(",", " ").split()[:_MOST_CODES])


def _trial(presented: str, profile: NumberingProfile) -> Trial:
    language = current_language()
    number = to_e164(presented, profile)
    info = describe(number.e164, language) if number.e164 else None
    return Trial(
        presented=number.presented,
        is_number=number.kind is not NumberKind.NOT_A_NUMBER,
        result=tell_problem(number, language) or tell_number(number, language),
        place=", ".join(part for part in (info.country_name, info.region, info.carrier) if part)
        if info
        else "",
        steps=tuple(tell_step(step, language) for step in steps_of(presented, profile)),
    )
