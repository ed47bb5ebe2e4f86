"""Requests to read somebody else's card."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId

OPEN = text("answered_at is null")


class AccessRequest(HasId, Base):
    """A user asks to read a party outside their rights; one is open at a time for the two of them."""

    __tablename__ = "access_request"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"))
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    is_granted: Mapped[bool | None]
    __table_args__ = (
        CheckConstraint("(answered_at is null) = (is_granted is null)", name="answered"),
        Index("uq_access_request_open", "user_id", "party_id", unique=True, postgresql_where=OPEN),
        Index("ix_access_request_open", text("id desc"), postgresql_where=OPEN),
        Index("ix_access_request_party_id", "party_id"),
        Index("ix_access_request_user_id_asked_at", "user_id", "asked_at"),
    )
