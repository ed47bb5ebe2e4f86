"""Actions on many parties: within one's rights, in batches, told in numbers, written down like any change."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.errors import Invalid, NotAllowed, NotFound
from crm.mass_changes import BATCH, MOST_PARTIES, MassResult, change_kind_of, change_owner_of
from crm.notifications import count_unseen, list_notices
from crm.parties import create_party, organisation_values, person_values
from crm.party_kinds import kinds_of
from crm.rights import Access
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.parties import Party
from tests.crm.people import COMMAND, make_team, make_user


async def firms(session: AsyncSession, owner: Access, count: int, kind: str = "client") -> list[int]:
    return [
        await create_party(session, owner, organisation_values(f"Пример {n}"), kinds=[kind])
        for n in range(count)
    ]


async def test_t11_the_responsible_changes_within_ones_rights_and_the_rest_is_counted(
    database: Database,
) -> None:
    async with database.sessions.begin() as session:
        team, other = await make_team(session, "Ours"), await make_team(session, "Theirs")
        head = await make_user(session, ("head",), team_id=team, is_head=True)
        heir = await make_user(session, team_id=team)
        stranger = await make_user(session, team_id=other)
        ours, theirs = await firms(session, heir, BATCH + 5), await firms(session, stranger, 2)
        mine = await firms(session, head, 3)
    result = await change_owner_of(
        database.sessions, head, [*ours, *theirs, *mine, 999_999_999], heir.user_id
    )
    assert result == MassResult(changed=3, unchanged=BATCH + 5, refused=3)
    async with database.sessions() as session:
        owners = await session.execute(select(Party.owner_id).where(Party.id.in_(mine)))
        assert set(owners.scalars()) == {heir.user_id}
        assert await count_unseen(session, heir) == 1
        (notice,) = (await list_notices(session, heir)).items
        assert (notice.kind, notice.detail) == ("assigned", {"count": 3})
        changed = select(ChangeLog.field, ChangeLog.new).where(
            ChangeLog.record_id == str(mine[0]), ChangeLog.old.is_not(None)
        )
        assert ("owner_id", heir.user_id) in {tuple(row) for row in await session.execute(changed)}
        events = select(OutboxEvent.type).where(OutboxEvent.record_id == str(mine[0]))
        assert (await session.scalars(events)).all() == ["party.created", "party.changed"]


async def test_t11_nobody_gives_records_to_whom_they_may_not(database: Database) -> None:
    async with database.sessions.begin() as session:
        team, other = await make_team(session, "A"), await make_team(session, "B")
        manager = await make_user(session, ("manager",), team_id=team)
        agent = await make_user(session, team_id=team)
        stranger = await make_user(session, team_id=other)
        mine = await firms(session, manager, 1)
    with pytest.raises(NotFound):
        await change_owner_of(database.sessions, manager, mine, stranger.user_id)
    with pytest.raises(NotAllowed):
        await change_owner_of(database.sessions, agent, mine, agent.user_id)
    with pytest.raises(Invalid, match=str(MOST_PARTIES)):
        await change_owner_of(database.sessions, manager, range(MOST_PARTIES + 1), agent.user_id)
    assert (await change_owner_of(database.sessions, manager, mine, agent.user_id)).changed == 1


async def test_a_kind_begins_and_ends_and_an_organisation_keeps_its_last(database: Database) -> None:
    async with database.sessions.begin() as session:
        both, single = await firms(session, COMMAND, 2)
        person = await create_party(session, COMMAND, person_values("Примерова"), kinds=["supplier"])
    sessions, ids = database.sessions, [both, single, person]
    assert await change_kind_of(sessions, COMMAND, [both, person], "supplier", is_added=True) == MassResult(
        changed=1, unchanged=1
    )
    assert await change_kind_of(sessions, COMMAND, ids, "client", is_added=False) == MassResult(
        changed=1, unchanged=1, kept=1
    )
    assert await change_kind_of(sessions, COMMAND, ids, "supplier", is_added=False) == MassResult(
        changed=1, unchanged=1, kept=1
    )
    async with sessions() as session:
        kinds = await kinds_of(session, ids)
    active = {id_: [kind.code for kind in kinds[id_] if kind.until is None] for id_ in ids}
    assert active == {both: ["supplier"], single: ["client"], person: []}
    with pytest.raises(Invalid):
        await change_kind_of(sessions, COMMAND, ids, "enemy", is_added=True)
