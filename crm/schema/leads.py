"""Leads: one enquiry or sign of interest each, before we know that it is business. A lead is about a party, it is none."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, Binned, HasId, Tracked

NEWEST = (text("created_at desc"), text("id desc"))
KEPT = text("deleted_at is null")
IS_OPEN = text("state in ('open', 'on_hold') and deleted_at is null")
IS_NOBODYS = text("owner_id is null and state in ('open', 'on_hold') and deleted_at is null")
UNANSWERED = text("first_response_at is null and state in ('open', 'on_hold') and deleted_at is null")


class Lead(HasId, Tracked, Binned, Base):
    __tablename__ = "lead"
    number: Mapped[int] = mapped_column(unique=True)  # short, for dictating; never reused
    object_kind: Mapped[str] = mapped_column(Computed("'lead'::text", persisted=True))
    scheme_id: Mapped[int]
    stage_id: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="open")
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.party_id"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.party_id"))
    subject_party_id: Mapped[int] = mapped_column(
        BigInteger, Computed("coalesce(person_id, organisation_id)", persisted=True)
    )
    title: Mapped[str | None]
    need: Mapped[str | None]
    source: Mapped[str | None]
    line_id: Mapped[int | None] = mapped_column(ForeignKey("line.id"))
    campaign: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))  # utm marks
    first_communication_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("communication.id", ondelete="set null")
    )
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    first_response_at: Mapped[datetime | None]  # kept by the journal, written once
    converted_at: Mapped[datetime | None]
    converted_by_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    converted_party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    converted_person_id: Mapped[int | None] = mapped_column(ForeignKey("person.party_id"))
    disqualified_at: Mapped[datetime | None]
    disqualify_reason_id: Mapped[int | None] = mapped_column(ForeignKey("failure_reason.id"))
    disqualify_note: Mapped[str | None]
    is_repeat: Mapped[bool] = mapped_column(server_default=text("false"))
    duplicate_of_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="set null"))
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id"))
    auto_created: Mapped[bool] = mapped_column(server_default=text("false"))
    reopened_count: Mapped[int] = mapped_column(Integer, server_default="0")
    custom: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    __table_args__ = (
        CheckConstraint("state in ('open', 'on_hold', 'converted', 'disqualified')", name="state"),
        CheckConstraint("person_id is not null or organisation_id is not null", name="subject"),
        CheckConstraint("(state = 'converted') = (converted_at is not null)", name="converted"),
        CheckConstraint("converted_at is null or converted_party_id is not null", name="converted_to"),
        CheckConstraint("(state = 'disqualified') = (disqualified_at is not null)", name="disqualified"),
        CheckConstraint("(state = 'disqualified') = (disqualify_reason_id is not null)", name="reason"),
        CheckConstraint("first_response_at >= created_at", name="first_response"),
        CheckConstraint("duplicate_of_id <> id", name="duplicate"),
        CheckConstraint("merged_into_id is null or state = 'disqualified'", name="merged"),
        CheckConstraint("merged_into_id <> id", name="merged_into"),
        ForeignKeyConstraint(
            ["stage_id", "scheme_id"], ["stage.id", "stage.scheme_id"], name="fk_lead_stage_of_scheme"
        ),
        ForeignKeyConstraint(
            ["scheme_id", "object_kind"], ["scheme.id", "scheme.object_kind"], name="fk_lead_scheme_of_leads"
        ),
        Index(
            "uq_lead_open_automatic",
            "subject_party_id",
            "scheme_id",
            unique=True,
            postgresql_where=text("auto_created and state in ('open', 'on_hold') and deleted_at is null"),
        ),
        Index("ix_lead_created_at", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_open", *NEWEST, postgresql_where=IS_OPEN),
        Index("ix_lead_state_created_at", "state", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_stage_id_created_at", "stage_id", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_owner_id_created_at", "owner_id", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_team_id_created_at", "team_id", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_owner_id_state_created_at", "owner_id", "state", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_team_id_state_created_at", "team_id", "state", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_stage_id_open", "stage_id", *NEWEST, postgresql_where=IS_OPEN),
        Index(
            "ix_lead_nobodys_open",
            *NEWEST,
            postgresql_where=IS_NOBODYS,
        ),
        Index("ix_lead_owner_id_open", "owner_id", *NEWEST, postgresql_where=IS_OPEN),
        Index("ix_lead_team_id_open", "team_id", *NEWEST, postgresql_where=IS_OPEN),
        Index("ix_lead_team_id_stage_id_open", "team_id", "stage_id", *NEWEST, postgresql_where=IS_OPEN),
        Index("ix_lead_team_id_nobodys_open", "team_id", *NEWEST, postgresql_where=IS_NOBODYS),
        Index(
            "ix_lead_team_id_stage_id_nobodys_open",
            "team_id",
            "stage_id",
            *NEWEST,
            postgresql_where=IS_NOBODYS,
        ),
        Index(
            "ix_lead_unassigned",
            "created_by",
            *NEWEST,
            postgresql_where=text("owner_id is null and deleted_at is null"),
        ),
        Index(
            "ix_lead_team_id_unassigned",
            "team_id",
            *NEWEST,
            postgresql_where=text("owner_id is null and deleted_at is null"),
        ),
        Index("ix_lead_source_created_at", "source", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_line_id_created_at", "line_id", *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_unanswered", *NEWEST, postgresql_where=UNANSWERED),
        Index("ix_lead_utm_source", text("(campaign ->> 'utm_source')"), *NEWEST, postgresql_where=KEPT),
        Index("ix_lead_utm_campaign", text("(campaign ->> 'utm_campaign')"), *NEWEST, postgresql_where=KEPT),
        Index(
            "ix_lead_merged_into_id", "merged_into_id", postgresql_where=text("merged_into_id is not null")
        ),
        Index("ix_lead_person_id", "person_id", *NEWEST),
        Index("ix_lead_organisation_id", "organisation_id", *NEWEST),
        Index("ix_lead_subject_open", "subject_party_id", postgresql_where=IS_OPEN),
        Index(
            "ix_lead_converted_party_id",
            "converted_party_id",
            postgresql_where=text("converted_party_id is not null"),
        ),
        Index(
            "ix_lead_converted_person_id",
            "converted_person_id",
            postgresql_where=text("converted_person_id is not null"),
        ),
        Index(
            "ix_lead_first_communication_id",
            "first_communication_id",
            postgresql_where=text("first_communication_id is not null"),
        ),
    )
