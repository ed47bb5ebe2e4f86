"""The administration of lead schemes: made, changed and archived in the browser; a stage in use asks where its leads go."""

from __future__ import annotations

import re

from tests.web.pages.office import Office

PATH = "/admin/schemes"


async def made(office: Office, name: str, *stages: str) -> str:
    answer = await office.post(PATH, {"name": name}, "admin")
    assert answer.status == 303, await answer.text()
    address = answer.headers["Location"]
    for stage in stages:
        assert (await office.post(f"{address}/stages", {"stage_name": stage}, "admin")).status == 303
    return address


async def stage_path(office: Office, address: str, name: str) -> str:
    text = await (await office.get(address, "admin")).text()
    found = re.search(rf'<a href="({address}/stages/\d+)">(?:<svg.*?</svg>)?{name}</a>', text)
    assert found, name
    return found.group(1)


async def version_on(office: Office, address: str) -> str:
    text = await (await office.get(address, "admin")).text()
    found = re.search(r'name="version" value="(\d+)"', text)
    assert found
    return found.group(1)


async def test_only_whoever_keeps_directories_sees_schemes(office: Office) -> None:
    for role in ("agent", "manager", "head", "telephony"):
        assert (await office.get(PATH, role)).status == 404
        assert (await office.post(PATH, {"name": "Чужая"}, role)).status == 404
    assert "Lead schemes" in await (await office.get(PATH, "admin")).text()


async def test_a_scheme_is_made_and_its_stage_asks(office: Office) -> None:
    address = await made(office, "Оптовые", "Замер")
    path = await stage_path(office, address, "Замер")
    version = await version_on(office, path)
    typed = {"version": version, "name": "Замер", "colour": "#2f6fed", "sla": "1,5", "enter": "need"}
    assert (await office.post(path, typed, "admin")).status == 303
    text = await (await office.get(address, "admin")).text()
    assert "Need" in text
    assert 'value="1.5"' in await (await office.get(path, "admin")).text()
    stale = await office.post(path, typed | {"name": "Выезд"}, "admin")
    assert stale.status == 409
    assert "changed this record meanwhile" in await stale.text()
    for wrong, why in (
        ({"sla": "скоро"}, "Write the limit in hours"),
        ({"probability": "сто"}, "Write a whole number"),
        ({"colour": "синий"}, "#2f6fed"),
        ({"name": ""}, "A name has"),
    ):
        answer = await office.post(path, typed | {"version": await version_on(office, path)} | wrong, "admin")
        assert answer.status == 422
        assert why in await answer.text()
    assert (await office.post(PATH, {"name": "оптовые"}, "admin")).status == 422
    assert (await office.post(f"{address}/stages", {"stage_name": "замер"}, "admin")).status == 422


async def test_moves_are_set_and_a_matrix_is_ticked(office: Office) -> None:
    address = await made(office, "По матрице", "А", "Б")
    typed = {"version": "1", "name": "По матрице", "mode": "matrix"}
    assert (await office.post(address, typed, "admin")).status == 303
    text = await (await office.get(address, "admin")).text()
    box = re.search(r'name="(from-\d+)" value="(\d+)">', text)
    assert box
    ticked = typed | {"version": await version_on(office, address), "has_matrix": "1", box[1]: box[2]}
    assert (await office.post(address, ticked, "admin")).status == 303
    assert f'name="{box[1]}" value="{box[2]}" checked' in await (await office.get(address, "admin")).text()
    odd = await office.post(
        address, typed | {"version": await version_on(office, address), "mode": "odd"}, "admin"
    )
    assert odd.status == 422


async def test_a_stage_with_leads_asks_where_they_go(office: Office) -> None:
    address = await made(office, "С лидами", "Замер", "Смета")
    scheme_id = address.rpartition("/")[2]
    created = await office.post("/leads/new", {"person": "На замере", "scheme_id": scheme_id}, "admin")
    assert created.status == 303
    first, to = await stage_path(office, address, "New"), await stage_path(office, address, "Смета")
    refused = await office.post(f"{first}/archive", {}, "admin")
    assert refused.status == 409
    assert "Choose the stage that they move to" in await refused.text()
    moved = await office.post(f"{first}/archive", {"replaced_by": to.rpartition("/")[2]}, "admin")
    assert moved.status == 303
    card = await (await office.get(created.headers["Location"], "admin")).text()
    assert "the stage was archived" in card
    in_use = await office.post(f"{address}/archive", {}, "admin")
    assert in_use.status == 409
    assert "has open leads: 1" in await in_use.text()
    for act in ("up", "down", "restore"):
        assert (await office.post(f"{first}/{act}", {}, "admin")).status == 303


async def test_the_default_scheme_is_changed_and_cannot_be_archived(office: Office) -> None:
    address = await made(office, "Новая главная")
    assert (await office.post(f"{address}/default", {}, "admin")).status == 303
    refused = await office.post(f"{address}/archive", {}, "admin")
    assert refused.status == 409
    assert "Make another one the default first" in await refused.text()
    assert (await office.post(f"{PATH}/1/default", {}, "admin")).status == 303
    assert (await office.post(f"{address}/archive", {}, "admin")).status == 303
    assert (await office.post(f"{address}/restore", {}, "admin")).status == 303
    for nowhere in (f"{PATH}/99999", f"{address}/stages/1", f"{PATH}/1/stages/99999"):
        assert (await office.get(nowhere, "admin")).status == 404


async def test_what_is_filled_in_elsewhere_is_told_with_the_way_there(office: Office) -> None:
    address = await made(office, "С телефоном", "В работе")
    path = await stage_path(office, address, "В работе")
    typed = {"version": "1", "name": "В работе", "enter": "phone"}
    assert (await office.post(path, typed, "admin")).status == 303
    scheme_id, stage_id = address.rpartition("/")[2], path.rpartition("/")[2]
    lead = await office.post("/leads/new", {"person": "Без телефона", "scheme_id": scheme_id}, "admin")
    answer = await office.post(f"{lead.headers['Location']}/move", {"stage_id": stage_id}, "admin")
    text = await answer.text()
    assert answer.status == 422
    assert "are needed first: Phone." in text
    assert "added on the card of whom the lead is about" in text
