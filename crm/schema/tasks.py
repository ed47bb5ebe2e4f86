"""Tasks and the reminders of them."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId, Tracked

IS_OPEN = text("state in ('new', 'in_progress')")
NEWEST = text("id desc")


class Task(HasId, Tracked, Base):
    """Something to be done; `created_by` is its author, who stays when it changes hands."""

    __tablename__ = "task"
    number: Mapped[int] = mapped_column(unique=True)  # short, for dictating; never reused
    title: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="errand")
    state: Mapped[str] = mapped_column(server_default="new")
    priority: Mapped[str] = mapped_column(server_default="normal")
    due_at: Mapped[datetime | None]
    due_on: Mapped[date | None] = mapped_column(Date)  # the whole day, in the time zone of the responsible
    # What lists are ordered by and what is overdue: `due_at`, the last moment of `due_on`, or far away.
    deadline: Mapped[datetime] = mapped_column(server_default="9999-01-01 00:00:00+00")
    owner_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("person.party_id"))
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="set null"))
    # No foreign key on purpose: a task may be set during a call before the journal has committed it.
    communication_id: Mapped[UUID | None]
    note: Mapped[str | None]
    result: Mapped[str | None]
    completed_at: Mapped[datetime | None]
    completed_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    is_private: Mapped[bool] = mapped_column(server_default=text("false"))
    __table_args__ = (
        CheckConstraint("title <> ''", name="title"),
        CheckConstraint("kind in ('call', 'meeting', 'letter', 'document', 'errand')", name="kind"),
        CheckConstraint("state in ('new', 'in_progress', 'done', 'cancelled')", name="state"),
        CheckConstraint("priority in ('low', 'normal', 'high')", name="priority"),
        CheckConstraint("num_nonnulls(due_at, due_on) <= 1", name="due"),
        CheckConstraint("(state = 'done') = (completed_at is not null)", name="done"),
        CheckConstraint(
            "not is_private or (owner_id = created_by and num_nonnulls(party_id, contact_id, lead_id) = 0)",
            name="private",
        ),
        Index("ix_task_owner_id_open", "owner_id", "deadline", "id", postgresql_where=IS_OPEN),
        Index("ix_task_created_by_open", "created_by", "deadline", "id", postgresql_where=IS_OPEN),
        Index("ix_task_team_id_open", "team_id", "deadline", "id", postgresql_where=IS_OPEN),
        Index("ix_task_open", "deadline", "id", postgresql_where=IS_OPEN),
        Index("ix_task_owner_id", "owner_id", NEWEST),
        Index("ix_task_created_by", "created_by", NEWEST),
        Index("ix_task_team_id", "team_id", NEWEST),
        Index("ix_task_state", "state", NEWEST),
        Index("ix_task_updated_at", "updated_at", "id"),
        Index("ix_task_completed_by_id", "completed_by_id", text("completed_at desc")),
        Index("ix_task_party_id", "party_id", NEWEST, postgresql_where=text("party_id is not null")),
        Index("ix_task_contact_id", "contact_id", NEWEST, postgresql_where=text("contact_id is not null")),
        Index("ix_task_lead_id", "lead_id", NEWEST, postgresql_where=text("lead_id is not null")),
        Index(
            "ix_task_communication_id",
            "communication_id",
            postgresql_where=text("communication_id is not null"),
        ),
    )


class TaskWatcher(Base):
    """Whoever follows a task that is somebody else's."""

    __tablename__ = "task_watcher"
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id", ondelete="cascade"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    __table_args__ = (Index("ix_task_watcher_user_id", "user_id", "task_id"),)


class Reminder(HasId, Base):
    """A moment at which somebody is reminded of a task. `minutes_before`: it moves with the task's term."""

    __tablename__ = "reminder"
    task_id: Mapped[int] = mapped_column(ForeignKey("task.id", ondelete="cascade"))
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    fire_at: Mapped[datetime]
    minutes_before: Mapped[int | None] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(server_default="pending")
    shown_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("task_id", "user_id", "fire_at"),
        CheckConstraint("state in ('pending', 'shown', 'snoozed', 'dismissed')", name="state"),
        CheckConstraint("minutes_before >= 0", name="minutes_before"),
        Index("ix_reminder_pending", "fire_at", "id", postgresql_where=text("state = 'pending'")),
        Index("ix_reminder_shown", "user_id", "fire_at", postgresql_where=text("state = 'shown'")),
    )
