"""Working hours of lines, and the right of a PBX to ask who should get a call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0034"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "work_calendar",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("week", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("days", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("created_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.BigInteger, sa.ForeignKey("app_user.id")),
        sa.Column("updated_at", moment, server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer, server_default="1", nullable=False),
    )
    op.create_index("uq_work_calendar_name", "work_calendar", [sa.text("lower(name)")], unique=True)
    op.add_column("line", sa.Column("calendar_id", sa.BigInteger, sa.ForeignKey("work_calendar.id")))
    op.create_index("ix_line_calendar_id", "line", ["calendar_id"])
    op.execute(
        "insert into permission (role_id, area, action, scope) "
        "select id, 'call', 'route', 'all' from role where code in ('telephony', 'admin')"
    )


def downgrade() -> None:
    op.execute("delete from permission where area = 'call' and action = 'route'")
    op.drop_index("ix_line_calendar_id", "line")
    op.drop_column("line", "calendar_id")
    op.drop_table("work_calendar")
