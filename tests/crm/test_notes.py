"""Notes of calls: saved before the journal knows the call, with a version, read by those who took part."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Conflict, Invalid, NotAllowed, NotFound
from crm.notes import notes_of_call, own_note, save_note
from crm.rights import Access
from crm.schema import uuid7
from crm.schema.communications import Call, Communication, Participation
from tests.crm import planting
from tests.crm.people import make_user
from tests.crm.planting import NOON


async def test_a_note_may_come_before_its_call(session: AsyncSession) -> None:
    agent, call_id = await make_user(session), uuid7()
    assert await save_note(session, agent, call_id, "просила", version=0, is_present=True) == 1
    assert await save_note(session, agent, call_id, "просила договор", version=1, is_present=True) == 2
    note = await own_note(session, agent, call_id)
    assert (note.text, note.version) == ("просила договор", 2)
    assert [each.text for each in await notes_of_call(session, agent, call_id)] == ["просила договор"]


async def test_another_tab_is_told_and_nothing_is_overwritten(session: AsyncSession) -> None:
    agent, call_id = await make_user(session), uuid7()
    await save_note(session, agent, call_id, "one", version=0, is_present=True)
    assert await save_note(session, agent, call_id, "one", version=0, is_present=True) == 1
    for version in (0, 7):
        with pytest.raises(Conflict) as conflict:
            await save_note(session, agent, call_id, "two", version=version, is_present=True)
        assert conflict.value.fields == {"text": ("one", "two")}
        assert conflict.value.version == 1
    assert (await own_note(session, agent, call_id)).text == "one"


async def test_a_new_window_begins_with_an_empty_note(session: AsyncSession) -> None:
    note = await own_note(session, await make_user(session), uuid7())
    assert (note.text, note.version, note.updated_at) == ("", 0, None)


async def test_what_cannot_be_stored_is_refused(session: AsyncSession) -> None:
    agent, telephony = await make_user(session), await make_user(session, ("telephony",))
    for text in ("x" * 10_001, "\0"):
        with pytest.raises(Invalid):
            await save_note(session, agent, uuid7(), text, version=0, is_present=True)
    with pytest.raises(NotAllowed):
        await save_note(session, telephony, uuid7(), "x", version=0, is_present=True)
    with pytest.raises(NotFound):
        await save_note(session, agent, uuid7(), "x", version=0)


async def stored_call(session: AsyncSession, *agents: Access) -> Call:
    call_id = uuid7()
    connection_id = await planting.connection(session, f"pbx {call_id}")
    session.add(Communication(id=call_id, kind="call", direction="in", started_at=NOON))
    await session.flush()
    call = Call(
        id=call_id,
        connection_id=connection_id,
        external_id="1",
        direction="inbound",
        state="ended",
        started_at=NOON,
        ended_at=NOON,
    )
    session.add(call)
    await session.flush()
    for agent in agents:
        session.add(
            Participation(
                id=uuid7(),
                call_id=call_id,
                user_id=agent.user_id,
                extension=str(agent.user_id),
                attempt=1,
                came_by="ring",
            )
        )
    await session.flush()
    return call


async def test_those_who_took_part_read_each_others_notes(session: AsyncSession) -> None:
    first, second, stranger = [await make_user(session) for _ in range(3)]
    telephony = await make_user(session, ("telephony",))
    call = await stored_call(session, first, second)
    await save_note(session, first, call.id, "передала", version=0)
    await save_note(session, second, call.id, "", version=0)
    assert [note.user_name for note in await notes_of_call(session, second, call.id)] == [first.name]
    assert await notes_of_call(session, stranger, call.id) == []
    assert await notes_of_call(session, telephony, call.id) == []
    with pytest.raises(NotFound):
        await save_note(session, stranger, call.id, "x", version=0)
