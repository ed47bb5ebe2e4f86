"""A form that is sent twice, by a second press or by the browser itself, is carried out once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from crm.idempotency import keep_answer, take_key
from crm.rights import Access
from web.pages.forms import Form


async def once(session: AsyncSession, access: Access, form: Form, act: Callable[[], Awaitable[int]]) -> int:
    """The id that `act` gives; of the same form with the same values, the id it gave before.

    The form carries a key that it was shown with (`key`). Whoever goes back and types something else makes something else: the
    values are a part of what is compared.
    """
    key = _key(form)
    if key is None:
        return await act()
    before = await take_key(session, access, key, key.bytes)
    if before is not None:
        return int(before["id"])
    made = await act()
    await keep_answer(session, access, key, {"id": made})
    return made


def _key(form: Form) -> UUID | None:
    try:
        shown = UUID(form.text("key"))
    except ValueError:
        return None
    said = sorted((name, sorted(values)) for name, values in form.chosen.items())
    return uuid5(shown, sha256(repr(said).encode()).hexdigest())
