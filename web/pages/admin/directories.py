"""Directories: kinds of parties, sources, tags, reasons, industries; their order, colours and archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from crm import directories, sources
from crm.directories import DIRECTORIES, Entry
from crm.errors import NotFound
from crm.sources import SOURCE
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS
from web.pages.admin.sections import render_section
from web.pages.answers import PageRoutes, id_in_path
from web.pages.forms import Form, filled, form_of
from web.pages.problems import FORM_ERRORS, tell
from web.pages.saving import saving

routes = PageRoutes()
_PATH = "/admin/directories"
_DIRECTORY = _PATH + r"/{directory:[a-z_]+}"
_ENTRY = _DIRECTORY + r"/{id:\d+}"
TITLES: Final[Mapping[str, str]] = {
    "kind": N_("Kinds of counterparties"),
    "source": N_("Sources"),
    "tag": N_("Tags"),
    "end_reason": N_("Reasons for an end"),
    "industry": N_("Industries"),
    "lead_reason": N_("Reasons of disqualifying"),
    "pause_reason": N_("Reasons for a pause"),
    "callback_reason": N_("Why a missed caller is closed"),
}


@routes.get(_PATH, right="directory.manage")
async def show_first(request: web.Request) -> web.Response:
    raise web.HTTPSeeOther(f"{_PATH}/{DIRECTORIES[0]}")


@routes.get(_DIRECTORY, right="directory.manage")
async def list_entries(request: web.Request) -> web.Response:
    return await _show(request, Form())


@routes.post(_DIRECTORY, right="directory.manage")
async def add_entry(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    async with saving(request, form) as session:
        await directories.add_entry(
            session,
            request[ACCESS],
            _directory(request),
            form.text("name"),
            colour=form.optional("colour"),
            code=form.text("code"),
        )
    if not form.is_good:
        return await _show(request, form)
    raise web.HTTPSeeOther(f"{_PATH}/{_directory(request)}")


@routes.get(_ENTRY, right="directory.manage")
async def show_entry(request: web.Request) -> web.Response:
    entry = await _entry(request)
    return await _show_entry(
        request, entry, filled({"name": entry.name, "colour": entry.colour, "version": entry.version})
    )


@routes.post(_ENTRY, right="directory.manage")
async def edit_entry(request: web.Request) -> web.Response:
    form = form_of((await request.post()).items())
    entry = await _entry(request)
    async with saving(request, form) as session:
        await directories.edit_entry(
            session,
            request[ACCESS],
            entry.directory,
            entry.id,
            name=form.text("name"),
            colour=form.optional("colour"),
            version=form.whole("version"),
        )
    if form.is_outdated:  # saving once more keeps what was typed
        form.values["version"] = str((await _entry(request)).version)
    if not form.is_good:
        return await _show_entry(request, entry, form)
    raise web.HTTPSeeOther(f"{_PATH}/{entry.directory}")


@routes.post(_ENTRY + "/archive", right="directory.manage")
async def archive_entry(request: web.Request) -> web.Response:
    return await _act(request, directories.archive_entry)


@routes.post(_ENTRY + "/restore", right="directory.manage")
async def restore_entry(request: web.Request) -> web.Response:
    return await _act(request, directories.restore_entry)


@routes.post(_ENTRY + "/up", right="directory.manage")
async def move_up(request: web.Request) -> web.Response:
    return await _act(request, directories.move_entry, up=True)


@routes.post(_ENTRY + "/down", right="directory.manage")
async def move_down(request: web.Request) -> web.Response:
    return await _act(request, directories.move_entry, up=False)


@routes.post(_PATH + "/source/join", right="directory.manage")
async def join_source(request: web.Request) -> web.Response:
    """A text that records have means one of the entries, or becomes an entry of its own."""
    form = form_of((await request.post()).items())
    access, word, entry_id = request[ACCESS], form.text("word"), form.whole("entry_id")
    async with saving(request, form) as session:
        if entry_id is None:
            await directories.add_entry(session, access, SOURCE, word)
        else:
            await sources.join_source(session, access, word, entry_id)
    if (
        "word" in form.problems
    ):  # the list of texts has no field; what is wrong with one is told where one is typed
        form.refuse("name", form.problems["word"])
    if not form.is_good:
        return await _show(request, form, SOURCE)
    raise web.HTTPSeeOther(f"{_PATH}/{SOURCE}")


async def _act(request: web.Request, act: Any, **how: Any) -> web.Response:
    directory = _directory(request)
    try:
        async with request.app[SESSIONS].begin() as session:
            await act(session, request[ACCESS], directory, id_in_path(request), **how)
    except FORM_ERRORS as error:
        form = Form()
        form.refuse("", tell(error))
        return await _show(request, form)
    raise web.HTTPSeeOther(f"{_PATH}/{directory}")


def _directory(request: web.Request) -> str:
    directory = request.match_info["directory"]
    if directory not in TITLES:
        raise NotFound("directory", directory)
    return directory


async def _words(request: web.Request, entry: Entry) -> tuple[str, ...]:
    """What else means this source."""
    if entry.directory != SOURCE:
        return ()
    async with request.app[SESSIONS]() as session:
        return next(each.words for each in await sources.list_sources(session) if each.id == entry.id)


async def _entry(request: web.Request) -> Entry:
    async with request.app[SESSIONS]() as session:
        entries = await directories.list_entries(session, _directory(request), with_archived=True)
    found = next((entry for entry in entries if entry.id == id_in_path(request)), None)
    if found is None:
        raise NotFound(_directory(request), id_in_path(request))
    return found


async def _show(request: web.Request, form: Form, directory: str = "") -> web.Response:
    directory = directory or _directory(request)
    async with request.app[SESSIONS]() as session:
        entries = await directories.list_entries(session, directory, with_archived=True)
        unknown = await sources.unknown_sources(session) if directory == SOURCE else []
    return render_section(
        request,
        "admin/directory.html",
        _PATH,
        status=form.status,
        directory=directory,
        titles=TITLES,
        entries=entries,
        unknown=unknown,
        form=form,
    )


async def _show_entry(request: web.Request, entry: Entry, form: Form) -> web.Response:
    return render_section(
        request,
        "admin/directory_entry.html",
        _PATH,
        status=form.status,
        entry=entry,
        words=await _words(request, entry),
        title=TITLES[entry.directory],
        form=form,
    )
