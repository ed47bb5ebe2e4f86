"""The stage engine: schemes, stages, permitted moves, what a stage asks for, visits, pauses, reasons of failure.

A visit or a pause points to its record by a column of the record's kind; other kinds get columns of their own beside it.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId, Tracked

IN_USE = text("archived_at is null")
OBJECT_KINDS = "object_kind in ('lead', 'deal', 'process')"


class Scheme(HasId, Tracked, Base):
    """An ordered set of stages with rules."""

    __tablename__ = "scheme"
    object_kind: Mapped[str]  # lead, deal, process
    name: Mapped[str]  # a message id for those that every installation begins with
    move_mode: Mapped[str] = mapped_column(server_default="free")
    allows_step_back: Mapped[bool] = mapped_column(server_default=text("false"))  # sequential ones, by one
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    archived_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint(OBJECT_KINDS, name="object_kind"),
        CheckConstraint("move_mode in ('free', 'sequential', 'matrix')", name="move_mode"),
        CheckConstraint("not is_default or archived_at is null", name="default_in_use"),
        UniqueConstraint("id", "object_kind"),
        Index("uq_scheme_default", "object_kind", unique=True, postgresql_where=text("is_default")),
    )


class SchemeTeam(Base):
    """Who may use a scheme; without any row, everybody."""

    __tablename__ = "scheme_team"
    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id", ondelete="cascade"), primary_key=True)
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"), primary_key=True)


class Stage(HasId, Tracked, Base):
    __tablename__ = "stage"
    scheme_id: Mapped[int] = mapped_column(ForeignKey("scheme.id"))
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str]  # a message id for those that every installation begins with
    outcome: Mapped[str] = mapped_column(server_default="open")
    probability: Mapped[int | None] = mapped_column(Integer)  # per cent
    colour: Mapped[str | None]
    sla_seconds: Mapped[int | None] = mapped_column(Integer)
    archived_at: Mapped[datetime | None]
    replaced_by_id: Mapped[int | None] = mapped_column(ForeignKey("stage.id"))
    __table_args__ = (
        CheckConstraint("outcome in ('open', 'success', 'failure')", name="outcome"),
        CheckConstraint("probability between 0 and 100", name="probability"),
        CheckConstraint("outcome = 'open' or archived_at is null", name="ends_stay"),
        CheckConstraint("replaced_by_id <> id", name="replaced"),
        UniqueConstraint("id", "scheme_id"),
        Index("uq_stage_success", "scheme_id", unique=True, postgresql_where=text("outcome = 'success'")),
        Index("uq_stage_failure", "scheme_id", unique=True, postgresql_where=text("outcome = 'failure'")),
        Index(
            "uq_stage_position",
            "scheme_id",
            "position",
            unique=True,
            postgresql_where=text("outcome = 'open' and archived_at is null"),
        ),
    )


class Transition(HasId, Base):
    """A permitted move between two stages of one scheme, for the mode "matrix"."""

    __tablename__ = "stage_transition"
    scheme_id: Mapped[int]
    from_stage_id: Mapped[int]
    to_stage_id: Mapped[int]
    __table_args__ = (
        UniqueConstraint("from_stage_id", "to_stage_id"),
        CheckConstraint("from_stage_id <> to_stage_id", name="two_stages"),
        ForeignKeyConstraint(
            ["from_stage_id", "scheme_id"], ["stage.id", "stage.scheme_id"], name="fk_stage_transition_from"
        ),
        ForeignKeyConstraint(
            ["to_stage_id", "scheme_id"], ["stage.id", "stage.scheme_id"], name="fk_stage_transition_to"
        ),
    )


class StageRequirement(HasId, Base):
    """A field of the record that must be filled before a stage is entered, or left."""

    __tablename__ = "stage_requirement"
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id", ondelete="cascade"))
    moment: Mapped[str]  # enter, leave
    field: Mapped[str]
    __table_args__ = (
        CheckConstraint("moment in ('enter', 'leave')", name="moment"),
        UniqueConstraint("stage_id", "moment", "field"),
    )


class FailureReason(HasId, Base):
    """Why a record ended without success. Those with a code are the system's own: reports leave them out."""

    __tablename__ = "failure_reason"
    object_kind: Mapped[str]
    code: Mapped[str | None]  # spam, duplicate
    name: Mapped[str]  # a message id for those that every installation begins with
    position: Mapped[int] = mapped_column(Integer, server_default="0")
    archived_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    __table_args__ = (
        CheckConstraint(OBJECT_KINDS, name="object_kind"),
        CheckConstraint("code is null or archived_at is null", name="system_stays"),
        UniqueConstraint("object_kind", "code"),
        Index("uq_failure_reason_name", "object_kind", "name", unique=True, postgresql_where=IN_USE),
    )


class StageVisit(HasId, Base):
    """A record's stay in a stage, written at entry: the present stage is history too."""

    __tablename__ = "stage_visit"
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="cascade"))
    stage_id: Mapped[int] = mapped_column(ForeignKey("stage.id"))
    entered_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    via: Mapped[str]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))  # at entry
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))  # at entry
    comment: Mapped[str | None]
    __table_args__ = (
        CheckConstraint("num_nonnulls(lead_id) = 1", name="one_record"),
        CheckConstraint("left_at is null or left_at >= entered_at", name="interval"),
        CheckConstraint(
            "via in ('form', 'board', 'call_window', 'api', 'import', 'scenario', 'archive', 'journal', 'merge',"
            " 'command')",
            name="via",
        ),
        Index("uq_stage_visit_open_lead", "lead_id", unique=True, postgresql_where=text("left_at is null")),
        Index("ix_stage_visit_lead_id_entered_at", "lead_id", "entered_at", "id"),
        Index("ix_stage_visit_stage_id_entered_at", "stage_id", "entered_at"),
    )


class Hold(HasId, Base):
    """A pause of a record: nothing is expected of anybody until it is over."""

    __tablename__ = "hold"
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="cascade"))
    from_at: Mapped[datetime]
    to_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    resume_on: Mapped[date | None] = mapped_column(Date)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    ended_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    __table_args__ = (
        CheckConstraint("num_nonnulls(lead_id) = 1", name="one_record"),
        CheckConstraint("to_at is null or to_at >= from_at", name="interval"),
        Index("uq_hold_open_lead", "lead_id", unique=True, postgresql_where=text("to_at is null")),
        Index("ix_hold_lead_id_from_at", "lead_id", "from_at"),
    )
