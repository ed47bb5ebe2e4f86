"""Parts of a party as the API takes them: numbers, addresses, contacts, kinds."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.api.party_types import Code, Usage
from web.api.reading import Id, Text

Label = Annotated[str, Meta(max_length=50, pattern=r"^[^\x00]*$", description="work, mobile, home …")]
Reason = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")]
Address = Annotated[str, Meta(min_length=1, max_length=254, pattern=r"^[^\x00]*$")]


class NumberChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is not named stays. `usage` needs the right number.share."""

    label: Label | UnsetType = UNSET
    do_not_call: bool | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET
    is_primary: Annotated[bool, Meta(description="true: show it first")] = False


class NewEmail(msgspec.Struct, forbid_unknown_fields=True):
    """A further address."""

    email: Address
    label: Label = ""


class EmailChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is not named stays. `usage` needs the right number.share."""

    label: Label | UnsetType = UNSET
    usage: Usage | UnsetType = UNSET
    is_primary: Annotated[bool, Meta(description="true: show it first")] = False
    is_bounced: Annotated[bool | UnsetType, Meta(description="letters come back from it")] = UNSET
    is_opted_out: Annotated[bool | UnsetType, Meta(description="asked not to be written to")] = UNSET


class NewContact(msgspec.Struct, forbid_unknown_fields=True):
    """A person who is known becomes a contact of the organisation."""

    person_id: Id
    position: Text = ""
    contact_role: Text = ""


class ContactChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is not named stays; `is_primary`: ☆."""

    position: Text | UnsetType = UNSET
    contact_role: Text | UnsetType = UNSET
    is_primary: Annotated[bool, Meta(description="true: the primary contact")] = False


class ContactEnd(msgspec.Struct, forbid_unknown_fields=True):
    """`next_primary`: the tie that becomes primary, needed where the primary one of several ends."""

    next_primary: Id | None = None


class KindName(msgspec.Struct, forbid_unknown_fields=True):
    """One of the party's kinds: `client`, `supplier` …"""

    kind: Code


class KindEnd(msgspec.Struct, forbid_unknown_fields=True):
    """A kind that ends, with the reason in words."""

    kind: Code
    reason: Reason = ""
