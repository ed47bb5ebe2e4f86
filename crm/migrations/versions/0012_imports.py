"""Imports: jobs, the rows of their files, remembered mappings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0013"
branch_labels = None
depends_on = None

JOB_STATES = "state in ('reading', 'uploaded', 'mapped', 'previewed', 'running', 'stopped', 'finished', 'undoing', 'undone')"
ROW_STATES = "state in ('read', 'ready', 'refused', 'created', 'updated', 'skipped', 'undone', 'kept')"


def upgrade() -> None:
    op.create_table("import_job", *_job())
    op.create_index(
        "ix_import_job_at_work",
        "import_job",
        ["id"],
        postgresql_where=sa.text("state in ('mapped', 'running', 'undoing')"),
    )
    op.create_table("import_row", *_row())
    op.create_index("ix_import_row_job_id_state", "import_row", ["job_id", "state", "row"])
    op.create_index("ix_import_row_job_id_verdict", "import_row", ["job_id", "verdict", "row"])
    op.create_index(
        "ix_import_row_faulty",
        "import_row",
        ["job_id", "row"],
        postgresql_where=sa.text("problems <> '[]'::jsonb"),
    )
    op.create_table(
        "imported_party",
        sa.Column("party_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("job_id", sa.BigInteger, nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
    )
    op.create_index("ix_imported_party_job_id_row", "imported_party", ["job_id", "row"])
    op.create_table(
        "import_mapping",
        sa.Column("header_key", sa.Text, primary_key=True),
        sa.Column("columns", JSONB, nullable=False),
        sa.Column("policy", JSONB, nullable=False),
        _moment("updated_at"),
    )


def downgrade() -> None:
    for table in ("import_mapping", "imported_party", "import_row", "import_job"):
        op.drop_table(table)


def _job() -> Sequence[Any]:
    return (
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, server_default="reading", nullable=False),
        _json("header", "[]"),
        sa.Column("header_key", sa.Text, server_default="", nullable=False),
        _json("columns", "[]"),
        _json("policy", "{}"),
        _json("details", "{}"),
        sa.Column("total_rows", sa.Integer, server_default="0", nullable=False),
        sa.Column("checked_rows", sa.Integer, server_default="0", nullable=False),
        sa.Column("done_rows", sa.Integer, server_default="0", nullable=False),
        _json("counts", "{}"),
        sa.Column("trouble", sa.Text),
        sa.Column("created_by", sa.BigInteger, sa.ForeignKey("app_user.id")),
        sa.Column("acting_id", sa.BigInteger, sa.ForeignKey("app_user.id")),
        _moment("created_at"),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(JOB_STATES, name="state"),
    )


def _row() -> Sequence[Any]:
    return (
        sa.Column(
            "job_id", sa.BigInteger, sa.ForeignKey("import_job.id", ondelete="cascade"), primary_key=True
        ),
        sa.Column("row", sa.Integer, primary_key=True),
        sa.Column("state", sa.Text, server_default="read", nullable=False),
        sa.Column("cells", JSONB, nullable=False),
        sa.Column("plan", JSONB),
        sa.Column("verdict", sa.Text),
        _json("problems", "[]"),
        sa.Column("party_id", sa.BigInteger),
        sa.CheckConstraint(ROW_STATES, name="state"),
    )


def _json(name: str, empty: str) -> sa.Column[Any]:
    return sa.Column(name, JSONB, server_default=sa.text(f"'{empty}'::jsonb"), nullable=False)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
