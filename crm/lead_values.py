"""What forms and programs say about a lead, checked and turned into columns; and what the stage engine must know of leads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Invalid
from crm.lead_errors import LeadMerged
from crm.schema.leads import Lead
from crm.schema.parties import PartyEmail, PartyPhone
from crm.schema.stages import Hold, StageVisit
from crm.stage_rules import Outcome
from crm.stages import RecordKind

OPEN_STATES: Final = ("open", "on_hold")
MAX_TEXT: Final = 300
MAX_NEED: Final = 10_000
MAX_MARKS: Final = 20  # of a campaign
# What a person writes about a lead; names are message ids.
FIELD_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"title": "Title", "need": "Need", "source": "Source"}
)
# What a stage may ask for; the others are filled in elsewhere: by taking or giving the lead, on the card of whom it is about.
REQUIRABLE: Final[Mapping[str, str]] = MappingProxyType(
    {**FIELD_NAMES, "owner_id": "Responsible", "phone": "Phone", "email": "E-mail"}
)
_CONTACTS: Final[Mapping[str, Any]] = MappingProxyType({"phone": PartyPhone, "email": PartyEmail})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadValues:
    """What a lead says; "" means not known."""

    title: str = ""
    need: str = ""
    source: str = ""
    campaign: Mapping[str, str] = field(default_factory=dict)  # utm_source, utm_medium …


def columns_of(values: LeadValues) -> dict[str, Any]:
    """The columns to store. Raises Invalid."""
    texts = {name: getattr(values, name) for name in FIELD_NAMES}
    return {**read_fields(texts), "campaign": _campaign(values.campaign)}


def read_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The written fields of a lead as columns. Raises Invalid: an unknown field, too long, no text."""
    for name, value in fields.items():
        if name not in FIELD_NAMES:
            raise Invalid(name[:50], "", "A lead has no such field to fill in.")
        most = MAX_NEED if name == "need" else MAX_TEXT
        if not isinstance(value, str) or len(value) > most:
            raise Invalid(name, str(value)[:50], "At most %(most)d characters fit here.", most=most)
        if "\0" in value:
            raise Invalid(name, "", "This text has characters that cannot be stored.")
    return {name: _text(name, value) for name, value in fields.items()}


def _text(name: str, value: str) -> str | None:
    return (value.strip() if name == "need" else " ".join(value.split())) or None


def _campaign(marks: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value.strip() for name, value in marks.items() if value.strip()}
    if len(kept) > MAX_MARKS or any(len(name) > 50 or len(value) > MAX_TEXT for name, value in kept.items()):
        raise Invalid("campaign", "", "At most 20 marks of 300 characters fit here.")
    if any("\0" in name + value for name, value in kept.items()):
        raise Invalid("campaign", "", "This text has characters that cannot be stored.")
    return kept


def _failed(reason_id: int, note: str, at: datetime) -> dict[str, Any]:
    return {"disqualify_reason_id": reason_id, "disqualify_note": note or None, "disqualified_at": at}


def _reopened(lead: Lead) -> dict[str, Any]:
    if lead.merged_into_id is not None:
        raise LeadMerged
    nothing = (
        "converted_at", "converted_by_id", "converted_party_id", "converted_person_id", "disqualified_at",
        "disqualify_reason_id", "disqualify_note", "duplicate_of_id",
    )  # fmt: skip
    return {"reopened_count": lead.reopened_count + 1, **dict.fromkeys(nothing)}


async def _present(session: AsyncSession, lead: Lead, fields: Collection[str]) -> dict[str, Any]:
    found = {name: getattr(lead, name, None) for name in fields}
    subjects = [each for each in (lead.person_id, lead.organisation_id) if each is not None]
    for name, contact in _CONTACTS.items():
        if name in fields:
            mine = select(contact.id).where(contact.party_id.in_(subjects), contact.ended_at.is_(None))
            found[name] = await session.scalar(mine.limit(1))
    return found


LEAD: Final = RecordKind(
    name="lead",
    model=Lead,
    visit_of=StageVisit.lead_id,
    hold_of=Hold.lead_id,
    edit_right="lead.edit",
    reopen_right="lead.reopen",
    ended_states={Outcome.SUCCESS: "converted", Outcome.FAILURE: "disqualified"},
    field_names=REQUIRABLE,
    present=_present,
    read_fields=read_fields,
    failed=_failed,
    reopened=_reopened,
)
