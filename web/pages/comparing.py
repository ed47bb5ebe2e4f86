"""Records side by side, of which one is to be made: what the pages of merging parties and leads share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from crm.errors import NotFound
from crm.merge_list import read_merge
from crm.merge_log import MOST_AT_ONCE, CannotUndo
from web.keys import ACCESS, SESSIONS
from web.pages.answers import id_in_path
from web.pages.forms import Form, form_of
from web.pages.problems import tell
from web.render import render

EMPTY: Final = "none"  # the choice that clears a field
ALL: Final = "all"  # of long texts: one under the other
_CHOOSE: Final = "choose-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a form of merging asks for. `choices`: field → whose value stands, None for nobody's."""

    form: Form
    ids: list[int]
    survivor_id: int
    merged_ids: list[int]
    choices: dict[str, int | None]


async def wish_of(request: web.Request) -> Wish:
    """Raises HTTPNotFound: the survivor is none of them."""
    posted = await request.post()
    form = form_of(posted.items())
    ids = ids_in([each for each in posted.getall("id", []) if isinstance(each, str)])
    survivor_id = form.whole("survivor") or 0
    if survivor_id not in ids:
        raise web.HTTPNotFound
    return Wish(
        form=form,
        ids=ids,
        survivor_id=survivor_id,
        merged_ids=[each for each in ids if each != survivor_id],
        choices=_choices(form, ids),
    )


def ids_in(texts: Iterable[str]) -> list[int]:
    """The ids that an address or a form names, each once, as many as can be merged at once."""
    known = dict.fromkeys(int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 19)
    return list(known)[:MOST_AT_ONCE]


def _choices(form: Form, ids: Collection[int]) -> dict[str, int | None]:
    """What was ticked; a field without a tick follows the rule of the merge."""
    numbers = {str(each): each for each in ids}
    ticked = {name.removeprefix(_CHOOSE): form.text(name) for name in form.values if name.startswith(_CHOOSE)}
    return {
        field: numbers.get(value) for field, value in ticked.items() if value in numbers or value == EMPTY
    }


def comparison(
    differing: Collection[str], survivor_id: int, preselected: Callable[[str], str], form: Form | None
) -> dict[str, Any]:
    """The fields to choose in, the survivor that is offered, and what is ticked, as the page shows them."""
    ticked = {field: preselected(field) for field in differing}
    if form:
        said = {field: form.text(_CHOOSE + field) for field in differing}
        ticked |= {field: value for field, value in said.items() if value}
        survivor_id = form.whole("survivor") or survivor_id
    return {"fields": differing, "survivor_id": survivor_id, "ticked": ticked}


@dataclass(frozen=True, slots=True, kw_only=True)
class Merging:
    """How one kind of record is merged: where its pages are, and by what they are read and undone."""

    path: str  # of a merge, without its id
    template: str
    record_kind: str
    read_card: Callable[..., Any]
    undo: Callable[..., Any]


async def show_merge(
    request: web.Request, kind: Merging, *, status: int = 200, problem: str = ""
) -> web.Response:
    """Who went into whom, and after undoing what could not go back."""
    async with request.app[SESSIONS]() as session:
        merge_id = id_in_path(request, "merge")
        info = await read_merge(session, request[ACCESS], merge_id, record_kind=kind.record_kind)
        try:
            survivor = await kind.read_card(session, request[ACCESS], info.survivor_id)
        except NotFound:  # in the bin
            survivor = None
    shown: Mapping[str, Any] = {"merge": info, "survivor": survivor, "problem_text": problem}
    return render(request, kind.template, status=status, **shown)


async def undo_merge(request: web.Request, kind: Merging) -> web.Response:
    """Make them several again; the page then tells what stays with the survivor."""
    merge_id = id_in_path(request, "merge")
    try:
        async with request.app[SESSIONS].begin() as session:
            await kind.undo(session, request[ACCESS], merge_id)
    except CannotUndo as error:
        return await show_merge(request, kind, status=409, problem=tell(error))
    raise web.HTTPSeeOther(f"{kind.path}/{merge_id}")
