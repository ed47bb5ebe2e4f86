"""What a list of parties shows: the fixed condition of each list, and the filters that can be combined with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, literal, not_, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.errors import Invalid
from crm.party_kinds import kind_ids
from crm.schema.directories import PartyTag
from crm.schema.parties import Party, PartyKind, PartyKindAssignment, PartyLack
from crm.schema.regions import PartyRegion


class Which(StrEnum):
    """Which parties a list is of. A kind that is paused or has ended counts for none, unless the filter asks for it."""

    COUNTERPARTIES = "counterparties"  # active, with an active kind
    FORMER_CLIENTS = "former_clients"  # kind client ended, none active
    CONTACTS = "contacts"  # active persons
    CONTACTS_ALONE = "contacts_alone"  # active persons without organisation and without kind
    EVERYBODY = "everybody"  # active parties, for search


# Made once: that costs more than to ask with them.
_stay, _other = aliased(PartyKindAssignment), aliased(PartyLack)
MOST_WORDS: Final = 100
ACTIVE: Final = "active"
STATUSES: Final = (ACTIVE, "paused", "ended")  # of a kind that a party has, or had


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyFilter:
    """What a list shows; what is None does not narrow. `kind` is a code, periods are half-open."""

    which: Which = Which.COUNTERPARTIES
    kind: str | None = None
    kind_status: str = ACTIVE  # of that kind, or of any: what is paused or ended stands in no list of itself
    owner_id: int | None = None  # 0: nobody is responsible
    type: str | None = None  # person, organisation
    source: str | None = None
    city: str | None = None  # as it is written on the card
    region: str | None = None  # of one of its numbers, or of its primary contact's
    tag_id: int | None = None
    has_phone: bool | None = None
    spoken_since: datetime | None = None  # the last communication
    spoken_until: datetime | None = None
    silent_since: datetime | None = None  # no communication from this moment on

    @classmethod
    def from_text(cls, which: str = "", kind: str = "", owner_id: int | None = None) -> PartyFilter:
        """From an address. Raises Invalid for a list that does not exist."""
        try:
            return cls(which=Which(which or Which.COUNTERPARTIES), kind=kind or None, owner_id=owner_id)
        except ValueError as error:
            raise Invalid("list", which, "There is no such list.") from error


async def condition_of(
    session: AsyncSession, wanted: PartyFilter, *, beside: str = ""
) -> ColumnElement[bool]:
    """What the filter says of `Party`, for a search within a list too. Raises Invalid for an unknown kind.

    Args:
        beside: what is known to be lacking, if the list is read from that: it need not be looked for.
    """
    is_alone = wanted.which is Which.CONTACTS_ALONE and beside == "company"
    which = Which.CONTACTS if is_alone else wanted.which
    chosen = replace(wanted, has_phone=None) if beside == "number" else wanted
    conditions = [_CONDITIONS[which](), *_chosen(chosen, Party)]
    if wanted.kind is not None:
        ids = await kind_ids(session, [wanted.kind])
        conditions.append(_has_kind(wanted.kind_status, ids[wanted.kind]))
    elif wanted.which is Which.COUNTERPARTIES:
        conditions.append(_has_kind(wanted.kind_status))
    return and_(*conditions)


def condition_beside_kinds(wanted: PartyFilter) -> ColumnElement[bool]:
    """The same for a list that is read from kinds, without what those say."""
    is_read_from = wanted.which is Which.FORMER_CLIENTS and wanted.kind is None
    which = not_(_has_kind()) if is_read_from else _CONDITIONS[wanted.which]()
    is_person = wanted.type == "person" or wanted.which is Which.CONTACTS
    of_type = (
        PartyKindAssignment.party_type == text("'person'") if is_person else true()
    )  # has indexes of its own
    return and_(which, of_type, *_chosen(wanted, PartyKindAssignment))


async def known_sources(session: AsyncSession) -> list[str]:
    """The sources that active parties have, by name, the first hundred."""
    return await _known(session, Party.source)


async def known_cities(session: AsyncSession) -> list[str]:
    """Their cities, likewise."""
    return await _known(session, Party.city)


async def _known(session: AsyncSession, column: Any) -> list[str]:
    """The values of a column that has an index of its own: one step in it for each."""
    # As the index says it, word for word.
    listed = "is not null and party.lifecycle = 'active' and party.deleted_at is null"
    is_listed = text(f"party.{column.key} {listed}")
    first = select(func.min(column)).where(is_listed).scalar_subquery()
    found = select(first.label("word")).cte("found", recursive=True)
    after = select(func.min(column)).where(is_listed, column > found.c.word)
    steps = found.union_all(select(after.scalar_subquery()).where(found.c.word.is_not(None)))
    rows = await session.scalars(select(steps.c.word).where(steps.c.word.is_not(None)).limit(MOST_WORDS))
    return [word for word in rows if word]


def _chosen(wanted: PartyFilter, copies: Any) -> list[ColumnElement[bool]]:
    """The filters that are columns of the party, and whether it has a number. `copies`: where owner and last communication are read."""
    found: list[ColumnElement[bool]] = []
    owner, last = copies.owner_id, copies.last_communication_at
    if wanted.owner_id:
        keeper = func.coalesce(owner, copies.created_by) if copies is Party else copies.keeper_id
        found += [owner == wanted.owner_id, keeper == wanted.owner_id]  # the second has the indexes
    elif wanted.owner_id is not None:
        found.append(owner.is_(None))
    if wanted.type is not None:
        found.append(Party.type == wanted.type)
    if wanted.source is not None:
        found.append(Party.source == wanted.source)
    if wanted.city is not None:
        found.append(Party.city == wanted.city)
    if wanted.region is not None:
        found.append(_is_in(wanted.region))
    if wanted.tag_id is not None:
        found.append(_has_tag(wanted.tag_id))
    if wanted.spoken_since is not None:
        found.append(last >= wanted.spoken_since)
    if wanted.spoken_until is not None:
        found.append(last < wanted.spoken_until)
    if wanted.silent_since is not None:
        found.append(or_(last < wanted.silent_since, last.is_(None)))
    if wanted.has_phone is not None:
        found.append(not_(_lacks("number")) if wanted.has_phone else _lacks("number"))
    return found


def _has_tag(tag_id: int) -> ColumnElement[bool]:
    return select(PartyTag.id).where(PartyTag.party_id == Party.id, PartyTag.tag_id == tag_id).exists()


def _is_in(region: str) -> ColumnElement[bool]:
    mine = (PartyRegion.party_id == Party.id, PartyRegion.region == region)
    return select(PartyRegion.party_id).where(*mine).exists()


def _lacks(what: str) -> ColumnElement[bool]:
    return select(_other.party_id).where(_other.party_id == Party.id, lacking(what, _other)).exists()


def lacking(what: str, lack: Any = PartyLack) -> ColumnElement[bool]:
    """Of a row of `PartyLack`: number, company; in words, so that the planner knows how many there are."""
    is_lacking: ColumnElement[bool] = lack.lack == literal(what, literal_execute=True)
    return is_lacking


def _has_kind(status: str = ACTIVE, kind_id: int | None = None) -> ColumnElement[bool]:
    """Any kind, or this one, that stands so."""
    stays = select(_stay.id).where(_stay.party_id == Party.id, stands(_stay, status))
    return (stays if kind_id is None else stays.where(_stay.kind_id == kind_id)).exists()


def stands(stay: Any, status: str) -> ColumnElement[bool]:
    """Whether a kind stands so, as its indexes say it, word for word."""
    said: ColumnElement[bool] = stay.status == literal(status, literal_execute=True)
    return said


def _is_former_client() -> ColumnElement[bool]:
    client = select(PartyKind.id).where(PartyKind.code == "client").scalar_subquery()
    ended = select(_stay.id).where(
        _stay.party_id == Party.id, stands(_stay, "ended"), _stay.kind_id == client
    )
    return and_(ended.exists(), not_(_has_kind()))


def _is_alone() -> ColumnElement[bool]:
    return and_(Party.type == text("'person'"), _lacks("company"))


_CONDITIONS: Final[Mapping[Which, Any]] = {
    Which.COUNTERPARTIES: true,  # what its kinds say comes beside
    Which.FORMER_CLIENTS: _is_former_client,
    Which.CONTACTS: lambda: Party.type == text("'person'"),
    Which.CONTACTS_ALONE: _is_alone,
    Which.EVERYBODY: true,
}
