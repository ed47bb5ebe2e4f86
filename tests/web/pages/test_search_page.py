"""The search above every page: clients and leads in groups, within one's rights, and something new from what was typed."""

from __future__ import annotations

from tests.web.pages.office import Office
from tests.web.pages.test_lead_pages import stored


async def found(office: Office, typed: str, who: str = "agent") -> str:
    answer = await office.get(f"/search?q={typed}", who)
    assert answer.status == 200
    return await answer.text()


async def test_leads_and_clients_are_found_in_groups_within_ones_rights(office: Office) -> None:
    text = await found(office, "спросивший")
    assert "Спросивший Первый" in text
    assert f'href="/leads/{office.lead_id}"' in text
    assert "Спросивший Чужой" not in text
    contact = await found(office, "3344")
    assert f'href="/parties/{office.contact_id}"' in contact
    assert "ООО «Пример» · +7 495 120-33-44" in contact  # whose contact it is: one looked for the firm
    assert "+7 495 120-33-55" in await found(office, "1203355")
    number = (await stored(office, office.lead_id)).number
    assert f'href="/leads/{office.lead_id}"' in await found(office, f"№ {number}")
    foreign = (await stored(office, office.foreign_lead_id)).number
    assert f'href="/leads/{office.foreign_lead_id}"' not in await found(office, f"№ {foreign}")


async def test_who_may_read_neither_finds_nothing(office: Office) -> None:
    text = await found(office, "спросивший", "telephony")
    assert "Спросивший" not in text.replace('value="спросивший"', "")
    assert "found-leads" not in text


async def test_something_new_is_made_from_what_was_typed(office: Office) -> None:
    text = await found(office, "Небывалая фирма")
    assert "No lead was found." in text
    assert "organisation=%D0%9D%D0%B5%D0%B1" in text
    form = await (await office.get("/parties/new?organisation=Небывалая", "agent")).text()
    assert 'value="Небывалая"' in form
    assert "/leads/new?number=8+900+555-00-00" in await found(office, "8 900 555-00-00")
    lead = await (await office.get("/leads/new?person=Небывалый&email=a@example.org", "agent")).text()
    assert 'value="Небывалый"' in lead
    assert "at least 3 characters" in await found(office, "пр")
    assert "found-leads" not in await found(office, "")
