"""Users, sign-in, sessions, tokens: threats T15, T16, T18, invariants G1, G6, G7."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm import accounts, passwords
from crm.changes import ACCESS_CHANNEL
from crm.database import Database
from crm.errors import Conflict, Invalid, LastAdministrator, NotAllowed, NotFound, Taken
from crm.rights import Access, Scope
from crm.schema.access import ApiToken, SignInFailure, User, UserSession
from crm.schema.journals import AccessLog, ChangeLog, OutboxEvent
from crm.sign_in import SESSION_IDLE, SESSION_LIFE, SignedIn, SignInRefused, network_of
from tests.crm.people import COMMAND, make_team, make_user

NOW = datetime.now(UTC)
PASSWORD = "correct horse battery"


async def sign_in(
    database: Database, login: str, password: str, *, address: str = "192.0.2.1", at: datetime = NOW
) -> SignedIn | SignInRefused:
    return await accounts.sign_in(database.sessions, login, password, address, "test", at)


async def known_user(database: Database, login: str, roles: tuple[str, ...] = ("agent",)) -> Access:
    async with database.sessions.begin() as session:
        return await make_user(session, roles, login=login, password=PASSWORD)


async def test_a_password_is_argon2id_with_the_agreed_costs() -> None:
    stored = await passwords.hash_password(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify_password(stored, PASSWORD)
    assert not await passwords.verify_password(stored, PASSWORD + " ")
    assert not await passwords.verify_password(None, PASSWORD)
    assert not await passwords.verify_password(stored, "x" * 129)
    assert not passwords.needs_new_hash(stored)


@pytest.mark.parametrize("password", ["", "short", "x" * 129])
async def test_a_password_has_a_sensible_length(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        await passwords.hash_password(password)
    assert refused.value.field == "password"


async def test_an_unknown_login_costs_as_much_as_a_wrong_password() -> None:
    dummy = passwords._DUMMY_HASH
    assert not passwords.needs_new_hash(dummy)


async def test_signing_in_opens_a_session_whose_token_is_stored_hashed(database: Database) -> None:
    user = await known_user(database, "Anna")
    result = await sign_in(database, " anna ", PASSWORD)
    assert isinstance(result, SignedIn)
    assert len(result.token) >= 22  # 128 bits
    async with database.sessions.begin() as session:
        access = await accounts.session_access(session, result.token, NOW)
        stored = await session.scalars(
            select(UserSession.token_hash).where(UserSession.user_id == user.user_id)
        )
        assert access is not None
        assert access.login == "Anna"
        assert result.token.encode() not in stored.all()
        assert await accounts.session_access(session, "another", NOW) is None


async def test_a_wrong_password_leaves_a_row_and_no_session(database: Database) -> None:
    user = await known_user(database, "boris")
    assert await sign_in(database, "boris", "wrong password") == SignInRefused(reason="wrong")
    assert await sign_in(database, "nobody", "wrong password") == SignInRefused(reason="wrong")
    async with database.sessions() as session:
        refused = await session.scalars(select(AccessLog.login).where(AccessLog.event == "sign_in_refused"))
        assert {"boris", "nobody"} <= set(refused)
        count = select(func.count()).select_from(UserSession).where(UserSession.user_id == user.user_id)
        assert await session.scalar(count) == 0


async def test_t16_any_bytes_are_a_wrong_login_or_a_browsers_name(database: Database) -> None:
    await known_user(database, "feofan")
    for login in ("a\x00b", "\udcff\udcfe", "\u202e" * 500):
        assert await sign_in(database, login, "wrong password", address="198.51.100.99") == SignInRefused(
            reason="wrong"
        )
    agent = "\x00\udcff" * 300
    result = await accounts.sign_in(database.sessions, "feofan", PASSWORD, "198.51.100.98", agent, NOW)
    assert isinstance(result, SignedIn)


async def test_t16_the_delay_grows_per_account_and_network(database: Database) -> None:
    await known_user(database, "vera")
    at = NOW
    for _ in range(3):
        assert await sign_in(database, "vera", "wrong password", at=at) == SignInRefused(reason="wrong")
    assert await sign_in(database, "vera", PASSWORD, at=at) == SignInRefused(reason="wait", wait_seconds=1)
    at += timedelta(seconds=1)
    assert await sign_in(database, "vera", "wrong password", at=at) == SignInRefused(reason="wrong")
    waits = await sign_in(database, "vera", PASSWORD, at=at)
    assert waits == SignInRefused(reason="wait", wait_seconds=2)
    # An attacker elsewhere locks nobody out, and one account's failures are not another's.
    assert isinstance(await sign_in(database, "vera", PASSWORD, address="198.51.100.7", at=at), SignedIn)
    # The right password, in time, makes the slate clean.
    at += timedelta(seconds=2)
    assert isinstance(await sign_in(database, "vera", PASSWORD, at=at), SignedIn)
    async with database.sessions() as session:
        left = (
            select(func.count())
            .select_from(SignInFailure)
            .where(SignInFailure.login == "vera", SignInFailure.network == network_of("192.0.2.1"))
        )
        assert await session.scalar(left) == 0


async def test_i10_failures_of_networks_that_never_come_back_are_forgotten(database: Database) -> None:
    await known_user(database, "darya")
    for number in range(5):
        await sign_in(database, "darya", "wrong password", address=f"2001:db8:{number}::1", at=NOW)
    later = NOW + timedelta(hours=1)
    assert isinstance(await sign_in(database, "darya", PASSWORD, at=later), SignedIn)
    async with database.sessions() as session:
        old = select(func.count()).select_from(SignInFailure).where(SignInFailure.at <= NOW)
        assert await session.scalar(old) == 0


async def test_t16_many_guesses_at_once_are_many(database: Database) -> None:
    await known_user(database, "galina")
    results = await asyncio.gather(
        *[sign_in(database, "galina", f"wrong password {n}", address="203.0.113.5") for n in range(8)]
    )
    reasons = [result.reason for result in results if isinstance(result, SignInRefused)]
    assert sorted(reasons) == ["wait"] * 5 + ["wrong"] * 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("unix socket", "unix socket"),
    ],
)
def test_neighbours_share_a_delay(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_t15_sessions_end_when_idle_and_when_old(database: Database) -> None:
    await known_user(database, "dina")
    result = await sign_in(database, "dina", PASSWORD)
    assert isinstance(result, SignedIn)
    async with database.sessions() as session:
        idle = NOW + SESSION_IDLE + timedelta(seconds=1)
        assert await accounts.session_access(session, result.token, idle) is None
        at = NOW
        while at < NOW + SESSION_LIFE - timedelta(minutes=20):  # a live socket keeps it in use
            at += timedelta(minutes=20)
            if at < NOW + SESSION_LIFE:
                assert await accounts.touch(session, result.token, at)
        assert not await accounts.touch(session, result.token, NOW + SESSION_LIFE)
        assert await accounts.session_access(session, result.token, NOW + SESSION_LIFE) is None


async def test_each_sign_in_makes_a_new_session_and_one_can_be_ended(database: Database) -> None:
    user = await known_user(database, "egor")
    first, second = [await sign_in(database, "egor", PASSWORD) for _ in range(2)]
    assert isinstance(first, SignedIn)
    assert isinstance(second, SignedIn)
    assert first.token != second.token
    async with database.sessions.begin() as session:
        await accounts.end_session(session, first.token)
        assert await accounts.session_access(session, first.token, NOW) is None
        listed = await accounts.list_sessions(session, user.user_id, present_token=second.token, at=NOW)
        assert [info.is_present for info in listed] == [True]
        assert await accounts.end_sessions_of(session, user.user_id, session_id=listed[0].id) == 1
        assert await accounts.session_access(session, second.token, NOW) is None


async def test_g07_blocking_ends_sessions_and_tokens_and_tells_running_programs(database: Database) -> None:
    user = await known_user(database, "zoya")
    result = await sign_in(database, "zoya", PASSWORD)
    assert isinstance(result, SignedIn)
    told: asyncio.Queue[str] = asyncio.Queue()
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    listener = await asyncpg.connect(url)
    await listener.add_listener(ACCESS_CHANNEL, lambda *args: told.put_nowait(args[3]))
    async with database.sessions.begin() as session:
        token = await accounts.create_token(session, COMMAND, user.user_id, "robot")
        await accounts.block_user(session, COMMAND, user.user_id)
    async with asyncio.timeout(1):
        assert await told.get() == str(user.user_id)
    await listener.close()
    async with database.sessions() as session:
        assert await accounts.session_access(session, result.token, NOW) is None
        assert await accounts.token_access(session, token, NOW) is None
    assert await sign_in(database, "zoya", PASSWORD) == SignInRefused(reason="blocked")
    assert await sign_in(database, "zoya", "wrong password") == SignInRefused(reason="wrong")


async def test_one_active_administrator_always_remains(session: AsyncSession) -> None:
    first = await make_user(session, ("admin",))
    with pytest.raises(LastAdministrator, match=first.login):
        await accounts.block_user(session, COMMAND, first.user_id)
    with pytest.raises(LastAdministrator):
        await accounts.set_roles(session, COMMAND, first.user_id, ["agent"])
    await make_user(session, ("admin",))
    await accounts.block_user(session, COMMAND, first.user_id)


async def test_two_administrators_cannot_remove_each_other(database: Database) -> None:
    one, other = [await known_user(database, f"admin{n}", ("admin",)) for n in (1, 2)]

    async def block(who: Access) -> bool:
        async with database.sessions.begin() as session:
            try:
                await accounts.block_user(session, COMMAND, who.user_id)
            except LastAdministrator:
                return False
            return True

    assert sorted(await asyncio.gather(block(one), block(other))) == [False, True]


async def rows_of_everything(session: AsyncSession) -> list[int | None]:
    tables = (User, UserSession, ApiToken, ChangeLog, AccessLog, OutboxEvent)
    return [await session.scalar(select(func.count()).select_from(table)) for table in tables]


async def test_g01_a_refusal_changes_nothing(session: AsyncSession) -> None:
    agent, victim = await make_user(session), await make_user(session)
    before = await rows_of_everything(session)
    with pytest.raises(NotAllowed):
        await accounts.create_user(session, agent, login="x", name="X", role_codes=["admin"])
    with pytest.raises(NotAllowed):
        await accounts.block_user(session, agent, victim.user_id)
    with pytest.raises(NotAllowed):
        await accounts.set_roles(session, agent, agent.user_id, ["admin"])
    with pytest.raises(NotAllowed):
        await accounts.set_password(session, agent, victim.user_id, PASSWORD)
    with pytest.raises(NotAllowed):
        await accounts.create_token(session, agent, agent.user_id, "own robot")
    with pytest.raises(NotAllowed):
        await accounts.list_users(session, agent)
    assert await rows_of_everything(session) == before


async def test_a_login_is_unique_in_any_case_of_letters(session: AsyncSession) -> None:
    await make_user(session, login="Nina")
    with pytest.raises(Taken, match="nina"):
        await make_user(session, login="nina")
    assert await accounts.find_user(session, "NINA") is not None


@pytest.mark.parametrize(
    ("field", "value"), [("login", "two words"), ("login", ""), ("name", " "), ("language", "de")]
)
async def test_what_cannot_be_stored_is_named(session: AsyncSession, field: str, value: str) -> None:
    form = {"login": "ok", "name": "Ok", "language": "ru", field: value}
    login, name, language = form["login"], form["name"], form["language"]
    with pytest.raises(Invalid) as refused:
        await accounts.create_user(
            session, COMMAND, login=login, name=name, language=language, role_codes=["agent"]
        )
    assert refused.value.field == field


async def test_an_unknown_role_is_refused(session: AsyncSession) -> None:
    with pytest.raises(Invalid, match="boss"):
        await accounts.create_user(session, COMMAND, login="a", name="A", role_codes=["boss"])


async def test_a_changed_user_leaves_rows_and_an_older_version_is_refused(session: AsyncSession) -> None:
    access = await make_user(session, login="olga")

    async def save() -> None:
        await accounts.edit_user(
            session,
            COMMAND,
            access.user_id,
            version=1,
            name="Olga",
            language="en",
            time_zone=None,
            role_codes=["agent", "head"],
        )

    await save()
    info = await accounts.user(session, COMMAND, access.user_id)
    assert (info.language, info.role_codes, info.version) == ("en", ("agent", "head"), 2)
    changed = await session.scalars(
        select(ChangeLog.field).where(
            ChangeLog.record_kind == "user",
            ChangeLog.record_id == str(access.user_id),
            ChangeLog.old.is_not(None),
        )
    )
    assert set(changed) == {"language", "roles"}
    with pytest.raises(Conflict):
        await save()


async def test_one_changes_ones_own_password_knowing_the_old_one(database: Database) -> None:
    access = await known_user(database, "pavel")
    kept, other = [await sign_in(database, "pavel", PASSWORD) for _ in range(2)]
    assert isinstance(kept, SignedIn)
    assert isinstance(other, SignedIn)
    async with database.sessions.begin() as session:
        with pytest.raises(Invalid, match="present password"):
            await accounts.change_own_password(session, access, "not it at all", "another good one")
        await accounts.change_own_password(
            session, access, PASSWORD, "another good one", keep_token=kept.token
        )
        assert await accounts.session_access(session, kept.token, NOW) is not None
        assert await accounts.session_access(session, other.token, NOW) is None
    assert isinstance(await sign_in(database, "pavel", "another good one"), SignedIn)


async def test_t18_a_token_is_shown_once_and_never_more_than_its_owner(session: AsyncSession) -> None:
    owner = await make_user(session, ("agent",))
    rights = {"party.read": "own", "live.own": "all"}
    token = await accounts.create_token(session, COMMAND, owner.user_id, "CRM export", rights=rights)
    assert token.startswith("rc_")
    assert len(token) >= 46  # 32 random bytes
    access = await accounts.token_access(session, token, NOW)
    assert access is not None
    assert access.scopes == {"party.read": Scope.OWN, "live.own": Scope.ALL}
    stored = await session.scalar(select(ApiToken).where(ApiToken.user_id == owner.user_id))
    assert stored is not None
    assert stored.prefix == token[:8]
    assert token.encode() not in stored.token_hash
    with pytest.raises(Invalid, match=r"party\.read"):
        await accounts.create_token(session, COMMAND, owner.user_id, "x", rights={"party.read": "all"})
    with pytest.raises(Invalid, match="no right"):
        await accounts.create_token(session, COMMAND, owner.user_id, "x", rights={"root": "all"})
    with pytest.raises(NotFound):
        await accounts.create_token(session, COMMAND, 999_999, "x")


async def test_t18_tokens_expire_and_end(session: AsyncSession) -> None:
    owner = await make_user(session, ("agent",))
    tomorrow = NOW + timedelta(days=1)
    token = await accounts.create_token(session, COMMAND, owner.user_id, "short", expires_at=tomorrow)
    assert await accounts.token_access(session, token, NOW) is not None
    assert await accounts.token_access(session, token, tomorrow) is None
    listed = await accounts.list_tokens(session, COMMAND)
    assert [(info.name, info.last_used_at) for info in listed] == [("short", NOW)]
    await accounts.end_token(session, COMMAND, listed[0].id)
    assert await accounts.token_access(session, token, NOW) is None
    assert await accounts.token_access(session, "rc_unknown", NOW) is None


async def test_a_user_moves_from_team_to_team_at_one_moment(session: AsyncSession) -> None:
    north, south = await make_team(session, "North"), await make_team(session, "South")
    access = await make_user(session, team_id=north)
    await accounts.put_in_team(session, COMMAND, access.user_id, south)
    info = await accounts.user(session, COMMAND, access.user_id)
    assert info.team_name == "South"
    assert {team.name for team in await accounts.list_teams(session)} >= {"North", "South"}
    again = await accounts.access_of(session, access.user_id)
    assert again is not None
    assert again.team_ids == {south}
