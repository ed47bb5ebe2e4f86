"""A hand-over card outlives the program: whoever is rung after a restart reads what the colleague wrote before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from crm.call_actions import NewCard, new_act, write_act
from crm.database import Database
from crm.directory import directory
from cti.calls.call_events import CallRinging
from cti.calls.records import CallState
from cti.daemon.program import Program
from cti.daemon.settings import Settings
from tests.crm.missing import Company, caller


async def test_the_next_agent_reads_the_card_of_before_the_restart(
    database: Database, tmp_path: Path
) -> None:
    async with database.sessions.begin() as session:
        company = await Company.found(session)
        told = company.talk(caller(90), "10:00", is_inbound=True)
        talking = replace(told.record, state=CallState.TALKING, ended_at=None, disposition=None)
        await company.tell(msgspec.structs.replace(told, record=talking))
        new = NewCard(
            from_extension="102", to="101", reason="счёт", note="ждёт счёт до пятницы", caller=caller(90)
        )
        act = new_act(company.agents[1], told.call_id, "transfer", datetime.now(UTC), card=new)
        await write_act(session, act)
    program = Program(Settings(data=tmp_path, key_file=tmp_path / "key"), database)
    await program._go_on_with_open_calls()
    async with database.sessions() as session:
        program.switchboard.set_directory(await directory(session, datetime.now(UTC)))
    passed_on = replace(talking, state=CallState.RINGING, ringing=("101",))
    rings = CallRinging(call=passed_on, extension="101", at=datetime.now(UTC))
    program.switchboard.receive(company.pbx, [rings])
    (view,) = program.desk.hello(company.agents[0].user_id, datetime.now(UTC)).calls
    assert view.id == told.call_id
    assert view.card is not None
    assert (view.card.by, view.card.reason, view.card.note) == (
        company.agents[1].name,
        "счёт",
        "ждёт счёт до пятницы",
    )
