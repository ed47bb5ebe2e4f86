"""The demo's database: people, telephones, clients of the recordings; filled once, printed at every start."""

from __future__ import annotations

import lzma
import stat
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from sqlalchemy import func, select

from crm import accounts, telephony
from crm.database import Database, open_database
from crm.demo_clients import RECEPTION, UNKNOWN_OF_THE_RECORDINGS
from crm.demo_data import SIGN_INS_FILE, DatabaseInUse, DemoConnection, SignIn, fill, make_password
from crm.lead_lists import lead_board
from crm.matching import MatchOutcome, find_by_number
from crm.party_lists import PartyFilter, Which, count_parties
from crm.schema.access import User
from crm.schema.communications import Call, CallNote
from crm.schema.desk import CallbackCase
from crm.schema.parties import Party
from crm.schema.tasks import Task
from crm.schemes import list_schemes
from crm.sealing import Seal, open_seal
from crm.sign_in import SignedIn
from crm.timeline import timeline
from cti.numbers import to_e164
from tests.crm.people import COMMAND, make_user
from tests.database import make_copy

NOW = datetime.now(UTC)
PBX = DemoConnection(host="127.0.0.1", port=5038, user="demo", secret="demo-secret")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def seal(folder: Path) -> Seal:
    return open_seal(folder / "key")


@pytest.fixture
async def sign_ins(database: Database, folder: Path, seal: Seal) -> list[SignIn]:
    return await fill(database, PBX, folder, seal, NOW)


async def test_the_printed_sign_ins_work_and_have_telephones(
    database: Database, folder: Path, sign_ins: list[SignIn]
) -> None:
    assert [(each.login, each.role, each.extension) for each in sign_ins] == [
        ("agent", "agent", "101"),
        ("head", "head", "102"),
        ("admin", "admin", "103"),
    ]
    for each in sign_ins:
        result = await accounts.sign_in(database.sessions, each.login, each.password, "127.0.0.1", "", NOW)
        assert isinstance(result, SignedIn)
        async with database.sessions() as session:
            known = await telephony.directory(session, datetime.now(UTC))
            assert [at.digits for at in known.extensions_of(result.user_id)] == [each.extension]
    assert stat.S_IMODE((folder / SIGN_INS_FILE).stat().st_mode) == 0o600


async def test_others_have_telephones_but_cannot_sign_in(database: Database, sign_ins: list[SignIn]) -> None:
    async with database.sessions() as session:
        silent = [user for user in await accounts.list_users(session, COMMAND) if not user.has_password]
    assert [user.extensions for user in silent] == [("104",), ("105",), ("106",)]


async def test_the_board_of_leads_has_something_in_every_column(
    database: Database, sign_ins: list[SignIn]
) -> None:
    async with database.sessions() as session:
        (scheme, *_) = await list_schemes(session, COMMAND, "lead")
        columns = await lead_board(session, COMMAND, scheme)
    assert [column.count.value for column in columns] == [2, 1, 1]


async def test_the_desk_has_tasks_and_callers_to_call_back(
    database: Database, sign_ins: list[SignIn]
) -> None:
    async with database.sessions() as session:
        agent = await session.scalar(select(User.id).where(User.login == "agent"))
        mine = select(func.count(), func.count().filter(Task.due_at < NOW)).where(Task.owner_id == agent)
        assert tuple((await session.execute(mine)).one()) == (5, 1)
        cases = select(
            CallbackCase.e164, CallbackCase.missed_count, CallbackCase.state, CallbackCase.party_id
        )
        found = {
            e164: (count, state) for e164, count, state, party_id in await session.execute(cases) if party_id
        }
    assert found == {
        "+79161234541": (2, "open"),
        "+79161234502": (1, "open"),
        "+79165550004": (1, "open"),
    }


