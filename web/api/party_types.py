"""Parties as the API takes and tells them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.api.custom_fields import Value, Values
from web.api.reading import BIGGEST_ID, ChangedQuery, Id, LongText, Name, Text

PartyType = Literal["person", "organisation"]
Lifecycle = Literal["unqualified", "active", "archived", "merged"]
Usage = Literal["direct", "shared"]
KindStatus = Literal["active", "paused", "ended"]
Code = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"^[^\x00]*$")]
Digits = Annotated[str, Meta(max_length=50, pattern=r"^[^\x00]*$", description="check digits are verified")]
Codes = Annotated[list[Code], Meta(max_length=20)]
Search = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="a name, any part of a number, or an INN; three characters or more. The best hits come, in one page",
    ),
]


OwnerId = Annotated[int, Meta(ge=0, le=BIGGEST_ID, description="0: nobody is responsible")]


class PartyQuery(ChangedQuery, kw_only=True):
    """Active parties by name; with `q` a search, which finds archived ones too. `kind_status` says how that kind stands."""

    q: Search | UnsetType = UNSET
    kind: Code | UnsetType = UNSET
    kind_status: KindStatus = "active"
    type: PartyType | UnsetType = UNSET
    owner: OwnerId | UnsetType = UNSET
    source: Text | UnsetType = UNSET
    city: Text | UnsetType = UNSET
    tag: Id | UnsetType = UNSET
    region: Annotated[
        Text | UnsetType, Meta(description="of a number of theirs or of their primary contact")
    ] = UNSET


class Kind(msgspec.Struct):
    """What we do with a party: `client`, `supplier` …; `until` and `end_reason` if that is over."""

    code: str
    name: str
    since: datetime | None
    until: datetime | None
    status: KindStatus
    end_reason: str | None


class PartyItem(msgspec.Struct, kw_only=True):
    """A party as lists show it. `phone`: its own, else its primary contact's, as E.164."""

    id: int
    number: int
    type: PartyType
    name: str
    lifecycle: Lifecycle
    inn: str | None
    city: str | None
    source: str | None
    kinds: list[Kind]
    owner_id: int | None
    owner_name: str | None
    phone: str | None
    phone_extension: str
    contact_id: int | None
    contact_name: str | None
    contact_position: str | None
    organisation_id: int | None
    organisation_name: str | None
    last_communication_at: datetime | None
    created_at: datetime
    custom: Values


class PartyList(msgspec.Struct):
    """A page. `is_cut`: a search found more than it tells. With `changed_since`: who is deleted or merged (`gone`), and the
    cursor to `resume` with later.
    """

    items: list[PartyItem]
    next: str | None
    is_cut: bool = False
    gone: list[int] = []
    resume: str | None = None


class Phone(msgspec.Struct):
    """A number in a party's hands; `e164` is null for digits that mean something on one PBX only."""

    id: int
    e164: str | None
    local_digits: str | None
    extension: str
    usage: Usage
    label: str | None
    presented: str
    type: str | None
    region: str | None
    is_primary: bool
    do_not_call: bool
    is_spam: bool


class Email(msgspec.Struct):
    """An address: since when letters come back (`bounced_at`), since when it is not to be written to, and who said so."""

    id: int
    address: str
    usage: Usage
    label: str | None
    is_primary: bool
    bounced_at: datetime | None
    bounced_by: str | None
    opted_out_at: datetime | None
    opted_out_by: str | None


class Contact(msgspec.Struct):
    """The other side of a tie (`affiliation_id`): a contact of the organisation, or an organisation of the person."""

    affiliation_id: int
    party_id: int
    name: str
    position: str | None
    contact_role: str | None
    is_primary: bool
    phones: list[Phone]
    last_communication_at: datetime | None


class PartyTag(msgspec.Struct):
    """A tag as it stands on a party."""

    id: int
    name: str
    colour: str | None


