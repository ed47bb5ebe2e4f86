"""How a form is saved: in one transaction, and what its writer can mend stands beside the field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Conflict
from web.keys import SESSIONS
from web.pages.forms import Form
from web.pages.problems import FORM_ERRORS, note_on


@asynccontextmanager
async def saving(request: web.Request, form: Form) -> AsyncIterator[AsyncSession]:
    """A transaction for what was typed. Ask `form.is_good` afterwards: what can be mended is noted there, not raised."""
    try:
        async with request.app[SESSIONS].begin() as session:
            yield session
    except FORM_ERRORS as error:
        note_on(form, error)
        form.is_outdated = isinstance(error, Conflict)
