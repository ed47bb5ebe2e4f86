"""Search: name, any part of a number or an e-mail address, INN, record number; within one's rights, archived ones too.

At most 500 hits of each way are looked at, before anything is sorted: a common syllable must not sort half the database, and the
answer says that it was cut.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    any_,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.call_time import called_parties
from crm.names import organisation_key
from crm.numbering import home_profile
from crm.party_access import readable, readable_ids
from crm.party_lists import PartyRow, rows_of
from crm.planning import plan_for_values
from crm.rights import Access, Scope
from crm.schema.parties import EmailAddress, Organisation, Party, PartyEmail, PartyPhone, Person, PhoneNumber
from cti.numbers import NumberingProfile, NumberKind, to_e164

_gone = aliased(Party)
FEWEST_CHARACTERS: Final = 3
MOST_CHARACTERS: Final = 100
MOST_HITS: Final = 500
FEW: Final = 10_000  # readable parties whose ids are simply named
SHOWN: Final = 50


class FoundBy(StrEnum):
    """What of a party matched, the strongest reason first."""

    RECORD = "record"  # its own number
    NUMBER = "number"
    EMAIL = "email"
    INN = "inn"
    NAME = "name"
    MERGED = "merged"  # the name of a record that went into this party


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """A found party. `shown` is the number or INN that matched, the name of a merged record, "" for its own name."""

    party: PartyRow
    found_by: FoundBy
    shown: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What was found. `is_cut`: more than 500 hits, and the best of the rest may be missing."""

    hits: tuple[SearchHit, ...]
    is_cut: bool = False
    is_too_short: bool = False


async def search_parties(
    session: AsyncSession,
    access: Access,
    typed: str,
    *,
    condition: ColumnElement[bool] | None = None,
    profile: NumberingProfile | None = None,
    limit: int = SHOWN,
) -> SearchResult:
    """Find parties by what somebody types.

    Args:
        condition: of `Party`, to search within a list.

    Raises:
        NotAllowed.
    """
    access.require("party.read")
    ways = ways_of(typed[:MOST_CHARACTERS], profile or home_profile(session))
    if not ways:
        return SearchResult(hits=(), is_too_short=True)
    await plan_for_values(session)
    allowed = and_(Party.deleted_at.is_(None), await _allowed(session, access))
    if condition is not None:
        allowed = and_(allowed, condition)
    found = [each.where(allowed).limit(MOST_HITS + 1).subquery() for each in ways]
    hits = union_all(*[select(each) for each in found]).subquery()
    rows = (await session.execute(_best_first(hits))).all()
    most_of_one_way = max(Counter(row[1] for row in rows).values(), default=0)
    best: dict[int, tuple[FoundBy, str]] = {}
    for party_id, found_by, shown in rows:
        best.setdefault(party_id, (FoundBy(found_by), shown))
    wanted = list(best)[:limit]
    items = await rows_of(session, wanted)
    return SearchResult(
        hits=tuple(SearchHit(party=row, found_by=best[row.id][0], shown=best[row.id][1]) for row in items),
        is_cut=most_of_one_way > MOST_HITS or len(best) > limit,
    )


async def _allowed(session: AsyncSession, access: Access) -> ColumnElement[bool]:
    """Whoever is there within one's rights, in the form that costs least: few by their ids, a large part of all by the rule."""
    if access.scope("party.read") is Scope.ALL:
        return Party.merged_into_id.is_(None)  # what everybody has is found soonest in the index of this
    called = await called_parties(session, access.user_id)
    ids = await readable_ids(session, access, FEW, called)
    if ids is None:
        return and_(
            Party.lifecycle != "merged", readable(access, called)
        )  # in no index, to be read for nothing
    return and_(Party.lifecycle != "merged", Party.id == any_(literal(ids, ARRAY(BigInteger))))


def _best_first(hits: Any) -> Select[Any]:
    """Numbers and INN before names; active before archived; then by name."""
    return (
        select(hits.c.id, hits.c.found_by, hits.c.shown)
        .join(Party, Party.id == hits.c.id)
        .order_by(
            hits.c.rank, Party.lifecycle != "active", func.length(Party.sort_name), Party.sort_name, Party.id
        )
    )


