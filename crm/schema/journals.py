"""Append-only journals, the outbox, idempotency keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId


class ChangeLog(HasId, Base):
    """Every change of a record: who, when, via, old and new. The program's role may insert and read, nothing else.

    Who did it is an id without a foreign key, here and in the outbox: an import would check it for each field of each row. The
    database refuses to remove a user (revision 0053).
    """

    __tablename__ = "change_log"
    record_kind: Mapped[str]
    record_id: Mapped[str]
    field: Mapped[str]
    old: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    new: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    actor_id: Mapped[int | None]
    via: Mapped[str]  # form, call_window, api, import, command, journal
    request_id: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        Index("ix_change_log_record", "record_id", "record_kind", text("id desc")),
        # Read backwards, newest first; the other way round every new row would go to the beginning of each.
        Index("ix_change_log_at", "at", "id"),
        Index("ix_change_log_actor_id", "actor_id", "at", "id"),
        # Nearly all rows are about clients: those are found by time alone.
        Index(
            "ix_change_log_kind", "record_kind", "at", "id", postgresql_where=text("record_kind <> 'party'")
        ),
    )


class AccessLog(HasId, Base):
    """Sign-ins, refused ones, exports, secrets and roles changed, recordings played."""

    __tablename__ = "access_log"
    event: Mapped[str]
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    login: Mapped[str | None]
    from_address: Mapped[str | None]
    record_kind: Mapped[str | None]
    record_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        Index("ix_access_log_at", text("at desc")),
        Index("ix_access_log_actor_id", "actor_id", text("at desc"), text("id desc")),
        Index("ix_access_log_event", "event", text("at desc"), text("id desc")),
        Index("ix_access_log_record", "record_kind", "record_id", text("at desc"), text("id desc")),
    )


class OutboxEvent(HasId, Base):
    """Written in the transaction that changes the record; read below the oldest running transaction."""

    __tablename__ = "outbox_event"
    tx: Mapped[int] = mapped_column(BigInteger, server_default=text("feed_tx()"))
    type: Mapped[str]
    record_kind: Mapped[str]
    record_id: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    actor_id: Mapped[int | None]
    caused_by_run: Mapped[int | None]
    depth: Mapped[int] = mapped_column(Integer, server_default="0")
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        Index("ix_outbox_event_tx_id", "tx", "id"),
        Index("ix_outbox_event_record_kind_tx_id", "record_kind", "tx", "id"),
        Index("ix_outbox_event_at", "at"),
    )


class IdempotencyKey(Base):
    """The answer once given to a request that names a key."""

    __tablename__ = "idempotency_key"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
