"""Every row that refers to a party, and what a merge does with it. A test walks the foreign keys and fails on one missing here.

A new table that refers to a party is added to `REFERENCES`; if a unique index could refuse the move, with what makes two of its rows
the same. What a row alone cannot tell (two open leads in one scheme) is treated before anything moves: `TREATED_FIRST`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

from crm.lead_duplicates import close_the_younger
from crm.rights import Access
from crm.schema.access import AccessGrant
from crm.schema.binned import BinEntry, LeadBinEntry
from crm.schema.communications import Comment, Communication
from crm.schema.desk import CallbackCase
from crm.schema.directories import Address, BankAccount, PartyTag
from crm.schema.leads import Lead
from crm.schema.meetings import MeetingParticipant
from crm.schema.merging import DuplicateDismissal, DuplicatePair, NameKey
from crm.schema.parties import (
    Affiliation,
    ExternalRef,
    Organisation,
    Party,
    PartyEmail,
    PartyKindAssignment,
    PartyLack,
    PartyPhone,
    Person,
)
from crm.schema.regions import PartyRegion
from crm.schema.requests import AccessRequest
from crm.schema.stages import Hold, StageVisit
from crm.schema.tasks import Task

Column = InstrumentedAttribute[Any]
# (session, who merges, survivor, merged, via): called once for each merged party, with both rows locked.
Treatment = Callable[[AsyncSession, Access, int, int, str], Awaitable[None]]


def _sql(kind: TypeEngine[Any]) -> str:
    return kind.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]


class Purge(StrEnum):
    """What becomes of a row when its party leaves the bin for good."""

    DELETE = "delete"
    CLEAR = "clear"  # the row is a fact of its own and loses the link
    HOLD = "hold"  # a record of its own that is nothing without the party: the party stays in the bin


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """A column with a party's id. Conditions are SQL over `{row}`, values over `{kept}` and `{gone}`.

    `same`: the columns by which two rows of the two parties are one; the survivor's stays and takes over `combine`.
    `is_active`: which rows a unique index compares. `has_primary`: one row of a party is marked, and the survivor's mark stays.
    """

    column: Column
    purge: Purge = Purge.DELETE
    same: tuple[str, ...] = ()
    is_active: str = "true"
    combine: Mapping[str, str] = field(default_factory=dict)
    has_primary: bool = False
    among: str = "true"  # which rows of the table speak of parties at all

    @property
    def table(self) -> str:
        return str(inspect(self.column.class_).local_table.name)

    @property
    def name(self) -> str:
        """As the log of merges names it: table.column."""
        return f"{self.table}.{self.column.key}"

    @property
    def type(self) -> str:
        """The column's type in SQL."""
        return _sql(self.column.type)

    @property
    def key_type(self) -> str:
        """The type of the row's id."""
        return _sql(inspect(self.column.class_).local_table.c.id.type)


EARLIEST: Final = {"since": "least({kept}.since, {gone}.since)"}
NOT_ENDED: Final = "{row}.ended_at is null"
_PRIMARY: Final = {"is_primary": "{kept}.is_primary or {gone}.is_primary"}
_TIE: Final = EARLIEST | {
    "position": "coalesce({kept}.position, {gone}.position)",
    "contact_role": "coalesce({kept}.contact_role, {gone}.contact_role)",
}

