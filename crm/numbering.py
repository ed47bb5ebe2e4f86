"""Numbering profiles: how numbers are written on a connection or a line, as rows and as `cti.numbers` values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Final

import phonenumbers
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import DIRECTORY_CHANNEL, notify, record_change
from crm.errors import Conflict, Invalid, NotFound, Taken
from crm.names import checked_name
from crm.rights import Access
from crm.schema.telephony import NumberingProfile as ProfileRow
from crm.schema.telephony import PbxConnection
from cti.numbers import DEFAULT_PROFILE, NumberingProfile

HOME_PROFILE: Final = "home_profile"  # in `session.info`, put there by `open_database`
_LENGTHS: Final = re.compile(r"(\d{1,2})(?:-(\d{1,2}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileValues:
    """What a person enters about a profile."""

    name: str
    region: str = "RU"  # ISO 3166
    area_code: str = ""
    outside_prefixes: tuple[str, ...] = ()
    feature_codes: tuple[str, ...] = ()
    service_numbers: tuple[str, ...] = ()
    internal_pattern: str = ""  # fewest and most digits of an extension: "3" or "2-6"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileInfo(ProfileValues):
    """A stored profile."""

    id: int
    version: int


async def add_profile(
    session: AsyncSession, access: Access, values: ProfileValues, *, via: str = "form"
) -> int:
    """A new profile.

    Raises:
        NotAllowed, Invalid, Taken (the name).
    """
    access.require("connection.manage")
    row = _checked(values)
    try:
        async with session.begin_nested():
            made = await session.execute(
                insert(ProfileRow).values(**row, created_by=access.actor_id).returning(ProfileRow.id)
            )
    except IntegrityError as error:
        raise Taken("name", values.name) from error
    profile_id = made.scalar_one()
    await record_change(session, access, "profile", profile_id, after=row, via=via)
    await notify(session, DIRECTORY_CHANNEL, "profile")
    return profile_id


async def edit_profile(
    session: AsyncSession,
    access: Access,
    profile_id: int,
    values: ProfileValues,
    *,
    version: int,
    via: str = "form",
) -> None:
    """Change a profile; numbers already stored stay as they are.

    Raises:
        NotAllowed, NotFound, Invalid, Taken (the name), Conflict.
    """
    access.require("connection.manage")
    new = _checked(values)
    row = await session.scalar(select(ProfileRow).where(ProfileRow.id == profile_id).with_for_update())
    if row is None:
        raise NotFound("profile", profile_id)
    old = {column: getattr(row, column) for column in new}
    if row.version != version:
        raise Conflict(
            {name: (old[name], new[name]) for name in new if old[name] != new[name]}, row.version, ""
        )
    try:
        async with session.begin_nested():
            await session.execute(
                update(ProfileRow).where(ProfileRow.id == profile_id).values(**new, version=version + 1)
            )
    except IntegrityError as error:
        raise Taken("name", values.name) from error
    await record_change(session, access, "profile", profile_id, before=old, after=new, via=via)
    await notify(session, DIRECTORY_CHANNEL, "profile")


async def list_profiles(session: AsyncSession) -> list[ProfileInfo]:
    rows = await session.scalars(
        select(ProfileRow).order_by(ProfileRow.name).execution_options(populate_existing=True)
    )
    return [
        ProfileInfo(
            id=row.id,
            name=row.name,
            region=row.region,
            area_code=row.area_code,
            outside_prefixes=tuple(row.outside_prefixes),
            feature_codes=tuple(row.feature_codes),
            service_numbers=tuple(row.service_numbers),
            internal_pattern=row.internal_pattern or "",
            version=row.version,
        )
        for row in rows
    ]


def home_profile(session: AsyncSession) -> NumberingProfile:
    """How numbers are written where ringcard is installed (RINGCARD_REGION); for what belongs to no connection."""
    profile: NumberingProfile = session.info.get(HOME_PROFILE, DEFAULT_PROFILE)
    return profile


def as_profile(
    row: ProfileRow | None, home: NumberingProfile, extensions: Iterable[str] = ()
) -> NumberingProfile:
    """The profile as `to_e164` takes it; without a row, that of the installation."""
    known = frozenset(extensions)
    if row is None:
        return replace(home, extensions=known)
    return NumberingProfile(
        region=row.region,
        area_code=row.area_code,
        outside_prefixes=tuple(row.outside_prefixes),
        feature_codes=tuple(row.feature_codes),
        extensions=known,
        internal_lengths=_lengths(row.internal_pattern),
        service_numbers=frozenset(row.service_numbers),
    )


async def profile_of_connection(session: AsyncSession, connection_id: int) -> NumberingProfile:
    """How numbers are written on this connection, without its extensions: for numbers that people enter."""
    row = await session.scalar(
        select(ProfileRow)
        .join(PbxConnection, PbxConnection.profile_id == ProfileRow.id)
        .where(PbxConnection.id == connection_id)
    )
    return as_profile(row, home_profile(session))


def _lengths(pattern: str | None) -> tuple[int, int]:
    match = _LENGTHS.fullmatch(pattern or "")
    if match is None:
        return DEFAULT_PROFILE.internal_lengths
    fewest = int(match[1])
    return fewest, int(match[2] or fewest)


def _checked(values: ProfileValues) -> dict[str, object]:
    if values.region not in phonenumbers.SUPPORTED_REGIONS:
        raise Invalid("region", values.region, "A region is a country's two letters: RU, KZ, BY.")
    if not re.fullmatch(r"\d{0,6}", values.area_code):
        raise Invalid("area_code", values.area_code, "An area code has digits only: 495.")
    for name in ("outside_prefixes", "feature_codes", "service_numbers"):
        for each in getattr(values, name):
            if not re.fullmatch(r"[0-9*#+]{1,15}", each):
                raise Invalid(name, each, "Digits, * and # only, up to 15 of them.")
    if values.internal_pattern and not _LENGTHS.fullmatch(values.internal_pattern):
        raise Invalid(
            "internal_pattern", values.internal_pattern, "How many digits an extension has: 3, or 2-6."
        )
    row = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(values).items()}
    known = {name: row[name] for name in ProfileValues.__dataclass_fields__}
    return {**known, "name": checked_name(values.name), "internal_pattern": values.internal_pattern or None}
