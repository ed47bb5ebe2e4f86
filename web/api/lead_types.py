"""Leads as the API takes and tells them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.api.party_types import Code, Digits, Email, Lifecycle, PartyType, Phone
from web.api.reading import ChangedQuery, Id, LongText, Name, Text

State = Literal["open", "on_hold", "converted", "disqualified"]
Asked = Literal["going", "all", "open", "on_hold", "converted", "disqualified"]
Outcome = Literal["open", "success", "failure"]
Choice = Literal["existing", "new", "none"]
Comment = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$")]
Marks = Annotated[
    dict[Annotated[str, Meta(max_length=50, pattern=r"^[^\x00]*$")], Text],
    Meta(max_length=20, description="utm_source, utm_medium, utm_campaign …"),
]


class LeadQuery(ChangedQuery, kw_only=True):
    """Leads, newest first. `state` "going": open and on hold. `party`: as subject, its organisation, or what the lead became.

    `response`: none yet, "quick" within 15 minutes, "slow" later. `q` searches in all of them, and nothing else narrows then.
    """

    state: Asked = "going"
    scheme: Id | UnsetType = UNSET
    stage: Id | UnsetType = UNSET
    owner: Id | UnsetType = UNSET
    unassigned: bool = False
    source: Text | UnsetType = UNSET
    party: Id | UnsetType = UNSET
    number: Id | UnsetType = UNSET
    line: Id | UnsetType = UNSET
    response: Literal["none", "quick", "slow"] | UnsetType = UNSET
    utm_source: Text | UnsetType = UNSET
    utm_campaign: Text | UnsetType = UNSET
    q: Text = ""


class LeadItem(msgspec.Struct, kw_only=True):
    """A lead as lists show it. `phone`: of whom it is about, as E.164; `stage_since`: when it entered its stage."""

    id: int
    number: int
    state: State
    scheme_id: int
    stage_id: int
    stage_name: str
    stage_since: datetime
    title: str | None
    need: str | None
    source: str | None
    line_name: str | None
    party_id: int
    party_name: str
    organisation_id: int | None
    organisation_name: str | None
    phone: str | None
    phone_extension: str
    owner_id: int | None
    owner_name: str | None
    is_repeat: bool
    auto_created: bool
    first_response_at: datetime | None
    created_at: datetime
    version: int


class LeadList(msgspec.Struct):
    """`is_cut`: a search found more than it answers."""

    items: list[LeadItem]
    next: str | None
    is_cut: bool = False
    gone: list[int] = []  # with `changed_since`: deleted meanwhile
    resume: str | None = None


class LeadParty(msgspec.Struct):
    """A party that a lead names; `is_readable`: whether this user may read all of it."""

    id: int
    name: str
    type: PartyType
    lifecycle: Lifecycle
    is_readable: bool


class Stage(msgspec.Struct):
    id: int
    position: int
    name: str
    outcome: Outcome
    colour: str | None
    probability: int | None
    sla_seconds: int | None


class Visit(msgspec.Struct):
    """A stay in a stage; `via`: form, board, api, import, journal …"""

    stage_name: str
    entered_at: datetime
    left_at: datetime | None
    by_name: str | None
    via: str
    comment: str | None


class Lead(msgspec.Struct, kw_only=True):
    """Everything of a lead. `allowed`: the stages it may go to now. `visits`: the latest first."""

    lead: LeadItem
    allowed: list[Stage]
    person: LeadParty | None
    organisation: LeadParty | None
    phones: list[Phone]
    emails: list[Email]
    campaign: dict[str, str]
    converted_at: datetime | None
    converted_by: str | None
    converted_party: LeadParty | None
    converted_person: LeadParty | None
    disqualified_at: datetime | None
    disqualify_reason: str | None
    disqualify_note: str | None
    duplicate_of: int | None
    reopened_count: int
    hold_reason: str | None
    resume_on: date | None
    visits: list[Visit]
    created_by: str | None
    may_edit: bool


class _Subject(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    person: Name = ""
    organisation: Name = ""
    number: Text = ""
    email: Annotated[str, Meta(max_length=254, pattern=r"^[^\x00]*$")] = ""
    title: Text = ""
    need: LongText = ""
    source: Text = ""
    campaign: Marks = {}
    scheme_id: Id | None = None
    line_id: Id | None = None
    owner_id: Id | None = None


class NewLead(_Subject, kw_only=True):
    """A lead that a person opens: about an existing party, or about somebody new. `is_further`: also beside open ones of theirs."""

    party_id: Id | None = None
    call_id: UUID | None = None
    is_further: bool = False


class Enquiry(_Subject, kw_only=True):
    """What a form on a site sends: a number or an address is needed. `text`: what was asked, kept with the lead."""

    text: LongText = ""


class CreatedLead(msgspec.Struct):
    """`is_new` is false where the open lead of the same person and scheme took the enquiry in."""

    id: int
    number: int
    party_id: int
    is_new: bool


class LeadChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""

    title: Text | UnsetType = UNSET
    need: LongText | UnsetType = UNSET
    source: Text | UnsetType = UNSET


class LeadMove(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`fields`: what the stage asks for, filled in on the way. For the failure stage a reason is needed."""

    stage_id: Id
    fields: LeadChanges = msgspec.field(default_factory=LeadChanges)
    comment: Comment = ""
    reason_id: Id | None = None


class Disqualification(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`reason_id` of GET /api/v1/lead-schemes, or the `code` of a system reason."""

    reason_id: Id | None = None
    code: Literal["spam", "duplicate"] | None = None
    note: Comment = ""


class Reopening(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`stage_id`: an open stage, by default the first."""

    stage_id: Id | None = None


class Holding(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    reason: Comment = ""
    resume_on: date | None = None


class Assignment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`owner_id`: the responsible user; null: nobody."""

    owner_id: Id | None


class CounterpartyBlock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The client. `new` without a name: the lead's own organisation, else its person. `none`: the subject is a client already."""

    choice: Choice = "new"
    party_id: Id | None = None
    organisation: Name = ""
    inn: Digits = ""
    kind: Code = "prospect"


class ContactBlock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The person to talk with. `new`: the lead's person; `none`: the client is the person."""

    choice: Choice = "new"
    party_id: Id | None = None
    name: Name = ""
    position: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")] = ""


class Conversion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    counterparty: CounterpartyBlock = msgspec.field(default_factory=CounterpartyBlock)
    contact: ContactBlock = msgspec.field(default_factory=ContactBlock)


class ConvertedLead(msgspec.Struct):
    """What the lead became; `is_new` is false where it had been converted before."""

    lead_id: int
    party_id: int
    person_id: int | None
    is_new: bool


class LeadVersion(msgspec.Struct):
    """Where the lead stands now."""

    id: int
    state: State
    stage_id: int
    version: int


class Reason(msgspec.Struct):
    id: int
    code: str | None
    name: str


class Scheme(msgspec.Struct):
    """A scheme of leads; `mode`: free, sequential or matrix."""

    id: int
    name: str
    mode: Literal["free", "sequential", "matrix"]
    is_default: bool
    stages: list[Stage]


class Requirement(msgspec.Struct):
    """A field of the lead that must be filled when the stage is entered, or left."""

    stage_id: int
    moment: Literal["enter", "leave"]
    field: str


class LeadSchemes(msgspec.Struct):
    """`reasons`: why a lead may be disqualified; `requirements`: what the stages ask for."""

    items: list[Scheme]
    reasons: list[Reason]
    requirements: list[Requirement]
