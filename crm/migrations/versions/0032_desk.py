"""Callers to call back, what follows from calls, wrap-up, agents' wishes; reasons for a pause and for closing a missed caller.

Nothing that is stored changes. A missed call opens a case of its caller from now on, due in 20 minutes; earlier calls open none.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0032"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = Path(__file__).with_name("desk.sql")
FORMER = ("source", "tag", "end_reason", "industry")
NEW = ("pause_reason", "callback_reason")
# As the roles of an installation begin; whoever took rights from a role keeps it as it is.
RIGHTS = "('agent', 'read', 'team'), ('agent', 'work', 'team'), ('manager', 'read', 'team'), ('manager', 'work', 'team'), \
('head', 'read', 'team'), ('head', 'work', 'team'), ('telephony', 'read', 'all'), ('admin', 'read', 'all'), ('admin', 'work', 'all')"
# Message ids: pages show them in the reader's language.
REASONS = {
    "pause_reason": ("Lunch", "Break", "Meeting", "Training"),
    "callback_reason": ("Wrong number", "Settled otherwise", "Spam"),
}
CODES = (
    ("Agreed", "#1f8a4c", "false", "false"),
    ("Call back later", "#d9730d", "false", "true"),
    ("Not interested", "#c0392b", "true", "false"),
    ("Advice given", "#2f6fed", "false", "false"),
)


def upgrade() -> None:
    for statement in re.split(r";\n", TABLES.read_text(encoding="utf-8")):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
    _allow_directories(*FORMER, *NEW)
    for directory, names in REASONS.items():
        for position, name in enumerate(names, 1):
            op.execute(
                f"insert into directory_entry (directory, name, position) values ('{directory}', '{name}', {position})"
            )
    for position, (name, colour, needs_comment, creates_task) in enumerate(CODES, 1):
        op.execute(
            "insert into wrap_up_code (name, colour, needs_comment, creates_task, position) "
            f"values ('{name}', '{colour}', {needs_comment}, {creates_task}, {position})"
        )
    op.execute(
        "insert into call_handling_rule (situation, is_known, actions) "
        "values ('inbound_missed', true, '{callback_case}'), ('inbound_missed', false, '{callback_case}')"
    )
    op.execute(
        "insert into permission (role_id, area, action, scope) "
        f"select role.id, 'callback', given.action, given.scope from (values {RIGHTS}) as given (code, action, scope) "
        "join role on role.code = given.code"
    )


def downgrade() -> None:
    op.execute("delete from permission where area = 'callback'")
    op.execute("delete from directory_entry where directory in ('pause_reason', 'callback_reason')")
    _allow_directories(*FORMER)
    created = re.findall(r"^create table (\w+)", TABLES.read_text(encoding="utf-8"), re.MULTILINE)
    op.execute(f"drop table {', '.join(created)}")


def _allow_directories(*names: str) -> None:
    op.drop_constraint("directory", "directory_entry", type_="check")
    op.create_check_constraint(
        "directory", "directory_entry", "directory in ({})".format(", ".join(f"'{name}'" for name in names))
    )