REFERENCES: Final = (
    Reference(
        column=PartyPhone.party_id,
        same=("number_id", "extension"),
        is_active=NOT_ENDED,
        combine=EARLIEST
        | {
            "label": "coalesce({kept}.label, {gone}.label)",
            "do_not_call": "{kept}.do_not_call or {gone}.do_not_call",
        },
        has_primary=True,
    ),
    Reference(
        column=PartyEmail.party_id,
        same=("email_id",),
        is_active=NOT_ENDED,
        combine={
            "label": "coalesce({kept}.label, {gone}.label)",
            "bounced_at": "coalesce({kept}.bounced_at, {gone}.bounced_at)",
            "bounced_by_id": "case when {kept}.bounced_at is null then {gone}.bounced_by_id else {kept}.bounced_by_id end",
            "opted_out_at": "coalesce({kept}.opted_out_at, {gone}.opted_out_at)",
            "opted_out_by_id": "case when {kept}.opted_out_at is null then {gone}.opted_out_by_id else {kept}.opted_out_by_id end",
        },
        has_primary=True,
    ),
    Reference(
        column=PartyKindAssignment.party_id,
        same=("kind_id",),
        is_active="{row}.status <> 'ended'",
        combine=EARLIEST,
    ),
    Reference(
        column=Affiliation.person_id,
        same=("organisation_id",),
        is_active=NOT_ENDED,
        combine=_TIE | _PRIMARY,
    ),
    Reference(
        column=Affiliation.organisation_id,
        same=("person_id",),
        is_active=NOT_ENDED,
        combine=_TIE,
        has_primary=True,
    ),
    Reference(
        column=BankAccount.party_id,
        same=("bic", "account"),
        is_active=NOT_ENDED,
        combine={"bank": "coalesce({kept}.bank, {gone}.bank)"},
        has_primary=True,
    ),
    Reference(column=Address.party_id),
    Reference(column=PartyTag.party_id, same=("tag_id",)),
    Reference(column=MeetingParticipant.person_id, same=("meeting_id",)),
    Reference(column=Communication.party_id, purge=Purge.CLEAR),
    Reference(column=Communication.contact_id, purge=Purge.CLEAR),
    Reference(column=Comment.party_id),
    Reference(column=Task.party_id, purge=Purge.CLEAR),
    Reference(column=Task.contact_id, purge=Purge.CLEAR),
    Reference(column=Lead.person_id, purge=Purge.HOLD),
    Reference(column=Lead.organisation_id, purge=Purge.HOLD),
    Reference(column=Lead.converted_party_id, purge=Purge.HOLD),
    Reference(column=Lead.converted_person_id, purge=Purge.CLEAR),
    Reference(
        column=AccessGrant.party_id,
        same=("user_id", "reason", "call_id"),
        combine={"until": "greatest({kept}.until, {gone}.until)"},
    ),
    Reference(column=AccessRequest.party_id, same=("user_id",), is_active="{row}.answered_at is null"),
    Reference(column=CallbackCase.party_id, purge=Purge.CLEAR),
    Reference(column=CallbackCase.contact_id, purge=Purge.CLEAR),
    Reference(column=ExternalRef.record_id, among="{row}.record_kind = 'party'"),
    Reference(column=Party.merged_into_id),
)

# The same for leads; a new table that refers to a lead is added here, or to `STAYING_WITH_LEAD`.
LEAD_REFERENCES: Final = (
    Reference(column=Communication.lead_id),
    Reference(column=Comment.lead_id),
    Reference(column=Task.lead_id),
    Reference(column=Lead.duplicate_of_id),
    Reference(column=Lead.merged_into_id),
)
STAYING_WITH_LEAD: Final[tuple[Column, ...]] = (
    StageVisit.lead_id,
    Hold.lead_id,
    LeadBinEntry.lead_id,
)  # how it went is its own

BY_NAME: Final = {reference.name: reference for reference in (*REFERENCES, *LEAD_REFERENCES)}

# Rows that stay with the merged party: its own halves, and what `crm.merging` treats by itself.
STAYING: Final[tuple[Column, ...]] = (
    Person.party_id,
    Organisation.party_id,
    BinEntry.party_id,
    DuplicatePair.low_id,
    DuplicatePair.high_id,
    DuplicateDismissal.low_id,
    DuplicateDismissal.high_id,
    PartyLack.party_id,  # kept by triggers
    PartyRegion.party_id,  # likewise
    NameKey.party_id,  # kept by the search for duplicates
)

TREATED_FIRST: Final[tuple[Treatment, ...]] = (close_the_younger,)
