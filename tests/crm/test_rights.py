"""Rights: the defaults of the five roles, the narrowed query, call-time access."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotAllowed
from crm.granted_rights import DEFAULT_PERMISSIONS, RIGHTS, ROLE_CODES, area_and_action
from crm.rights import Access, Scope, access_of, command_access, condition, narrow
from crm.schema import uuid7
from crm.schema.access import AccessGrant, Permission, Role, User
from crm.schema.communications import Call, Communication, Participation
from crm.schema.parties import Party, PartyPhone, PhoneNumber
from crm.schema.telephony import PbxConnection
from crm.timeline import timeline
from tests.crm.people import make_team, make_user

NOW = datetime.now(UTC)


async def test_the_first_migration_plants_the_defaults(session: AsyncSession) -> None:
    rows = await session.execute(
        select(Role.code, Permission.area, Permission.action, Permission.scope).join(
            Permission, Permission.role_id == Role.id
        )
    )
    expected = {
        (code, *area_and_action(right), scope)
        for code, rights in DEFAULT_PERMISSIONS.items()
        for right, scope in rights.items()
    }
    assert {tuple(row) for row in rows} == expected
    assert set(DEFAULT_PERMISSIONS) == set(ROLE_CODES)


async def test_the_widest_scope_of_all_roles_wins(session: AsyncSession) -> None:
    access = await make_user(session, ("agent", "telephony"))
    assert access.scope("call.read") is Scope.ALL
    assert access.scope("call.notes") is Scope.OWN
    assert not access.may("user.manage")


async def test_an_unknown_right_is_a_mistake_of_the_program(session: AsyncSession) -> None:
    access = await make_user(session)
    with pytest.raises(LookupError, match=r"party\.raed"):
        access.may("party.raed")
    with pytest.raises(NotAllowed, match=r"user\.manage"):
        access.require("user.manage")


async def test_a_head_reaches_the_teams_below_and_a_member_does_not(session: AsyncSession) -> None:
    above = await make_team(session, "above")
    below = await make_team(session, "below", above)
    lowest = await make_team(session, "lowest", below)
    head = await make_user(session, ("head",), team_id=above, is_head=True)
    member = await make_user(session, ("manager",), team_id=above)
    assert head.team_ids == {above, below, lowest}
    assert member.team_ids == {above}


async def test_a_blocked_user_has_no_access(session: AsyncSession) -> None:
    access = await make_user(session)
    blocked = await session.get_one(User, access.user_id)
    blocked.status = "blocked"
    await session.flush()
    assert await access_of(session, access.user_id) is None


def test_a_token_is_never_stronger_than_its_owner() -> None:
    owner = Access(user_id=1, login="a", name="a", scopes={"party.read": Scope.TEAM, "party.edit": Scope.OWN})
    token = owner.restricted_to({"party.read": "all", "user.manage": "all"})
    assert token.scopes == {"party.read": Scope.TEAM}
    assert owner.restricted_to(None) is owner


@pytest.mark.parametrize(
    ("scope", "users", "teams", "expected"),
    [
        (Scope.NONE, [1], [5], False),
        (Scope.OWN, [1, None], [], True),
        (Scope.OWN, [2], [5], False),
        (Scope.TEAM, [2], [5], True),
        (Scope.TEAM, [2], [6, None], False),
        (Scope.ALL, [], [], True),
    ],
)
def test_live_events_are_judged_like_rows(
    scope: Scope, users: list[int | None], teams: list[int | None], expected: bool
) -> None:
    access = Access(user_id=1, login="a", name="a", team_ids=frozenset({5}), scopes={"live.board": scope})
    assert access.covers("live.board", users=users, teams=teams) is expected


def test_the_command_is_nobody_and_covers_no_ownerless_record_by_accident() -> None:
    access = command_access()
    assert access.actor_id is None
    assert all(access.scope(right) is Scope.ALL for right in RIGHTS)


async def party(session: AsyncSession, number: int, **columns: object) -> int:
    values = {
        "number": number,
        "type": "organisation",
        "display_name": f"Party {number}",
        "sort_name": f"party {number}",
        **columns,
    }
    return (await session.execute(insert(Party).values(values).returning(Party.id))).scalar_one()


async def readable(session: AsyncSession, access: Access, right: str = "party.read") -> set[int]:
    return set(await session.scalars(narrow(select(Party.id), access, right, Party)))


async def test_own_team_and_all_narrow_the_query(session: AsyncSession) -> None:
    team, other_team = await make_team(session, "ours"), await make_team(session, "theirs")
    agent = await make_user(session, ("agent",), team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    stranger = await make_user(session, ("agent",), team_id=other_team)
    administrator = await make_user(session, ("admin",))
    telephony = await make_user(session, ("telephony",))
    own = await party(session, 1, owner_id=agent.user_id, team_id=team)
    unassigned = await party(session, 2, created_by=agent.user_id)
    given_away = await party(session, 3, created_by=agent.user_id, owner_id=stranger.user_id)
    of_team = await party(session, 4, owner_id=manager.user_id, team_id=team)
    assert await readable(session, agent) == {own, unassigned}
    assert await readable(session, manager) == {own, of_team}
    assert await readable(session, manager, "party.edit") == {of_team}
    assert await readable(session, stranger) == {given_away}
    assert await readable(session, administrator) == {own, unassigned, given_away, of_team}
    assert await readable(session, telephony) == set()


async def test_a_record_without_owner_is_all_or_nothing() -> None:
    access = Access(user_id=1, login="a", name="a", scopes={"connection.read": Scope.OWN})
    with pytest.raises(LookupError, match="no owner"):
        condition(access, "connection.read", PbxConnection)


async def call(
    session: AsyncSession, *, e164: str, party_id: int | None = None, is_over: bool = False
) -> Call:
    connection = PbxConnection(kind="asterisk", name=f"pbx {e164}")
    session.add(connection)
    await session.flush()
    call_id = uuid7()
    session.add(Communication(id=call_id, kind="call", direction="in", started_at=NOW, party_id=party_id))
    await session.flush()
    row = Call(
        id=call_id,
        connection_id=connection.id,
        external_id="1.1",
        direction="inbound",
        state="ended" if is_over else "ringing",
        customer_e164=e164,
        started_at=NOW,
        ended_at=NOW if is_over else None,
    )
    session.add(row)
    await session.flush()
    return row


async def rings_at(session: AsyncSession, row: Call, access: Access) -> Participation:
    part = Participation(
        id=uuid7(),
        call_id=row.id,
        user_id=access.user_id,
        extension=str(access.user_id),
        attempt=1,
        came_by="ring",
        rang_at=NOW,
    )
    session.add(part)
    await session.flush()
    return part


async def owns_number(session: AsyncSession, party_id: int, e164: str) -> None:
    number = PhoneNumber(e164=e164, usage="shared")
    session.add(number)
    await session.flush()
    session.add(PartyPhone(party_id=party_id, number_id=number.id, usage="shared", presented=e164))
    await session.flush()


async def test_a_card_is_readable_while_it_rings_here_and_no_longer(session: AsyncSession) -> None:
    agent, colleague = await make_user(session), await make_user(session)
    caller = await party(session, 11)
    await owns_number(session, caller, "+79000000011")
    ringing = await call(session, e164="+79000000011")
    part = await rings_at(session, ringing, agent)
    assert await readable(session, agent) == {caller}
    assert await readable(session, agent, "party.edit") == set()
    assert await readable(session, colleague) == set()
    part.left_at = NOW
    await session.flush()
    assert await readable(session, agent) == set()


async def test_the_linked_party_is_readable_during_the_call(session: AsyncSession) -> None:
    agent = await make_user(session)
    linked = await party(session, 12)
    talking = await call(session, e164="+79000000012", party_id=linked)
    await rings_at(session, talking, agent)
    assert await readable(session, agent) == {linked}
    talking.state, talking.ended_at = "ended", NOW
    await session.flush()
    assert await readable(session, agent) == set()


async def test_a_grant_after_the_call_runs_out_by_itself(session: AsyncSession) -> None:
    agent = await make_user(session)
    caller = await party(session, 13)
    call_id = uuid7()

    grant = AccessGrant(user_id=agent.user_id, party_id=caller, reason="call", call_id=call_id, until=NOW)
    session.add(grant)
    await session.flush()
    assert await readable(session, agent) == set()
    grant.until = NOW + timedelta(hours=24)
    await session.flush()
    assert await readable(session, agent) == {caller}


async def test_a_colleagues_call_stands_on_the_card_and_does_not_open(session: AsyncSession) -> None:
    agent, colleague = await make_user(session), await make_user(session)
    client = await party(session, 16, owner_id=agent.user_id)
    mine, theirs = [
        await call(session, e164=f"+7900000001{last}", party_id=client, is_over=True) for last in (6, 7)
    ]
    await rings_at(session, mine, agent)
    await rings_at(session, theirs, colleague)
    items = (await timeline(session, agent, client)).items
    assert {item.id: item.may_open for item in items} == {mine.id: True, theirs.id: False}
    assert all(item.may_open for item in (await timeline(session, command_access(), client)).items)


async def test_telephony_reads_no_card_even_while_it_rings(session: AsyncSession) -> None:
    telephony = await make_user(session, ("telephony",))
    linked = await party(session, 14)
    await rings_at(session, await call(session, e164="+79000000014", party_id=linked), telephony)
    assert await readable(session, telephony) == set()


async def test_calls_are_own_by_taking_part(session: AsyncSession) -> None:
    team = await make_team(session, "calls")
    agent = await make_user(session, ("agent",), team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    stranger = await make_user(session)
    row = await call(session, e164="+79000000015", is_over=True)
    part = await rings_at(session, row, agent)
    part.team_id = team
    await session.flush()
    for model in (Call, Communication):
        found = {
            access.login: await session.scalar(
                narrow(select(model.id), access, "call.read", model).where(model.id == row.id)
            )
            for access in (agent, head, stranger)
        }
        assert found == {agent.login: row.id, head.login: row.id, stranger.login: None}
