"""The way of a file through the pages: uploaded, its columns named, checked, imported, the refused rows fetched, undone."""

from __future__ import annotations

import csv
import io
import re

import pytest
from aiohttp import FormData
from sqlalchemy import func, select

from crm.custom_fields import add_field, edit_field, set_custom
from crm.parties import create_party, organisation_values
from crm.schema.journals import AccessLog
from crm.schema.parties import Party
from cti.daemon.imports import Imports
from tests.crm.importing.office import csv_of
from tests.crm.people import COMMAND
from tests.web.pages.office import Office

HEADER = ("Название", "ИНН", "Телефон", "Непонятное")
GOOD = ("ООО «Импортный пример»", "7707083893", "8 916 200-00-01", "x")
BAD = ("=2+2", "123", "8 916 200-00-02", "")


async def upload(
    office: Office, content: bytes, name: str = "clients.csv", who: str = "admin"
) -> tuple[int, str]:
    form = FormData()
    form.add_field("file", content, filename=name)
    answer = await office.post("/parties/imports", form, who)
    return answer.status, answer.headers.get("Location", "") or await answer.text()


async def test_a_file_goes_all_the_way_and_back(office: Office) -> None:
    status, job = await upload(office, csv_of(HEADER, GOOD, BAD))
    assert status == 303
    page = await (await office.get(job)).text()
    assert 'value="organisation" selected' in page
    assert "cp1251" in page
    columns = {f"column-{index}": field for index, field in enumerate(("organisation", "inn", "phone", ""))}
    assert (await office.post(f"{job}/columns", columns | {"known": "fill"})).status == 303
    watched = await (await office.get(f"{job}/state")).text()
    assert 'hx-trigger="every 1s"' in watched
    await Imports(office.database).work()
    page = await (await office.get(f"{job}?show=refused")).text()
    assert "INN: This INN needs 10 digits" in page
    assert "INN · 1" in page
    assert page.count("Will not get in") == 2  # on the tab and on the row
    assert "choose “import the row without the value”" in page  # the way out stands beside what is wrong
    wrong = await (await office.get(f"{job}?show=fault-inn")).text()
    assert BAD[2] in wrong
    assert GOOD[2] not in wrong
    assert (await office.post(f"{job}/start")).status == 303
    await Imports(office.database).work()
    finished = await (await office.get(job)).text()
    assert "hx-trigger" not in finished.partition('id="import-state"')[2][:200]
    refused = await (await office.get(f"{job}/refused.csv")).read()
    rows = list(csv.reader(io.StringIO(refused.decode("utf-8-sig")), delimiter=";"))
    assert rows[0] == [*HEADER, "Row", "Reason"]
    assert rows[1][:3] == ["'=2+2", "123", "8 916 200-00-02"]
    assert rows[1][4] == "3"
    assert (await office.get(f"{job}/refused.xlsx")).status == 200
    assert await found(office, GOOD[0]) == 1
    assert "The import of “clients.csv” is finished. Created: 1, not imported: 1" in await told(office)
    await office.post(f"{job}/undo")
    await Imports(office.database).work()
    assert "The import of “clients.csv” is undone. Put into the bin: 1, stay: 0" in await told(office)
    assert await found(office, GOOD[0]) == 0
    assert "Undone" in await (await office.get(job)).text()
    assert (await office.post(f"{job}/remove")).status == 303
    assert (await office.get(job)).status == 404
    assert "clients.csv" not in await told(office)


async def told(office: Office) -> str:
    """What the bell tells whoever began: they may have left the page long ago."""
    return await (await office.get("/notifications")).text()


async def found(office: Office, name: str) -> int:
    async with office.database.sessions() as session:
        listed = (Party.display_name == name, Party.deleted_at.is_(None))
        return await session.scalar(select(func.count()).where(*listed)) or 0


