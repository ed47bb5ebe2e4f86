"""Merges with every row they moved, pairs that may be one, pairs that are not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    Index,
    Integer,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId


class MergeLog(HasId, Base):
    """One merge: who went into whom, chosen values, how to undo it.

    A journal: it names parties, or leads, by their ids without a foreign key, and is kept longer than they are.
    """

    __tablename__ = "merge_log"
    record_kind: Mapped[str] = mapped_column(server_default="party")  # party, lead
    survivor_id: Mapped[int]
    merged_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    choices: Mapped[dict[str, Any]]  # field → the party whose value was taken, null for none
    before: Mapped[dict[str, Any]]  # of the survivor: {"party": row, "detail": row}
    after: Mapped[dict[str, Any]]
    merged: Mapped[dict[str, Any]]  # id → the columns that the merge changed, as they were
    via: Mapped[str]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    undone_at: Mapped[datetime | None]
    undone_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    report: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))  # what undoing left
    __table_args__ = (
        CheckConstraint("cardinality(merged_ids) >= 1", name="merged"),
        CheckConstraint("record_kind in ('party', 'lead')", name="record_kind"),
        Index("ix_merge_log_survivor_id_at", "survivor_id", text("at desc")),
        Index("ix_merge_log_at_id", text("at desc"), text("id desc")),
    )


class MergeMove(HasId, Base):
    """One row that a merge touched. `row`: what was dropped, or what undoing needs to know of it."""

    __tablename__ = "merge_move"
    merge_id: Mapped[int] = mapped_column(ForeignKey("merge_log.id"))
    reference: Mapped[str]  # table.column
    what: Mapped[str]
    row_id: Mapped[str]
    from_id: Mapped[int]
    kept_id: Mapped[str | None]  # of a dropped row: the survivor's row that says the same
    row: Mapped[dict[str, Any] | None]
    __table_args__ = (
        CheckConstraint("what in ('moved', 'dropped', 'changed')", name="what"),
        Index("ix_merge_move_merge_id_reference", "merge_id", "reference", "what", "id"),
    )


class DuplicatePair(HasId, Base):
    """Two parties that may be one; made anew by the nightly search."""

    __tablename__ = "duplicate_pair"
    low_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    high_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str]  # the strongest of them
    shown: Mapped[str]  # the number, address or INN that both have; "" for a name
    likeness: Mapped[int] = mapped_column(
        Integer
    )  # thousandths; 1000 where a number, an address or an INN is the same
    run_id: Mapped[int] = mapped_column(ForeignKey("duplicate_run.id"))
    # Copies of whose the two parties are, kept by triggers: the owner, without one whoever entered it.
    low_keeper_id: Mapped[int | None] = mapped_column(FetchedValue())
    low_team_id: Mapped[int | None] = mapped_column(FetchedValue())
    high_keeper_id: Mapped[int | None] = mapped_column(FetchedValue())
    high_team_id: Mapped[int | None] = mapped_column(FetchedValue())
    __table_args__ = (
        CheckConstraint("low_id < high_id", name="ordered"),
        CheckConstraint("reason in ('number', 'email', 'inn', 'name')", name="reason"),
        Index("uq_duplicate_pair_low_id_high_id", "low_id", "high_id", unique=True),
        Index("ix_duplicate_pair_high_id", "high_id"),
        Index("ix_duplicate_pair_run_id", "run_id"),
        Index("ix_duplicate_pair_likeness_id", text("likeness desc"), text("id desc")),
        *(
            Index(
                f"ix_duplicate_pair_low_{whose}",
                f"low_{whose}_id",
                text("likeness desc"),
                text("id desc"),
                postgresql_where=text(f"low_{whose}_id is not null"),
            )
            for whose in ("keeper", "team")
        ),
    )


class DuplicateDismissal(HasId, Base):
    """«Не дубль»: two parties that somebody looked at and found to be two. Holds for all users."""

    __tablename__ = "duplicate_dismissal"
    low_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    high_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    reason: Mapped[str | None]
    by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        CheckConstraint("low_id < high_id", name="ordered"),
        Index("uq_duplicate_dismissal_low_id_high_id", "low_id", "high_id", unique=True),
        Index("ix_duplicate_dismissal_high_id", "high_id"),
    )


class NameKey(Base):
    """A party's name in one of the orders in which likely duplicates stand beside one another; kept by the search for them."""

    __tablename__ = "name_key"
    key: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id", ondelete="cascade"), primary_key=True)
    __table_args__ = (
        Index("ix_name_key_party_id", "party_id"),
        Index("ix_name_key_short", "key", "party_id", postgresql_where=text("char_length(key) <= 17")),
    )


class DuplicateRun(HasId, Base):
    """One search for pairs. It goes in bounded pieces and can be continued after a restart: `stage` and `after_id` say where."""

    __tablename__ = "duplicate_run"
    asked_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    stage: Mapped[str] = mapped_column(server_default="number")
    after_id: Mapped[int] = mapped_column(server_default="0")
    pairs: Mapped[int] = mapped_column(Integer, server_default="0")
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("stage in ('number', 'email', 'inn', 'name', 'done')", name="stage"),
        CheckConstraint("(stage = 'done') = (finished_at is not null)", name="finished"),
        Index(
            "uq_duplicate_run_unfinished",
            text("(true)"),
            unique=True,
            postgresql_where=text("finished_at is null"),
        ),
    )
