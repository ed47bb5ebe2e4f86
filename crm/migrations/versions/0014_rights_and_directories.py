"""Roles and teams that change, directories, required and own fields, tags, requisites, pauses of kinds, journals to search.

Nothing that is stored changes: the new columns are empty, the administrator gets the right to keep directories.
"""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = Path(__file__).with_name("directories.sql")
JOURNAL_INDEXES = (
    ("ix_change_log_at", "change_log (at desc, id desc)"),
    ("ix_change_log_actor_id", "change_log (actor_id, at desc, id desc)"),
    ("ix_change_log_kind", "change_log (record_kind, at desc, id desc)"),
    ("ix_access_log_actor_id", "access_log (actor_id, at desc, id desc)"),
    ("ix_access_log_event", "access_log (event, at desc, id desc)"),
    ("ix_access_log_record", "access_log (record_kind, record_id, at desc, id desc)"),
)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("role", sa.Column("version", sa.Integer, server_default="1", nullable=False))
    op.create_index("ix_role_assignment_role_id", "role_assignment", ["role_id"])
    op.add_column("team", sa.Column("archived_at", MOMENT))
    op.add_column("party_kind", sa.Column("archived_at", MOMENT))
    op.add_column("party_kind_assignment", sa.Column("paused_at", MOMENT))
    op.execute("update party_kind_assignment set paused_at = now() where status = 'paused'")
    op.create_check_constraint(
        "paused", "party_kind_assignment", "(status = 'paused') = (paused_at is not null)"
    )
    for statement in re.split(r";\n", TABLES.read_text(encoding="utf-8")):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
    for name, what in JOURNAL_INDEXES:
        op.execute(f"create index {name} on {what}")
    op.execute(
        "insert into permission (role_id, area, action, scope) "
        "select id, 'directory', 'manage', 'all' from role where code = 'admin'"
    )


def downgrade() -> None:
    op.execute("delete from permission where area = 'directory'")
    for name, _what in JOURNAL_INDEXES:
        op.execute(f"drop index {name}")
    created = re.findall(r"^create table (\w+)", TABLES.read_text(encoding="utf-8"), re.MULTILINE)
    op.execute(f"drop table {', '.join(created)}")
    op.drop_constraint("paused", "party_kind_assignment", type_="check")
    op.drop_column("party_kind_assignment", "paused_at")
    op.drop_column("party_kind", "archived_at")
    op.drop_column("team", "archived_at")
    op.drop_index("ix_role_assignment_role_id", "role_assignment")
    op.drop_column("role", "version")
