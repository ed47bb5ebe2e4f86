"""Find an agent's latest state without reading all of them, and at most one that goes on."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index ix_agent_state_user_id_from_at on agent_state (user_id, from_at desc, id desc)")
    op.execute("create unique index uq_agent_state_open on agent_state (user_id) where to_at is null")


def downgrade() -> None:
    op.execute("drop index uq_agent_state_open")
    op.execute("drop index ix_agent_state_user_id_from_at")