class Party(msgspec.Struct, kw_only=True):
    """Everything of a party. Fields of the other type are null."""

    id: int
    number: int
    type: PartyType
    name: str
    lifecycle: Lifecycle
    kinds: list[Kind]
    owner_id: int | None
    owner_name: str | None
    team_id: int | None
    city: str | None
    note: str | None
    source: str | None
    language: str | None
    do_not_call: bool
    last_name: str | None
    first_name: str | None
    middle_name: str | None
    sex: str | None
    birth_date: date | None
    form: str | None
    short_name: str | None
    full_name: str | None
    inn: str | None
    kpp: str | None
    ogrn: str | None
    website: str | None
    industry: str | None
    phones: list[Phone]
    emails: list[Email]
    contacts: list[Contact]
    organisations: list[Contact]
    last_talk_at: datetime | None
    last_communication_at: datetime | None
    created_at: datetime
    created_by: str | None
    version: int
    custom: dict[str, Value]
    may_edit: bool
    tags: list[PartyTag] = []


class NewNumber(msgspec.Struct, forbid_unknown_fields=True):
    """A number in any spelling, with an extension if there is one: `8 (495) 123-45-67 доб. 12`."""

    number: Text
    label: Annotated[str, Meta(max_length=50, pattern=r"^[^\x00]*$")] = ""
    is_shared: bool = False


class _New(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    inn: Digits = ""
    city: Text = ""
    note: LongText = ""
    source: Text = ""
    language: Text = ""
    do_not_call: bool = False
    kinds: Codes = []
    numbers: Annotated[list[NewNumber], Meta(max_length=20)] = []
    emails: Annotated[list[Text], Meta(max_length=20)] = []
    owner_id: Id | None = None
    custom: Values = {}


class NewPerson(_New, kw_only=True, tag="person"):
    """A person; one of the names is needed."""

    last_name: Name = ""
    first_name: Name = ""
    middle_name: Name = ""
    sex: Literal["", "m", "f"] = ""
    birth_date: date | None = None


class NewOrganisation(_New, kw_only=True, tag="organisation"):
    """An organisation; a name and at least one kind are needed."""

    form: Literal["legal", "sole_trader"] = "legal"
    short_name: Name = ""
    full_name: Name = ""
    kpp: Digits = ""
    ogrn: Digits = ""
    website: Text = ""
    industry: Text = ""


class QuickParty(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="quick"):
    """Company, person and number in one step; the number goes to the person unless it is the company's own (`is_shared`)."""

    organisation: Name = ""
    person: Name = ""
    number: Text = ""
    position: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")] = ""
    kind: Code = "prospect"
    is_shared: bool = False


NewParty = NewPerson | NewOrganisation | QuickParty


class PartyChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to change; null empties a field, what is left out stays. Fields of the other type are refused."""

    last_name: Name | UnsetType | None = UNSET
    first_name: Name | UnsetType | None = UNSET
    middle_name: Name | UnsetType | None = UNSET
    sex: Literal["m", "f"] | UnsetType | None = UNSET
    birth_date: date | UnsetType | None = UNSET
    form: Literal["legal", "sole_trader"] | UnsetType = UNSET
    short_name: Name | UnsetType | None = UNSET
    full_name: Name | UnsetType | None = UNSET
    inn: Digits | UnsetType | None = UNSET
    kpp: Digits | UnsetType | None = UNSET
    ogrn: Digits | UnsetType | None = UNSET
    website: Text | UnsetType | None = UNSET
    industry: Text | UnsetType | None = UNSET
    city: Text | UnsetType | None = UNSET
    note: LongText | UnsetType | None = UNSET
    source: Text | UnsetType | None = UNSET
    language: Text | UnsetType | None = UNSET
    do_not_call: bool | UnsetType = UNSET
    kinds: Codes | UnsetType = UNSET
    owner_id: Id | UnsetType | None = UNSET


class PartyVersion(msgspec.Struct):
    """The party as it is stored now; of a merged one the survivor's id."""

    id: int
    version: int


class Created(msgspec.Struct):
    """What was made; `id` is the record to open: the organisation, else the person."""

    id: int
    organisation_id: int | None
    person_id: int | None
