"""Where a party's numbers are from, kept by triggers for the filter of lists."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import FetchedValue, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId
from crm.schema.parties import list_orders


class PartyRegion(Base):
    """A region of a party's numbers; an organisation has those of its primary contact as well."""

    __tablename__ = "party_region"
    party_id: Mapped[int] = mapped_column(ForeignKey("party.id", ondelete="cascade"), primary_key=True)
    region: Mapped[str] = mapped_column(primary_key=True)
    # Copies of the party's columns, as those of a kind.
    sort_name: Mapped[str] = mapped_column(Text(collation="C"), FetchedValue())
    last_communication_at: Mapped[datetime | None] = mapped_column(FetchedValue())
    party_created_at: Mapped[datetime] = mapped_column(FetchedValue())
    keeper_id: Mapped[int | None] = mapped_column(FetchedValue())
    team_id: Mapped[int | None] = mapped_column(FetchedValue())
    __table_args__ = (
        *list_orders("ix_party_region", ("region",)),
        *list_orders("ix_party_region_keeper", ("region", "keeper_id"), "keeper_id is not null"),
        *list_orders("ix_party_region_team", ("region", "team_id"), "team_id is not null"),
    )


class PartyRegionDue(HasId, Base):
    """A party whose regions are to be looked at once more, when whoever changed its numbers is done."""

    __tablename__ = "party_region_due"
    party_id: Mapped[int]  # no foreign key: it may have gone meanwhile
