"""The bin: who put a party or a lead there, and what was released with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base


class LeadBinEntry(Base):
    """A lead in the bin (its `deleted_at` is set). The entry goes when it is restored, or with the lead after 30 days."""

    __tablename__ = "lead_bin_entry"
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    via: Mapped[str]
    __table_args__ = (Index("ix_lead_bin_entry_at_lead_id", text("at desc"), text("lead_id desc")),)


class BinEntry(Base):
    """A party in the bin (its `deleted_at` is set). The entry goes when it is restored, or with the party after 30 days."""

    __tablename__ = "bin_entry"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id"), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    via: Mapped[str]
    released: Mapped[dict[str, Any]]  # ids of the rows that ended with it, and its INN
    is_with_lead: Mapped[bool] = mapped_column(server_default=text("false"))  # known from it alone
    __table_args__ = (Index("ix_bin_entry_at_party_id", text("at desc"), text("party_id desc")),)