def ways_of(typed: str, profile: NumberingProfile) -> list[Select[Any]]:
    """Every way in which the text may be meant: one query each of parties, with id, found_by, shown, rank. None: it is too short."""
    digits = re.sub(r"\D", "", typed)
    is_number_like = bool(re.fullmatch(r"[\d\s()+.\-–—/]+", typed.strip()))
    ways = []
    if (number := record_number_in(typed)) is not None:
        ways.append(_hit(FoundBy.RECORD, literal(""), 0).where(Party.number == number))
    if "@" in typed and len(typed.strip()) >= FEWEST_CHARACTERS:
        ways.append(_by_email(typed.strip().lower()))
    if is_number_like and len(digits) >= FEWEST_CHARACTERS:
        ways.append(_by_number(typed, digits, profile))
        ways.append(_by_inn(digits, Organisation))
        ways.append(_by_inn(digits, Person))
    words = [word for word in organisation_key(typed).split() if word]
    if len("".join(words)) >= FEWEST_CHARACTERS:
        ways.append(_by_name(words))
        ways.append(_by_merged_name(words))
    return ways


def _by_number(typed: str, digits: str, profile: NumberingProfile) -> Select[Any]:
    number = to_e164(typed, profile)
    if number.kind is NumberKind.E164:
        matches: ColumnElement[bool] = PhoneNumber.e164 == number.e164  # a whole number, in any spelling
    else:
        parts = {digits, digits.lstrip("0") or digits}
        if len(digits) > FEWEST_CHARACTERS and digits[0] in "78":
            parts.add(digits[1:])  # 8 916 … is +7 916 …
        matches = or_(*[PhoneNumber.e164.like(f"%{part}%") for part in sorted(parts)])
    return (
        _hit(FoundBy.NUMBER, PhoneNumber.e164, 1)
        .join(PartyPhone, PartyPhone.party_id == Party.id)
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .where(PartyPhone.ended_at.is_(None), matches)
    )


def record_number_in(typed: str) -> int | None:
    """«№ 17», «#17»; without a sign from three digits on, as everything that is searched."""
    found = re.fullmatch(r"(№|#)?\s*([0-9]{1,18})", typed.strip())
    if found is None or (found[1] is None and len(found[2]) < FEWEST_CHARACTERS):
        return None
    return int(found[2])


def _by_email(typed: str) -> Select[Any]:
    return (
        _hit(FoundBy.EMAIL, EmailAddress.address, 1)
        .join(PartyEmail, PartyEmail.party_id == Party.id)
        .join(EmailAddress, EmailAddress.id == PartyEmail.email_id)
        .where(PartyEmail.ended_at.is_(None), EmailAddress.address.contains(typed, autoescape=True))
    )


def _by_inn(digits: str, detail: Any) -> Select[Any]:
    return (
        _hit(FoundBy.INN, detail.inn, 2)
        .join(detail, detail.party_id == Party.id)
        .where(detail.inn.like(f"{digits}%"))
    )


def _by_name(words: list[str]) -> Select[Any]:
    # Normalised words have letters and digits only: nothing in them means something to LIKE.
    return _hit(FoundBy.NAME, literal(""), 3).where(*[Party.sort_name.like(f"%{word}%") for word in words])


def _by_merged_name(words: list[str]) -> Select[Any]:
    """Who was merged is found as the one who lives on."""
    return (
        _hit(FoundBy.MERGED, _gone.display_name, 4)
        .join(_gone, _gone.merged_into_id == Party.id)
        .where(_gone.merged_into_id.is_not(None), *[_gone.sort_name.like(f"%{word}%") for word in words])
    )


def _hit(found_by: FoundBy, shown: Any, rank: int) -> Select[Any]:
    return select(
        Party.id.label("id"),
        literal(found_by.value).label("found_by"),
        func.coalesce(shown, "").label("shown"),
        literal(rank).label("rank"),
    ).select_from(Party)
