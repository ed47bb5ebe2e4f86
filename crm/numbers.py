"""Whose number it is: attaching, sharing, ending. (How a number is read is `cti.numbers`.)

The database refuses a second owner of a direct number. The lock on the number only spares the loser a wasted insert;
it lives until the transaction ends, so that whoever waits sees what the first one committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import AlreadyExists, Invalid, NotFound, NumberHasSeveralOwners
from crm.numbering import home_profile
from crm.party_access import editable_party, lock_keys, readable_party
from crm.rights import Access
from crm.schema.access import User
from crm.schema.parties import Party, PartyPhone, PhoneNumber
from crm.schema.telephony import Line
from cti.numbers import Number, NumberingProfile, NumberKind, format_number, to_e164

DIRECT = "direct"
SHARED = "shared"
MAX_LABEL = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberValues:
    """A number as entered: in any spelling, with «доб. 12» if there is one."""

    presented: str
    label: str = ""  # work, mobile, home …
    is_shared: bool = False  # «общий номер»: a reception, a household
    is_primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Somebody who answers to a number now."""

    phone_id: int  # the row that ties number and party
    party_id: int
    name: str
    created_at: datetime
    created_by: str
    owner: str  # responsible user's name
    version: int


def read_number(presented: str, profile: NumberingProfile) -> Number:
    """The number a person entered.

    Raises:
        Invalid: not a telephone number of the outside world; says what is wrong with it.
    """
    number = to_e164(presented, profile)
    if number.kind is NumberKind.E164:
        return number
    if number.kind is NumberKind.NOT_A_NUMBER and number.problem:
        raise Invalid(
            "number", presented[:100], "“%(number)s” is not a telephone number.", number=presented[:100]
        )
    raise Invalid(
        "number",
        presented[:100],
        "“%(number)s” is no complete telephone number. Write it with the area code: +7 495 123-45-67.",
        number=presented[:100],
    )


def lock_key(number: Number) -> str:
    """What to lock before looking who owns the number."""
    return f"phone:{number.e164}"


async def attach_number(
    session: AsyncSession,
    access: Access,
    party_id: int,
    values: NumberValues,
    *,
    profile: NumberingProfile | None = None,
    via: str = "form",
) -> int:
    """Give a party a number; the same number twice is one. Returns the id of the tie (`PartyPhone`).

    Raises:
        NotAllowed, NotFound, Invalid (not a number, or a line of ours),
        AlreadyExists (a direct number of somebody else: attach to them, or mark it shared).
    """
    access.require("party.edit")
    number = read_number(values.presented, profile or home_profile(session))
    await lock_keys(session, [lock_key(number)])
    party = await editable_party(session, access, party_id, is_shared=True)
    return await tie(session, access, party.id, number, values, via=via)


async def tie(
    session: AsyncSession, access: Access, party_id: int, number: Number, values: NumberValues, *, via: str
) -> int:
    """The writing part of `attach_number`: the rights are checked, the number is locked."""
    if values.is_shared:
        access.require("number.share")
    await _refuse_own_line(session, number)
    number_id, usage = await _number_row(session, access, number, values.is_shared, via)
    extension = number.extension or ""
    owners = await _owners(session, number_id, extension)
    mine = next((owner for owner in owners if owner.party_id == party_id), None)
    if mine is not None:
        return mine.phone_id
    if owners and usage == DIRECT:
        raise _already_owned(number, owners[0])
    row = {
        "party_id": party_id,
        "number_id": number_id,
        "usage": usage,
        "extension": extension,
        "label": values.label.strip()[:MAX_LABEL] or None,
        "presented": number.presented,
        "is_primary": await _becomes_primary(session, party_id, values.is_primary),
        "created_by": access.actor_id,
    }
    try:
        async with session.begin_nested():
            phone_id = (
                await session.execute(insert(PartyPhone).values(row).returning(PartyPhone.id))
            ).scalar_one()
    except IntegrityError as error:
        owners = await _owners(session, number_id, extension)
        if not owners:
            raise
        raise _already_owned(number, owners[0]) from error
    after = {"number": number.e164, "extension": extension, "usage": usage, "label": row["label"]}
    await record_change(
        session, access, "party", party_id, before={}, after=after, event="party.number_added", via=via
    )
    return phone_id


