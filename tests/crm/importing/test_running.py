"""A file becomes clients: whole firms with their contacts, nobody twice, undone without a trace."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import func, select, text

from crm.accounts import block_user
from crm.database import Database
from crm.errors import AlreadyExists, NotAllowed
from crm.importing import batches, jobs
from crm.importing.batches import check_batch, run_batch
from crm.importing.plans import Clash, Known, Policy, SameName
from crm.notifications import list_notices
from crm.numbers import NumberValues
from crm.parties import PartyValues, create_party, person_values
from crm.party_cards import party_card
from crm.rights import Access
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.parties import Party, PhoneNumber
from cti.daemon import imports
from cti.daemon.imports import Imports
from tests.crm.importing.office import csv_of, imported, preview, read, rows_of, run, take
from tests.crm.people import COMMAND, make_user
from tests.crm.test_list_orders import is_kept

HEADER = ("Название", "ИНН", "КПП", "ФИО", "Должность", "Телефон", "E-mail", "Вид", "Примечание")
FLOWERS = (
    'ООО "Ромашка"', "7707083893", "770101001", "Примерова Анна", "Закупки", "8 (916) 100-00-01; 8 495 100-00-01 доб. 12",
    "Anna@Example.org", "Клиент", "по средам",
)  # fmt: skip


@pytest.fixture
async def admin(database: Database) -> Access:
    async with database.sessions.begin() as session:
        await session.execute(text("truncate import_job, party, phone_number, email_address cascade"))
        return await make_user(session, ["admin"])


async def parties(database: Database) -> int:
    async with database.sessions() as session:
        return await session.scalar(select(func.count()).select_from(Party)) or 0


async def test_a_row_becomes_a_firm_with_its_contact(database: Database, admin: Access) -> None:
    job = await imported(database, admin, csv_of(HEADER, FLOWERS))
    assert (job.state, job.done_rows, dict(job.counts)) == ("finished", 1, {"refused": 0, "created": 1})
    (row,) = await rows_of(database, admin, job.id)
    assert row.party_id is not None
    async with database.sessions() as session:
        assert await is_kept(session)
        firm = await party_card(session, admin, row.party_id)
        (contact,) = firm.contacts
        person = await party_card(session, admin, contact.party_id)
        of_firm = (ChangeLog.record_id == str(firm.id), ChangeLog.via == "import")
        logged = set(await session.scalars(select(ChangeLog.field).where(*of_firm)))
        events = await session.scalars(
            select(OutboxEvent.type)
            .where(OutboxEvent.record_kind == "party", OutboxEvent.record_id == str(firm.id))
            .order_by(OutboxEvent.id)
        )
    assert (firm.name, firm.inn, firm.kinds[0].code, firm.note) == (
        'ООО "Ромашка"',
        "7707083893",
        "client",
        "по средам",
    )
    assert (contact.is_primary, contact.position) == (True, "Закупки")
    assert [(each.e164, each.extension, each.is_primary) for each in person.phones] == [
        ("+79161000001", "", True),
        ("+74951000001", "12", False),
    ]
    assert person.emails[0].address == "anna@example.org"
    assert {"short_name", "inn", "kinds", "contact"} <= logged
    assert list(events) == ["party.created", "party.contact_added"]


async def test_the_same_file_twice_changes_nothing(database: Database, admin: Access) -> None:
    content = csv_of(HEADER, FLOWERS, ("Без ИНН", "", "", "Примеров Борис", "", "89161000002", "", "", ""))
    await imported(database, admin, content)
    before = await parties(database)
    job = await imported(database, admin, content)
    assert (dict(job.counts), await parties(database)) == ({"refused": 0, "skipped": 2}, before)


async def test_one_person_in_two_spellings_is_created_once(database: Database, admin: Access) -> None:
    content = csv_of(("Имя", "Телефон"), ("Анна", "8 900 000-00-01"), ("Анна", "+7 (900) 000 00 01"))
    job_id = await preview(database, admin, content)
    first, second = await rows_of(database, admin, job_id)
    assert (first.verdict, second.verdict) == ("new", "repeat")
    assert second.problems[0].values == {"row": 2}
    job = await run(database, admin, job_id)
    assert dict(job.counts) == {"refused": 0, "created": 1, "skipped": 1}


async def test_several_contacts_of_one_firm_come_to_one_firm(database: Database, admin: Access) -> None:
    header = ("Компания", "Контакт", "Телефон")
    rows = [("Пример Трейд", f"Контакт {letter}", f"8916100010{n}") for n, letter in enumerate("абвг")]
    job = await imported(database, admin, csv_of(header, *rows))
    assert dict(job.counts) == {"refused": 0, "created": 1, "updated": 3}
    row = (await rows_of(database, admin, job.id))[0]
    async with database.sessions() as session:
        firm = await party_card(session, admin, row.party_id or 0)
    assert (len(firm.contacts), sum(each.is_primary for each in firm.contacts)) == (4, 1)


async def test_what_cannot_be_stored_is_told_by_row_and_word(database: Database, admin: Access) -> None:
    bad = ("Пример", "7707083890", "", "", "", "12", "no address", "Друг", "")
    job_id = await preview(database, admin, csv_of(HEADER, bad, FLOWERS))
    refused, good = await rows_of(database, admin, job_id)
    assert (refused.verdict, good.verdict) == ("refused", "new")
    assert {problem.field for problem in refused.problems} == {"inn", "phone", "email", "kind"}
    job = await run(database, admin, job_id)
    assert (job.done_rows, dict(job.counts)) == (2, {"refused": 1, "created": 1})


async def test_bad_values_can_be_left_out(database: Database, admin: Access) -> None:
    bad = ("Пример", "7707083890", "", "", "", "8 916 100 00 03", "no address", "", "")
    job = await imported(database, admin, csv_of(HEADER, bad), faulty="leave_out")
    (row,) = await rows_of(database, admin, job.id)
    assert (row.state, {problem.field for problem in row.problems}) == ("created", {"inn", "email"})


@pytest.mark.parametrize("policy", list(Known))
async def test_a_known_client_is_filled_replaced_or_left(
    database: Database, admin: Access, policy: Known
) -> None:
    values = PartyValues(type="organisation", short_name="Ромашка", inn="7707083893", city="Москва")
    async with database.sessions.begin() as session:
        known = await create_party(session, admin, values, kinds=["client"])
    header = ("Название", "ИНН", "Город", "Сайт", "Телефон")
    content = csv_of(header, ("ООО Ромашка", "7707083893", "Тверь", "example.org", "89161000004"))
    job = await imported(database, admin, content, known=policy)
    async with database.sessions() as session:
        card = await party_card(session, admin, known)
    told = (card.name, card.city, card.website, len(card.phones))
    assert (
        told
        == {
            Known.FILL: ("Ромашка", "Москва", "example.org", 1),
            Known.REPLACE: ("ООО Ромашка", "Тверь", "example.org", 1),
            Known.SKIP: ("Ромашка", "Москва", None, 0),
        }[policy]
    )
    assert job.counts.get("updated", 0) == (policy is not Known.SKIP)


@pytest.mark.parametrize("clash", list(Clash))
async def test_a_number_of_another_name_is_never_joined_silently(
    database: Database, admin: Access, clash: Clash
) -> None:
    async with database.sessions.begin() as session:
        numbers = [NumberValues(presented="+79161000005")]
        await create_party(session, admin, person_values("Примеров Борис"), numbers=numbers)
    job = await imported(
        database, admin, csv_of(("Имя", "Телефон"), ("Вера Иная", "89161000005")), clash=clash
    )
    (row,) = await rows_of(database, admin, job.id)
    async with database.sessions() as session:
        usage = await session.scalar(select(PhoneNumber.usage).where(PhoneNumber.e164 == "+79161000005"))
    expected = {Clash.REFUSE: ("refused", "direct"), Clash.SHARE: ("created", "shared")}
    assert (row.state, usage) == expected[clash]


@pytest.mark.parametrize(
    ("policy", "state"), [("skip", "skipped"), ("create", "created"), ("known", "updated")]
)
async def test_a_namesake_is_what_the_policy_says(
    database: Database, admin: Access, policy: str, state: str
) -> None:
    async with database.sessions.begin() as session:
        values = PartyValues(type="organisation", short_name="ООО «Василёк»")
        await create_party(session, admin, values, kinds=["client"])
    content = csv_of(("Название", "Город"), ("Василек", "Тверь"))
    job = await imported(database, admin, content, same_name=SameName(policy))
    (row,) = await rows_of(database, admin, job.id)
    assert row.state == state


async def test_a_stop_is_kept_between_batches_and_nothing_is_done_twice(
    database: Database, admin: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "WRITTEN_AT_ONCE", 3)
    rows = [(f"Клиент {n}", f"8916400{n:04}") for n in range(10)]
    job_id = await preview(database, admin, csv_of(("Имя", "Телефон"), *rows))
    async with database.sessions.begin() as session:
        await jobs.start(session, admin, job_id)
    worker, batches = Imports(database), 0

    async def then_stop(*arguments: Any, **more: Any) -> bool:
        nonlocal batches
        batches += 1
        if batches == 2:
            raise ConnectionResetError  # killed in mid-batch: nothing of it is committed
        return await run_batch(*arguments, **more)

    monkeypatch.setattr(imports, "run_batch", then_stop)
    with pytest.raises(ConnectionResetError):
        await worker.work()
    assert (await read(database, admin, job_id)).done_rows == 3
    async with database.sessions.begin() as session:
        await jobs.stop(session, admin, job_id)
    await Imports(database).work()
    assert (await read(database, admin, job_id)).done_rows == 3
    job = await run(database, admin, job_id)
    assert (job.state, job.done_rows, job.counts["created"]) == ("finished", 10, 10)
    assert await parties(database) == 10


async def test_a_busy_server_delays_the_check_and_costs_none_of_it(
    database: Database, admin: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHECKED_AT_ONCE", 4)
    monkeypatch.setattr(imports, "BUSY_SECONDS", 0.0)
    asked = 0

    async def sometimes_busy(*arguments: Any) -> bool:
        nonlocal asked
        asked += 1
        is_last = await check_batch(*arguments)
        if asked % 2:
            raise TimeoutError  # and what was done of the batch is rolled back
        return is_last

    monkeypatch.setattr(imports, "check_batch", sometimes_busy)
    rows = [(f"Клиент {n}", f"8916600{n:04}") for n in range(10)]
    job_id = await preview(database, admin, csv_of(("Имя", "Телефон"), *rows))
    job = await read(database, admin, job_id)
    assert (job.state, job.checked_rows, dict(job.counts)) == ("previewed", 10, {"new": 10})
    assert asked == 6  # three batches, each twice


async def test_forms_and_an_import_at_one_moment_make_nobody_twice(database: Database, admin: Access) -> None:
    rows = [(f"Клиент {n}", f"8916500{n:04}") for n in range(60)]
    job_id = await preview(database, admin, csv_of(("Имя", "Телефон"), *rows))

    async def by_form(n: int) -> None:
        async with database.sessions.begin() as session:
            with suppress(AlreadyExists):
                numbers = [NumberValues(presented=f"+7916500{n:04}")]
                await create_party(session, admin, person_values(f"Клиент {n}"), numbers=numbers)

    forms = asyncio.gather(*(by_form(n) for n in range(0, 60, 7)))
    job = await run(database, admin, job_id)
    await forms
    assert job.state == "finished"
    assert await parties(database) == 60


async def test_g07_a_blocked_user_imports_no_further(database: Database, admin: Access) -> None:
    async with database.sessions.begin() as session:
        clerk = await make_user(session, ["admin"])
    job_id = await preview(database, clerk, csv_of(("Имя", "Телефон"), ("Анна", "89161000009")))
    async with database.sessions.begin() as session:
        await jobs.start(session, clerk, job_id)
        await block_user(session, COMMAND, clerk.user_id)
    await Imports(database).work()
    job = await read(database, admin, job_id)
    assert (job.state, job.trouble) == ("stopped", imports.NO_LONGER_MAY)
    assert (await run(database, admin, job_id)).state == "finished"


async def test_the_columns_are_remembered_for_files_with_this_heading(
    database: Database, admin: Access
) -> None:
    content = csv_of(("Столбец А", "Столбец Б"), ("Пример", "8 916 100-00-77"))
    job_id = await take(database, admin, content)
    async with database.sessions.begin() as session:
        await jobs.set_mapping(session, admin, job_id, ["organisation", "phone"], Policy(known=Known.SKIP))
    again = await read(database, admin, await take(database, admin, content))
    assert (again.columns, again.policy.known) == (("organisation", "phone"), Known.SKIP)
    assert again.details["is_remembered"]


async def test_a_wider_file_without_a_heading_is_another_file(database: Database, admin: Access) -> None:
    narrow = csv_of(("ООО «Первая»", "8 916 100-00-77"), ("ООО «Вторая»", "8 916 100-00-78"))
    job_id = await take(database, admin, narrow)
    async with database.sessions.begin() as session:
        await jobs.set_mapping(session, admin, job_id, ["organisation", "phone"], Policy(known=Known.SKIP))
    wide = csv_of(*[(f"8 916 100-00-8{n}", f"office{n}@example.com", "7707083893", "ООО") for n in range(3)])
    job = await read(database, admin, await take(database, admin, wide))
    assert (job.header, job.columns[0], job.policy.known) == (("", "", "", ""), "phone", Known.FILL)
    assert not job.details["is_remembered"]


async def test_a_refused_start_leaves_everything_as_it_was(database: Database, admin: Access) -> None:
    job_id = await take(database, admin, csv_of(("Имя",), ("Анна",)))
    async with database.sessions.begin() as session:
        agent = await make_user(session)
        for act in (jobs.start, jobs.stop, jobs.undo):
            with pytest.raises(NotAllowed):
                await act(session, agent, job_id)
            with pytest.raises(jobs.WrongState):
                await act(session, admin, job_id)


async def test_whoever_began_is_told_when_the_program_stops_an_import(
    database: Database, admin: Access
) -> None:
    job_id = await preview(database, admin, csv_of(["Название"], ["ООО «Остановленное»"]))
    async with database.sessions.begin() as session:
        await jobs.start(session, admin, job_id)
    async with database.sessions.begin() as session:
        await batches.stop_for(session, job_id, imports.UNEXPECTED)
    async with database.sessions() as session:
        told = await list_notices(session, admin)
    assert [(each.kind, each.record_id, each.detail["state"]) for each in told.items] == [
        ("import", str(job_id), "stopped")
    ]
