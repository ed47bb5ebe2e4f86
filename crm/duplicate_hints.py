"""Who may already be here, told while somebody types: a warning, never a block (crm-model 7).

Rights are ignored as to existence, on purpose: two people must not enter the same company twice. Whose card opens is told with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from crm.names import normal_name, person_name
from crm.numbering import home_profile
from crm.party_access import readable
from crm.rights import Access
from crm.schema.access import User
from crm.schema.merging import DuplicateDismissal
from crm.schema.parties import (
    EmailAddress,
    Organisation,
    Party,
    PartyEmail,
    PartyPhone,
    Person,
    PhoneNumber,
)
from crm.similar_names import similar_parties
from cti.numbers import NumberKind, to_e164

MOST: Final = 5
PATIENCE: Final = (
    25  # milliseconds for names that are alike by their letters only: somebody types on meanwhile
)
_SITE: Final = re.compile(r"^(?:https?://)?(?:www\.)?")
_REASONS: Final = ("number", "email", "inn", "site", "alias", "same_name", "name")  # the strongest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What stands in the form so far; "" where nothing does."""

    type: str
    short_name: str = ""
    last_name: str = ""
    first_name: str = ""
    middle_name: str = ""
    inn: str = ""
    number: str = ""
    email: str = ""
    website: str = ""

    @property
    def name(self) -> str:
        return self.short_name or person_name(self.last_name, self.first_name, self.middle_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A party that may be the same. `likeness`: 0 to 1, of names; `is_readable`: whether the reader may open the card."""

    party_id: int
    name: str
    owner_name: str | None
    lifecycle: str
    reason: str
    likeness: float
    is_readable: bool


async def hints(
    session: AsyncSession, access: Access, typed: Typed, *, edited_id: int | None = None
) -> list[Hint]:
    """At most five, the strongest reason first.

    Args:
        edited_id: the party whose form this is; it is none of them, nor is whoever was found to be another one.

    Raises:
        NotAllowed.
    """
    access.require("party.edit" if edited_id else "party.create")
    reasons: dict[int, tuple[str, float]] = {}
    for reason, query in _equal(session, typed):
        for party_id in await session.scalars(query.limit(MOST)):
            reasons.setdefault(party_id, (reason, 1.0))
    for each in await similar_parties(session, typed.name, typed.type, patience=PATIENCE):
        reasons.setdefault(each.party_id, ("name", each.similarity))
    for known in await _no_duplicates(session, edited_id) if edited_id else ():
        reasons.pop(known, None)
    best = sorted(reasons, key=lambda each: (_REASONS.index(reasons[each][0]), -reasons[each][1], each))
    return await _told(session, access, best[:MOST], reasons)


async def _no_duplicates(session: AsyncSession, party_id: int) -> set[int]:
    """The party itself, and those of whom somebody said «Не дубль»."""
    low, high = DuplicateDismissal.low_id, DuplicateDismissal.high_id
    said = union_all(select(high).where(low == party_id), select(low).where(high == party_id))
    return {party_id, *await session.scalars(said)}


def _equal(session: AsyncSession, typed: Typed) -> Iterable[tuple[str, Select[int]]]:
    """What must be the same to the letter, each from its own index."""
    number = to_e164(typed.number, home_profile(session)) if typed.number else None
    if number is not None and number.kind is NumberKind.E164:
        by_number = _live().join(PartyPhone, PartyPhone.party_id == Party.id)
        by_number = by_number.join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        yield "number", by_number.where(PhoneNumber.e164 == number.e164, PartyPhone.ended_at.is_(None))
    if "@" in typed.email:
        address, mailbox = typed.email.lower(), _mailbox(typed.email.lower())
        addresses = [("email", address)] + ([("alias", mailbox)] if mailbox != address else [])
        for reason, wanted in addresses:
            by_email = _live().join(PartyEmail, PartyEmail.party_id == Party.id)
            by_email = by_email.join(EmailAddress, EmailAddress.id == PartyEmail.email_id)
            yield reason, by_email.where(EmailAddress.address == wanted, PartyEmail.ended_at.is_(None))
    if typed.inn.isascii() and typed.inn.isdigit():
        for detail in (Organisation, Person):
            of_inn: Any = detail.inn == typed.inn
            yield "inn", _live().join(detail, detail.party_id == Party.id).where(of_inn)
    if site := site_key(typed.website):
        by_site = _live().join(Organisation, Organisation.party_id == Party.id)
        yield "site", by_site.where(Organisation.website.is_not(None), stored_site() == site)
    if typed.last_name and typed.first_name:
        key = normal_name(f"{typed.last_name} {typed.first_name}")
        named = or_(Party.sort_name == key, Party.sort_name.startswith(f"{key} ", autoescape=True))
        yield "same_name", _live().where(Party.type == "person", named, Party.lifecycle == "active")


def _live() -> Select[int]:
    return select(Party.id).where(Party.deleted_at.is_(None), Party.merged_into_id.is_(None))


def _mailbox(address: str) -> str:
    """Without the alias behind a plus: whoever reads it is the same."""
    local, _, domain = address.partition("@")
    return f"{local.partition('+')[0]}@{domain}"


def site_key(website: str) -> str:
    """A site's address for comparing: lower case, without scheme, www and the last slash."""
    return _SITE.sub("", website.strip().lower()).rstrip("/")


def stored_site() -> Any:
    """The same of what is stored; `ix_organisation_site` is over exactly this."""
    bare = func.regexp_replace(
        func.lower(Organisation.website),
        literal(r"^(https?://)?(www\.)?", literal_execute=True),
        literal("", literal_execute=True),
    )
    return func.rtrim(bare, literal("/", literal_execute=True))


async def _told(
    session: AsyncSession, access: Access, ids: list[int], reasons: dict[int, tuple[str, float]]
) -> list[Hint]:
    rows = await session.execute(
        select(Party.id, Party.display_name, User.name, Party.lifecycle, readable(access))
        .outerjoin(User, User.id == Party.owner_id)
        .where(Party.id.in_(ids))
    )
    found = {row[0]: row for row in rows}
    return [
        Hint(
            party_id=party_id,
            name=found[party_id][1],
            owner_name=found[party_id][2],
            lifecycle=found[party_id][3],
            reason=reasons[party_id][0],
            likeness=reasons[party_id][1],
            is_readable=bool(found[party_id][4]) and access.may("party.read"),
        )
        for party_id in ids
        if party_id in found
    ]
