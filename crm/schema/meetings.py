"""Communications logged by hand: the company's own kinds, meetings with place and people; mentions in comments."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, func, text
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId


class CommunicationKind(HasId, Base):
    """A kind of communication of the company's own; such a communication is of the kind "other"."""

    __tablename__ = "communication_kind"
    name: Mapped[str]
    position: Mapped[int] = mapped_column(Integer, server_default="0")
    is_archived: Mapped[bool] = mapped_column(server_default=text("false"))  # once used it is not removed
    __table_args__ = (
        CheckConstraint("name <> ''", name="name"),
        Index("uq_communication_kind_name", func.lower(text("name")), unique=True),
    )


class Meeting(Base):
    """The meeting of a communication: planned, then held or called off."""

    __tablename__ = "meeting"
    id: Mapped[UUID] = mapped_column(ForeignKey("communication.id"), primary_key=True)
    state: Mapped[str] = mapped_column(server_default="planned", index=True)
    place: Mapped[str | None]  # an address, a room, a link
    result: Mapped[str | None]
    __table_args__ = (CheckConstraint("state in ('planned', 'held', 'cancelled')", name="state"),)


class MeetingParticipant(HasId, Base):
    """Somebody who takes part: one of ours, or a person we know."""

    __tablename__ = "meeting_participant"
    meeting_id: Mapped[UUID] = mapped_column(ForeignKey("meeting.id"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.party_id"))
    __table_args__ = (
        CheckConstraint("num_nonnulls(user_id, person_id) = 1", name="one_side"),
        Index(
            "uq_meeting_participant_user_id",
            "user_id",
            "meeting_id",
            unique=True,
            postgresql_where=text("user_id is not null"),
        ),
        Index(
            "uq_meeting_participant_person_id",
            "person_id",
            "meeting_id",
            unique=True,
            postgresql_where=text("person_id is not null"),
        ),
    )


class CommentMention(Base):
    """A user named in a comment as @login."""

    __tablename__ = "comment_mention"
    comment_id: Mapped[UUID] = mapped_column(ForeignKey("comment.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("app_user.id"), primary_key=True, index=True)
