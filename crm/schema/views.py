"""What users arrange for themselves: saved views, columns of lists, drafts; and what they are notified of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from crm.schema.base import Base, HasId, Tracked


class SavedView(HasId, Tracked, Base):
    """A list as somebody wants to see it again: filters, order, columns; one's own, or shared with roles."""

    __tablename__ = "saved_view"
    area: Mapped[str]  # the list it belongs to: clients, contacts, communications …
    owner_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), index=True)
    name: Mapped[str]
    columns: Mapped[list[str]] = mapped_column(ARRAY(Text()), server_default=text("'{}'"))
    sort: Mapped[str] = mapped_column(server_default="")
    filters: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    __table_args__ = (
        Index("uq_saved_view_name", "area", "owner_id", func.lower(text("name")), unique=True),
        CheckConstraint("name <> ''", name="name"),
    )


class SavedViewRole(Base):
    """A role whose users are offered the view."""

    __tablename__ = "saved_view_role"
    view_id: Mapped[int] = mapped_column(ForeignKey("saved_view.id", ondelete="cascade"), primary_key=True)
    role_id: Mapped[int] = mapped_column(
        ForeignKey("role.id", ondelete="cascade"), primary_key=True, index=True
    )


class ListColumns(Base):
    """The columns of one list as one user ordered them; without a row the list shows its usual ones."""

    __tablename__ = "list_columns"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    area: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[list[str]] = mapped_column(ARRAY(Text()))


class Draft(Base):
    """What a user has typed into a form and not yet saved."""

    __tablename__ = "draft"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True)
    form: Mapped[str] = mapped_column(primary_key=True)
    record: Mapped[str] = mapped_column(primary_key=True)  # "" for a new one
    fields: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Notification(HasId, Base):
    """Something one user should know: what for is its kind, the words are made from `detail` in their language."""

    __tablename__ = "notification"
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"))
    kind: Mapped[str]  # assigned, mentioned, meeting …
    record_kind: Mapped[str | None]
    record_id: Mapped[str | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    shown_at: Mapped[datetime | None]  # in one of the user's tabs
    seen_at: Mapped[datetime | None]
    __table_args__ = (
        Index("ix_notification_user_id_id", "user_id", text("id desc")),
        Index("ix_notification_unseen", "user_id", postgresql_where=text("seen_at is null")),
    )
