"""The card of a call: transfers in words, and what another connection saw of it."""

from __future__ import annotations

from sqlalchemy import update

from crm.schema.communications import Call
from tests.web.pages.office import Office


async def test_the_journal_has_it_once_and_the_cards_lead_to_one_another(office: Office) -> None:
    mirror, root = office.missed_id, office.call_id
    async with office.database.sessions.begin() as session:
        await session.execute(update(Call).where(Call.id == mirror).values(mirror_of_id=root))
    journal = await (await office.get("/calls")).text()
    assert f"/calls/{root}" in journal
    assert f"/calls/{mirror}" not in journal
    counted, seen_too = [await (await office.get(f"/calls/{id_}")).text() for id_ in (root, mirror)]
    assert f'<a href="/calls/{mirror}">' in counted
    assert f'<a href="/calls/{root}">' in seen_too


async def test_transfers_are_told_in_words_with_names(office: Office) -> None:
    card = await (await office.get(f"/calls/{office.call_id}", **{"Accept-Language": "en"})).text()
    wanted = "passes the call on to 102 without asking", "переводит звонок на 102 без разговора"
    assert any(words in card for words in wanted)
    assert f"<strong>{office.people['agent'].name} " in card