async def test_columns_that_make_no_sense_are_told_and_kept(office: Office) -> None:
    _, job = await upload(office, csv_of(HEADER, GOOD))
    answer = await office.post(f"{job}/columns", {"column-0": "inn", "column-1": "inn"})
    text = await answer.text()
    assert answer.status == 422
    assert "Two columns cannot both be “INN”." in text
    assert len(re.findall(r'value="inn" selected', text)) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "There is nothing in this file."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"x" * 100, "old .xls file"),
        (b"PK\x03\x04 broken", "damaged"),
    ],
)
async def test_a_file_that_is_no_table_is_refused_at_once(
    office: Office, content: bytes, reason: str
) -> None:
    status, text = await upload(office, content, "file.xlsx")
    assert status == 422
    assert reason in text


async def test_a_form_without_a_file_says_so(office: Office) -> None:
    answer = await office.post("/parties/imports", {"file": ""})
    assert answer.status == 422
    assert "Choose a file." in await answer.text()


@pytest.mark.parametrize("who", ["agent", "manager", "head", "telephony"])
async def test_only_who_may_import_does(office: Office, who: str) -> None:
    assert (await upload(office, csv_of(HEADER, GOOD), who=who))[0] == 404


@pytest.mark.parametrize(("who", "sees_others"), [("admin", True), ("head", False)])
async def test_t11_an_export_holds_what_one_may_see(office: Office, who: str, sees_others: bool) -> None:
    answer = await office.get("/parties/export.csv", who)
    text = (await answer.read()).decode("utf-8-sig")
    assert answer.status == 200
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "ООО «Пример»" in text
    assert "+7 495 120-33-44" in text
    assert ("АО «Чужое»" in text) is sees_others
    async with office.database.sessions() as session:
        last = await session.scalar(
            select(AccessLog).where(AccessLog.event == "exported").order_by(AccessLog.id.desc())
        )
    assert last is not None
    assert (last.actor_id, last.record_kind) == (office.people[who].user_id, "parties")


async def test_an_export_keeps_to_the_list_and_its_filters(office: Office) -> None:
    async def names(query: str) -> str:
        return (await (await office.get(f"/parties/export.csv?{query}")).read()).decode("utf-8-sig")

    assert "ООО «Пример»" in await names("list=counterparties&q=пример")
    assert "АО «Чужое»" not in await names("list=counterparties&q=пример")
    assert "ООО «Пример»" not in await names("list=suppliers")
    assert "АО «Чужое»" in await names(f"owner={office.people['stranger'].user_id}")


async def test_own_fields_stand_in_the_export_as_the_import_reads_them(office: Office) -> None:
    async with office.database.sessions.begin() as session:
        for key, kind in (("deposit", "number"), ("is_key", "flag"), ("agreed_on", "date"), ("gone", "text")):
            field = await add_field(session, COMMAND, key=key, name=f"Field {key}", type=kind)
        await edit_field(session, COMMAND, field.id, name=field.name, is_archived=True)
        party = await create_party(session, COMMAND, organisation_values("Own Fields"), kinds=["agent"])
        given = {"deposit": 1234.5, "is_key": False, "agreed_on": "2026-11-20"}
        await set_custom(session, COMMAND, party, given)
    sheet = (await (await office.get("/parties/export.csv?list=agents")).read()).decode("utf-8-sig")
    heading, *rows = sheet.splitlines()
    assert heading.endswith(";Field agreed_on;Field deposit;Field is_key")
    (row,) = [row for row in rows if "Own Fields" in row]
    assert row.endswith(";20.11.2026;1234.5;no")


async def test_the_journal_is_exported_as_it_is_filtered(office: Office) -> None:
    whole = (await (await office.get("/calls/export.csv")).read()).decode("utf-8-sig").splitlines()
    missed = (
        (await (await office.get("/calls/export.csv?outcome=missed")).read()).decode("utf-8-sig").splitlines()
    )
    assert (len(whole), len(missed)) == (3, 2)
    assert "Caller left" in missed[1]
    assert (await office.get("/calls/export.xlsx")).status == 200
    nothing = await office.get("/calls/export.csv?period=dates&first=01.01.2001&last=02.01.2001")
    assert (nothing.status, len((await nothing.read()).splitlines())) == (200, 1)


