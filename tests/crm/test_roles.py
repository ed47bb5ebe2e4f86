"""Roles: copied, changed, restored, removed; the administrator's stays; whoever holds a changed one is told at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm import accounts, roles
from crm.accounts import set_roles
from crm.by_hand import CommunicationValues, log_communication
from crm.communication_bin import bin_communication
from crm.communications import count_communications
from crm.errors import Conflict, Invalid, NotAllowed, NotFound, Taken
from crm.granted_rights import DEFAULT_PERMISSIONS, RIGHTS, SCOPED_RIGHTS
from crm.rights import Scope, access_of
from crm.roles import RoleInfo
from crm.schema.journals import AccessLog, ChangeLog
from crm.sight import sight_of
from crm.task_lists import TaskFilter, count_tasks
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task
from tests.crm import planting
from tests.crm.enquiries import make_lead
from tests.crm.people import COMMAND, make_team, make_user
from tests.crm.planting import NOON


async def named(session: AsyncSession, code: str) -> RoleInfo:
    return next(role for role in await roles.list_roles(session, COMMAND) if role.code == code)


def told(role: RoleInfo) -> dict[str, str]:
    return {right: scope.name.lower() for right, scope in role.scopes.items()}


async def test_every_role_is_listed_with_what_it_grants(session: AsyncSession) -> None:
    await make_user(session, ("agent",))
    listed = {role.code: role for role in await roles.list_roles(session, COMMAND)}
    assert {code: told(role) for code, role in listed.items()} == DEFAULT_PERMISSIONS
    assert listed["agent"].users == 1
    assert [role.code for role in listed.values() if role.is_fixed] == ["admin"]


async def test_a_copy_begins_with_the_same_rights_and_goes_its_own_way(session: AsyncSession) -> None:
    agent = await named(session, "agent")
    copy_id = await roles.copy_role(session, COMMAND, agent.id, "  Night   shift ")
    copy = await roles.role(session, COMMAND, copy_id)
    assert (copy.code, copy.name, copy.is_system) == ("own1", "Night shift", False)
    assert copy.scopes == agent.scopes
    wider = {**told(copy), "party.read": "all", "export": "all", "party.edit": "none"}
    await roles.edit_role(session, COMMAND, copy_id, version=1, name="Nights", scopes=wider)
    changed = await roles.role(session, COMMAND, copy_id)
    assert (changed.name, changed.version) == ("Nights", 2)
    assert changed.scopes["export"] is Scope.ALL
    assert "party.edit" not in changed.scopes
    assert (await named(session, "agent")).scopes == agent.scopes
    with pytest.raises(Taken, match="NIGHTS"):
        await roles.copy_role(session, COMMAND, agent.id, "NIGHTS")


async def test_g07_a_changed_role_holds_at_once_and_leaves_its_rows(session: AsyncSession) -> None:
    manager = await named(session, "manager")
    holder = await make_user(session, ("manager",))
    narrower = {**told(manager), "party.read": "own"}
    await roles.edit_role(session, COMMAND, manager.id, version=manager.version, name="x", scopes=narrower)
    access = await access_of(session, holder.user_id)
    assert access is not None
    assert access.scope("party.read") is Scope.OWN
    fields = await session.scalars(select(ChangeLog.field).where(ChangeLog.record_kind == "role"))
    assert list(fields)[-1] == "party.read"
    event = await session.scalar(select(AccessLog.event).order_by(AccessLog.id.desc()).limit(1))
    assert event == "role_changed"


async def test_a_system_role_keeps_its_name_and_can_be_restored(session: AsyncSession) -> None:
    head = await named(session, "head")
    await roles.edit_role(session, COMMAND, head.id, version=1, name="Boss", scopes={"party.read": "all"})
    changed = await named(session, "head")
    assert (changed.name, told(changed)) == (head.name, {"party.read": "all"})
    await roles.restore_role(session, COMMAND, head.id)
    assert told(await named(session, "head")) == DEFAULT_PERMISSIONS["head"]


async def test_the_administrators_role_is_what_it_is(session: AsyncSession) -> None:
    admin = await named(session, "admin")
    with pytest.raises(Invalid, match="stays so"):
        await roles.edit_role(session, COMMAND, admin.id, version=1, name="x", scopes={})
    with pytest.raises(Invalid, match="stays"):
        await roles.remove_role(session, COMMAND, admin.id)
    await roles.restore_role(session, COMMAND, admin.id)
    assert told(await named(session, "admin")) == dict.fromkeys(RIGHTS, "all")


async def test_a_role_that_somebody_holds_stays(session: AsyncSession) -> None:
    agent = await named(session, "agent")
    copy_id = await roles.copy_role(session, COMMAND, agent.id, "Trainee")
    code = (await roles.role(session, COMMAND, copy_id)).code
    user = await make_user(session, ("agent", code))
    with pytest.raises(Invalid, match="Users still hold"):
        await roles.remove_role(session, COMMAND, copy_id)
    await set_roles(session, COMMAND, user.user_id, ["agent"])
    await roles.remove_role(session, COMMAND, copy_id)
    with pytest.raises(NotFound):
        await roles.role(session, COMMAND, copy_id)
    left = await session.execute(text("select 1 from permission where role_id = :id"), {"id": copy_id})
    assert left.first() is None


async def test_what_does_not_fit_a_right_is_refused(session: AsyncSession) -> None:
    agent = await named(session, "agent")
    for scopes, field in (
        ({"party.raed": "all"}, "rights"),
        ({"party.read": "some"}, "party.read"),
        ({"export": "own"}, "export"),
    ):
        with pytest.raises(Invalid) as refused:
            await roles.edit_role(session, COMMAND, agent.id, version=1, name="", scopes=scopes)
        assert refused.value.field == field
    assert "live.board" in SCOPED_RIGHTS


async def test_two_who_save_at_once_do_not_overwrite_one_another(session: AsyncSession) -> None:
    agent = await named(session, "agent")
    await roles.edit_role(session, COMMAND, agent.id, version=1, name="", scopes={"call.read": "own"})
    with pytest.raises(Conflict) as conflict:
        await roles.edit_role(session, COMMAND, agent.id, version=1, name="", scopes={"call.read": "all"})
    assert conflict.value.fields == {"call.read": ("own", "all")}


async def test_g01_without_the_right_nothing_changes(session: AsyncSession) -> None:
    head = await make_user(session, ("head",))
    agent = await named(session, "agent")
    for act in (
        roles.edit_role(session, head, agent.id, version=1, name="", scopes={}),
        roles.copy_role(session, head, agent.id, "Mine"),
        roles.restore_role(session, head, agent.id),
        roles.remove_role(session, head, agent.id),
        roles.list_roles(session, head),
    ):
        with pytest.raises(NotAllowed):
            await act
    assert (await named(session, "agent")).scopes == agent.scopes


async def test_what_a_user_sees_is_told_with_the_role_it_comes_from(session: AsyncSession) -> None:
    team = await make_team(session, "Seen")
    user = await make_user(session, ("agent", "manager"), team_id=team)
    for number, owner in ((901, user.user_id), (902, None)):
        await planting.organisation(session, f"Seen {number}", kind="client", owner_id=owner, team_id=team)
    sight = await sight_of(session, COMMAND, user.user_id)
    granted = {each.right: each for each in sight.rights}
    assert [role.code for role in granted["party.read"].roles] == ["manager", "agent"]
    assert granted["party.read"].scope is Scope.TEAM
    assert granted["user.manage"].roles == ()
    assert sight.teams == ("Seen",)
    assert (sight.readable_parties.value, sight.editable_parties.value) == (2, 1)
    assert sight.readable_calls.value == 0
    assert (sight.readable_leads.value, sight.editable_leads.value, sight.readable_tasks.value) == (0, 0, 0)
    assert sight.readable_communications.value == 0


async def test_what_a_user_sees_counts_what_their_lists_have(session: AsyncSession) -> None:
    vera, stranger = await make_user(session), await make_user(session)
    party = await planting.organisation(session, "Видимая", kind="client", owner_id=vera.user_id)
    for access in (vera, vera, stranger):
        about = await planting.organisation(session, "О ком", kind="client", owner_id=access.user_id)
        await make_lead(session, access, party_id=about)
        await create_task(
            session, access, NewTask(values=TaskValues(title="Дело")), home_zone="Europe/Moscow"
        )
    letter = CommunicationValues(kind="email", direction="out", started_at=NOON)
    await log_communication(session, vera, replace(letter, party_id=party))
    gone = await log_communication(session, vera, letter)
    await log_communication(session, stranger, letter)
    await bin_communication(session, vera, gone)
    sight = await sight_of(session, COMMAND, vera.user_id)
    assert (sight.readable_leads.value, sight.editable_leads.value) == (2, 2)
    assert (sight.readable_tasks.value, sight.readable_communications.value) == (2, 1)
    for access in (vera, stranger):
        listed = await sight_of(session, COMMAND, access.user_id)
        assert listed.readable_communications == await count_communications(session, access)
        assert listed.readable_tasks == await count_tasks(session, access, TaskFilter(state="all"))
    telephony = await sight_of(session, COMMAND, (await make_user(session, ("telephony",))).user_id)
    assert (telephony.readable_communications.value, telephony.readable_leads.value) == (0, 0)


async def test_nobody_gives_more_than_they_have_nor_takes_over_who_may_do_more(session: AsyncSession) -> None:
    administrator, agent = await make_user(session, ("admin",)), await make_user(session, ("agent",))
    personnel_id = await roles.copy_role(session, COMMAND, (await named(session, "agent")).id, "Personnel")
    own = {**told(await roles.role(session, COMMAND, personnel_id)), "user.read": "all", "user.manage": "all"}
    own |= {"token.manage": "all", "party.change_owner": "own"}
    await roles.edit_role(session, COMMAND, personnel_id, version=1, name="Personnel", scopes=own)
    code = (await roles.role(session, COMMAND, personnel_id)).code
    personnel = await make_user(session, (code,))
    for act in (
        accounts.set_roles(session, personnel, personnel.user_id, [code, "admin"]),
        accounts.set_roles(session, personnel, agent.user_id, ["manager"]),
        accounts.set_roles(session, personnel, administrator.user_id, ["agent"]),
        accounts.create_user(session, personnel, login="x", name="x", role_codes=["head"]),
        accounts.set_password(session, personnel, administrator.user_id, "long enough"),
        accounts.block_user(session, personnel, administrator.user_id),
        accounts.create_token(session, personnel, administrator.user_id, "x"),
        roles.edit_role(
            session, personnel, personnel_id, version=2, name="x", scopes={**own, "export": "all"}
        ),
        roles.edit_role(session, personnel, personnel_id, version=2, name="x", scopes={"party.read": "all"}),
        roles.edit_role(session, personnel, (await named(session, "head")).id, version=1, name="", scopes={}),
        roles.copy_role(session, personnel, (await named(session, "admin")).id, "Mine"),
        roles.restore_role(session, personnel, (await named(session, "head")).id),
    ):
        with pytest.raises(Invalid, match="which you do not have"):
            await act
    await accounts.set_roles(session, personnel, agent.user_id, ["agent", code])  # within what one has
    await accounts.set_password(session, personnel, agent.user_id, "long enough")
    await accounts.create_token(session, personnel, agent.user_id, "x")
    await accounts.create_token(session, personnel, administrator.user_id, "y", rights={"call.read": "own"})
    await accounts.block_user(session, personnel, agent.user_id)
    await accounts.unblock_user(session, personnel, agent.user_id)
