"""What a list of parties shows: the fixed condition of each list, and the filters that can be combined with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, not_, or_, select, text, true
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid
from crm.party_kinds import kind_ids
from crm.schema.parties import Affiliation, Party, PartyKind, PartyKindAssignment, PartyPhone


class Which(StrEnum):
    """The lists of crm-model 4.3."""

    COUNTERPARTIES = "counterparties"  # active, with an active kind
    FORMER_CLIENTS = "former_clients"  # kind client ended, none active
    CONTACTS = "contacts"  # active persons
    CONTACTS_ALONE = "contacts_alone"  # active persons without organisation and without kind
    EVERYBODY = "everybody"  # active parties, for search


MOST_SOURCES: Final = 100
# As the index says it, word for word.
_HAS_SOURCE: Final = text(
    "party.source is not null and party.lifecycle = 'active' and party.deleted_at is null"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyFilter:
    """What a list shows; what is None does not narrow. `kind` is a code, periods are half-open."""

    which: Which = Which.COUNTERPARTIES
    kind: str | None = None
    owner_id: int | None = None  # 0: nobody is responsible
    type: str | None = None  # person, organisation
    source: str | None = None
    has_phone: bool | None = None
    spoken_since: datetime | None = None  # the last communication
    spoken_until: datetime | None = None
    silent_since: datetime | None = None  # no communication from this moment on

    @property
    def looks_for_lack(self) -> bool:
        """Whether it asks for parties that something is missing of: one must look at all to know that there are few."""
        return self.has_phone is False or self.which is Which.CONTACTS_ALONE

    @classmethod
    def from_text(cls, which: str = "", kind: str = "", owner_id: int | None = None) -> PartyFilter:
        """From an address. Raises Invalid for a list that does not exist."""
        try:
            return cls(which=Which(which or Which.COUNTERPARTIES), kind=kind or None, owner_id=owner_id)
        except ValueError as error:
            raise Invalid("list", which, "There is no such list.") from error


async def condition_of(session: AsyncSession, wanted: PartyFilter) -> ColumnElement[bool]:
    """What the filter says of `Party`, for a search within a list too. Raises Invalid for an unknown kind."""
    conditions = [_CONDITIONS[wanted.which](), *_chosen(wanted)]
    if wanted.kind is not None:
        ids = await kind_ids(session, [wanted.kind])
        conditions.append(_has_kind(PartyKindAssignment.kind_id == ids[wanted.kind]))
    if wanted.has_phone is not None:
        conditions.append(_has_phone() if wanted.has_phone else not_(_has_phone()))
    return and_(*conditions)


async def known_sources(session: AsyncSession) -> list[str]:
    """The sources that active parties have, by name, the first hundred: one step in the index for each."""
    first = select(func.min(Party.source)).where(_HAS_SOURCE).scalar_subquery()
    found = select(first.label("source")).cte("found", recursive=True)
    after = select(func.min(Party.source)).where(_HAS_SOURCE, Party.source > found.c.source)
    steps = found.union_all(select(after.scalar_subquery()).where(found.c.source.is_not(None)))
    rows = await session.scalars(
        select(steps.c.source).where(steps.c.source.is_not(None)).limit(MOST_SOURCES)
    )
    return [source for source in rows if source]


def _chosen(wanted: PartyFilter) -> list[ColumnElement[bool]]:
    """The filters that are columns of the party itself."""
    last = Party.last_communication_at
    found: list[ColumnElement[bool]] = []
    if wanted.owner_id is not None:
        found.append(Party.owner_id == wanted.owner_id if wanted.owner_id else Party.owner_id.is_(None))
    if wanted.type is not None:
        found.append(Party.type == wanted.type)
    if wanted.source is not None:
        found.append(Party.source == wanted.source)
    if wanted.spoken_since is not None:
        found.append(last >= wanted.spoken_since)
    if wanted.spoken_until is not None:
        found.append(last < wanted.spoken_until)
    if wanted.silent_since is not None:
        found.append(or_(last < wanted.silent_since, last.is_(None)))
    return found


def _has_phone() -> ColumnElement[bool]:
    phones = select(PartyPhone.id).where(PartyPhone.party_id == Party.id, PartyPhone.ended_at.is_(None))
    return phones.exists()


def _has_kind(*more: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        select(PartyKindAssignment.id)
        .where(PartyKindAssignment.party_id == Party.id, PartyKindAssignment.status != text("'ended'"), *more)
        .exists()
    )


def _is_former_client() -> ColumnElement[bool]:
    ended = select(PartyKindAssignment.id).where(
        PartyKindAssignment.party_id == Party.id,
        PartyKindAssignment.status == "ended",
        PartyKindAssignment.kind_id
        == select(PartyKind.id).where(PartyKind.code == "client").scalar_subquery(),
    )
    return and_(ended.exists(), not_(_has_kind()))


def _is_alone() -> ColumnElement[bool]:
    works = select(Affiliation.id).where(Affiliation.person_id == Party.id, Affiliation.ended_at.is_(None))
    return and_(Party.type == "person", not_(works.exists()), not_(_has_kind()))


_CONDITIONS: Final[Mapping[Which, Any]] = {
    Which.COUNTERPARTIES: _has_kind,
    Which.FORMER_CLIENTS: _is_former_client,
    Which.CONTACTS: lambda: Party.type == "person",
    Which.CONTACTS_ALONE: _is_alone,
    Which.EVERYBODY: true,
}
