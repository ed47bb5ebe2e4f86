"""Calls that people place from the screen: what they may dial, each click, each hand on a call, cards that travel with it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasOurId


class DiallingPolicy(Base):
    """What may be dialled from the screen: one row for the installation."""

    __tablename__ = "dialling_policy"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    is_stopped: Mapped[bool] = mapped_column(server_default=text("false"))  # nobody dials at all
    countries: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default=text("'{}'"))
    allows_premium: Mapped[bool] = mapped_column(server_default=text("false"))
    allows_short: Mapped[bool] = mapped_column(server_default=text("false"))
    most_per_hour: Mapped[int] = mapped_column(Integer, server_default="60")  # of one user
    most_per_day: Mapped[int] = mapped_column(Integer, server_default="300")  # of one user
    most_of_all: Mapped[int] = mapped_column(Integer, server_default="5000")  # a day, all users together
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    __table_args__ = (
        CheckConstraint("id = 1", name="single"),
        CheckConstraint("most_per_hour >= 0 and most_per_day >= 0 and most_of_all >= 0", name="limits"),
    )


class DialRequest(HasOurId, Base):
    """One click: written before anything is sent, marked as sent before the action goes out, never sent twice.

    The id becomes the call's; `request_id` was made by the page, so that the same click is known again.
    """

    __tablename__ = "dial_request"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    request_id: Mapped[UUID]
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    extension: Mapped[str]  # the agent's
    target: Mapped[str]  # E.164, or an extension
    typed: Mapped[str]
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id"))
    override_reason: Mapped[str | None]  # why somebody is called who asked not to be
    state: Mapped[str] = mapped_column(server_default="new")
    reason: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("user_id", "request_id"),
        CheckConstraint(
            "state in ('new', 'sent', 'ringing', 'answered', 'failed', 'refused', 'not_sent', 'unknown')",
            name="state",
        ),
        CheckConstraint("state in ('new', 'not_sent') or sent_at is not null", name="sent"),
        Index("ix_dial_request_user_id_created_at", "user_id", text("created_at desc")),
        Index("ix_dial_request_created_at", text("created_at desc")),
        Index(
            "ix_dial_request_unsettled", "id", postgresql_where=text("state in ('new', 'sent', 'ringing')")
        ),
    )


class ControlledCall(HasOurId, Base):
    """What somebody did to a call of theirs from the screen: hung up, passed it on, stopped the recording."""

    __tablename__ = "call_control"
    call_id: Mapped[UUID]  # no foreign key on purpose: the journal may not have committed the call yet
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    action: Mapped[str]
    target: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    outcome: Mapped[
        str | None
    ]  # done, refused, not_sent, unknown; None: it was being asked for when the program ended
    __table_args__ = (
        Index("ix_call_control_call_id", "call_id", "at"),
        CheckConstraint("outcome in ('done', 'refused', 'not_sent', 'unknown')", name="outcome"),
    )


class HandOverCard(HasOurId, Base):
    """What an agent wrote for the next one when passing a call on."""

    __tablename__ = "hand_over_card"
    call_id: Mapped[UUID]  # no foreign key, for the same reason
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    from_extension: Mapped[str]
    to_target: Mapped[str]
    reason: Mapped[str]
    note: Mapped[str]
    caller: Mapped[str | None]  # the original caller's number, as it was known then
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (Index("ix_hand_over_card_call_id", "call_id", "at"),)
