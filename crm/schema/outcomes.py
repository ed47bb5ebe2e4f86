"""What agents say of a talk while it goes on."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base


class SaidOutcome(Base):
    """The outcome of a talk that is not over, or not stored yet; its wrap-up takes it, and the row goes."""

    __tablename__ = "said_outcome"
    call_id: Mapped[UUID] = mapped_column(primary_key=True)  # without a key: the journal may be behind
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    code_id: Mapped[int] = mapped_column(ForeignKey("wrap_up_code.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
