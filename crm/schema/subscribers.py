"""Other programs that are told what happens, what waits for them, and how far the outbox is still there."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId, Tracked

IN_USE = text("deleted_at is null")


class Subscriber(HasId, Tracked, Base):
    """An address that events are sent to. `place_*`: how far the outbox has been taken over for it."""

    __tablename__ = "subscriber"
    name: Mapped[str]
    url: Mapped[str]
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed; None once it is removed
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)  # signs beside the new one for a while
    previous_until: Mapped[datetime | None]
    event_types: Mapped[list[str]] = mapped_column(ARRAY(Text))
    state: Mapped[str] = mapped_column(server_default="active")
    state_since: Mapped[datetime] = mapped_column(server_default=func.now())
    failing_since: Mapped[datetime | None]  # nothing has got through since
    delivered_at: Mapped[datetime | None]  # the last time that something did
    lost_until: Mapped[datetime | None]  # events before this moment were pruned before it took them
    place_tx: Mapped[int]
    place_id: Mapped[int]
    holder: Mapped[UUID | None]  # the program that sends for it now
    held_until: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("state in ('active', 'paused', 'failed')", name="state"),
        Index("uq_subscriber_name", func.lower(text("name")), unique=True, postgresql_where=IN_USE),
    )


class SubscriberDelivery(HasId, Base):
    """One event for one subscriber, kept for some days after it is over."""

    __tablename__ = "subscriber_delivery"
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscriber.id"))
    event_id: Mapped[int]  # of the outbox, which is pruned by itself: no foreign key
    type: Mapped[str]
    record_kind: Mapped[str]
    record_id: Mapped[str]
    event_at: Mapped[datetime]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="waiting")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    failures: Mapped[int] = mapped_column(Integer, server_default="0")  # since it began to wait
    failing_since: Mapped[datetime | None]
    next_try_at: Mapped[datetime] = mapped_column(server_default=func.now())
    tried_at: Mapped[datetime | None]
    milliseconds: Mapped[int | None] = mapped_column(Integer)
    answer_status: Mapped[int | None] = mapped_column(Integer)
    answer_body: Mapped[str | None]
    trouble: Mapped[str | None]  # a code of `webhooks.outgoing.Trouble`
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        CheckConstraint("state in ('waiting', 'delivered', 'failed')", name="state"),
        Index("uq_subscriber_delivery_event", "subscriber_id", "event_id", unique=True),
        Index("ix_subscriber_delivery_list", "subscriber_id", "id"),
        Index("ix_subscriber_delivery_state", "subscriber_id", "state", "id"),
        Index("ix_subscriber_delivery_created_at", "created_at"),
    )


class OutboxHorizon(Base):
    """Up to where the outbox was pruned; at most one row."""

    __tablename__ = "outbox_horizon"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tx: Mapped[int]
    at: Mapped[datetime]
    __table_args__ = (CheckConstraint("id = 1", name="single"),)


class FeedClock(Base):
    """By how much the numbers of the outbox are ahead of this cluster's transactions; one row. See `crm.feed_clock`."""

    __tablename__ = "feed_clock"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    ahead: Mapped[int]
    __table_args__ = (CheckConstraint("id = 1", name="single"),)