@pytest.mark.parametrize("path", ["/parties/export.csv", "/calls/export.xlsx"])
@pytest.mark.parametrize("who", ["agent", "manager", "telephony"])
async def test_who_may_not_export_finds_nothing(office: Office, path: str, who: str) -> None:
    assert (await office.get(path, who)).status == 404


@pytest.mark.parametrize(
    ("path", "kind", "heading"),
    [
        ("/leads/export", "leads", "First response"),
        ("/communications/export", "communications", "Summary"),
        ("/admin/users/export", "users", "Login"),
    ],
)
async def test_t20_other_lists_are_exported_too(office: Office, path: str, kind: str, heading: str) -> None:
    answer = await office.get(f"{path}.csv")
    rows = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig")), delimiter=";"))
    assert heading in rows[0]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert (await office.get(f"{path}.xlsx")).status == 200
    assert (await office.get(f"{path}.csv", "agent")).status == 404
    async with office.database.sessions() as session:
        last = await session.scalar(
            select(AccessLog.record_kind).where(AccessLog.event == "exported").order_by(AccessLog.id.desc())
        )
    assert last == kind


async def test_t11_communications_go_out_as_far_as_the_right_to_export_reaches(office: Office) -> None:
    async def rows(who: str, query: str = "") -> int:
        answer = await office.get(f"/communications/export.csv?{query}", who)
        return len((await answer.read()).decode("utf-8-sig").splitlines()) - 1

    assert await rows("admin") > 0
    assert await rows("admin", "kind=sms") == 0
    assert (
        await office.get("/admin/users/export.csv", "head")
    ).status == 404  # exports the team's records only


async def test_capitals_and_unknown_sources_are_told_and_the_rule_is_remembered(office: Office) -> None:
    header = ("Организация", "ФИО", "Телефон", "Источник")
    content = csv_of(header, ("ООО «БОЛЬШОЕ»", "КРИКУНОВ КУЗЬМА", "8 916 200-07-01", "Столб у дороги"))
    _status, job = await upload(office, content)
    rules = {
        f"column-{index}": field for index, field in enumerate(("organisation", "person", "phone", "source"))
    }
    await office.post(f"{job}/columns", rules)
    await Imports(office.database).work()
    page = await (await office.get(job)).text()
    assert "In 1 row the name of a person is written in capitals and will stay so." in page
    assert "“Столб у дороги” · 1" in page
    assert "Will be written" not in page
    await office.post(f"{job}/columns", rules | {"capitals": "people"})
    await Imports(office.database).work()
    page = await (await office.get(job)).text()
    assert "Will be written “Крикунов Кузьма”" in page
    assert "it is changed by the rules" in page
    await office.post(f"{job}/start")
    await Imports(office.database).work()
    assert await found(office, "Крикунов Кузьма") == 1
    assert await found(office, "ООО «БОЛЬШОЕ»") == 1
    assert "Take them into the directory" in await (await office.get(job)).text()
    await office.post("/admin/directories/source/join", {"word": "Столб у дороги"})
    assert "Take them into the directory" not in await (await office.get(job)).text()
    _status, again = await upload(office, content)
    assert '<option value="people" selected>' in await (await office.get(again)).text()


async def test_refused_rows_come_back_with_the_columns_and_rules_that_were_chosen(office: Office) -> None:
    header = ("Кто это", "Номер у них", "Что")
    bad = ("ООО «Возвратное»", "12", "x")
    _status, job = await upload(office, csv_of(header, bad))
    chosen = {"column-0": "organisation", "column-1": "office_phone", "column-2": "", "known": "skip"}
    await office.post(f"{job}/columns", chosen)
    await Imports(office.database).work()
    await office.post(f"{job}/start")
    await Imports(office.database).work()
    refused = await (await office.get(f"{job}/refused.csv")).read()
    _status, again = await upload(office, refused.replace(b";12;", b";8 495 200-00-12;"))
    page = await (await office.get(again)).text()
    selected = re.findall(r'value="([a-z_]*)" selected', page)
    assert selected[:3] == ["organisation", "office_phone", "skip"]
    assert "As the last time with such a file" in page
