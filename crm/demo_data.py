"""The database of `ringcard demo`: clients who call in the recordings, and the people whose telephones ring.

Passwords are made at random at the first start and kept in a file of the data folder that only its owner reads, so
that every start can print them again. There is no built-in password anywhere.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm import accounts, telephony
from crm.affiliations import ContactValues, affiliate
from crm.database import Database
from crm.demo_calls import add_earlier_calls
from crm.demo_clients import (
    ARCHIVED,
    BURST,
    FIRMS,
    FORMER,
    PRIVATE,
    RECEPTION,
    TENANTS,
    DemoContact,
    DemoFirm,
)
from crm.demo_leads import add_leads
from crm.demo_tasks import add_tasks
from crm.errors import CrmError
from crm.numbers import NumberValues
from crm.parties import PartyValues, archive_party, create_party, set_kinds
from crm.rights import command_access
from crm.schema.telephony import PbxConnection
from crm.sealing import Seal

CONNECTION: Final = "Демо-АТС"
SIGN_INS_FILE: Final = "demo-sign-ins.txt"
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look like another
_DEMO: Final = command_access("demo")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What `ringcard demo` prints: sign in with this, and this telephone's calls pop."""

    login: str
    password: str
    name: str
    role: str
    extension: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConnection:
    """Where the demo PBX listens."""

    host: str
    port: int
    user: str
    secret: str


@dataclass(frozen=True, slots=True)
class _Colleague:
    extension: str
    login: str
    name: str
    role: str
    signs_in: bool = True


COLLEAGUES: Final = (
    _Colleague("101", "agent", "Оператор демо", "agent"),
    _Colleague("102", "head", "Руководитель демо", "head"),
    _Colleague("103", "admin", "Администратор демо", "admin"),
    _Colleague("104", "agent104", "Оператор 104", "agent", signs_in=False),
    _Colleague("105", "agent105", "Оператор 105", "agent", signs_in=False),
    _Colleague("106", "agent106", "Оператор 106", "manager", signs_in=False),
)
# The numbers that the recorded calls came in on.
LINES: Final = (
    ("+74951234501", "Прямой 101", "#6c757d"),
    ("+74951234502", "Прямой 102", "#6c757d"),
    ("+74951234503", "Прямой 103", "#6c757d"),
    ("+74951234504", "Прямой 104", "#6c757d"),
    ("+74951234505", "Прямой 105", "#6c757d"),
    ("+74951234506", "Прямой 106", "#6c757d"),
    ("+74951234510", "Общая группа", "#0d6efd"),
    ("+74951234520", "Продажи", "#198754"),
    ("+74951234521", "Сервис", "#fd7e14"),
    ("+74951234522", "Опт", "#6f42c1"),
    ("+74951234523", "Опт: по кругу", "#6f42c1"),
    ("+74951234524", "Поддержка", "#20c997"),
    ("+74951234525", "Вечерняя линия", "#d63384"),
    ("+74951234567", "Главный номер", "#0dcaf0"),
)


class DatabaseInUse(CrmError):
    """The demo would mix invented clients with real ones."""

    template = (
        "This database is in use already. Start the demo with an empty data folder or another database."
    )


async def fill(
    database: Database, connection: DemoConnection, folder: Path, seal: Seal, at: datetime
) -> list[SignIn]:
    """Make the demo database, or take up the one that is there; the connection points to where the PBX listens now.

    Args:
        folder: the data folder; the sign-ins are kept there.
        at: the moment of this start: earlier calls are told from here.

    Raises:
        DatabaseInUse: somebody works with this database.
    """
    path = folder / SIGN_INS_FILE
    async with database.sessions.begin() as session:
        known = await telephony.find_connection(session, CONNECTION)
        if known is not None:
            await _point_to(session, known, connection, seal)
            return await _sign_ins_again(session, path)
        if await accounts.has_users(session) or await session.scalar(select(PbxConnection.id).limit(1)):
            raise DatabaseInUse
        sign_ins = await _fill(session, connection, seal, at)
        _keep(path, sign_ins)  # before the commit: nobody is left without a password
    return sign_ins


async def _fill(session: AsyncSession, connection: DemoConnection, seal: Seal, at: datetime) -> list[SignIn]:
    team_id = await accounts.create_team(session, _DEMO, "Отдел продаж", via="command")
    users, sign_ins = await _colleagues(session, team_id)
    connection_id = await _connection(session, connection, seal, team_id)
    for colleague in COLLEAGUES:
        await telephony.assign_extension(
            session, _DEMO, connection_id, colleague.extension, users[colleague.extension], via="command"
        )
    await _clients(session, users)
    await add_earlier_calls(session, connection_id, users, team_id, at)
    await add_leads(session, _DEMO, users)
    await add_tasks(session, _DEMO, users, at)
    return sign_ins


async def _colleagues(session: AsyncSession, team_id: int) -> tuple[dict[str, int], list[SignIn]]:
    users, sign_ins = {}, []
    for each in COLLEAGUES:
        password = make_password() if each.signs_in else None
        users[each.extension] = await accounts.create_user(
            session,
            _DEMO,
            login=each.login,
            name=each.name,
            role_codes=[each.role],
            password=password,
            team_id=team_id,
            is_head=each.role == "head",
            via="command",
        )
        if password:
            sign_ins.append(_sign_in(each, password))
    return users, sign_ins


