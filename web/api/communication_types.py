"""Communications, comments, notifications and saved views as the API takes and tells them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.api.party_types import Code, Search
from web.api.reading import ChangedQuery, Id, LongText, Moment, PageQuery, Text

Kind = Literal["call", "email", "meeting", "web_request", "chat", "sms", "other"]
Direction = Literal["in", "out", "none"]
MeetingState = Literal["planned", "held", "cancelled"]
Ids = Annotated[list[Id], Meta(max_length=50)]


class CommunicationQuery(ChangedQuery, kw_only=True):
    """Communications. The period is half-open: `from` ≤ start < `to`.

    `q`: among them by what was written, with whom it was, the number of a call; the first 200 at most, without further pages.
    """

    q: Search | UnsetType = UNSET
    sort: Literal["newest", "oldest"] = "newest"
    kind: Kind | UnsetType = UNSET
    direction: Direction | UnsetType = UNSET
    state: MeetingState | UnsetType = UNSET
    user: Id | UnsetType = UNSET
    party: Id | UnsetType = UNSET
    lead: Id | UnsetType = UNSET
    from_: Moment | UnsetType = msgspec.field(default=UNSET, name="from")
    to: Moment | UnsetType = UNSET


class Communication(msgspec.Struct, kw_only=True):
    """A communication of any kind. What a call lacks is null, as is what only calls or meetings have.

    `lead_id`: the lead it belongs to; null also where one may not read that.
    """

    id: UUID
    kind: Kind
    own_kind: str | None
    direction: Direction
    started_at: datetime
    ended_at: datetime | None
    subject: str | None
    summary: str | None
    user_id: int | None
    user_name: str | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    lead_id: int | None
    lead_number: int | None
    is_by_hand: bool
    disposition: str | None
    talk_seconds: float | None
    customer_e164: str | None
    meeting_state: MeetingState | None
    place: str | None
    result: str | None
    version: int


class CommunicationList(msgspec.Struct):
    """A page. With `q`, `is_cut`: there are more, some of which may stand before these.

    With `changed_since`: what is told under another one's id or is in the bin (`gone`), and the cursor to `resume` with later.
    """

    items: list[Communication]
    next: str | None
    gone: list[UUID] = []
    resume: str | None = None
    is_cut: bool = False


class Participant(msgspec.Struct):
    """One of ours (`user_id`), or a person we know (`person_id`)."""

    user_id: int | None
    person_id: int | None
    name: str


class WholeCommunication(msgspec.Struct):
    """One communication with the people of its meeting."""

    communication: Communication
    participants: list[Participant]
    may_edit: bool


class NewCommunication(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`kind` and `direction` have no default. Place, people, state and result belong to a meeting.

    `lead_id`: it belongs to this lead, and is with whom that is about; our first message to them answers the lead.
    """

    kind: Kind
    direction: Direction
    started_at: Moment
    ended_at: Moment | None = None
    own_kind_id: Id | None = None
    subject: Text | None = None
    summary: LongText | None = None
    party_id: Id | None = None
    contact_id: Id | None = None
    lead_id: Id | None = None
    state: MeetingState | None = None
    place: Text | None = None
    result: LongText | None = None
    user_ids: Ids = []
    person_ids: Ids = []


class CommunicationChanges(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to change of one that was written by hand; null empties a field, what is left out stays.

    `lead_id`: with whom that lead is about; our first message to them answers it.
    """

    kind: Kind | UnsetType = UNSET
    direction: Direction | UnsetType = UNSET
    started_at: Moment | UnsetType = UNSET
    ended_at: Moment | UnsetType | None = UNSET
    own_kind_id: Id | UnsetType | None = UNSET
    subject: Text | UnsetType | None = UNSET
    summary: LongText | UnsetType | None = UNSET
    party_id: Id | UnsetType | None = UNSET
    contact_id: Id | UnsetType | None = UNSET
    lead_id: Id | UnsetType | None = UNSET
    state: MeetingState | UnsetType | None = UNSET
    place: Text | UnsetType | None = UNSET
    result: LongText | UnsetType | None = UNSET
    user_ids: Ids | UnsetType = UNSET
    person_ids: Ids | UnsetType = UNSET


class CommunicationVersion(msgspec.Struct):
    """What is stored now."""

    id: UUID
    version: int


class MadeCommunication(msgspec.Struct):
    id: UUID


class Comment(msgspec.Struct, kw_only=True):
    """A comment on a party or on a lead; the other one is null. `version` grows with every edit."""

    id: UUID
    party_id: int | None
    lead_id: int | None
    author_id: int
    author_name: str
    text: str
    created_at: datetime
    edited_at: datetime | None
    is_pinned: bool
    version: int


class CommentList(msgspec.Struct):
    items: list[Comment]
    next: str | None


class NewComment(msgspec.Struct, forbid_unknown_fields=True):
    """`@login` in the text notifies that user."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000, pattern=r"^[^\x00]*\S[^\x00]*$")]


class Pinning(msgspec.Struct, forbid_unknown_fields=True):
    """Whether it stands above the others."""

    is_pinned: bool


class NoticeQuery(PageQuery, kw_only=True):
    """One's own notifications, newest first."""

    unseen: Annotated[Literal["0", "1"], Meta(description="1: only those that were not seen")] = "0"


class Notice(msgspec.Struct, kw_only=True):
    """A notification: `kind` says what for, `detail` with which values."""

    id: int
    kind: str
    record_kind: str | None
    record_id: str | None
    detail: dict[str, Any]
    actor_name: str | None
    created_at: datetime
    seen_at: datetime | None


class NoticeList(msgspec.Struct):
    """A page; `unseen` is counted up to 100."""

    items: list[Notice]
    next: str | None
    unseen: int


class SeenNotices(msgspec.Struct, forbid_unknown_fields=True):
    """Which were seen; null is all of them."""

    ids: Annotated[list[Id], Meta(max_length=200)] | None


class SeenAnswer(msgspec.Struct):
    """How many had not been seen before."""

    marked: int


class ViewQuery(msgspec.Struct, kw_only=True):
    """The list whose views are meant: `clients`, `contacts`, `communications` …"""

    area: Code


class ViewWishes(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a view is to keep; filters and columns that its list does not know are left out."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*\S[^\x00]*$")]
    filters: Annotated[dict[Code, Text], Meta(max_length=30)] = {}
    sort: Annotated[str, Meta(max_length=50, pattern=r"^[^\x00]*$")] = ""
    columns: Annotated[list[Code], Meta(max_length=30)] = []
    role_codes: Annotated[list[Code], Meta(max_length=30)] = []


class NewView(ViewWishes, kw_only=True, forbid_unknown_fields=True):
    """`area`: the list it belongs to."""

    area: Code


class Removed(msgspec.Struct):
    """What is no longer there."""

    id: int | UUID


class View(msgspec.Struct, kw_only=True):
    """A saved view: filters as they stand in the list's address, the order, the columns ([]: the usual ones)."""

    id: int
    area: str
    name: str
    filters: dict[str, str]
    sort: str
    columns: list[str]
    role_codes: list[str]
    owner_id: int
    owner_name: str
    is_own: bool
    version: int


class ViewList(msgspec.Struct):
    items: list[View]
    next: str | None = None
