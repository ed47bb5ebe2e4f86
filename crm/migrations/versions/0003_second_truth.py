"""Where else a PBX writes its calls down, and which gap was filled from there, when, with how many calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "pbx_connection",
        sa.Column("second_truth", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
    )
    op.add_column("pbx_connection", sa.Column("second_truth_secret", sa.LargeBinary))
    op.add_column("connection_gap", sa.Column("back_filled_at", sa.DateTime(timezone=True)))
    op.add_column("connection_gap", sa.Column("back_filled_calls", sa.Integer))


def downgrade() -> None:
    op.drop_column("connection_gap", "back_filled_calls")
    op.drop_column("connection_gap", "back_filled_at")
    op.drop_column("pbx_connection", "second_truth_secret")
    op.drop_column("pbx_connection", "second_truth")