async def owner_of(session: AsyncSession, number: Number) -> AlreadyExists | None:
    """The error to raise if a new party came with this number, None if it is free or shared. Lock first."""
    row = await session.scalar(select(PhoneNumber).where(PhoneNumber.e164 == number.e164))
    if row is None or row.usage == SHARED:
        return None
    owners = await _owners(session, row.id, number.extension or "")
    return _already_owned(number, owners[0]) if owners else None


async def mark_number(
    session: AsyncSession, access: Access, number_id: int, usage: str, *, via: str = "form"
) -> None:
    """Say that a number is shared by several, or direct again.

    Raises:
        NotAllowed, NotFound, Invalid (another word), NumberHasSeveralOwners (shared by several: not direct).
    """
    access.require("number.share")
    if usage not in {DIRECT, SHARED}:
        raise Invalid("usage", usage, "A number is direct or shared.")
    row = await session.scalar(
        select(PhoneNumber)
        .where(PhoneNumber.id == number_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise NotFound("number", number_id)
    await _set_usage(session, access, row, usage, via)


async def _set_usage(session: AsyncSession, access: Access, row: PhoneNumber, usage: str, via: str) -> None:
    number_id, old, shown = row.id, row.usage, format_number(row.e164 or row.local_digits or "")
    if old == usage:
        return
    try:
        async with session.begin_nested():  # the foreign key carries the word to every owner's row
            await session.execute(update(PhoneNumber).where(PhoneNumber.id == number_id).values(usage=usage))
    except IntegrityError as error:
        owners = await _owners(session, number_id, None)
        raise NumberHasSeveralOwners(shown, [owner.name for owner in owners]) from error
    before, after = {"usage": old}, {"usage": usage}
    await record_change(session, access, "number", number_id, before=before, after=after, via=via)


async def end_ownership(
    session: AsyncSession, access: Access, phone_id: int, *, at: datetime | None = None, via: str = "form"
) -> int:
    """The number is no longer this party's; old calls keep their links, and the number can have a new owner.

    Returns the party's id.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("number.share")
    active = select(PartyPhone).where(PartyPhone.id == phone_id, PartyPhone.ended_at.is_(None))
    active = active.execution_options(populate_existing=True)
    row = await session.scalar(active)
    if row is None:
        raise NotFound("number", phone_id)
    await readable_party(session, access, row.party_id)
    # The party first, then its row, as a merge locks them.
    party = await editable_party(session, access, row.party_id, right="number.share", is_shared=True)
    row = await session.scalar(active.where(PartyPhone.party_id == party.id).with_for_update())
    if row is None:
        raise NotFound("number", phone_id)
    was_primary, extension = row.is_primary, row.extension  # the update below refreshes `row`
    e164 = await session.scalar(select(PhoneNumber.e164).where(PhoneNumber.id == row.number_id))
    ended = {"ended_at": at or datetime.now(UTC), "is_primary": False}
    await session.execute(update(PartyPhone).where(PartyPhone.id == phone_id).values(ended))
    if was_primary:
        await _promote_next(session, party.id)
    before = {"number": e164, "extension": extension}
    await record_change(
        session, access, "party", party.id, before=before, after={}, event="party.number_ended", via=via
    )
    return party.id


async def make_primary(session: AsyncSession, access: Access, phone_id: int, *, via: str = "form") -> None:
    """The number to show first.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("party.edit")
    party_id = await session.scalar(
        select(PartyPhone.party_id).where(PartyPhone.id == phone_id, PartyPhone.ended_at.is_(None))
    )
    if party_id is None:
        raise NotFound("number", phone_id)
    party = await editable_party(session, access, party_id)
    await _clear_primary(session, party.id)
    await session.execute(update(PartyPhone).where(PartyPhone.id == phone_id).values(is_primary=True))
    after = {"primary_number": phone_id}
    await record_change(session, access, "party", party.id, before={}, after=after, via=via)


async def _number_row(
    session: AsyncSession, access: Access, number: Number, is_shared: bool, via: str
) -> tuple[int, str]:
    """The number's id and usage; made if the world did not know it, marked shared if that was asked."""
    values = {
        "e164": number.e164,
        "country": number.country,
        "type": number.type and number.type.value,
        "usage": SHARED if is_shared else DIRECT,
    }
    await session.execute(upsert(PhoneNumber).values(values).on_conflict_do_nothing())
    row = await session.scalar(
        select(PhoneNumber)
        .where(PhoneNumber.e164 == number.e164)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    assert row is not None, "just inserted, or by somebody else before"
    number_id, usage = row.id, row.usage
    if is_shared and usage == DIRECT:
        await _set_usage(session, access, row, SHARED, via)
        usage = SHARED
    return number_id, usage


async def _owners(session: AsyncSession, number_id: int, extension: str | None) -> list[Owner]:
    """Who has the number with this extension now; None: with any."""
    author, responsible = User.__table__.alias("author"), User.__table__.alias("responsible")
    query = (
        select(
            PartyPhone.id,
            Party.id,
            Party.display_name,
            PartyPhone.created_at,
            author.c.name,
            responsible.c.name,
            Party.version,
        )
        .join(Party, Party.id == PartyPhone.party_id)
        .outerjoin(author, author.c.id == PartyPhone.created_by)
        .outerjoin(responsible, responsible.c.id == Party.owner_id)
        .where(PartyPhone.number_id == number_id, PartyPhone.ended_at.is_(None))
        .order_by(PartyPhone.id)
    )
    if extension is not None:
        query = query.where(PartyPhone.extension == extension)
    return [
        Owner(
            phone_id=phone_id,
            party_id=party_id,
            name=name,
            created_at=created_at,
            created_by=created_by or "",
            owner=owner or "",
            version=version,
        )
        for phone_id, party_id, name, created_at, created_by, owner, version in await session.execute(query)
    ]


def _already_owned(number: Number, owner: Owner) -> AlreadyExists:
    shown = format_number(number.e164 or "") + (f" доб. {number.extension}" if number.extension else "")
    return AlreadyExists(
        "number",
        shown,
        party_id=owner.party_id,
        name=owner.name,
        created_by=owner.created_by,
        created_at=owner.created_at,
        owner=owner.owner,
        version=owner.version,
    )


async def _refuse_own_line(session: AsyncSession, number: Number) -> None:
    own = select(Line.name).where(Line.e164 == number.e164, Line.deleted_at.is_(None)).limit(1)
    name = await session.scalar(own)
    if name is not None:
        why = "This is our own line “%(line)s”; calls from it are not a client's."
        raise Invalid("number", number.presented, why, line=name)


async def _becomes_primary(session: AsyncSession, party_id: int, is_wanted: bool) -> bool:
    is_there = await session.scalar(
        select(PartyPhone.id).where(PartyPhone.party_id == party_id, PartyPhone.is_primary, _is_active())
    )
    if is_there and is_wanted:
        await _clear_primary(session, party_id)
    return is_wanted or is_there is None


async def _clear_primary(session: AsyncSession, party_id: int) -> None:
    of_party = update(PartyPhone).where(PartyPhone.party_id == party_id, PartyPhone.is_primary)
    await session.execute(of_party.values(is_primary=False))


async def _promote_next(session: AsyncSession, party_id: int) -> None:
    oldest = (
        select(PartyPhone.id)
        .where(PartyPhone.party_id == party_id, _is_active())
        .order_by(PartyPhone.id)
        .limit(1)
    )
    await session.execute(
        update(PartyPhone).where(PartyPhone.id == oldest.scalar_subquery()).values(is_primary=True)
    )


def _is_active() -> Any:
    return PartyPhone.ended_at.is_(None)
