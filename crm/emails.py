"""E-mail addresses of parties; owned like numbers: direct ones have one owner."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import AlreadyExists, Invalid
from crm.party_access import editable_party, lock_keys
from crm.rights import Access
from crm.schema.access import User
from crm.schema.parties import EmailAddress, Party, PartyEmail

_ADDRESS: Final = re.compile(
    r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\.][^\s@<>,;:\"()\[\]\\]*\.[^\s@.]{2,}"
)
MAX_CHARACTERS: Final = 254


def read_address(text: str) -> str:
    """The address in lower case.

    Raises:
        Invalid: not an address.
    """
    address = text.strip().lower()
    if not is_address(address):
        raise Invalid("email", text[:100], "This is not an e-mail address. Write it as name@company.ru.")
    return address


def is_address(text: str) -> bool:
    """Whether a text is one e-mail address."""
    return len(text) <= MAX_CHARACTERS and _ADDRESS.fullmatch(text) is not None


async def attach_email(
    session: AsyncSession, access: Access, party_id: int, text: str, *, label: str = "", via: str = "form"
) -> int:
    """Give a party an address; the same one twice is one. Returns the id of the tie.

    Raises:
        NotAllowed, NotFound, Invalid, AlreadyExists (somebody else's direct address).
    """
    access.require("party.edit")
    await lock_keys(session, [email_key(text)])
    party = await editable_party(session, access, party_id, is_shared=True)
    return await tie_email(session, access, party.id, text, label=label, via=via)


def email_key(text: str) -> str:
    """What to lock before looking whose address it is. Raises Invalid."""
    return f"email:{read_address(text)}"


async def tie_email(
    session: AsyncSession, access: Access, party_id: int, text: str, *, label: str = "", via: str
) -> int:
    """The writing part of `attach_email`: the rights are checked, the address is locked."""
    address = read_address(text)
    await session.execute(upsert(EmailAddress).values(address=address).on_conflict_do_nothing())
    email = await session.scalar(select(EmailAddress).where(EmailAddress.address == address))
    assert email is not None, "just inserted, or by somebody else before"
    active = PartyEmail.ended_at.is_(None)
    mine = select(PartyEmail.id).where(
        PartyEmail.party_id == party_id, PartyEmail.email_id == email.id, active
    )
    if (known := await session.scalar(mine)) is not None:
        return known
    has_primary = select(PartyEmail.id).where(PartyEmail.party_id == party_id, PartyEmail.is_primary, active)
    row = {
        "party_id": party_id,
        "email_id": email.id,
        "usage": email.usage,
        "label": label.strip() or None,
        "is_primary": await session.scalar(has_primary) is None,
        "created_by": access.actor_id,
    }
    try:
        async with session.begin_nested():
            tie = (
                await session.execute(insert(PartyEmail).values(row).returning(PartyEmail.id))
            ).scalar_one()
    except IntegrityError as error:
        raise await _already_owned(session, email.id, address) from error
    after = {"email": address}
    await record_change(
        session, access, "party", party_id, before={}, after=after, event="party.email_added", via=via
    )
    return tie


async def _already_owned(session: AsyncSession, email_id: int, address: str) -> AlreadyExists:
    author, responsible = User.__table__.alias("author"), User.__table__.alias("responsible")
    row = await session.execute(
        select(
            Party.id, Party.display_name, Party.created_at, author.c.name, responsible.c.name, Party.version
        )
        .join(PartyEmail, PartyEmail.party_id == Party.id)
        .outerjoin(author, author.c.id == Party.created_by)
        .outerjoin(responsible, responsible.c.id == Party.owner_id)
        .where(PartyEmail.email_id == email_id, PartyEmail.ended_at.is_(None))
        .limit(1)
    )
    party_id, name, created_at, created_by, owner, version = row.one()
    return AlreadyExists(
        "email",
        address,
        party_id=party_id,
        name=name,
        created_by=created_by or "",
        created_at=created_at,
        owner=owner or "",
        version=version,
    )
