"""Drafts of forms: kept as one types, shown again on return, thrown away on request; every form says once whose draft it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from multidict import MultiDictProxy
from sqlalchemy.ext.asyncio import AsyncSession

from crm import drafts
from crm.drafts import StoredDraft
from crm.errors import Invalid
from crm.rights import Access
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes
from web.pages.forms import MOST_CHARACTERS, Form, form_of
from web.pages.problems import tell
from web.routes import RouteKind

Record = Callable[[web.Request, Form], Awaitable[str]]  # refuses whoever may not fill the form in
Posted = MultiDictProxy[str | bytes | bytearray | web.FileField]
_MOST: Final = MOST_CHARACTERS * 10


def keep_drafts(
    routes: PageRoutes,
    path: str,
    name: str,
    *,
    right: str,
    record: Record,
    back: Callable[[str, Form], str],
) -> None:
    """Routes `PATH/draft`, where the page sends what is typed, and `PATH/draft/drop`, which leads back to the form.

    Args:
        name: of the form, as drafts are kept under.
        record: what of it is filled in: one's draft of each is another.
        back: the form's address, by that record and what was typed.
    """

    @routes.post(f"{path}/draft", right=right, kind=RouteKind.FRAGMENT)
    async def keep(request: web.Request) -> web.Response:
        posted = await request.post()
        of = await record(request, form_of(posted.items()))
        try:
            async with request.app[SESSIONS].begin() as session:
                await drafts.keep_draft(session, request[ACCESS], name, of, _fields(posted))
        except Invalid as error:
            raise web.HTTPUnprocessableEntity(text=tell(error)) from error
        return web.Response(status=204)

    @routes.post(f"{path}/draft/drop", right=right)
    async def drop(request: web.Request) -> web.Response:
        form = form_of((await request.post()).items())
        of = await record(request, form)
        async with request.app[SESSIONS].begin() as session:
            await drafts.drop_draft(session, request[ACCESS], name, of)
        raise web.HTTPSeeOther(back(of, form))


def _fields(posted: Posted) -> dict[str, list[str]]:
    return {
        name: [value[:_MOST] for value in posted.getall(name) if isinstance(value, str)] for name in posted
    }


async def the_only(_request: web.Request, _form: Form) -> str:
    """The record of a form that there is one of."""
    return ""


async def restored(
    session: AsyncSession, access: Access, form: Form, name: str, record: str
) -> StoredDraft | None:
    """Put what was left in a form back into it; None if nothing was."""
    draft = await drafts.draft_of(session, access, name, record)
    if draft is not None:
        form.values.clear()
        form.chosen.clear()
        for field, values in draft.fields.items():
            form.values[field] = values[-1] if values else ""
            form.chosen[field] = frozenset(values)
    return draft
