"""The frame of lists: filters in the address, columns, saved views, actions on many rows."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientResponse

from crm import directories, parties
from crm.lead_intake import NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.parties import organisation_values
from crm.sources import spread_piece
from tests.crm.people import COMMAND
from tests.web.pages.office import Office


async def save(office: Office, who: str, name: str, query: str, **more: object) -> ClientResponse:
    form = {"name": name, "query": query, "columns": "name", **more}
    return await office.post("/lists/clients/views", form, who)


async def test_a_view_keeps_filters_order_and_columns_and_its_short_address_leads_to_the_whole(
    office: Office,
) -> None:
    answer = await save(office, "manager", "Без телефона", "phone=no&sort=last&evil=1")
    assert answer.status == 303
    address = answer.headers["Location"]
    said = parse_qs(urlsplit(address).query)
    assert (said["phone"], said["sort"], "evil" in said) == (["no"], ["last"], False)
    page = await (await office.get(address, "manager")).text()
    assert 'aria-current="true">Без телефона' in page
    assert "Primary contact</th>" not in page
    short = await office.get(f"/parties/clients?view={said['view'][0]}", "manager")
    assert (short.status, parse_qs(urlsplit(short.headers["Location"]).query)) == (303, said)
    again = await save(office, "manager", "без телефона", "")
    assert again.status == 422
    assert "already taken" in await again.text()
    foreign = await office.get(address, "stranger")
    assert foreign.status == 200
    assert "Без телефона" not in await foreign.text()


async def test_a_view_is_shared_changed_and_removed(office: Office) -> None:
    answer = await save(office, "agent", "Общий", "phone=yes", roles="agent")
    view = parse_qs(urlsplit(answer.headers["Location"]).query)["view"][0]
    seen = await (await office.get("/parties/clients", "stranger")).text()
    assert "Общий" in seen  # stranger is an agent, too
    for path in (f"/lists/views/{view}", f"/lists/views/{view}/remove"):
        assert (await office.post(path, {"name": "x"}, "stranger")).status == 404
        assert (await office.post(path, {"name": "x"}, "telephony")).status == 404
    changed = await office.post(f"/lists/views/{view}", {"name": "Иначе", "query": "sort=created"}, "agent")
    assert "sort=created" in changed.headers["Location"]
    assert "Общий" not in await (await office.get("/parties/clients", "stranger")).text()
    assert (await office.post(f"/lists/views/{view}/remove", {}, "agent")).status == 303
    assert (await office.get(f"/parties/clients?view={view}", "agent")).status == 200


async def test_columns_follow_the_form_and_a_made_up_one_is_refused(office: Office) -> None:
    path = "/lists/contacts/columns"
    chosen = [("columns", "city"), ("columns", "owner"), ("query", "sort=last")]
    answer = await office.post(path, chosen, "head")
    assert answer.headers["Location"] == "/parties/contacts?sort=last"
    page = await (await office.get("/parties/contacts", "head")).text()
    head = page[page.index("<thead>") : page.index("</thead>")]
    assert head.index("Name</th>") < head.index("City</th>") < head.index("Responsible</th>")
    assert "Phone</th>" not in head
    assert (await office.post(path, {"columns": "password_hash"}, "head")).status == 400
    assert (await office.post(path, {"columns": "city"}, "telephony")).status == 404
    assert (await office.post("/lists/nothing/columns", {}, "admin")).status == 404
    assert (await office.post(path, {"reset": "1"}, "head")).status == 303
    assert "Phone</th>" in await (await office.get("/parties/contacts", "head")).text()


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("", True),
        ("owner=nobody", False),
        ("phone=no", True),  # the number is the contact's
        ("phone=yes", False),
        ("silent=30", True),
        ("spoken=today", False),
        ("source=Нет+такого", False),
        ("owner=99999999999999999999&silent=x&spoken=never&first=31.02.2026", True),
    ],
)
async def test_filters_combine_and_unreadable_ones_narrow_nothing(
    office: Office, query: str, is_found: bool
) -> None:
    page = await (await office.get(f"/parties/clients?{query}", "admin")).text()
    assert ("ООО «Пример»" in page) is is_found


async def test_an_action_on_ticked_rows_and_on_all_found(office: Office) -> None:
    agent, manager = office.people["agent"], office.people["manager"]
    async with office.database.sessions.begin() as session:
        ids = [
            await parties.create_party(
                session, manager, parties.organisation_values(f"Массово {n}"), kinds=["other"]
            )
            for n in range(4)
        ]
    act = {"area": "counterparties", "query": "kind=other&q=массово", "action": "owner"}
    ticked = [("ids", str(ids[0])), ("ids", str(office.foreign_id)), *act.items()]
    answer = await office.post("/parties/mass", [*ticked, ("owner_id", str(agent.user_id))], "manager")
    assert answer.headers["Location"].endswith("done=1.0.1.0")
    page = await (await office.get(answer.headers["Location"], "manager")).text()
    assert "Changed: 1." in page
    assert "Not yours to change: 1." in page
    everything = act | {"all": "1", "action": "add_kind", "kind": "supplier"}
    answer = await office.post("/parties/mass", everything, "head")
    assert answer.headers["Location"].endswith("done=4.0.0.0")
    for wrong in ({"action": "drop"}, {"ids": ""}, {"owner_id": "999999"}):
        assert (
            await office.post("/parties/mass", act | {"ids": str(ids[0])} | wrong, "manager")
        ).status == 422
    for who in ("telephony", "agent"):
        form = act | {"ids": str(ids[0]), "owner_id": str(agent.user_id)}
        assert (await office.post("/parties/mass", form, who)).status == 404


async def test_a_row_offers_what_its_reader_may_do(office: Office) -> None:
    row = f'href="/parties/{office.firm_id}/edit"'
    assert row in await (await office.get("/parties/clients", "agent")).text()
    assert row in await (await office.get("/parties/clients", "head")).text()
    manager = await (await office.get("/parties/clients", "manager")).text()
    assert "ООО «Пример»" in manager  # read by the team, edited by its own
    assert row not in manager


async def test_a_view_that_knows_a_source_by_its_former_name_goes_on(office: Office) -> None:
    async with office.database.sessions.begin() as session:
        entry = await directories.add_entry(session, COMMAND, "source", "Яндекс")
        values = organisation_values("Пришедший из Яндекса", source="яндекс")
        party_id = await parties.create_party(session, COMMAND, values, kinds=["client"])
        new = NewLead(
            subject=SubjectValues(party_id=party_id), values=LeadValues(need="Окна", source="яндекс")
        )
        lead = await create_lead(session, COMMAND, new)
        await directories.edit_entry(session, COMMAND, "source", entry, name="Yandex Direct", colour=None)
        while await spread_piece(session):
            pass
    for path in ("/parties/clients", "/parties/export.csv"):
        assert "Пришедший из Яндекса" in await (await office.get(f"{path}?source=Яндекс", "admin")).text()
    for path in ("/leads", "/leads/board"):
        assert f"/leads/{lead.id}" in await (await office.get(f"{path}?source=Яндекс", "admin")).text()
