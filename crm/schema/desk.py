"""The agent's desk: callers we owe a call, what follows from a call, how talks are wrapped up, what agents want to be."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId, Tracked

_UNRESOLVED = text("state in ('open', 'attempted')")


class CallbackCase(HasId, Base):
    """One caller to whom we owe a call; at most one that is not resolved for each number and line group.

    That somebody has taken it is no state of its own: it passes by itself at `taken_until`.
    """

    __tablename__ = "callback_case"
    e164: Mapped[str]
    line_group: Mapped[str]  # 'team:5', 'line:7' of a line without a team, 'none' where no line is known
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id"))  # of the latest miss
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("person.party_id"))
    state: Mapped[str] = mapped_column(server_default="open")
    missed_count: Mapped[int] = mapped_column(Integer, server_default="1")
    first_missed_at: Mapped[datetime]
    last_missed_at: Mapped[datetime]
    due_at: Mapped[datetime]
    taken_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    taken_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")  # of ours, connected or not
    reacted_at: Mapped[datetime | None]  # the first attempt, or the client's own call that was answered
    resolved_at: Mapped[datetime | None]
    resolved_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    resolving_call_id: Mapped[UUID | None] = mapped_column(ForeignKey("call.id"))
    close_reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    __table_args__ = (
        CheckConstraint(
            "state in ('open', 'attempted', 'resolved_by_callback', 'resolved_by_client', 'closed')",
            name="state",
        ),
        CheckConstraint("(state in ('open', 'attempted')) = (resolved_at is null)", name="resolved"),
        CheckConstraint("(state = 'closed') = (close_reason is not null)", name="closed"),
        CheckConstraint("(taken_by_id is null) = (taken_until is null)", name="taken"),
        CheckConstraint("last_missed_at >= first_missed_at", name="interval"),
        Index("uq_callback_case_unresolved", "e164", "line_group", unique=True, postgresql_where=_UNRESOLVED),
        Index("ix_callback_case_due_at", "due_at", "id", postgresql_where=_UNRESOLVED),
        Index("ix_callback_case_team_id_due_at", "team_id", "due_at", "id", postgresql_where=_UNRESOLVED),
        Index("ix_callback_case_taken_by_id", "taken_by_id", "due_at", "id", postgresql_where=_UNRESOLVED),
        Index("ix_callback_case_last_missed_at", text("last_missed_at desc"), text("id desc")),
        Index(
            "ix_callback_case_team_id_last_missed_at",
            "team_id",
            text("last_missed_at desc"),
            text("id desc"),
        ),
        Index(
            "ix_callback_case_taken_by_id_last_missed_at",
            "taken_by_id",
            text("last_missed_at desc"),
            text("id desc"),
        ),
        Index("ix_callback_case_first_missed_at", "first_missed_at"),
        Index("ix_callback_case_e164", "e164", "line_group", "resolved_at"),
        Index("ix_callback_case_party_id", "party_id"),
        Index("ix_callback_case_contact_id", "contact_id"),
    )


class CallbackMiss(Base):
    """A call that nobody took, in the case it belongs to: a call told again is no second miss."""

    __tablename__ = "callback_miss"
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("callback_case.id", ondelete="cascade"))
    missed_at: Mapped[datetime]
    __table_args__ = (Index("ix_callback_miss_case_id", "case_id", "missed_at"),)


class CallHandlingRule(HasId, Tracked, Base):
    """What follows from a call of this line (None: of every line without a rule of its own) in this situation."""

    __tablename__ = "call_handling_rule"
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id"))
    situation: Mapped[str]
    is_known: Mapped[bool]
    actions: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    due_minutes: Mapped[int] = mapped_column(Integer, server_default="20")
    __table_args__ = (
        CheckConstraint(
            "situation in ('inbound_answered', 'inbound_missed', 'outbound_answered', 'outbound_failed')",
            name="situation",
        ),
        CheckConstraint("due_minutes between 1 and 10080", name="due_minutes"),
        UniqueConstraint("line_id", "situation", "is_known", postgresql_nulls_not_distinct=True),
    )


class CallAction(Base):
    """Something a rule wants done about a call, beside the journal: done once, whatever is told again."""

    __tablename__ = "call_action"
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    action: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="pending")
    why: Mapped[str | None]  # it failed, in English
    tries: Mapped[int] = mapped_column(Integer, server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("state in ('pending', 'done', 'failed')", name="state"),
        Index("ix_call_action_pending", "created_at", postgresql_where=text("state = 'pending'")),
    )


class WrapUpCode(HasId, Tracked, Base):
    """What an agent may say came of a talk. Archived, not deleted, once used."""

    __tablename__ = "wrap_up_code"
    name: Mapped[str]
    position: Mapped[int] = mapped_column(Integer, server_default="0")
    colour: Mapped[str | None]
    direction: Mapped[str | None]  # inbound, outbound; None: both
    needs_comment: Mapped[bool] = mapped_column(server_default=text("false"))
    creates_task: Mapped[bool] = mapped_column(server_default=text("false"))
    meaning: Mapped[str | None]  # the code that «Кто звонит?» sets for this button
    archived_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("meaning in ('wrong_number', 'spam')", name="meaning"),
        Index(
            "uq_wrap_up_code_meaning", "meaning", unique=True, postgresql_where=text("meaning is not null")
        ),
        CheckConstraint("direction in ('inbound', 'outbound')", name="direction"),
        Index("uq_wrap_up_code_name", func.lower(text("name")), unique=True),
    )


class WrapUpCodeLine(Base):
    """A code is offered on these lines only; one without such rows is offered on all."""

    __tablename__ = "wrap_up_code_line"
    code_id: Mapped[int] = mapped_column(ForeignKey("wrap_up_code.id", ondelete="cascade"), primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("line.id"), primary_key=True)


class WrapUpLine(Base):
    """Lines whose talks are not over before a code was chosen."""

    __tablename__ = "wrap_up_line"
    line_id: Mapped[int] = mapped_column(ForeignKey("line.id"), primary_key=True)


class WrapUp(Base):
    """An agent's time after one talk, and what they say came of it."""

    __tablename__ = "wrap_up"
    call_id: Mapped[UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    code_id: Mapped[int | None] = mapped_column(ForeignKey("wrap_up_code.id"))
    started_at: Mapped[datetime]
    due_at: Mapped[datetime]  # until then the agent's state is wrap_up
    extended: Mapped[int] = mapped_column(Integer, server_default="0")  # minutes added by the agent
    finished_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    __table_args__ = (
        CheckConstraint("due_at >= started_at", name="interval"),
        Index(
            "ix_wrap_up_unfinished",
            "user_id",
            text("started_at desc"),
            text("call_id desc"),
            postgresql_where=text("finished_at is null"),
        ),
        Index("ix_wrap_up_running", "due_at", postgresql_where=text("finished_at is null")),
        Index("ix_wrap_up_code_id", "code_id", postgresql_where=text("code_id is not null")),
    )


class AgentWish(Base):
    """What an agent wants to be for their shift; what they are is `agent_state`. No row: they never said."""

    __tablename__ = "agent_wish"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    state: Mapped[str]
    reason: Mapped[str | None]
    since: Mapped[datetime] = mapped_column(server_default=func.now())
    asked_at: Mapped[datetime | None]  # of the PBXs in whose queues they sit; None: that is still to be done
    problem: Mapped[str | None]  # why a PBX does not do it
    detail: Mapped[str | None]  # its own words
    __table_args__ = (
        CheckConstraint("state in ('available', 'paused', 'offline')", name="state"),
        CheckConstraint(
            "problem in ('no_account', 'not_allowed', 'not_sent', 'refused', 'unknown')", name="problem"
        ),
        CheckConstraint("(state = 'paused') = (reason is not null)", name="reason"),
    )
