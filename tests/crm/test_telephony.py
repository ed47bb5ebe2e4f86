"""Connections, lines, extensions, profiles, and the directory that the live path reads."""

from __future__ import annotations

import asyncio
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm import telephony
from crm.changes import DIRECTORY_CHANNEL
from crm.database import Database
from crm.errors import Conflict, Invalid, NotAllowed, NotFound, SecretUnreadable, Taken
from crm.schema.journals import ChangeLog, OutboxEvent
from crm.schema.telephony import ExtensionAssignment
from crm.sealing import Seal, open_seal
from crm.telephony import AsteriskSettings, ProfileValues
from tests.crm.people import COMMAND, make_team, make_user

NOW = datetime.now(UTC)
SETTINGS = AsteriskSettings(host="pbx.example", user="ringcard")


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    return open_seal(tmp_path / "key")


async def add(session: AsyncSession, seal: Seal, name: str = "Office", profile_id: int | None = None) -> int:
    return await telephony.add_connection(
        session, COMMAND, name=name, settings=SETTINGS, secret="s3cret", seal=seal, profile_id=profile_id
    )


def test_the_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "key"
    sealed = open_seal(path).close("s3cret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"s3cret" not in sealed
    assert open_seal(path).open(sealed) == "s3cret"
    assert list(path.parent.iterdir()) == [path]


def test_another_key_opens_nothing_and_says_so(tmp_path: Path) -> None:
    sealed = open_seal(tmp_path / "one").close("s3cret")
    with pytest.raises(SecretUnreadable, match="other"):
        open_seal(tmp_path / "other").open(sealed)
    with pytest.raises(SecretUnreadable):
        open_seal(tmp_path / "one").open(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(SecretUnreadable):
        open_seal(tmp_path / "short")


async def test_g06_a_secret_is_sealed_and_in_no_journal(session: AsyncSession, seal: Seal) -> None:
    connection_id = await add(session, seal)
    assert await telephony.connection_secret(session, connection_id, seal) == "s3cret"
    stored = await session.scalar(text("select secret from pbx_connection"))
    assert b"s3cret" not in stored
    for journal in (ChangeLog, OutboxEvent):
        told = await session.scalars(select(text(f"{journal.__tablename__}::text")).select_from(journal))
        assert all("s3cret" not in row for row in told)
    info = await telephony.connection(session, COMMAND, connection_id)
    assert info.has_secret
    assert info.settings == SETTINGS


async def test_a_connection_is_edited_with_its_version(session: AsyncSession, seal: Seal) -> None:
    connection_id = await add(session, seal)
    settings = AsteriskSettings(host="10.0.0.7", port=5039, user="reader", event_classes=("call", "agent"))
    await telephony.edit_connection(
        session, COMMAND, connection_id, version=1, name="Head office", settings=settings, seal=seal
    )
    info = await telephony.connection(session, COMMAND, connection_id)
    assert (info.name, info.settings, info.version, info.has_secret) == ("Head office", settings, 2, True)
    with pytest.raises(Conflict) as conflict:
        await telephony.edit_connection(
            session, COMMAND, connection_id, version=1, name="Office", settings=settings, seal=seal
        )
    assert set(conflict.value.fields) == {"name"}
    await telephony.remove_connection(session, COMMAND, connection_id)
    assert await telephony.list_connections(session, COMMAND) == []
    with pytest.raises(NotFound):
        await telephony.connection(session, COMMAND, connection_id)


async def test_a_name_is_taken_in_any_case_of_letters(session: AsyncSession, seal: Seal) -> None:
    await add(session, seal, "Office")
    with pytest.raises(Taken):
        await add(session, seal, "OFFICE")
    assert await telephony.find_connection(session, "office") is not None


@pytest.mark.parametrize(
    "settings",
    [
        AsteriskSettings(host="", user="a"),
        AsteriskSettings(host="a b", user="a"),
        AsteriskSettings(host="a", user="a\r\nAction: Command"),
        AsteriskSettings(host="a", user="a", port=0),
    ],
)
async def test_settings_that_cannot_be_are_refused(
    session: AsyncSession, seal: Seal, settings: AsteriskSettings
) -> None:
    with pytest.raises(Invalid):
        await telephony.add_connection(session, COMMAND, name="x", settings=settings, secret="", seal=seal)


async def test_g01_agents_change_nothing_here(session: AsyncSession, seal: Seal) -> None:
    agent = await make_user(session)
    connection_id = await add(session, seal)
    with pytest.raises(NotAllowed):
        await telephony.add_connection(session, agent, name="x", settings=SETTINGS, secret="", seal=seal)
    with pytest.raises(NotAllowed):
        await telephony.remove_connection(session, agent, connection_id)
    with pytest.raises(NotAllowed):
        await telephony.add_line(session, agent, connection_id, "+74951234501", "x")
    with pytest.raises(NotAllowed):
        await telephony.assign_extension(session, agent, connection_id, "101", agent.user_id)
    with pytest.raises(NotAllowed):
        await telephony.list_connections(session, agent)
    assert await telephony.list_lines(session) == []
    assert await telephony.list_extensions(session) == []


async def test_a_line_is_understood_as_its_connection_writes_numbers(
    session: AsyncSession, seal: Seal
) -> None:
    profile_id = await telephony.add_profile(session, COMMAND, ProfileValues(name="Moscow", area_code="495"))
    connection_id = await add(session, seal, profile_id=profile_id)
    line_id = await telephony.add_line(session, COMMAND, connection_id, "1234501", "Sales", colour="#2f6fed")
    (line,) = await telephony.list_lines(session, connection_id)
    assert (line.e164, line.presented, line.name) == ("+74951234501", "1234501", "Sales")
    with pytest.raises(Taken):
        await telephony.add_line(session, COMMAND, connection_id, "+7 495 123-45-01", "Again")
    with pytest.raises(Invalid, match="not a telephone number"):
        await telephony.add_line(session, COMMAND, connection_id, "reception", "x")
    await telephony.edit_line(
        session, COMMAND, line_id, version=1, number="+74951234502", name="Service", colour=None
    )
    assert (await telephony.list_lines(session))[0].e164 == "+74951234502"
    await telephony.remove_line(session, COMMAND, line_id)
    assert await telephony.list_lines(session) == []
    await telephony.add_line(session, COMMAND, connection_id, "+7 495 123-45-02", "Once more")


async def test_assigning_ends_the_earlier_assignment_at_the_same_moment(
    session: AsyncSession, seal: Seal
) -> None:
    anna, boris = await make_user(session), await make_user(session)
    connection_id = await add(session, seal)
    later = NOW + timedelta(hours=1)
    await telephony.assign_extension(session, COMMAND, connection_id, "101", anna.user_id, at=NOW)
    await telephony.assign_extension(session, COMMAND, connection_id, "101", anna.user_id, at=NOW)
    await telephony.assign_extension(session, COMMAND, connection_id, "101", boris.user_id, at=later)
    rows = await session.execute(
        select(
            ExtensionAssignment.user_id, ExtensionAssignment.valid_from, ExtensionAssignment.valid_to
        ).order_by(ExtensionAssignment.id)
    )
    assert [tuple(row) for row in rows] == [(anna.user_id, NOW, later), (boris.user_id, later, None)]
    then, now = [await telephony.directory(session, at) for at in (NOW, later)]
    assert then.extensions_of(anna.user_id)[0].digits == "101"
    assert now.extensions_of(anna.user_id) == ()
    await telephony.unassign_extension(session, COMMAND, connection_id, "101", at=later)
    after = await telephony.directory(session, later)
    assert after.extensions_of(boris.user_id) == ()
    assert after.extension(connection_id, "101") is not None


async def test_two_assignments_at_once_leave_one_user(database: Database, seal: Seal) -> None:
    async with database.sessions.begin() as session:
        users = [await make_user(session) for _ in range(6)]
        connection_id = await add(session, seal, "Race")

    async def assign(user_id: int) -> None:
        async with database.sessions.begin() as session:
            await telephony.assign_extension(session, COMMAND, connection_id, "200", user_id)

    await asyncio.gather(*[assign(user.user_id) for user in users])
    async with database.sessions() as session:
        (extension,) = await telephony.list_extensions(session, connection_id)
        assert extension.user_id in {user.user_id for user in users}


async def test_a_telephone_belongs_to_one_extension(session: AsyncSession, seal: Seal) -> None:
    connection_id = await add(session, seal)
    await telephony.set_endpoints(
        session, COMMAND, connection_id, "101", ["PJSIP/ivanov", "PJSIP/ivanov-soft"]
    )
    with pytest.raises(Taken):
        await telephony.set_endpoints(session, COMMAND, connection_id, "102", ["PJSIP/ivanov"])
    with pytest.raises(Invalid):
        await telephony.set_endpoints(session, COMMAND, connection_id, "102", ["ivanov\r\n"])
    with pytest.raises(Invalid):
        await telephony.set_endpoints(session, COMMAND, connection_id, "10a", ["PJSIP/a"])
    known = (await telephony.directory(session, NOW)).connections[connection_id]
    assert known.extension_of_endpoint == {"PJSIP/ivanov": "101", "PJSIP/ivanov-soft": "101"}


async def test_the_directory_knows_lines_people_and_numbering(session: AsyncSession, seal: Seal) -> None:
    team_id = await make_team(session, "Sales")
    anna = await make_user(session, team_id=team_id)
    profile = ProfileValues(name="Office", area_code="495", outside_prefixes=("9",), internal_pattern="3")
    profile_id = await telephony.add_profile(session, COMMAND, profile)
    connection_id = await add(session, seal, profile_id=profile_id)
    await telephony.add_line(session, COMMAND, connection_id, "+74951234501", "Sales", team_id=team_id)
    await telephony.assign_extension(session, COMMAND, connection_id, "101", anna.user_id)
    known = await telephony.directory(session, datetime.now(UTC))
    connection = known.connections[connection_id]
    assert connection.profile.extensions == {"101"}
    assert connection.profile.internal_lengths == (3, 3)
    assert known.profile(connection_id).outside_prefixes == ("9",)
    assert known.own_numbers == {"+74951234501"}
    for presented in ("+74951234501", "84951234501", "4951234501", "1234501"):
        line = connection.line(presented)
        assert line is not None, presented
        assert line.name == "Sales"
    assert connection.line(None) is None
    assert connection.line("+74951234599") is None
    extension = known.extension(connection_id, "101")
    assert extension is not None
    assert (extension.user_name, extension.team_name) == (anna.name, "Sales")
    assert known.extension(999, "101") is None


async def test_profiles_are_checked_and_versioned(session: AsyncSession) -> None:
    profile_id = await telephony.add_profile(
        session, COMMAND, ProfileValues(name="A", internal_pattern="2-6")
    )
    with pytest.raises(Taken):
        await telephony.add_profile(session, COMMAND, ProfileValues(name="A"))
    for wrong in (
        ProfileValues(name="B", region="XX"),
        ProfileValues(name="B", area_code="49a"),
        ProfileValues(name="B", outside_prefixes=("nine",)),
        ProfileValues(name="B", internal_pattern="many"),
    ):
        with pytest.raises(Invalid):
            await telephony.add_profile(session, COMMAND, wrong)
    await telephony.edit_profile(
        session, COMMAND, profile_id, ProfileValues(name="A", region="KZ"), version=1
    )
    stored = {info.name: info for info in await telephony.list_profiles(session)}["A"]
    assert (stored.region, stored.version) == ("KZ", 2)
    with pytest.raises(Conflict):
        await telephony.edit_profile(session, COMMAND, profile_id, ProfileValues(name="A"), version=1)


async def test_a_change_tells_running_programs_at_once(database: Database, seal: Seal) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    listener = await asyncpg.connect(url)
    await listener.add_listener(DIRECTORY_CHANNEL, lambda *args: told.put_nowait(args[3]))
    async with database.sessions.begin() as session:
        connection_id = await add(session, seal, "Told")
        await telephony.add_line(session, COMMAND, connection_id, "+74951230000", "x")
    async with asyncio.timeout(1):
        assert {await told.get(), await told.get()} == {"connection", "line"}
    await listener.close()


async def test_the_state_of_a_link_is_kept(session: AsyncSession, seal: Seal) -> None:
    connection_id = await add(session, seal)
    await telephony.set_connection_state(
        session,
        connection_id,
        "refused",
        NOW,
        detail="wrong secret",
        code="login_refused",
        code_values={"user": "x"},
    )
    info = await telephony.connection(session, COMMAND, connection_id)
    assert (info.state, info.state_since, info.version) == ("refused", NOW, 1)
    assert (info.state_detail, info.state_code) == ("wrong secret", "login_refused")
    assert info.state_values == {"user": "x"}