async def test_a_second_start_changes_nothing_but_where_the_pbx_listens(
    database: Database, folder: Path, seal: Seal, sign_ins: list[SignIn]
) -> None:
    async with database.sessions() as session:
        before = await session.scalar(select(func.count()).select_from(Party))
    again = await fill(database, replace(PBX, port=5999, secret="another"), folder, seal, NOW)
    assert again == sign_ins
    async with database.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Party)) == before
        (connection,) = await telephony.list_connections(session, COMMAND)
        assert connection.settings.port == 5999
        assert await telephony.connection_secret(session, connection.id, seal) == "another"


async def test_a_lost_file_means_new_passwords(
    database: Database, folder: Path, seal: Seal, sign_ins: list[SignIn]
) -> None:
    (folder / SIGN_INS_FILE).unlink()
    again = await fill(database, PBX, folder, seal, NOW)
    assert [each.login for each in again] == [each.login for each in sign_ins]
    assert {each.password for each in again}.isdisjoint(each.password for each in sign_ins)
    one = again[0]
    result = await accounts.sign_in(database.sessions, one.login, one.password, "127.0.0.2", "", NOW)
    assert isinstance(result, SignedIn)


async def test_a_database_in_use_is_left_alone(database_server: str, folder: Path, seal: Seal) -> None:
    used = await open_database(await make_copy(database_server))
    async with used.sessions.begin() as session:
        await make_user(session)
    with pytest.raises(DatabaseInUse):
        await fill(used, PBX, folder, seal, NOW)
    async with used.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Party)) == 0
    await used.close()


def callers_of_the_recordings() -> set[str]:
    """Every outside number that presents itself in the recordings the demo plays."""
    found = set()
    for entry in resources.files("ami_adapter.demo.captures").iterdir():
        if entry.name.endswith(".ami.xz"):
            stream = lzma.decompress(entry.read_bytes()).decode("utf-8", "replace")
            values = {
                line.partition(": ")[2] for line in stream.splitlines() if line.startswith("CallerIDNum: ")
            }
            found |= {number.e164 for value in values if (number := to_e164(value)).e164}
    return {number for number in found if number and not number.startswith("+7495123")}


async def test_most_callers_of_the_recordings_are_known_and_some_are_not(
    database: Database, sign_ins: list[SignIn]
) -> None:
    outcomes: Counter[MatchOutcome] = Counter()
    async with database.sessions() as session:
        for e164 in sorted(callers_of_the_recordings()):
            outcomes[(await find_by_number(session, to_e164(e164))).outcome] += 1
        reception = await find_by_number(session, to_e164(RECEPTION))
        unknown = await find_by_number(session, to_e164(UNKNOWN_OF_THE_RECORDINGS[0]))
    assert outcomes[MatchOutcome.MATCHED] >= 10
    assert 1 <= outcomes[MatchOutcome.UNKNOWN] <= outcomes[MatchOutcome.MATCHED]
    assert reception.outcome is MatchOutcome.AMBIGUOUS
    assert len(reception.parties) == 3
    assert unknown.outcome is MatchOutcome.UNKNOWN


async def test_former_and_archived_clients_are_recognised_as_such(
    database: Database, sign_ins: list[SignIn]
) -> None:
    async with database.sessions() as session:
        former = (await find_by_number(session, to_e164("+79161234505"))).parties[0]
        archived = (await find_by_number(session, to_e164("+79161234563"))).parties[0]
    assert former.former_kinds == ("client",)
    assert archived.lifecycle == "archived"


async def test_cards_have_a_history(database: Database, sign_ins: list[SignIn]) -> None:
    async with database.sessions() as session:
        for model, least in ((Call, 60), (CallNote, 15)):
            assert (await session.scalar(select(func.count()).select_from(model)) or 0) >= least
        party = (await find_by_number(session, to_e164("+79161234501"))).parties[0]
        page = await timeline(session, COMMAND, party.id)
        assert page.items
        assert party.last_talk_at is not None
        assert party.name == "ООО «Пример-Трейд»"
        counted = await count_parties(session, COMMAND, PartyFilter(which=Which.COUNTERPARTIES))
        assert counted.value >= 30


def test_passwords_are_random_and_readable() -> None:
    passwords = {make_password() for _ in range(100)}
    assert len(passwords) == 100
    assert all(len(password) == 14 and password.count("-") == 2 for password in passwords)
