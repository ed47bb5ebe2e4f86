"""Quick search in the list of communications: by what was written, with whom it was, the number of a call; within its filters and one's rights.

So many of each way are looked at before anything is put in order, as in the search for parties; the answer says that it was cut.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.calls_read import has_number
from crm.communication_filters import EVERYTHING, CommunicationFilter, is_among
from crm.communication_keys import Keys, allowed, first_of, keys_where, ordered, ways_to
from crm.communications import CommunicationInfo, communication_infos, of_the_survivor
from crm.names import organisation_key
from crm.numbering import home_profile
from crm.party_search import found_ids
from crm.planning import plan_for_page
from crm.rights import Access
from crm.schema.communications import HAS_WORDS, WORDS, Call, Communication
from crm.schema.parties import Party
from crm.search_ways import FEWEST_CHARACTERS, MOST_CHARACTERS, is_number_like
from cti.numbers import NumberingProfile, NumberKind, to_e164

MOST_SHOWN: Final = 200
FEW: Final = 1_000  # of each way
MOST_PARTIES: Final = 200
MOST_WHOLE: Final = 10  # so few parties are looked through as far as the page goes
OF_EACH_PARTY: Final = 50
MOST_SAYING: Final = 2_000  # of those that say a word are looked at, whosever they are
FIRST: Final = 1_000  # of the list are looked through
_contact = aliased(Party)  # once: to make one costs more than to ask with it
FEWEST_DIGITS: Final = 4  # fewer end so many numbers that nothing is told by them


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationsFound:
    """In the list's order. `is_cut`: there are more, and some of those may stand before these."""

    items: tuple[CommunicationInfo, ...]
    is_cut: bool = False
    is_too_short: bool = False


async def search_communications(
    session: AsyncSession,
    access: Access,
    typed: str,
    wanted: CommunicationFilter = EVERYTHING,
    *,
    is_oldest_first: bool = False,
    profile: NumberingProfile | None = None,
    limit: int = MOST_SHOWN,
) -> CommunicationsFound:
    """Find among what the list would have.

    Raises:
        NotAllowed, NotFound (the lead).
    """
    access.require("party.read")
    typed = typed[:MOST_CHARACTERS]
    profile = profile or home_profile(session)
    parties = await found_ids(session, access, typed, MOST_PARTIES, profile=profile)
    if parties is None:
        return CommunicationsFound(items=(), is_too_short=True)
    wanted = await of_the_survivor(session, access, wanted)
    asked = _Asked(access=access, wanted=wanted, is_oldest_first=is_oldest_first)
    await plan_for_page(session)
    says, is_cut = await _that_say(session, words_in(typed))
    ways = [*asked.by_ids(says), *asked.by_number(typed, profile), *asked.by_first(typed)]
    found = [(await session.execute(way.limit(FEW))).all() for way in ways]
    is_cut |= parties.is_cut or any(len(rows) == FEW for rows in found)
    for most, way in asked.by_parties(parties.ids, limit + 1):
        found.append((await session.execute(way)).all())
        is_cut |= max(Counter(row.party_id for row in found[-1]).values(), default=0) == most
    keys = sorted({(row.started_at, row.id) for rows in found for row in rows}, reverse=not is_oldest_first)
    items = await communication_infos(session, access, [each for _at, each in keys[:limit]])
    return CommunicationsFound(items=tuple(items), is_cut=is_cut or len(keys) > limit)


def words_in(typed: str) -> list[str]:
    """What is looked for in what was written; nothing, if no word has the three letters that the index is over."""
    words = re.findall(r"[^\W_]+", typed.lower().replace("ё", "е"))
    return words if any(len(word) >= FEWEST_CHARACTERS for word in words) else []


def _say(words: Sequence[str]) -> ColumnElement[bool]:
    written: ColumnElement[str] = literal_column(WORDS)
    return and_(*[written.contains(word, autoescape=True) for word in words])


async def _that_say(session: AsyncSession, words: Sequence[str]) -> tuple[list[UUID], bool]:
    """Those that say all these words, of everybody; and whether there are more: then these are any of them."""
    if not words:
        return [], False
    has_words: ColumnElement[bool] = literal_column(f"({HAS_WORDS})")
    some = select(Communication.id).where(has_words, _say(words)).limit(MOST_SAYING + 1)
    found = list(await session.scalars(some))
    return found, len(found) > MOST_SAYING


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Of what the list would have: the keys that each meaning of the text leads to."""

    access: Access
    wanted: CommunicationFilter
    is_oldest_first: bool

    def by_ids(self, ids: Sequence[UUID]) -> list[Keys]:
        is_one = is_among(Communication.id, ids)
        return [keys_where(self.wanted, is_one, self._within_rights())] if ids else []

    def by_number(self, typed: str, profile: NumberingProfile) -> list[Keys]:
        """Calls of a number, whole or by its last digits."""
        digits = re.sub(r"\D", "", typed, flags=re.ASCII)
        if not self.wanted.may_be_call or len(digits) < FEWEST_DIGITS or not is_number_like(typed):
            return []
        number = to_e164(typed, profile)
        whole = number.e164 if number.kind is NumberKind.E164 and number.e164 else digits
        calls = keys_where(self.wanted, self._within_rights()).join(Call, Call.id == Communication.id)
        return [calls.where(has_number(whole))]

    def by_parties(self, ids: Sequence[int], most: int) -> list[tuple[int, Select[Any]]]:
        """With these, as client or as contact; of each the first so many."""
        if not ids:
            return []
        most = most if len(ids) <= MOST_WHOLE else OF_EACH_PARTY
        parties = select(func.unnest(literal(list(ids), ARRAY(BigInteger))).label("id")).subquery()
        order = ordered(Communication.started_at, Communication.id, self.is_oldest_first)
        found = []
        for column in (Communication.party_id, Communication.contact_id):
            keys = keys_where(self.wanted, column == parties.c.id, self._within_rights())
            first = keys.order_by(*order).limit(most).lateral()
            of_each = select(parties.c.id.label("party_id"), first.c.id, first.c.started_at)
            found.append((most, of_each.select_from(parties).join(first, true())))
        return found

    def by_first(self, typed: str) -> list[Keys]:
        """Among the first of the list: what says a common word, and with somebody whose card one may not read."""
        words, names = words_in(typed), organisation_key(typed).split()
        if is_number_like(typed) or len("".join(names)) < FEWEST_CHARACTERS:
            return []
        ways = ways_to(self.access, self.wanted)
        first = first_of(ways, None, FIRST, is_oldest_first=self.is_oldest_first).subquery()
        meant = [
            and_(*[party.sort_name.contains(name, autoescape=True) for name in names])
            for party in (Party, _contact)
        ]
        keys: Keys = select(first.c.id, first.c.started_at)
        return [
            keys.join(Communication, Communication.id == first.c.id)
            .outerjoin(Party, Party.id == Communication.party_id)
            .outerjoin(_contact, _contact.id == Communication.contact_id)
            .where(or_(*meant, *([_say(words)] if words else [])))
        ]

    def _within_rights(self) -> ColumnElement[bool]:
        return true() if self.wanted.lead_id is not None else or_(*allowed(self.access))
