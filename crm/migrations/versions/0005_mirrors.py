"""Calls that two connections saw: the mirrors of a call are found by its id, and none mirrors itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_call_mirror_of_id",
        "call",
        ["mirror_of_id"],
        postgresql_where=sa.text("mirror_of_id is not null"),
    )
    op.create_check_constraint("mirror", "call", "mirror_of_id <> id")


def downgrade() -> None:
    op.drop_constraint("mirror", "call", type_="check")
    op.drop_index("ix_call_mirror_of_id", "call")
