"""The last word of every run that told of a call: a run that began in mid-call takes nothing from what only the earlier one knew."""

from __future__ import annotations

from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table call add column words jsonb")


def downgrade() -> None:
    op.execute("alter table call drop column words")
