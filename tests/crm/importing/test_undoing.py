"""An import taken back: into the bin, restorable; what others have worked with since stays, and its row says so."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.adopting import adopt_piece
from crm.comments import add_comment
from crm.database import Database
from crm.errors import NotAllowed
from crm.importing import jobs, undoing
from crm.importing.job_info import JobInfo
from crm.importing.undoing import TOUCHED, WAS_THERE, undo_batch
from crm.parties import PartyValues, change_owner, create_party, person_values, set_kinds
from crm.party_bin import bin_parties, list_bin, restore_party
from crm.party_cards import party_card
from crm.rights import Access, Scope
from crm.schema.communications import Communication
from crm.schema.desk import CallbackCase
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.parties import Party
from cti.daemon import imports
from cti.daemon.imports import Imports
from tests.crm import planting
from tests.crm.importing.office import csv_of, imported, preview, read, rows_of
from tests.crm.people import COMMAND, make_user
from tests.crm.planting import NOON

HEADER = ("Название", "ИНН", "ФИО", "Телефон", "E-mail")
FLOWERS = ('ООО "Ромашка"', "7707083893", "Примерова Анна", "8 916 100-00-01", "anna@example.org")
CORNFLOWER = ("Василёк", "", "Примеров Борис", "89161000006", "")
BUTTERCUP = ("Лютик", "", "", "", "")


@pytest.fixture
async def admin(database: Database) -> Access:
    async with database.sessions.begin() as session:
        await session.execute(
            text("truncate import_job, imported_party, party, phone_number, email_address cascade")
        )
        return await make_user(session, ["admin"])


async def undone(database: Database, access: Access, job_id: int) -> JobInfo:
    async with database.sessions.begin() as session:
        await jobs.undo(session, access, job_id)
    await Imports(database).work()
    return await read(database, access, job_id)


async def parties_of(session: AsyncSession, call_id: UUID, case_id: int) -> list[int | None]:
    call = select(Communication.party_id).where(Communication.id == call_id)
    case = select(CallbackCase.party_id).where(CallbackCase.id == case_id)
    return [(await session.execute(query)).scalar_one() for query in (call, case)]


async def lists_of(database: Database) -> set[str]:
    async with database.sessions() as session:
        return set(await session.scalars(select(Party.display_name).where(Party.deleted_at.is_(None))))


async def test_what_nobody_touched_goes_into_the_bin_and_the_rest_stays(
    database: Database, admin: Access
) -> None:
    job = await imported(database, admin, csv_of(HEADER, FLOWERS, CORNFLOWER, BUTTERCUP))
    touched = (await rows_of(database, admin, job.id))[1].party_id
    async with database.sessions.begin() as session:
        await create_party(session, admin, person_values("Чужой"))
        await set_kinds(session, admin, touched or 0, ["supplier"])
    job = await undone(database, admin, job.id)
    assert (job.state, job.counts["undone"], job.counts["kept"]) == ("undone", 2, 1)
    assert await lists_of(database) == {"Василёк", "Чужой"}
    (kept,) = await rows_of(database, admin, job.id, "kept")
    assert [problem.why for problem in kept.problems] == [TOUCHED]
    async with database.sessions() as session:
        binned = await list_bin(session, admin)
    assert {each.name for each in binned.items} == {
        'ООО "Ромашка"',
        "Примерова Анна",
        "Примеров Борис",
        "Лютик",
    }
    again = await imported(database, admin, csv_of(HEADER, FLOWERS))
    assert again.counts["created"] == 1


async def test_what_was_undone_can_be_restored_whole(database: Database, admin: Access) -> None:
    job = await imported(database, admin, csv_of(HEADER, FLOWERS))
    await undone(database, admin, job.id)
    async with database.sessions.begin() as session:
        binned = await list_bin(session, admin)
        ids = {each.type: each.id for each in binned.items}
        for each in ("organisation", "person"):
            await restore_party(session, admin, ids[each])
        firm = await party_card(session, admin, ids["organisation"])
        person = await party_card(session, admin, ids["person"])
    assert firm.inn == "7707083893"
    assert [(contact.party_id, contact.is_primary) for contact in firm.contacts] == [(person.id, True)]
    assert [each.e164 for each in person.phones] == ["+79161000001"]
    assert [each.address for each in person.emails] == ["anna@example.org"]


async def test_the_journals_tell_of_undoing(database: Database, admin: Access) -> None:
    job = await imported(database, admin, csv_of(HEADER, BUTTERCUP))
    await undone(database, admin, job.id)
    async with database.sessions() as session:
        logged = await session.scalar(
            select(ChangeLog).where(ChangeLog.field == "deleted_at").order_by(ChangeLog.id.desc())
        )
        event = await session.scalar(select(OutboxEvent.type).order_by(OutboxEvent.id.desc()))
    assert logged is not None
    assert (logged.via, logged.request_id, logged.actor_id) == ("import", f"import-{job.id}", admin.actor_id)
    assert event == "party.binned"


async def test_a_client_of_whom_anything_speaks_stays(database: Database, admin: Access) -> None:
    job = await imported(database, admin, csv_of(HEADER, BUTTERCUP, CORNFLOWER))
    spoken_of = (await rows_of(database, admin, job.id))[0].party_id or 0
    async with database.sessions.begin() as session:
        await add_comment(session, admin, spoken_of, "Звонить по средам")
    job = await undone(database, admin, job.id)
    assert (job.counts["undone"], job.counts["kept"]) == (1, 1)
    assert await lists_of(database) == {"Лютик"}


async def test_calls_that_it_adopted_are_no_work_and_nobodys_again(database: Database, admin: Access) -> None:
    async with database.sessions.begin() as session:
        office = await planting.connection(session, "Office")
        call = await planting.past_call(session, office, "+79161000001", NOON)
        moments = {"first_missed_at": NOON, "last_missed_at": NOON, "due_at": NOON}
        case_id = await planting.add(session, CallbackCase, e164="+79161000001", line_group="none", **moments)
    job = await imported(database, admin, csv_of(HEADER, FLOWERS))
    async with database.sessions.begin() as session:
        while await adopt_piece(session, COMMAND):
            pass
        assert await parties_of(session, call, case_id) != [None, None]
    job = await undone(database, admin, job.id)
    assert (job.counts["undone"], job.counts.get("kept", 0)) == (1, 0)
    assert await lists_of(database) == set()
    async with database.sessions() as session:
        assert await parties_of(session, call, case_id) == [None, None]


@pytest.mark.parametrize("of", [{"link_source": "agent"}, {"link_source": "auto", "started_at": None}])
async def test_a_call_that_somebody_linked_or_that_came_later_is_work(
    database: Database, admin: Access, of: dict[str, Any]
) -> None:
    job = await imported(database, admin, csv_of(HEADER, CORNFLOWER))
    async with database.sessions.begin() as session:
        office = await planting.connection(session, f"Office {of}")
        called = await session.scalar(select(Party.id).where(Party.display_name == "Василёк"))
        at = datetime.now(UTC) if "started_at" in of else NOON
        link = {"party_id": called, "link_source": of["link_source"]}
        await planting.past_call(session, office, "+79161000006", at, **link)
    job = await undone(database, admin, job.id)
    assert (job.counts["kept"], await lists_of(database)) == (1, {"Василёк"})


async def test_a_client_who_was_there_is_left_alone(database: Database, admin: Access) -> None:
    async with database.sessions.begin() as session:
        values = PartyValues(type="organisation", short_name="Ромашка", inn="7707083893")
        await create_party(session, admin, values, kinds=["client"])
    job = await imported(database, admin, csv_of(HEADER, FLOWERS))
    await undone(database, admin, job.id)
    (kept,) = await rows_of(database, admin, job.id, "kept")
    assert [problem.why for problem in kept.problems] == [WAS_THERE]
    assert await lists_of(database) == {"Ромашка"}


async def test_a_client_given_to_somebody_since_stays(database: Database, admin: Access) -> None:
    job = await imported(database, admin, csv_of(HEADER, BUTTERCUP))
    async with database.sessions.begin() as session:
        other = await make_user(session)
        party_id = (await rows_of(database, admin, job.id))[0].party_id or 0
        await change_owner(session, admin, party_id, other.user_id)
    job = await undone(database, admin, job.id)
    assert (job.counts["kept"], await lists_of(database)) == (1, {"Лютик"})


async def test_only_who_may_delete_undoes(database: Database, admin: Access) -> None:
    job = await imported(database, admin, csv_of(HEADER, BUTTERCUP))
    scopes = MappingProxyType({**admin.scopes, "party.delete": Scope.NONE})
    with pytest.raises(NotAllowed):
        await undone(database, replace(admin, scopes=scopes), job.id)
    async with database.sessions.begin() as session:
        own = replace(admin, scopes=MappingProxyType({**admin.scopes, "party.delete": Scope.OWN}))
        others = await create_party(session, await make_user(session), person_values("Чужой"))
        mine = await create_party(session, admin, person_values("Свой"))
        assert await bin_parties(session, own, [others, mine]) == [mine]


async def test_undoing_tells_how_far_it_is_is_stopped_and_goes_on(
    database: Database, admin: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undoing, "UNDONE_AT_ONCE", 3)
    rows = [(f"Клиент {n}", f"8916400{n:04}") for n in range(8)]
    job = await imported(database, admin, csv_of(("Имя", "Телефон"), *rows))
    batches = 0

    async def then_stop(session: AsyncSession, access: Access, held: Any, **more: Any) -> bool:
        nonlocal batches
        batches += 1
        is_last = await undo_batch(session, access, held, **more)
        if batches == 2:
            raise ConnectionResetError  # killed in mid-batch: nothing of it is committed
        return is_last

    with monkeypatch.context() as patch:
        patch.setattr(imports, "undo_batch", then_stop)
        with pytest.raises(ConnectionResetError):
            await undone(database, admin, job.id)
    half = await read(database, admin, job.id)
    assert (half.state, half.progress, half.percent) == ("undoing", (3, 8), 37)
    async with database.sessions.begin() as session:
        await jobs.stop(session, admin, job.id)
    await Imports(database).work()
    half = await read(database, admin, job.id)
    assert (half.state, half.progress, len(await lists_of(database))) == ("undo_stopped", (3, 8), 5)
    async with database.sessions.begin() as session:
        with pytest.raises(jobs.WrongState):  # not into the import again
            await jobs.start(session, admin, job.id)
    job = await undone(database, admin, job.id)
    assert (job.state, job.counts["undone"], await lists_of(database)) == ("undone", 8, set())


async def test_each_batch_of_undoing_reads_its_own_rows_only(database: Database, admin: Access) -> None:
    job_id = await preview(database, admin, csv_of(["Название"], ["Лютик"]))
    rows = {"job": job_id, "most": 200}
    async with database.sessions.begin() as session:
        await session.execute(_MANY, {"job": job_id})
        await session.execute(text("analyze import_row"))
        for before in (2**31 - 1, 20_000, 1_000):
            await session.execute(
                text("update import_row set state = 'undone' where job_id = :job and row >= :before"),
                {"job": job_id, "before": before},
            )
            explained = await session.scalars(
                text(f"explain (analyze, timing off) {undoing._NEXT.text}"), {**rows, "before": before}
            )
            plan = "\n".join(explained)
            scans = [line for line in plan.splitlines() if "Scan" in line and "import_row" in line]
            seen = sum(int(float(found)) for line in scans for found in _ROWS.findall(line))
            assert 0 < seen <= 200, plan
            assert "Rows Removed" not in plan, plan
            assert "hashed" not in plan, plan


_ROWS = re.compile(r"actual rows=([0-9.]+)")
_MANY = text(
    """
    insert into import_row (job_id, row, state, cells)
    select :job, place, (array['created', 'updated', 'refused', 'created'])[place % 4 + 1], '[]'
    from generate_series(3, 30000) as place
    """
)