def _sign_in(each: _Colleague, password: str) -> SignIn:
    return SignIn(
        login=each.login, password=password, name=each.name, role=each.role, extension=each.extension
    )


async def _connection(session: AsyncSession, connection: DemoConnection, seal: Seal, team_id: int) -> int:
    values = telephony.ProfileValues(name=CONNECTION, area_code="495", internal_pattern="3")
    profile_id = await telephony.add_profile(session, _DEMO, values, via="command")
    connection_id = await telephony.add_connection(
        session,
        _DEMO,
        name=CONNECTION,
        settings=_settings(connection),
        secret=connection.secret,
        seal=seal,
        profile_id=profile_id,
        via="command",
    )
    for number, name, colour in LINES:
        await telephony.add_line(
            session, _DEMO, connection_id, number, name, colour=colour, team_id=team_id, via="command"
        )
    return connection_id


def _settings(connection: DemoConnection) -> telephony.AsteriskSettings:
    return telephony.AsteriskSettings(host=connection.host, port=connection.port, user=connection.user)


async def _point_to(
    session: AsyncSession, known: telephony.ConnectionInfo, connection: DemoConnection, seal: Seal
) -> None:
    secret = await telephony.connection_secret(session, known.id, seal)
    if known.settings == _settings(connection) and secret == connection.secret and known.is_enabled:
        return
    await telephony.edit_connection(
        session,
        _DEMO,
        known.id,
        version=known.version,
        name=known.name,
        settings=_settings(connection),
        seal=seal,
        secret=connection.secret,
        profile_id=known.profile_id,
        time_zone=known.time_zone,
        via="command",
    )


async def _clients(session: AsyncSession, users: Mapping[str, int]) -> None:
    for firm in FIRMS:
        await _firm(session, firm, users)
    for firm in TENANTS:
        await _firm(session, firm, users, shared=RECEPTION)
    former = await _firm(session, FORMER, users)
    await set_kinds(session, _DEMO, former, ["other"], via="command")
    await archive_party(session, _DEMO, await _firm(session, ARCHIVED, users), via="command")
    for contact in PRIVATE:
        await _person(session, contact, users["101"], kinds=["client"])
    for n in BURST:
        firm = DemoFirm(name=f"ООО «Пример № {n + 1}»", number=f"+7916555{n:04d}", owner=f"10{1 + n % 6}")
        await _firm(session, firm, users)


async def _firm(session: AsyncSession, firm: DemoFirm, users: Mapping[str, int], *, shared: str = "") -> int:
    owner_id = users.get(firm.owner)
    numbers = [NumberValues(presented=firm.number, label="рабочий")] if firm.number else []
    if shared:
        numbers.append(NumberValues(presented=shared, label="приёмная", is_shared=True))
    form = "sole_trader" if firm.name.startswith("ИП") else "legal"
    values = PartyValues(type="organisation", short_name=firm.name, form=form, city=firm.city, note=firm.note)
    firm_id = await create_party(
        session, _DEMO, values, kinds=[firm.kind], numbers=numbers, owner_id=owner_id, via="command"
    )
    for contact in firm.contacts:
        person_id = await _person(session, contact, owner_id)
        tie = ContactValues(position=contact.position)
        await affiliate(session, _DEMO, person_id, firm_id, tie, via="command")
    return firm_id


async def _person(
    session: AsyncSession, contact: DemoContact, owner_id: int | None, kinds: Iterable[str] = ()
) -> int:
    extension = f" доб. {contact.extension}" if contact.extension else ""
    return await create_party(
        session,
        _DEMO,
        PartyValues(type="person", first_name=contact.name),
        kinds=list(kinds),
        numbers=[NumberValues(presented=contact.number + extension, label="рабочий")],
        emails=[contact.email] if contact.email else [],
        owner_id=owner_id,
        via="command",
    )


async def _sign_ins_again(session: AsyncSession, path: Path) -> list[SignIn]:
    """The sign-ins of the first start; new passwords where the file is gone."""
    kept = _kept(path)
    sign_ins = []
    for each in COLLEAGUES:
        user = await accounts.find_user(session, each.login)
        if not each.signs_in or user is None or user.status != "active":
            continue
        password = kept.get(each.login)
        if password is None:
            password = make_password()
            await accounts.set_password(session, _DEMO, user.id, password)
        sign_ins.append(_sign_in(each, password))
    if {each.login for each in sign_ins} - set(kept):
        _keep(path, sign_ins)
    return sign_ins


def make_password() -> str:
    """Three groups of four: 59 random bits that can be read out on the telephone."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))


def _kept(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return {row[0]: row[1] for row in rows if len(row) > 1}


def _keep(path: Path, sign_ins: Iterable[SignIn]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{each.login}\t{each.password}\t{each.role}\t{each.extension}\n" for each in sign_ins]
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(lines)
