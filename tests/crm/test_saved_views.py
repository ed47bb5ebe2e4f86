"""Saved views and columns: one's own, shared with roles, and nobody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from crm import saved_views
from crm.errors import Invalid, NotFound, Taken
from crm.saved_views import ViewContent, choose_columns, columns_of, read_view, save_view, views_for
from tests.crm.people import make_user

CONTENT = ViewContent(filters={"owner": "5", "phone": "no"}, sort="last", columns=("name", "phone"))


async def test_a_view_is_kept_whole_and_offered_to_its_owner_first(session: AsyncSession) -> None:
    vera, oleg = await make_user(session, ("manager",)), await make_user(session, ("manager",))
    shared = await save_view(session, oleg, "clients", "Аааа", CONTENT, role_codes=["manager"])
    own = await save_view(session, vera, "clients", "  Без   телефона ", CONTENT)
    views = await views_for(session, vera, "clients")
    assert [(view.id, view.name, view.is_own) for view in views] == [
        (own, "Без телефона", True),
        (shared, "Аааа", False),
    ]
    assert views[0].content == CONTENT
    assert (views[1].owner_name, views[1].role_codes) == (oleg.name, ("manager",))
    assert await views_for(session, vera, "contacts") == []


@pytest.mark.parametrize("role", ["agent", "head", "telephony", "admin"])
async def test_t11_a_view_of_another_is_not_there(session: AsyncSession, role: str) -> None:
    owner, reader = await make_user(session, ("manager",)), await make_user(session, (role,))
    own = await save_view(session, owner, "clients", "Мой", CONTENT)
    shared = await save_view(session, owner, "clients", "Наш", CONTENT, role_codes=["manager"])
    assert await views_for(session, reader, "clients") == []
    for view_id in (own, shared):
        with pytest.raises(NotFound):
            await read_view(session, reader, view_id)
    with pytest.raises(NotFound):
        await saved_views.remove_view(session, reader, own)
    if role != "admin":
        with pytest.raises(NotFound):
            await saved_views.remove_view(session, reader, shared)


async def test_who_sees_a_shared_view_cannot_change_it_but_who_manages_users_may_remove_it(
    session: AsyncSession,
) -> None:
    owner, peer = await make_user(session, ("manager",)), await make_user(session, ("manager",))
    admin = await make_user(session, ("admin",))
    view_id = await save_view(session, owner, "clients", "Наш", CONTENT, role_codes=["manager"])
    with pytest.raises(NotFound):
        await saved_views.change_view(session, peer, view_id, name="x", content=CONTENT, role_codes=[])
    other = replace(CONTENT, sort="name")
    await saved_views.change_view(session, owner, view_id, name="Иной", content=other, role_codes=[])
    changed = await read_view(session, owner, view_id)
    assert (changed.name, changed.content.sort, changed.role_codes, changed.version) == (
        "Иной",
        "name",
        (),
        2,
    )
    with pytest.raises(NotFound):
        await read_view(session, peer, view_id)
    await saved_views.change_view(session, owner, view_id, name="Иной", content=other, role_codes=["manager"])
    await saved_views.remove_view(session, admin, view_id)
    assert await views_for(session, owner, "clients") == []


async def test_what_cannot_be_saved_is_refused_in_words(session: AsyncSession) -> None:
    access = await make_user(session, ("manager",))
    await save_view(session, access, "clients", "Мой", CONTENT)
    with pytest.raises(Taken):
        await save_view(session, access, "clients", "МОЙ", CONTENT)
    for name in ("", "   ", "x" * 101):
        with pytest.raises(Invalid):
            await save_view(session, access, "clients", name, CONTENT)
    for roles in (["admin"], ["nobody"]):
        with pytest.raises(Invalid):
            await save_view(session, access, "clients", "Другой", CONTENT, role_codes=roles)
    large = ViewContent(filters={str(n): "x" for n in range(40)})
    with pytest.raises(Invalid):
        await save_view(session, access, "clients", "Большой", large)


async def test_columns_are_ones_own_and_come_back_as_usual(session: AsyncSession) -> None:
    vera, oleg = await make_user(session), await make_user(session)
    known = {"name", "phone", "owner"}
    await choose_columns(session, vera, "clients", ["phone", "name", "phone"], known)
    assert await columns_of(session, vera, "clients") == ("phone", "name")
    assert await columns_of(session, oleg, "clients") == ()
    with pytest.raises(Invalid):
        await choose_columns(session, vera, "clients", ["password_hash"], known)
    await choose_columns(session, vera, "clients", [], known)
    assert await columns_of(session, vera, "clients") == ()
