"""Users, teams, roles, rights, sessions and tokens."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    UniqueConstraint,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId, Tracked


class User(HasId, Tracked, Base):
    """A person who works here; never deleted, only blocked. (`user` is a word of SQL, hence the table's name.)"""

    __tablename__ = "app_user"
    login: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default="ru")
    time_zone: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    manager_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    team_id: Mapped[int | None] = mapped_column(
        ForeignKey("team.id", use_alter=True)
    )  # the primary team, as of now
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    __table_args__ = (
        CheckConstraint("status in ('active', 'blocked')", name="status"),
        Index("uq_app_user_login", func.lower(text("login")), unique=True),
    )


class Team(HasId, Tracked, Base):
    __tablename__ = "team"
    name: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    archived_at: Mapped[datetime | None]


class TeamMembership(HasId, Base):
    """Who belonged to which team, from when to when (half-open); one primary team at a time."""

    __tablename__ = "team_membership"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"), index=True)
    is_head: Mapped[bool] = mapped_column(server_default=text("false"))
    is_primary: Mapped[bool] = mapped_column(server_default=text("false"))
    valid_from: Mapped[datetime] = mapped_column(server_default=func.now())
    valid_to: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="interval"),
        Index("ix_team_membership_user_id", "user_id"),
        ExcludeConstraint(
            (literal_column("user_id"), "="),
            (literal_column("team_id"), "="),
            (literal_column("tstzrange(valid_from, valid_to)"), "&&"),
            name="ex_team_membership_overlap",
            using="gist",
        ),
        ExcludeConstraint(
            (literal_column("user_id"), "="),
            (literal_column("tstzrange(valid_from, valid_to)"), "&&"),
            name="ex_team_membership_primary",
            using="gist",
            where=text("is_primary"),
        ),
    )


class Role(HasId, Base):
    __tablename__ = "role"
    code: Mapped[str] = mapped_column(
        unique=True
    )  # agent, manager, head, telephony, admin, and the company's own
    name: Mapped[str]
    is_system: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(Integer, server_default="1")


class RoleAssignment(Base):
    __tablename__ = "role_assignment"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), primary_key=True)
    __table_args__ = (Index("ix_role_assignment_role_id", "role_id"),)


class Permission(Base):
    """What a role may do in an area, and how far: none, own, team, all."""

    __tablename__ = "permission"
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id", ondelete="cascade"), primary_key=True)
    area: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str]
    __table_args__ = (CheckConstraint("scope in ('none', 'own', 'team', 'all')", name="scope"),)


class AccessGrant(HasId, Base):
    """Call-time access and other passing rights to one party; expires by itself."""

    __tablename__ = "access_grant"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str]  # call, request, mention
    call_id: Mapped[UUID | None]
    until: Mapped[datetime]
    __table_args__ = (
        Index("ix_access_grant_user_id_party_id_until", "user_id", "party_id", "until"),
        Index("ix_access_grant_party_id", "party_id"),
        UniqueConstraint("user_id", "party_id", "reason", "call_id", postgresql_nulls_not_distinct=True),
    )


class UserSession(HasId, Base):
    __tablename__ = "user_session"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)  # SHA-256 of a 128-bit random token
    from_address: Mapped[str | None]
    user_agent: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


class ApiToken(HasId, Base):
    __tablename__ = "api_token"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]  # the first letters, to tell tokens apart in lists
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    rights: Mapped[dict[str, Any] | None]  # a subset of the owner's; None: all of them
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class SignInFailure(HasId, Base):
    """Wrong passwords of late, for the growing delay per account and network."""

    __tablename__ = "sign_in_failure"
    login: Mapped[str]
    network: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        Index("ix_sign_in_failure_login_at", "login", "at"),
        Index("ix_sign_in_failure_network_at", "network", "at"),
    )


class NumberCounter(Base):
    """The next short number of each kind of record; never reused."""

    __tablename__ = "number_counter"
    kind: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]
    since: Mapped[date] = mapped_column(Date, server_default=func.current_date())
    step: Mapped[int] = mapped_column(Integer, server_default="1")
