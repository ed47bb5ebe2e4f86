"""Lists of tasks and of callers to call back read what they show, not what there is: counted over four thousand rows of each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.callbacks import CaseFilter, count_waiting, list_cases
from crm.database import Database, open_database
from crm.rights import Access
from crm.task_lists import TaskFilter, list_tasks
from tests.crm.people import COMMAND, make_team, make_user
from tests.database import make_copy

ROWS = 4_000
PAGE = 50
MOST_READ = 800  # a page for each way a right may reach a row, and what was left out on the way
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TASKS = """
    insert into task (number, title, state, owner_id, created_by, team_id, due_at, deadline, completed_at)
    select n, 'Task ' || n, case when n % 3 = 0 then 'done' else 'new' end, case when n % 7 = 0 then cast(:agent as bigint) else cast(:head as bigint) end,
        case when n % 5 = 0 then cast(:agent as bigint) else cast(:head as bigint) end, case when n % 2 = 0 then cast(:team as bigint) end, cast(:at as timestamptz) + n * interval '1 minute',
        cast(:at as timestamptz) + n * interval '1 minute', case when n % 3 = 0 then cast(:at as timestamptz) end
    from generate_series(1, cast(:rows as int)) n
"""
CASES = """
    insert into callback_case (e164, line_group, team_id, state, first_missed_at, last_missed_at, due_at, resolved_at, close_reason,
        taken_by_id, taken_until)
    select '+7900' || lpad(n::text, 7, '0'), 'none', case when n % 2 = 0 then cast(:team as bigint) end,
        case when n % 3 = 0 then 'closed' when n % 3 = 1 then 'open' else 'attempted' end, cast(:at as timestamptz) + n * interval '1 minute',
        cast(:at as timestamptz) + n * interval '1 minute', cast(:at as timestamptz) + (n + 20) * interval '1 minute', case when n % 3 = 0 then cast(:at as timestamptz) + (n + 30) * interval '1 minute' end,
        case when n % 3 = 0 then 'Spam' end, case when n % 11 = 0 then cast(:agent as bigint) end, case when n % 11 = 0 then cast(:at as timestamptz) end
    from generate_series(1, cast(:rows as int)) n
"""


@dataclass(frozen=True)
class Filled:
    database: Database
    agent: Access
    head: Access
    team_id: int


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def filled(database_server: str) -> AsyncIterator[Filled]:
    database = await open_database(await make_copy(database_server))
    async with database.sessions.begin() as session:
        team_id = await make_team(session, "Desk")
        agent = await make_user(session, team_id=team_id)
        head = await make_user(session, ["head"], team_id=team_id, is_head=True)
        values = {"agent": agent.user_id, "head": head.user_id, "team": team_id, "at": NOW, "rows": ROWS}
        await session.execute(text(TASKS), values)
        await session.execute(text(CASES), {name: values[name] for name in ("team", "at", "rows", "agent")})
    async with database.sessions() as session:
        await session.execute(text("analyze"))
        await session.commit()
    yield Filled(database, agent, head, team_id)
    await database.close()


Ask = Callable[[AsyncSession, Filled, Access], Awaitable[Any]]
ASKS: dict[str, Ask] = {
    **{
        f"tasks {whose} {state}": lambda session, _base, access, whose=whose, state=state: list_tasks(  # type: ignore[misc]
            session, access, TaskFilter(whose=whose, state=state), limit=PAGE
        )
        for whose in ("mine", "given", "all")
        for state in ("open", "all")
    },
    "cases that wait": lambda session, _base, access: list_cases(session, access, NOW, limit=PAGE),
    "cases of a team": lambda session, base, access: list_cases(
        session, access, NOW, CaseFilter(team_id=base.team_id), limit=PAGE
    ),
    "cases taken by me": lambda session, _base, access: list_cases(
        session, access, NOW, CaseFilter(only_mine=True), limit=PAGE
    ),
    "cases that are over": lambda session, _base, access: list_cases(
        session, access, NOW, CaseFilter(is_settled=True), limit=PAGE
    ),
    "the badge": lambda session, _base, access: count_waiting(session, access),
}


@pytest.mark.parametrize("who", ["agent", "head", "everything"])
async def test_a_page_reads_no_more_than_it_shows(filled: Filled, who: str) -> None:
    access = {"agent": filled.agent, "head": filled.head, "everything": COMMAND}[who]
    wrong = []
    for name, ask in ASKS.items():
        async with filled.database.sessions() as session:
            for statement, parameters in await statements_of(session, lambda: ask(session, filled, access)):  # noqa: B023
                connection = await session.connection()
                told = await connection.exec_driver_sql(
                    "explain (analyze, timing off, format json) " + statement, parameters
                )
                plan = told.scalar_one()
                (whole,) = json.loads(plan) if isinstance(plan, str) else plan
                read = rows_read(whole["Plan"])
                if read > MOST_READ:
                    wrong.append(f"{name} reads {read} rows")
    assert not wrong, "\n".join(wrong)


async def statements_of(session: AsyncSession, ask: Callable[[], Awaitable[Any]]) -> list[tuple[str, Any]]:
    connection = await session.connection()
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.lstrip().lower().startswith(("select", "with")):
            asked.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    await ask()
    event.remove(connection.sync_connection, "before_cursor_execute", note)
    return asked


def rows_read(node: dict[str, Any]) -> int:
    """Of tasks and cases, by the whole plan: what came out of their scans and what was thrown away there."""
    mine = 0
    if node.get("Relation Name") in ("task", "callback_case"):
        thrown = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        mine = int((node["Actual Rows"] + thrown) * node["Actual Loops"])
    return mine + sum(rows_read(child) for child in node.get("Plans", ()))
