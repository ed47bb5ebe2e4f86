"""The journals within one's rights: by record, user, event and period; pages without gaps; each query by its index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import log_access
from crm.errors import Invalid, NotAllowed, NotFound
from crm.journals_read import JournalFilter, list_accesses, list_changes, readable_actors
from crm.parties import change_owner, create_party, organisation_values
from crm.rights import Access
from tests.crm.people import COMMAND, make_team, make_user

EVERYTHING = JournalFilter()


async def firm(session: AsyncSession, access: Access, name: str = "Invented Ltd") -> int:
    return await create_party(session, access, organisation_values(name), kinds=["client"])


def of(kind: str, record: object) -> JournalFilter:
    return JournalFilter(record_kind=kind, record_id=str(record))


async def test_one_reads_ones_own_acts_ones_teams_or_all(session: AsyncSession) -> None:
    team = await make_team(session, "Sales")
    agent = await make_user(session, team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    stranger = await make_user(session)
    administrator = await make_user(session, ("admin",))
    for access in (agent, head, stranger):
        await firm(session, access)
    actors = {
        reader.login: {
            row.actor_id for row in (await list_changes(session, reader, EVERYTHING, limit=200)).items
        }
        for reader in (agent, head, stranger, administrator)
    }
    assert actors[agent.login] == {agent.user_id}
    assert actors[head.login] == {agent.user_id, head.user_id}
    assert actors[stranger.login] == {stranger.user_id}
    assert actors[administrator.login] >= {agent.user_id, head.user_id, stranger.user_id, None}
    assert [user_id for user_id, _ in await readable_actors(session, agent)] == [agent.user_id]
    foreign = JournalFilter(actor_id=stranger.user_id)
    assert (await list_changes(session, head, foreign)).items == ()
    nobody = Access(user_id=agent.user_id, login="x", name="x")
    for read in (list_changes(session, nobody, EVERYTHING), list_accesses(session, nobody, EVERYTHING)):
        with pytest.raises(NotAllowed):
            await read


async def test_of_a_client_one_may_read_everybodys_changes_are_told(session: AsyncSession) -> None:
    agent, colleague = await make_user(session), await make_user(session)
    party = await firm(session, colleague)
    with pytest.raises(NotFound):
        await list_changes(session, agent, of("party", party))
    await change_owner(session, COMMAND, party, agent.user_id)
    found = await list_changes(session, agent, of("party", party))
    assert {row.actor_id for row in found.items} == {colleague.user_id, None}
    assert {row.record_name for row in found.items} == {"Invented Ltd"}
    # Whoever made it still reads that they did, but no longer what stands there.
    gone = await list_changes(session, colleague, EVERYTHING)
    assert {row.is_hidden for row in gone.items} == {True}
    assert {(row.old, row.new, row.record_name) for row in gone.items} == {(None, None, None)}
    for wrong in ("x", "1e3", "٣", "9" * 30, "-1"):
        with pytest.raises(NotFound):
            await list_changes(session, agent, of("party", wrong))


async def test_telephony_follows_what_others_set_up_and_no_clients(session: AsyncSession) -> None:
    telephony, agent = await make_user(session, ("telephony",)), await make_user(session)
    row = "insert into change_log (record_kind, record_id, field, via) values (:kind, '1', 'name', 'form')"
    for kind in ("connection", "user"):
        await session.execute(text(row), {"kind": kind})
    assert len((await list_changes(session, telephony, JournalFilter(record_kind="connection"))).items) == 1
    assert (await list_changes(session, telephony, JournalFilter(record_kind="user"))).items == ()
    assert (await list_changes(session, agent, JournalFilter(record_kind="connection"))).items == ()
    with pytest.raises(NotFound):
        await list_changes(session, telephony, of("party", await firm(session, agent)))


async def test_pages_have_neither_gaps_nor_repeats(session: AsyncSession) -> None:
    agent = await make_user(session)
    for number in range(4):
        await firm(session, agent, f"Invented {number}")
    for reader in (agent, COMMAND):
        mine = JournalFilter(actor_id=agent.user_id)
        whole = [row.id for row in (await list_changes(session, reader, mine, limit=200)).items]
        paged: list[int] = []
        cursor: str | None = None
        while cursor is not None or not paged:
            page = await list_changes(session, reader, mine, cursor=cursor, limit=3)
            paged += [row.id for row in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert paged == whole
        assert whole == sorted(whole, reverse=True)
        with pytest.raises(Invalid):
            await list_changes(session, reader, mine, cursor="rubbish")


async def test_accesses_by_event_user_and_period(session: AsyncSession) -> None:
    agent, other = await make_user(session), await make_user(session)
    await log_access(session, "sign_in", agent, from_address="192.0.2.1")
    await log_access(session, "sign_in", other)
    await log_access(session, "sign_in_refused", None, login="whoever")
    found = await list_accesses(session, COMMAND, JournalFilter(event="sign_in"))
    assert {row.actor_id for row in found.items} == {agent.user_id, other.user_id}
    refused = await list_accesses(session, COMMAND, JournalFilter(event="sign_in_refused"))
    assert [(row.actor_id, row.login) for row in refused.items] == [(None, "whoever")]
    assert {row.actor_id for row in (await list_accesses(session, agent, EVERYTHING)).items} == {
        agent.user_id
    }
    now = datetime.now(UTC)
    past = JournalFilter(event="sign_in", until=now - timedelta(days=1))
    assert (await list_accesses(session, COMMAND, past)).items == ()
    today = JournalFilter(event="sign_in", since=now - timedelta(hours=1), until=now + timedelta(hours=1))
    assert len((await list_accesses(session, COMMAND, today)).items) == 2


@pytest.mark.parametrize(("kind", "index"), [("user", "ix_change_log_kind"), ("party", "ix_change_log_at")])
async def test_changes_of_a_kind_are_found_without_reading_all(
    session: AsyncSession, kind: str, index: str
) -> None:
    rows = """
        insert into change_log (record_kind, record_id, field, via)
        select case when n % 1000 = 0 then 'user' else 'party' end, n::text, 'name', 'form'
        from generate_series(1, 5000) n
    """
    await session.execute(text(rows))
    await session.execute(text("analyze change_log"))
    connection = await session.connection()
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    found = await list_changes(session, COMMAND, JournalFilter(record_kind=kind), limit=4)
    assert {each.record_kind for each in found.items} == {kind}
    event.remove(connection.sync_connection, "before_cursor_execute", note)
    (statement, parameters), *_ = [each for each in asked if "change_log.record_kind = " in each[0]]
    plan = "\n".join((await connection.exec_driver_sql("explain " + statement, parameters)).scalars())
    assert f"using {index}" in plan, plan
