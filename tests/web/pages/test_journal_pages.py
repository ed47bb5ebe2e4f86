"""The pages of the journals: within rights, filtered by their address, and no text of others is ever markup."""

from __future__ import annotations

from sqlalchemy import text

from tests.web.pages.office import Office


async def test_changes_of_a_client_are_told_to_whoever_may_read_it(office: Office) -> None:
    path = f"/admin/changes?kind=party&id={office.firm_id}"
    page = await (await office.get(path, "agent")).text()
    assert "ООО «Пример»" in page
    assert "Agent Example" in page
    assert "by a form" in page
    assert (await office.get(f"/admin/changes?kind=party&id={office.foreign_id}", "agent")).status == 404
    assert "АО «Чужое»" not in await (await office.get("/admin/changes", "agent")).text()
    foreign = await office.get(f"/admin/changes?kind=party&id={office.foreign_id}", "admin")
    assert "АО «Чужое»" in await foreign.text()
    link = f"/admin/changes?kind=party&amp;id={office.firm_id}"
    assert link in await (await office.get(f"/parties/{office.firm_id}", "agent")).text()


async def test_filters_come_from_the_address_and_rubbish_is_none(office: Office) -> None:
    for path in ("/admin/changes", "/admin/access"):
        assert (await office.get(f"{path}?after=rubbish")).status == 400
        for query in ("kind=drop+table&id=1", "user=x&event=y", "kind=user&id=%00", "period=dates&first=x"):
            assert (await office.get(f"{path}?{query}")).status == 200, (path, query)
        rows = await (await office.get(path, **{"HX-Target": f"tbody#{path[7:-1]}-rows"})).text()
        assert "<h1" in rows or "<tr" in rows
    rows = await (await office.get("/admin/changes", **{"HX-Target": "tbody#change-rows"})).text()
    assert "<html" not in rows
    assert "Nothing fits" in await (await office.get("/admin/changes?kind=role")).text()


async def test_t13_what_was_stored_is_shown_as_text(office: Office) -> None:
    async with office.database.sessions.begin() as session:
        await session.execute(
            text(
                "insert into change_log (record_kind, record_id, field, old, new, via) "
                """values ('<i>kind', '<i>id', '<i>field', '"<i>old"', '{"<i>": "%(new)s"}', '<i>via')"""
            )
        )
        await session.execute(
            text(
                "insert into access_log (event, login, detail) values ('<i>event', '<i>login', '{\"<i>\": 1}')"
            )
        )
    for path in ("/admin/changes", "/admin/access"):
        page = await (await office.get(path)).text()
        assert "&lt;i&gt;" in page
        assert "<i>" not in page
