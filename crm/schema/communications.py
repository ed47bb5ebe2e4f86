"""Communications, calls with participations, legs and transfers, notes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Double,
    FetchedValue,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    desc,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, Binned, HasId, HasOurId, Tracked


def _by_hand(scope: str) -> Iterable[Index]:
    """What one logged by hand, or a team: few among all its calls."""
    columns = (f"{scope}_id", "kind", text("started_at desc"), text("id desc"))
    where = text(f"{scope}_id is not null and kind <> 'call'")
    yield Index(f"ix_communication_{scope}_by_hand", *columns, postgresql_where=where)


# What search looks through: what people wrote. Calls of a PBX have neither.
WORDS: Final = "translate(lower(coalesce(communication.subject, '') || ' ' || coalesce(communication.summary, '')), 'ё', 'е')"
HAS_WORDS: Final = "communication.subject is not null or communication.summary is not null"


class Communication(HasOurId, Tracked, Binned, Base):
    """Any contact with a party: a call, a letter, a meeting, a request from the site."""

    __tablename__ = "communication"
    kind: Mapped[str]  # call, email, meeting, web_request, chat, sms, other
    own_kind_id: Mapped[int | None] = mapped_column(ForeignKey("communication_kind.id"))  # of an "other" one
    direction: Mapped[str]  # in, out, none
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    subject: Mapped[str | None]
    summary: Mapped[str | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("person.party_id"))
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="set null"))
    link_source: Mapped[str | None]  # auto, agent, rule: the agent's choice is never overwritten
    is_internal: Mapped[bool] = mapped_column(server_default=text("false"))
    custom: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    deleted_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    __table_args__ = (
        CheckConstraint(
            "kind in ('call', 'email', 'meeting', 'web_request', 'chat', 'sms', 'other')", name="kind"
        ),
        CheckConstraint("direction in ('in', 'out', 'none')", name="direction"),
        CheckConstraint("link_source in ('auto', 'agent', 'rule')", name="link_source"),
        CheckConstraint("own_kind_id is null or kind = 'other'", name="own_kind"),
        Index("ix_communication_party_id_started_at", "party_id", text("started_at desc"), text("id desc")),
        Index(
            "ix_communication_contact_id_started_at", "contact_id", text("started_at desc"), text("id desc")
        ),
        Index(
            "ix_communication_lead_id_started_at",
            "lead_id",
            text("started_at desc"),
            text("id desc"),
            postgresql_where=text("lead_id is not null"),
        ),
        Index("ix_communication_user_id_started_at", "user_id", text("started_at desc"), text("id desc")),
        Index("ix_communication_team_id_started_at", "team_id", text("started_at desc"), text("id desc")),
        Index("ix_communication_started_at", text("started_at desc"), text("id desc")),
        Index(
            "ix_communication_by_hand",
            "kind",
            text("started_at desc"),
            text("id desc"),
            postgresql_where=text("kind <> 'call'"),
        ),
        *_by_hand("user"),
        *_by_hand("team"),
        Index(
            "ix_communication_words",
            text(f"{WORDS.replace('communication.', '')} gin_trgm_ops"),
            postgresql_using="gin",
            postgresql_where=text(HAS_WORDS.replace("communication.", "")),
        ),
        Index(
            "ix_communication_binned",
            text("deleted_at desc"),
            text("id desc"),
            postgresql_where=text("deleted_at is not null"),
        ),
    )


def _call_orders() -> Iterable[Index]:
    """What the journal is searched by when it is rare, newest first; and numbers by their last digits."""
    newest = (text("started_at desc"), text("id desc"))
    for name, first, where in (
        ("direction", ("direction",), "direction <> 'inbound'"),
        ("disposition", ("disposition",), "disposition <> 'answered'"),
        ("unseen", (), "ended_unseen"),
        ("queue", ("queue",), "queue is not null"),
    ):
        is_listed = text(f"joined_into_id is null and {where}")
        yield Index(f"ix_call_{name}", *first, *newest, postgresql_where=is_listed)
    for name, column, where in (
        ("customer", "customer_e164", "customer_e164 is not null"),
        ("from", "presented_from", "customer_e164 is null"),
        ("to", "presented_to", "customer_e164 is null"),
    ):
        backwards = text(f"reverse({column}) text_pattern_ops")
        yield Index(f"ix_call_{name}_backwards", backwards, postgresql_where=text(where))


class Call(Base):
    """The call of a communication; written by the journal, never edited by people."""

    __tablename__ = "call"
    id: Mapped[UUID] = mapped_column(ForeignKey("communication.id"), primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    external_id: Mapped[str]  # the oldest linked id
    direction: Mapped[str]  # inbound, outbound, internal
    state: Mapped[str]
    origin: Mapped[str] = mapped_column(server_default="live")
    presented_from: Mapped[str | None]
    presented_to: Mapped[str | None]
    presented_name: Mapped[str | None]
    customer_e164: Mapped[str | None]
    did_e164: Mapped[str | None]
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id"))
    dialled: Mapped[str | None]  # by the placing agent, as dialled
    queue: Mapped[str | None]
    placed_by: Mapped[str | None]
    answered_by: Mapped[str | None]
    final_agent: Mapped[str | None]
    started_at: Mapped[datetime]
    queued_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    disposition: Mapped[str | None]
    hung_up_by: Mapped[str | None]
    ended_unseen: Mapped[bool] = mapped_column(server_default=text("false"))
    ring_seconds: Mapped[float | None] = mapped_column(Double)
    wait_seconds: Mapped[float | None] = mapped_column(Double)
    talk_seconds: Mapped[float | None] = mapped_column(Double)
    hold_seconds: Mapped[float | None] = mapped_column(Double)
    wrap_seconds: Mapped[float | None] = mapped_column(Double)
    match_status: Mapped[str | None]  # matched, ambiguous, unknown, hidden, internal, ignored
    number_note_id: Mapped[int | None] = mapped_column(ForeignKey("number_note.id"))
    # The same call as another connection saw it, and saw more: that one is shown and counted (crm.mirrors).
    mirror_of_id: Mapped[UUID | None] = mapped_column(ForeignKey("call.id"))
    joined_into_id: Mapped[UUID | None] = mapped_column(ForeignKey("call.id"))
    recording_file: Mapped[str | None]
    # How far the call had been told: ended or not, by which run of the program, at which step of it. A later telling wins.
    told: Mapped[str] = mapped_column(Text(collation="C"), server_default="")
    # The lines of its story by run of the program: a restart in mid-call begins a new telling.
    story: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    # What each run said last, where several told of the call (crm.call_rows.Word).
    words: Mapped[dict[str, Any] | None]
    __table_args__ = (
        UniqueConstraint("connection_id", "external_id"),
        CheckConstraint("direction in ('inbound', 'outbound', 'internal')", name="direction"),
        CheckConstraint("state in ('arrived', 'ringing', 'talking', 'held', 'ended')", name="state"),
        CheckConstraint("origin in ('live', 'attached', 'back_filled')", name="origin"),
        CheckConstraint(
            "disposition in ('answered', 'voicemail', 'abandoned', 'not_served', 'after_hours', 'menu_only',"
            " 'blocked', 'busy', 'no_answer', 'declined', 'failed', 'cancelled')",
            name="disposition",
        ),
        CheckConstraint(
            "match_status in ('matched', 'ambiguous', 'unknown', 'hidden', 'internal', 'ignored')",
            name="match_status",
        ),
        CheckConstraint("joined_into_id <> id", name="joined"),
        CheckConstraint("mirror_of_id <> id", name="mirror"),
        CheckConstraint("(state = 'ended') = (ended_at is not null)", name="ended"),
        CheckConstraint("ended_at is null or ended_at >= started_at", name="interval"),
        Index(
            "ix_call_started_at",
            text("started_at desc"),
            text("id desc"),
            postgresql_where=text("joined_into_id is null"),
        ),
        *_call_orders(),
        Index("ix_call_customer_e164_started_at", "customer_e164", text("started_at desc")),
        Index("ix_call_open", "connection_id", postgresql_where=text("ended_at is null")),
        Index(
            "ix_call_joined_into_id", "joined_into_id", postgresql_where=text("joined_into_id is not null")
        ),
        Index("ix_call_mirror_of_id", "mirror_of_id", postgresql_where=text("mirror_of_id is not null")),
    )


class CallKey(HasId, Base):
    """Every linked id a call was ever known by."""

    __tablename__ = "call_key"
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    linked_id: Mapped[str]
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id"), index=True)
    __table_args__ = (UniqueConstraint("connection_id", "linked_id"),)


def _of_calls(scope: str) -> Iterable[Index]:
    """The calls that one took part in, or somebody of a team, newest first."""
    order = (text("started_at desc"), text("call_id desc"))
    yield Index(f"ix_participation_{scope}_started_at", f"{scope}_id", *order)


class Participation(HasOurId, Base):
    """One agent's part in a call; user and team as of that moment."""

    __tablename__ = "participation"
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id"))
    # Of the call, for lists in its order. The journal writes it; else the database does.
    started_at: Mapped[datetime] = mapped_column(FetchedValue())
    user_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    position: Mapped[int] = mapped_column(Integer, server_default="0")  # in the order of the telling
    extension: Mapped[str]
    attempt: Mapped[int] = mapped_column(Integer)
    came_by: Mapped[str]
    rang_at: Mapped[datetime | None]
    has_rung: Mapped[bool] = mapped_column(server_default=text("false"))  # also where nobody saw when
    answered_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    result: Mapped[str | None]
    is_first_answer: Mapped[bool] = mapped_column(server_default=text("false"))
    __table_args__ = (
        UniqueConstraint("call_id", "extension", "attempt"),
        CheckConstraint("came_by in ('ring', 'queue', 'pickup', 'transfer', 'dialled')", name="came_by"),
        CheckConstraint(
            "result in ('answered', 'not_answered', 'declined', 'elsewhere', 'busy', 'unreachable')",
            name="result",
        ),
        *_of_calls("user"),
        *_of_calls("team"),
    )


