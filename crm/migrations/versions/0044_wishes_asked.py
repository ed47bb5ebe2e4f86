"""Whether the PBX was asked for what an agent wants to be, and why it does not hold there."""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0042"
branch_labels = None
depends_on = None

UP = (
    "alter table agent_wish add asked_at timestamp with time zone, add problem text, add detail text",
    "update agent_wish set asked_at = now()",  # of what was wished before, the PBX's word holds
    """
    alter table agent_wish add constraint ck_agent_wish_problem
        check (problem in ('no_account', 'not_allowed', 'not_sent', 'refused', 'unknown'))
    """,
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("alter table agent_wish drop asked_at, drop problem, drop detail")
