"""What call windows leave behind: how quickly they came up."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base


class PopDelay(Base):
    """From the PBX's event to the window on the screen, of the first page of one user that drew one call."""

    __tablename__ = "pop_delay"
    # No foreign key on purpose: the journal may not have written its call yet.
    call_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    connection_id: Mapped[int] = mapped_column(ForeignKey("pbx_connection.id"))
    at: Mapped[datetime]
    milliseconds: Mapped[int] = mapped_column(Integer)
    __table_args__ = (
        CheckConstraint("milliseconds between 0 and 60000", name="milliseconds"),
        Index("ix_pop_delay_at", "at"),
    )
