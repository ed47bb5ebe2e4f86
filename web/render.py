"""Templates to answers: a full page, or only the content of `#main` when htmx asked for a part."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from crm.rights import Access
from crm.shortcuts import DEFAULT_KEYS
from web import formats
from web.assets import Assets
from web.frame import first_page, initials, modules_for
from web.i18n import Catalogue, choose_language, current_language, gettext, ngettext, npgettext, pgettext
from web.keys import ACCESS, CATALOGUES, DESK, SERVICES, TEMPLATES

FOLDER: Final = Path(__file__).parent
_PLAIN, _FULL, _PARTIAL = "plain.html", "base.html", "partial.html"


def open_templates(assets: Assets) -> Environment:
    """The one environment: autoescape, undefined names are errors, hidden characters made visible."""
    environment = Environment(
        loader=FileSystemLoader([FOLDER / "templates", FOLDER / "pages"]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=formats.visible_output,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        gettext, ngettext, newstyle=True, pgettext=pgettext, npgettext=npgettext
    )
    environment.filters |= {
        "phone": formats.phone,
        "duration": formats.duration,
        "browser": formats.browser,
        "day": formats.day,
        "whole": formats.whole_number,
        "iso": formats.iso,
        "initials": initials,
        "kind_word": formats.kind_word,
        "installed_word": formats.installed_word,
    }
    environment.globals |= {"asset": assets.url, "language": current_language, "icon": _icon_of(assets)}
    return environment


def _icon_of(assets: Assets) -> Any:
    sprite = assets.url("vendor/tabler-icons/icons.svg")

    @lru_cache(maxsize=512)  # a list says the same few in every row
    def icon(name: str, css_class: str = "") -> Markup:
        """An icon of the sprite; decoration, so hidden from screen readers: name its button instead."""
        return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"></use></svg>').format(
            css_class, sprite, name
        )

    return icon


def is_partial(request: web.Request) -> bool:
    """Whether htmx will put the answer inside the page that is already there."""
    return request.headers.get("HX-Request-Type") == "partial"


def wants_rows(request: web.Request, container_id: str) -> bool:
    """Whether a list was asked for its rows alone. htmx names its target `tag#id`."""
    target = request.headers.get("HX-Target", "")
    return target.rpartition("#")[2] == container_id


def render(request: web.Request, template: str, *, status: int = 200, **context: Any) -> web.Response:
    """A page: the template says `{% extends layout %}` and fills the blocks `title` and `main`."""
    access = request.get(ACCESS)
    layout = _PARTIAL if is_partial(request) else _FULL if access is not None else _PLAIN
    return _answer(request, template, status, {**_with_frame(request, context), "layout": layout})


async def render_apart(
    request: web.Request, template: str, *, is_fragment: bool = False, status: int = 200, **context: Any
) -> web.Response:
    """A page or fragment of many rows, in a thread: while it is put together, calls go on being told."""
    make = partial(render_fragment if is_fragment else render, request, template, status=status, **context)
    return await asyncio.to_thread(make)


def render_fragment(
    request: web.Request, template: str, *, status: int = 200, **context: Any
) -> web.Response:
    """A piece of a page: rows, a form, a call window's details. The template extends nothing."""
    return _answer(request, template, status, _with_frame(request, context))


def _answer(request: web.Request, template: str, status: int, context: Mapping[str, Any]) -> web.Response:
    text = request.app[TEMPLATES].get_template(template).render(context)
    return web.Response(text=text, status=status, content_type="text/html")


def _with_frame(request: web.Request, context: Mapping[str, Any]) -> dict[str, Any]:
    """The context of a page together with what stands around it.

    Raises:
        ValueError: the page gives its own meaning to a name of the frame, which would spoil the frame.
    """
    frame = _frame(request, request.get(ACCESS))
    if clash := frame.keys() & context.keys():
        raise ValueError(f"A page may not call its own values {sorted(clash)}: the frame uses these names.")
    return {**frame, **context}


def _frame(request: web.Request, access: Access | None) -> dict[str, Any]:
    """What every template may use besides its own context."""
    return {
        "request": request,
        "access": access,
        "modules": modules_for(access) if access else (),
        "home": first_page(access) if access else "/sign-in",
        "window_keys": {**DEFAULT_KEYS, **access.keys} if access else {},
        "own_extensions": request.app[DESK].extensions_of(access.user_id) if access else (),
        **formats.local_formats(zone_of(request), request.app[SERVICES].now()),
    }


def zone_of(request: web.Request) -> ZoneInfo:
    """The time zone of whoever asks; the company's for those who chose none."""
    access = request.get(ACCESS)
    wanted = access.time_zone if access else None
    return _zone(wanted, request.app[SERVICES].time_zone)


def company_zone(request: web.Request) -> ZoneInfo:
    """The installation's time zone: for what everybody must read alike."""
    return _zone(None, request.app[SERVICES].time_zone)


@lru_cache(maxsize=256)
def _zone(wanted: str | None, default: str) -> ZoneInfo:
    try:
        return ZoneInfo(wanted or default)
    except (
        ZoneInfoNotFoundError,
        ValueError,
    ):  # a name that this machine's zone data does not know (any more)
        return ZoneInfo("UTC")


def catalogue_for(request: web.Request) -> Catalogue:
    """The language of whoever asks."""
    access = request.get(ACCESS)
    accepted = request.headers.get("Accept-Language", "")
    language = choose_language(
        access.language if access else None, accepted, request.app[SERVICES].default_language
    )
    return request.app[CATALOGUES][language]
