"""Asking for somebody else's card, answering that, hints while editing, «Не дубль» taken back: what the pages show and do."""

from __future__ import annotations

import re

from crm import parties
from crm.duplicate_search import search_piece
from crm.duplicates import ask_search
from tests.crm.people import COMMAND
from tests.web.pages.office import Office

ASKS = "/parties/access-requests/of/"


async def firm(office: Office, name: str, who: str) -> int:
    async with office.database.sessions.begin() as session:
        values = parties.organisation_values(name)
        return await parties.create_party(session, office.people[who], values, kinds=["client"])


async def text_of(office: Office, path: str, who: str, status: int = 200) -> str:
    response = await office.get(path, who)
    assert response.status == status, path
    return await response.text()


async def test_a_card_out_of_rights_offers_to_ask_and_so_does_one_that_is_not_there(office: Office) -> None:
    for party_id in (office.foreign_id, 987654321):
        text = await text_of(office, f"/parties/{party_id}", "manager", 404)
        assert f'hx-post="{ASKS}{party_id}"' in text
    assert ASKS not in await text_of(office, f"/parties/{office.foreign_id}", "telephony", 404)
    answers = [await office.post(f"{ASKS}{each}", {}, "manager") for each in (office.foreign_id, 987654321)]
    assert [answer.status for answer in answers] == [200, 200]
    assert await answers[0].text() == await answers[1].text()


async def test_a_refused_duplicate_offers_to_ask_for_it(office: Office) -> None:
    typed = {"mode": "quick", "organisation": "Новая", "person": "Имя", "number": "+7 812 309-20-10"}
    refused = await office.post("/parties/new", typed, "manager")
    assert refused.status == 422
    text = await refused.text()
    assert f'hx-post="{ASKS}{office.foreign_id}"' in text
    assert f'href="/parties/{office.foreign_id}"' not in text
    hints = await text_of(office, "/parties/similar?mode=organisation&short_name=Чужое", "manager")
    assert f'hx-post="{ASKS}{office.foreign_id}"' in hints


async def test_the_responsible_grants_it_in_one_press(office: Office) -> None:
    party = await firm(office, "ООО «Закрытое»", "stranger")
    assert (await office.post(f"{ASKS}{party}", {}, "agent")).status == 200
    notices = await text_of(office, "/notifications", "stranger")
    assert "Agent Example asks to read “ООО «Закрытое»”" in notices
    found = re.search(r'action="(/parties/access-requests/\d+/grant)"', notices)
    assert found
    assert "ООО «Закрытое»" in await text_of(office, "/parties/access-requests", "stranger")
    assert "ООО «Закрытое»" not in await text_of(office, "/parties/access-requests", "manager")
    assert (await office.post(found[1], {}, "manager")).status == 404
    granted = await office.post(found[1], {}, "stranger")
    assert (granted.status, granted.headers["Location"]) == (303, "/parties/access-requests")
    assert "ООО «Закрытое»" in await text_of(office, f"/parties/{party}", "agent")
    assert found[1] not in await text_of(office, "/notifications", "stranger")


async def test_editing_hints_at_others_and_never_at_itself(office: Office) -> None:
    one, other = (
        await firm(office, "Лазурит Сервис", "manager"),
        await firm(office, "Лазурит-Сервис", "manager"),
    )
    address = f"/parties/{one}/similar?short_name=Лазурит+сервис"
    assert f'href="/parties/{other}"' in await text_of(office, address, "manager")
    assert f'href="/parties/{one}"' not in await text_of(office, address, "manager")
    assert f'hx-get="/parties/{one}/similar"' in await text_of(office, f"/parties/{one}/edit", "manager")
    assert (await office.get(address, "stranger")).status == 404
    said = {"one": str(one), "other": str(other)}
    async with office.database.sessions.begin() as session:
        await ask_search(session, COMMAND)
        while await search_piece(session):
            pass
    assert (await office.post("/parties/duplicates/dismiss", said, "manager")).status == 303
    assert f'href="/parties/{other}"' not in await text_of(office, address, "manager")
    page = await text_of(office, "/parties/duplicates/dismissed", "manager")
    found = re.search(r'action="(/parties/duplicates/dismissed/\d+/withdraw)"', page)
    assert found
    assert (await office.post(found[1], {}, "stranger")).status == 404
    assert (await office.post(found[1], {}, "manager")).status == 303
    assert "Лазурит Сервис" in await text_of(office, "/parties/duplicates", "manager")
    assert f'href="/parties/{other}"' in await text_of(office, address, "manager")


async def test_a_comment_is_removed_from_the_card(office: Office) -> None:
    party = await firm(office, "ООО «Слова»", "manager")
    await office.post(f"/parties/{party}/comments", {"text": "Лишнее слово"}, "manager")
    card = await text_of(office, f"/parties/{party}", "manager")
    found = re.search(r'action="(/parties/\d+/comments/[0-9a-f-]+/remove)"', card)
    assert found
    assert (await office.post(found[1], {}, "head")).status == 404
    assert (await office.post(found[1], {}, "manager")).status == 303
    assert "Лишнее слово</p>" not in await text_of(office, f"/parties/{party}", "manager")