class Leg(HasOurId, Base):
    __tablename__ = "leg"
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id"))
    participation_id: Mapped[UUID | None] = mapped_column(ForeignKey("participation.id"), index=True)
    channel_id: Mapped[str]
    channel_name: Mapped[str]
    extension: Mapped[str | None]
    started_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    hangup_cause: Mapped[int | None] = mapped_column(Integer)
    __table_args__ = (UniqueConstraint("call_id", "channel_id"),)


class Transfer(HasOurId, Base):
    __tablename__ = "transfer"
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id"))
    position: Mapped[int] = mapped_column(Integer)
    from_extension: Mapped[str | None]
    to_target: Mapped[str]
    kind: Mapped[str]
    at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        UniqueConstraint("call_id", "position"),
        CheckConstraint("kind in ('blind', 'attended', 'blonde', 'park')", name="kind"),
    )


class CallNote(HasOurId, Base):
    """What an agent typed during a call; one row per call and user."""

    __tablename__ = "call_note"
    # No foreign key on purpose: a note may be saved before the journal has committed its call.
    call_id: Mapped[UUID]
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    text: Mapped[str]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    __table_args__ = (UniqueConstraint("call_id", "user_id"),)


ON_LEAD = text("lead_id is not null")  # before the class, which has a column of this name


class Comment(HasOurId, Base):
    """What somebody wrote on a party, or on a lead."""

    __tablename__ = "comment"
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="cascade"))
    author_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    edited_at: Mapped[datetime | None]
    pinned_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]  # by its author: told nowhere but in the journal of changes
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    __table_args__ = (
        CheckConstraint("num_nonnulls(party_id, lead_id) = 1", name="one_record"),
        Index("ix_comment_party_id_created_at", "party_id", desc("created_at")),
        Index(
            "ix_comment_lead_id_created_at",
            "lead_id",
            desc("created_at"),
            desc("id"),
            postgresql_where=ON_LEAD,
        ),
    )
