"""Imports: the job with its file's rows as they were read, and the mappings that are remembered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, Integer, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from crm.schema.base import Base, HasId

EMPTY_LIST = text("'[]'::jsonb")
EMPTY_OBJECT = text("'{}'::jsonb")


class ImportJob(HasId, Base):
    """One file on its way in. `counts`: rows by what became of them; `checked_rows` and `done_rows` tell the progress."""

    __tablename__ = "import_job"
    file_name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="reading")
    header: Mapped[Any] = mapped_column(JSONB, server_default=EMPTY_LIST)  # a text for each column
    header_key: Mapped[str] = mapped_column(server_default="")  # files with the same header share a mapping
    columns: Mapped[Any] = mapped_column(
        JSONB, server_default=EMPTY_LIST
    )  # a field for each column, "" for none
    policy: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    details: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)  # encoding, separator, sheet
    total_rows: Mapped[int] = mapped_column(Integer, server_default="0")
    checked_rows: Mapped[int] = mapped_column(Integer, server_default="0")
    done_rows: Mapped[int] = mapped_column(Integer, server_default="0")
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY_OBJECT)
    trouble: Mapped[str | None]  # why the program stopped it by itself: a message id
    created_by: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))
    acting_id: Mapped[int | None] = mapped_column(ForeignKey("app_user.id"))  # with whose rights it works
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint(
            "state in ('reading', 'uploaded', 'mapped', 'previewed', 'running', 'stopped', 'finished', 'undoing', "
            "'undone', 'undo_stopped')",
            name="state",
        ),
        Index(
            "ix_import_job_at_work",
            "id",
            postgresql_where=text("state in ('mapped', 'running', 'undoing')"),
        ),
    )


class ImportRow(Base):
    """One row of the file: what stood in it, what was understood, what became of it."""

    __tablename__ = "import_row"
    job_id: Mapped[int] = mapped_column(ForeignKey("import_job.id", ondelete="cascade"), primary_key=True)
    row: Mapped[int] = mapped_column(Integer, primary_key=True)  # as a person counts them in the file
    state: Mapped[str] = mapped_column(server_default="read")
    cells: Mapped[Any] = mapped_column(JSONB)
    plan: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True)
    )  # what to store, once the row was checked
    verdict: Mapped[str | None]  # of the preview: new, known, same_name, repeat, skipped, refused
    problems: Mapped[Any] = mapped_column(JSONB, server_default=EMPTY_LIST)
    party_id: Mapped[int | None]  # the record it became or went into; no foreign key: it may be undone
    __table_args__ = (
        CheckConstraint(
            "state in ('read', 'ready', 'refused', 'created', 'updated', 'skipped', 'undone', 'kept')",
            name="state",
        ),
        Index("ix_import_row_job_id_state", "job_id", "state", "row"),
        Index("ix_import_row_job_id_verdict", "job_id", "verdict", "row"),
        Index("ix_import_row_faulty", "job_id", "row", postgresql_where=text("problems <> '[]'::jsonb")),
    )


class ImportedParty(Base):
    """A party that an import created, and the row it came from: what undoing may delete."""

    __tablename__ = "imported_party"
    party_id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False
    )  # no foreign key: it may be undone
    job_id: Mapped[int]  # none here either: the job is held while its rows are written
    row: Mapped[int] = mapped_column(Integer)
    __table_args__ = (Index("ix_imported_party_job_id_row", "job_id", "row"),)


class ImportMapping(Base):
    """What the columns of files with this header meant the last time."""

    __tablename__ = "import_mapping"
    header_key: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[Any] = mapped_column(JSONB)
    policy: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
