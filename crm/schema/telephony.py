"""Connections, lines, extensions with dated assignment, numbering profiles, agent states."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, Binned, HasId, Tracked


class NumberingProfile(HasId, Tracked, Base):
    """How numbers are written on a connection or a line; the fields of `cti.numbers.NumberingProfile`."""

    __tablename__ = "numbering_profile"
    name: Mapped[str] = mapped_column(unique=True)
    region: Mapped[str] = mapped_column(server_default="RU")
    area_code: Mapped[str] = mapped_column(server_default="")
    outside_prefixes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    feature_codes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    service_numbers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    internal_pattern: Mapped[str | None]


class PbxConnection(HasId, Tracked, Binned, Base):
    __tablename__ = "pbx_connection"
    kind: Mapped[str]  # names an adapter: asterisk, later one per cloud provider
    name: Mapped[str]
    settings: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'::jsonb")
    )  # host, port, user, …
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed with the key file
    time_zone: Mapped[str | None]
    profile_id: Mapped[int | None] = mapped_column(ForeignKey("numbering_profile.id"))
    is_enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    state: Mapped[str] = mapped_column(server_default="down")  # connecting, up, refused, down
    state_since: Mapped[datetime | None]
    state_detail: Mapped[str | None]  # in English, with the remedy
    state_code: Mapped[str | None]  # the same for catalogues: unreachable, login_refused, …
    state_values: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    last_event_at: Mapped[datetime | None]
    # Where else the PBX writes its calls down (`crm.second_truth`); {} is nowhere. Its secret is sealed like the other.
    second_truth: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    second_truth_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    # How calls are placed from the screen (`crm.dialling_accounts`); {} is not at all. The secret is sealed, too.
    dialling: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    dialling_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    __table_args__ = (
        Index(
            "uq_pbx_connection_name",
            func.lower(text("name")),
            unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
    )


class ConnectionGap(HasId, Base):
    """Seconds without events: we never pretend."""

    __tablename__ = "connection_gap"
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    from_at: Mapped[datetime]
    to_at: Mapped[datetime | None]
    why: Mapped[str]
    back_filled_by: Mapped[str | None]  # the kind of the second truth that was read for it
    back_filled_at: Mapped[datetime | None]
    back_filled_calls: Mapped[int | None] = mapped_column(Integer)  # added or completed
    __table_args__ = (
        CheckConstraint("to_at is null or to_at >= from_at", name="interval"),
        ExcludeConstraint(
            (literal_column("connection_id"), "="),
            (literal_column("tstzrange(from_at, to_at)"), "&&"),
            name="ex_connection_gap_overlap",
            using="gist",
        ),
    )


class Line(HasId, Tracked, Binned, Base):
    """An outside number of ours; never matched as a caller."""

    __tablename__ = "line"
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    presented: Mapped[str]
    e164: Mapped[str]
    name: Mapped[str]
    colour: Mapped[str | None]
    lead_source: Mapped[str | None]
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    profile_id: Mapped[int | None] = mapped_column(ForeignKey("numbering_profile.id"))
    allows_outgoing: Mapped[bool] = mapped_column(server_default=text("true"))
    calendar_id: Mapped[int | None] = mapped_column(ForeignKey("work_calendar.id"), index=True)
    __table_args__ = (
        Index(
            "uq_line_connection_id_e164",
            "connection_id",
            "e164",
            unique=True,
            postgresql_where=text("deleted_at is null"),
        ),
        Index("ix_line_e164", "e164"),
    )


class Extension(HasId, Tracked, Base):
    __tablename__ = "extension"
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    digits: Mapped[str]
    __table_args__ = (UniqueConstraint("connection_id", "digits"), UniqueConstraint("connection_id", "id"))


class ExtensionEndpoint(HasId, Base):
    """A telephone of an extension, where its name is not simply the digits (`PJSIP/ivanov`)."""

    __tablename__ = "extension_endpoint"
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    extension_id: Mapped[int] = mapped_column(ForeignKey("extension.id", ondelete="cascade"), index=True)
    endpoint: Mapped[str]
    __table_args__ = (UniqueConstraint("connection_id", "endpoint"),)


class ExtensionAssignment(HasId, Base):
    """Who sat at an extension, from when to when (half-open); no two users at one time."""

    __tablename__ = "extension_assignment"
    extension_id: Mapped[int] = mapped_column(ForeignKey("extension.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), index=True)
    valid_from: Mapped[datetime] = mapped_column(server_default=func.now())
    valid_to: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="interval"),
        ExcludeConstraint(
            (literal_column("extension_id"), "="),
            (literal_column("tstzrange(valid_from, valid_to)"), "&&"),
            name="ex_extension_assignment_overlap",
            using="gist",
        ),
    )


class Queue(HasId, Tracked, Base):
    __tablename__ = "queue"
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    name: Mapped[str]
    title: Mapped[str | None]
    service_level_seconds: Mapped[int] = mapped_column(Integer, server_default="20")
    service_level_target: Mapped[int] = mapped_column(Integer, server_default="80")
    wrap_up_seconds: Mapped[int] = mapped_column(Integer, server_default="60")
    __table_args__ = (UniqueConstraint("connection_id", "name"),)


class NumberNote(HasId, Base):
    """What we know of a number that is nobody's: ignored, spam, own, emergency."""

    __tablename__ = "number_note"
    e164: Mapped[str | None] = mapped_column(index=True)
    pattern: Mapped[str | None]  # of LIKE, for a range of numbers: '+7800%'
    kind: Mapped[str]
    why: Mapped[str | None]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    until: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("kind in ('ignored', 'spam', 'own', 'emergency')", name="kind"),
        CheckConstraint("(e164 is null) <> (pattern is null)", name="one_form"),
        Index("ix_number_note_pattern", "pattern", postgresql_where=text("pattern is not null")),
    )


class AgentState(HasId, Base):
    """Intervals of an agent's state; no overlap per user."""

    __tablename__ = "agent_state"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    state: Mapped[str]
    reason: Mapped[str | None]
    from_at: Mapped[datetime]
    to_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint(
            "state in ('available', 'ringing', 'talking', 'wrap_up', 'paused', 'offline')", name="state"
        ),
        CheckConstraint("to_at is null or to_at >= from_at", name="interval"),
        ExcludeConstraint(
            (literal_column("user_id"), "="),
            (literal_column("tstzrange(from_at, to_at)"), "&&"),
            name="ex_agent_state_overlap",
            using="gist",
        ),
        Index("ix_agent_state_user_id_from_at", "user_id", text("from_at desc"), text("id desc")),
        Index("uq_agent_state_open", "user_id", unique=True, postgresql_where=text("to_at is null")),
    )
