"""Entries of directories get a version: programs and forms that change one say which they have read."""

from __future__ import annotations

from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

TABLES = ("directory_entry", "party_kind", "failure_reason")


def upgrade() -> None:
    for table in TABLES:
        op.execute(f"alter table {table} add version integer default 1 not null")


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"alter table {table} drop version")
