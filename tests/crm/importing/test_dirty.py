"""Five thousand rows of a price-list-quality workbook: what can be mended is mended, every other row says what is wrong in it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from crm.database import Database
from crm.importing import jobs
from crm.importing.plans import Policy
from crm.rights import Access
from cti.daemon.imports import Imports
from tests.crm.importing.dirty import again, dirty_book, dirty_rows
from tests.crm.importing.office import read, rows_of, run, take
from tests.crm.people import make_user


@pytest.fixture
async def admin(database: Database) -> Access:
    async with database.sessions.begin() as session:
        return await make_user(session, ["admin"])


async def test_a_dirty_workbook_of_5000_rows(database: Database, admin: Access) -> None:
    made = dirty_rows()
    job_id = await take(database, admin, dirty_book([cells for cells, _ in made]))
    job = await read(database, admin, job_id)
    assert job.total_rows == len(made)  # the title, the note below it and the empty rows are none
    assert " ".join(job.columns) == " organisation inn person position phone email kind owner note"
    async with database.sessions.begin() as session:
        await jobs.set_mapping(session, admin, job_id, job.columns, Policy())
    await Imports(database).work()
    rows = await rows_of(database, admin, job_id, most=len(made))
    refused = {row.row for row in rows if row.verdict == "refused"}
    bad = {row.row for row, (_, is_good) in zip(rows, made, strict=True) if not is_good}
    assert refused == bad
    assert all(row.problems for row in rows if row.verdict == "refused")
    repeats = [row for row, (cells, _) in zip(rows, made, strict=True) if cells == again(int(cells[0]))]
    assert {row.verdict for row in repeats} == {"repeat"}
    job = await run(database, admin, job_id)
    assert (job.state, job.counts["refused"], job.counts["updated"]) == ("finished", len(bad), len(repeats))
    assert job.counts["created"] == len(made) - len(bad) - len(repeats)
    async with database.sessions() as session:
        with_kpp = await session.scalar(text("select count(*) from organisation where kpp = '770101001'"))
        two = await session.scalar(
            text(
                "select count(*) from (select from party_phone group by party_id having count(*) > 1) as those"
            )
        )
    assert with_kpp  # «ИНН / КПП» in one cell are both
    assert two
