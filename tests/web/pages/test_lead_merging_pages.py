"""Leads merged side by side in the browser and undone; comments, history and likely doubles on the card of a lead."""

from __future__ import annotations

import re

from tests.web.pages.office import Office
from tests.web.pages.test_lead_pages import stored


async def two(office: Office, who: str = "manager") -> tuple[int, int]:
    """Two open leads about one party."""
    first = await office.post("/leads/new", {"person": "Дважды", "need": "Окна"}, who)
    assert first.status == 303
    first_id = int(first.headers["Location"].rpartition("/")[2])
    party = (await stored(office, first_id)).subject_party_id
    typed = {"party_id": str(party), "need": "Двери", "title": "Вход", "is_further": "1"}
    second = await office.post("/leads/new", typed, who)
    assert second.status == 303, await second.text()
    return first_id, int(second.headers["Location"].rpartition("/")[2])


async def test_two_leads_are_merged_side_by_side_and_apart_again(office: Office) -> None:
    first, second = await two(office)
    card = await (await office.get(f"/leads/{first}", "manager")).text()
    assert "Perhaps the same enquiry" in card
    assert f"/leads/merge?id={first}&amp;id={second}" in card
    page = await (await office.get(f"/leads/merge?id={first}&id={second}", "manager")).text()
    assert f'name="survivor" value="{first}" checked' in page
    assert 'name="choose-need" value="all" checked' in page
    form = {"id": [str(first), str(second)], "survivor": str(first), "choose-need": "all"}
    merged = await office.post("/leads/merge", form, "manager")
    assert merged.status == 303, await merged.text()
    done = merged.headers["Location"]
    assert (await stored(office, first)).need == "Окна\n\nДвери"
    moved = await office.get(f"/leads/{second}", "manager")
    assert (moved.status, moved.headers["Location"]) == (301, f"/leads/{first}")
    assert "Merged with" in await (await office.get(f"/leads/{first}", "manager")).text()
    number = (await stored(office, second)).number
    found = await (await office.get(f"/search?q=№ {number}", "manager")).text()
    assert f"Lead No. {number} was merged into this one" in found
    assert (await office.post(f"{done}/undo", {}, "manager")).status == 303
    assert "Everything went back" in await (await office.get(done, "manager")).text()
    assert (await office.post(f"{done}/undo", {}, "manager")).status == 409
    assert (await stored(office, second)).state == "open"


async def test_merging_is_refused_to_others_and_of_what_is_over(office: Office) -> None:
    first, second = await two(office)
    assert (await office.get(f"/leads/merge?id={first}&id={second}", "agent")).status == 404
    assert (await office.get(f"/leads/merge?id={office.foreign_lead_id}", "manager")).status == 404
    assert (await office.get(f"/leads/merge?id={office.ended_lead_id}", "admin")).status == 409
    form = {"id": [str(first), str(second)], "survivor": "1"}
    assert (await office.post("/leads/merge", form, "manager")).status == 404
    found = await (await office.get(f"/leads/merge?id={first}&q=Дважды", "manager")).text()
    assert f"/leads/merge?id={second}&amp;id={first}" in found
    assert "No open lead was found." in await (await office.get("/leads/merge?q=небывалый", "manager")).text()
    assert (await office.get("/leads/merges/99999", "manager")).status == 404


async def test_comments_and_history_stand_in_the_timeline_of_a_lead(office: Office) -> None:
    address = f"/leads/{office.lead_id}"
    said = await office.post(
        f"{address}/comments", {"text": "@manager.login @admin.login ждёт звонка"}, "agent"
    )
    assert said.status == 303
    assert (await office.post(f"{address}/comments", {"text": " "}, "agent")).status == 422
    assert (await office.post(f"{address}/edit", {"title": "Десять окон"}, "agent")).status == 303
    card = await (await office.get(address, "agent")).text()
    assert "ждёт звонка" in card
    assert "Десять окон" in card
    assert "The card was changed" in card
    path = re.search(rf'action="({address}/comments/[0-9a-f-]+)/pin"', card)
    assert path
    assert (await office.post(f"{path[1]}/pin", {"pinned": "1"}, "agent")).status == 303
    assert (await office.post(f"{path[1]}", {"text": "Иначе", "version": "1"}, "agent")).status == 303
    assert "Иначе" in await (await office.get(address, "agent")).text()
    other = path[1].replace(address, f"/leads/{office.ended_lead_id}")
    assert (await office.post(f"{other}/remove", {}, "agent")).status == 404
    assert (await office.post(f"{path[1]}/remove", {}, "admin")).status == 404
    assert (await office.post(f"{path[1]}/remove", {}, "agent")).status == 303
    assert "Иначе" not in await (await office.get(address, "agent")).text()
    notices = await (await office.get("/notifications", "admin")).text()
    assert "ждёт звонка" in notices
    assert "ждёт звонка" not in await (await office.get("/notifications", "manager")).text()
