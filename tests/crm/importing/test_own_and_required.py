"""Fields of the company's own are columns of a file; what a kind must have is asked of every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select, text

from crm.custom_fields import add_field, edit_field, list_fields
from crm.database import Database
from crm.errors import Invalid
from crm.importing import jobs
from crm.importing.needs import WHY
from crm.importing.plans import Known, Policy
from crm.parties import PartyValues, create_party
from crm.required_fields import require_fields
from crm.rights import Access
from crm.schema.journals import ChangeLog
from crm.schema.parties import Party
from tests.crm.importing.office import csv_of, imported, preview, read, rows_of, run, take
from tests.crm.people import make_user

OWN = (
    ("region", "Регион", "choice", ("Север", "Юг")),
    ("turnover", "Оборот", "number", ()),
    ("since", "Работаем с", "date", ()),
    ("vip", "Важный", "flag", ()),
    ("hint", "Категория", "text", ()),
)
HEADER = ("Название", "ИНН", "Телефон", "Вид", "Регион", "Оборот", "Работаем с", "Важный", "Категория")
FLOWERS = ("ООО Ромашка", "7707083893", "89161000001", "Клиент", "юг", "1 234,50", "01.02.2020", "нет", "А")


@pytest.fixture
async def admin(database: Database) -> Access:
    async with database.sessions.begin() as session:
        await session.execute(
            text(
                "truncate import_job, import_mapping, party, phone_number, email_address, custom_field, required_field cascade"
            )
        )
        access = await make_user(session, ["admin"])
        for key, name, kind, options in OWN:
            await add_field(session, access, key=key, name=name, type=kind, options=options)
        return access


async def customs(database: Database) -> list[dict[str, Any]]:
    async with database.sessions() as session:
        return list(await session.scalars(select(Party.custom).order_by(Party.id)))


async def needed(database: Database, access: Access, kind: str, fields: Sequence[str]) -> None:
    async with database.sessions.begin() as session:
        await require_fields(session, access, kind, fields)


async def test_own_fields_are_guessed_by_their_names_and_stored(database: Database, admin: Access) -> None:
    job = await imported(database, admin, csv_of(HEADER, FLOWERS))
    assert job.columns[4:] == (
        "custom.region",
        "custom.turnover",
        "custom.since",
        "custom.vip",
        "custom.hint",
    )
    values = {"region": "Юг", "turnover": 1234.5, "since": "2020-02-01", "vip": False, "hint": "А"}
    assert await customs(database) == [values]


async def test_a_cell_that_is_no_value_of_its_field_is_told(database: Database, admin: Access) -> None:
    bad = ("ООО Ромашка", "", "", "", "Запад", "много", "вчера", "иногда", "")
    job_id = await preview(database, admin, csv_of(HEADER, bad))
    (row,) = await rows_of(database, admin, job_id)
    assert row.verdict == "refused"
    assert [(each.label, each.values["value"]) for each in row.problems] == [
        ("Регион", "Запад"),
        ("Оборот", "много"),
        ("Работаем с", "вчера"),
        ("Важный", "иногда"),
    ]


@pytest.mark.parametrize(("policy", "region"), [(Known.FILL, "Юг"), (Known.REPLACE, "Север")])
async def test_known_clients_get_what_they_lack_or_what_stands_in_the_file(
    database: Database, admin: Access, policy: Known, region: str
) -> None:
    await imported(database, admin, csv_of(HEADER, FLOWERS))
    more = ("ООО Ромашка", "7707083893", "", "", "Север", "", "", "", "")
    job = await imported(database, admin, csv_of(HEADER, more), known=policy)
    assert [(each["region"], each["turnover"]) for each in await customs(database)] == [(region, 1234.5)]
    async with database.sessions() as session:
        logged = await session.scalar(select(ChangeLog.new).where(ChangeLog.field == "custom.region"))
    assert (logged, job.counts.get("updated", 0)) == (("Север", 1) if policy is Known.REPLACE else (None, 0))


async def test_a_field_that_was_archived_meanwhile_refuses_its_rows(
    database: Database, admin: Access
) -> None:
    job_id = await preview(database, admin, csv_of(HEADER, FLOWERS))
    async with database.sessions.begin() as session:
        field = next(each for each in await list_fields(session) if each.key == "vip")
        await edit_field(session, admin, field.id, name=field.name, is_archived=True)
    job = await run(database, admin, job_id)
    assert dict(job.counts) == {"refused": 1}
    again = await read(database, admin, await take(database, admin, csv_of(HEADER, FLOWERS)))
    assert again.columns[7] == ""  # remembered, but no longer there
    async with database.sessions.begin() as session:
        with pytest.raises(Invalid, match="There is no field"):
            await jobs.set_mapping(session, admin, again.id, [*job.columns], Policy())


async def test_every_field_that_a_kind_needs_is_told_of_a_new_client(
    database: Database, admin: Access
) -> None:
    await needed(database, admin, "client", ["inn", "phone", "city"])
    bare = ("Василёк", "", "", "Клиент", "", "", "", "", "")
    supplier = ("Лютик", "", "", "Поставщик", "", "", "", "", "")
    job_id = await preview(database, admin, csv_of(HEADER, bare, supplier))
    refused, other = await rows_of(database, admin, job_id)
    assert [(each.field, each.why) for each in refused.problems] == [
        ("inn", WHY),
        ("phone", WHY),
        ("city", WHY),
    ]
    assert (refused.verdict, other.verdict) == ("refused", "new")
    job = await run(database, admin, job_id)
    assert dict(job.counts) == {"refused": 1, "created": 1}


async def test_the_number_of_a_contact_is_enough(database: Database, admin: Access) -> None:
    await needed(database, admin, "client", ["phone"])
    content = csv_of(("Название", "ФИО", "Телефон", "Вид"), ("Василёк", "Борис", "89161000002", "Клиент"))
    assert (await imported(database, admin, content)).counts["created"] == 1


async def test_a_known_client_is_asked_only_where_the_row_changes_it(
    database: Database, admin: Access
) -> None:
    async with database.sessions.begin() as session:
        values = PartyValues(type="organisation", short_name="Ромашка", inn="7707083893")
        await create_party(session, admin, values, kinds=["client"])
    await needed(database, admin, "client", ["city"])
    header = ("Название", "ИНН", "Телефон", "Сайт", "Город")
    only_number = ("Ромашка", "7707083893", "89161000003", "", "")
    site = ("Ромашка", "7707083893", "", "example.org", "")
    whole = ("Ромашка", "7707083893", "", "example.org", "Тверь")
    for row, outcome in ((only_number, "updated"), (site, "refused"), (whole, "updated")):
        job = await imported(database, admin, csv_of(header, row))
        assert job.counts.get(outcome) == 1, row


async def test_a_kind_that_a_file_adds_asks_for_its_fields(database: Database, admin: Access) -> None:
    async with database.sessions.begin() as session:
        values = PartyValues(type="organisation", short_name="Ромашка", inn="7707083893")
        await create_party(session, admin, values, kinds=["client"])
    await needed(database, admin, "supplier", ["city"])
    header = ("Название", "ИНН", "Вид", "Город")
    for city, outcome in (("", "refused"), ("Тверь", "updated")):
        job = await imported(database, admin, csv_of(header, ("Ромашка", "7707083893", "Поставщик", city)))
        assert job.counts.get(outcome) == 1
