"""Rows for tests of the CRM: each function puts one thing in and gives its id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.access import TeamMembership, User
from crm.schema.base import Base, uuid7
from crm.schema.communications import Call, Communication
from crm.schema.parties import (
    Affiliation,
    Organisation,
    Party,
    PartyKind,
    PartyKindAssignment,
    PartyPhone,
    Person,
    PhoneNumber,
)
from crm.schema.telephony import Extension, ExtensionAssignment, Line, PbxConnection

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=365)
_numbers = iter(range(1_000_000, 9_000_000))


async def add(session: AsyncSession, model: type[Base], **values: Any) -> Any:
    return (await session.execute(insert(model).values(**values).returning(model.id))).scalar_one()  # type: ignore[attr-defined]


async def user(session: AsyncSession, login: str, **more: Any) -> int:
    created: int = await add(session, User, login=login, name=login.title(), **more)
    return created


async def in_team(session: AsyncSession, user_id: int, team_id: int) -> None:
    await add(session, TeamMembership, user_id=user_id, team_id=team_id, is_primary=True, valid_from=LONG_AGO)


async def connection(session: AsyncSession, name: str, **more: Any) -> int:
    created: int = await add(session, PbxConnection, kind="asterisk", name=name, **more)
    return created


async def line(session: AsyncSession, connection_id: int, e164: str, name: str = "Sales") -> int:
    created: int = await add(session, Line, connection_id=connection_id, presented=e164, e164=e164, name=name)
    return created


async def extension(
    session: AsyncSession, connection_id: int, digits: str, user_id: int | None, since: datetime = LONG_AGO
) -> int:
    created: int = await add(session, Extension, connection_id=connection_id, digits=digits)
    if user_id is not None:
        await add(session, ExtensionAssignment, extension_id=created, user_id=user_id, valid_from=since)
    return created


async def organisation(session: AsyncSession, name: str, *, kind: str | None = None, **more: Any) -> int:
    created = await _party(session, "organisation", name, kind, **more)
    await session.execute(insert(Organisation).values(party_id=created, short_name=name))
    return created


async def person(session: AsyncSession, name: str, *, kind: str | None = None, **more: Any) -> int:
    created = await _party(session, "person", name, kind, **more)
    await session.execute(insert(Person).values(party_id=created, first_name=name))
    return created


async def _party(session: AsyncSession, type_: str, name: str, kind: str | None, **more: Any) -> int:
    values = {"number": next(_numbers), "type": type_, "display_name": name, "sort_name": name.lower()} | more
    created: int = await add(session, Party, **values)
    if kind is not None:
        kind_id = (await session.execute(select(PartyKind.id).where(PartyKind.code == kind))).scalar_one()
        await add(session, PartyKindAssignment, party_id=created, kind_id=kind_id)
    return created


async def contact_of(
    session: AsyncSession,
    person_id: int,
    organisation_id: int,
    position: str = "",
    *,
    is_primary: bool = False,
) -> None:
    await add(
        session,
        Affiliation,
        person_id=person_id,
        organisation_id=organisation_id,
        position=position,
        is_primary=is_primary,
    )


async def number(session: AsyncSession, e164: str | None, usage: str = "direct", **more: Any) -> int:
    created: int = await add(session, PhoneNumber, e164=e164, usage=usage, **more)
    return created


async def owns(
    session: AsyncSession,
    party_id: int,
    number_id: int,
    *,
    usage: str = "direct",
    extension: str = "",
    **more: Any,
) -> None:
    values = {"party_id": party_id, "number_id": number_id, "usage": usage, "extension": extension} | more
    await add(session, PartyPhone, presented="as typed", **values)


async def past_call(
    session: AsyncSession,
    connection_id: int,
    e164: str | None,
    started_at: datetime,
    *,
    seconds: float = 60,
    **communication: Any,
) -> UUID:
    """An answered call of the past, as the journal would have stored it."""
    created, ended_at = uuid7(), started_at + timedelta(seconds=seconds)
    values = {
        "id": created,
        "kind": "call",
        "direction": "in",
        "started_at": started_at,
        "ended_at": ended_at,
    }
    await session.execute(insert(Communication).values(values | communication))
    await session.execute(
        insert(Call).values(
            id=created,
            connection_id=connection_id,
            external_id=str(created),
            direction="inbound",
            state="ended",
            customer_e164=e164,
            started_at=started_at,
            ended_at=ended_at,
            disposition="answered",
            talk_seconds=seconds,
        )
    )
    return created
