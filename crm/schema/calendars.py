"""Working hours: when a line answers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId, Tracked


class WorkCalendar(HasId, Tracked, Base):
    """Hours by weekday and on single days, both as `crm.calendars.WorkHours` keeps them; `time_zone` is an IANA name."""

    __tablename__ = "work_calendar"
    name: Mapped[str]
    time_zone: Mapped[str]
    week: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    days: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    __table_args__ = (Index("uq_work_calendar_name", func.lower(text("name")), unique=True),)
