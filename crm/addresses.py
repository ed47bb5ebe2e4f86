"""Addresses of parties: the legal one, where they sit, where goods go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.party_access import editable_party
from crm.rights import Access
from crm.schema.directories import Address

KINDS: Final = ("legal", "actual", "delivery")
MAX_TEXT: Final = 500
MOST_ADDRESSES: Final = 50  # of one party


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressInfo:
    """An address in use. `kind`: legal, actual, delivery."""

    id: int
    kind: str
    text: str


async def addresses_of(session: AsyncSession, party_id: int) -> list[AddressInfo]:
    """The addresses in use, the legal ones first."""
    rows = await session.scalars(
        select(Address).where(Address.party_id == party_id, Address.ended_at.is_(None)).order_by(Address.id)
    )
    found = [AddressInfo(id=row.id, kind=row.kind, text=row.text) for row in rows]
    return sorted(found, key=lambda each: KINDS.index(each.kind))


async def add_address(
    session: AsyncSession, access: Access, party_id: int, kind: str, text: str, *, via: str = "form"
) -> int:
    """Another address; the same one twice is one. Returns its id.

    Raises:
        NotAllowed, NotFound, Invalid.
    """
    party = await editable_party(session, access, party_id)
    text = " ".join(text.split())
    if kind not in KINDS:
        raise Invalid("kind", kind, "An address is legal, actual or for delivery.")
    if not text or len(text) > MAX_TEXT or "\0" in text:
        raise Invalid("address", text[:50], "An address has 1 to %(most)d characters.", most=MAX_TEXT)
    present = await addresses_of(session, party.id)
    for each in present:
        if (each.kind, each.text) == (kind, text):
            return each.id
    if len(present) >= MOST_ADDRESSES:
        raise Invalid("address", text[:50], "A party has at most %(most)d addresses.", most=MOST_ADDRESSES)
    row = {"party_id": party.id, "kind": kind, "text": text, "created_by": access.actor_id}
    address_id = (await session.execute(insert(Address).values(row).returning(Address.id))).scalar_one()
    told = {f"address.{kind}": text}
    await record_change(session, access, "party", party.id, before={}, after=told, via=via)
    return address_id


async def end_address(
    session: AsyncSession, access: Access, party_id: int, address_id: int, *, via: str = "form"
) -> None:
    """Nobody is there any more.

    Raises:
        NotAllowed, NotFound.
    """
    party = await editable_party(session, access, party_id)
    found = next((each for each in await addresses_of(session, party.id) if each.id == address_id), None)
    if found is None:
        raise NotFound("address", address_id)
    await session.execute(update(Address).where(Address.id == address_id).values(ended_at=datetime.now(UTC)))
    told = {f"address.{found.kind}": found.text}
    await record_change(session, access, "party", party.id, before=told, after={}, via=via)
