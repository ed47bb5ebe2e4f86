"""Where a party's numbers are from, kept by triggers for the filter of lists."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base


class PartyRegion(Base):
    """A region of a party's numbers; an organisation has those of its primary contact as well."""

    __tablename__ = "party_region"
    region: Mapped[str] = mapped_column(primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id", ondelete="cascade"), primary_key=True)
    __table_args__ = (Index("ix_party_region_party_id", "party_id"),)
