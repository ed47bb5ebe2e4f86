"""A party's form in the window of a call: the card's own, with the card's rights."""

from __future__ import annotations

from tests.web.pages.office import Office, party_version


async def test_what_was_saved_is_told_by_its_new_name(office: Office) -> None:
    path = f"/parties/{office.firm_id}/edit/here"
    assert 'name="short_name"' in await (await office.get(path, "agent")).text()
    form = {
        "short_name": "Пример и сыновья",
        "kinds": "client",
        "version": str(await party_version(office.database, office.firm_id)),
    }
    saved = await office.post(path, form, "agent")
    assert saved.status == 200
    assert "Пример и сыновья" in await saved.text()


async def test_the_form_in_the_window_is_for_whoever_may_edit_the_card(office: Office) -> None:
    path = f"/parties/{office.firm_id}/edit/here"
    for who in ("stranger", "telephony"):
        assert (await office.get(path, who)).status == 404
        for sent in (path, f"{path}/drop"):
            assert (await office.post(sent, {"short_name": "Чужое", "version": "1"}, who)).status == 404
