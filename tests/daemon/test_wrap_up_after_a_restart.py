"""A talk that is being wrapped up outlives the program: its window comes back to whoever wraps it up, and to nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from crm.database import Database
from crm.directory import directory
from crm.wrap_ups import finish
from cti.daemon.program import Program
from cti.daemon.settings import Settings
from tests.crm.missing import Company, caller


async def test_the_window_comes_back_and_goes_when_the_talk_is_wrapped_up(
    database: Database, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    async with database.sessions.begin() as session:
        company = await Company.found(session)
        told = company.talk(caller(91), "10:00", is_inbound=True)
        await company.tell(told)
        later = {"until": now + timedelta(minutes=1), "ended": now - timedelta(minutes=2)}
        await session.execute(text("update wrap_up set started_at = :ended, due_at = :until"), later)
    agent = company.agents[1]
    program = Program(Settings(data=tmp_path, key_file=tmp_path / "key"), database)
    async with database.sessions() as session:
        program.switchboard.set_directory(await directory(session, now))
    await program._shifts.renew()
    (view,) = program.desk.hello(agent.user_id, now).calls
    assert (view.id, view.state, view.phone) == (told.call_id, "ended", caller(91))
    assert view.answered_at is not None
    assert view.wrap_up_until == later["until"]
    assert program.desk.hello(company.agents[0].user_id, now).calls == ()
    async with database.sessions.begin() as session:
        await finish(session, agent, told.call_id, None)
    program._shifts.wrap_up_told(f"ended {agent.user_id} {told.call_id} {later['until'].isoformat()}")
    assert program.desk.hello(agent.user_id, now).calls == ()
