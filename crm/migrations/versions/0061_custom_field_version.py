"""Definitions of own fields have a version, so that one change does not take back another unseen."""

from __future__ import annotations

from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table custom_field add version integer default 1 not null")


def downgrade() -> None:
    op.execute("alter table custom_field drop version")
