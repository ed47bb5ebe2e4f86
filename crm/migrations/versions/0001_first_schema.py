"""The first schema, and the rows that every installation begins with.

Names of roles and kinds are message ids: the interface translates those of the system's own.
"""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).with_name("first_schema.sql")
ROLES = (
    ("agent", "Agent"),
    ("manager", "Manager"),
    ("head", "Head"),
    ("telephony", "Telephony administrator"),
    ("admin", "Administrator"),
)
PARTY_KINDS = (
    ("prospect", "Prospect"),
    ("client", "Client"),
    ("supplier", "Supplier"),
    ("agent", "Sales agent"),
    ("other", "Other"),
)
EVERY_RIGHT = (
    "party.read party.create party.edit party.change_owner party.merge number.share call.read call.notes "
    "recording.listen live.board live.own export import connection.read connection.manage line.manage "
    "extension.manage user.read user.manage token.manage journal.read number.normalise system.state"
)
# role → scope → rights; what a role does not name is "none"
PERMISSIONS = {
    "agent": {
        "own": "party.read party.edit call.read call.notes recording.listen journal.read",
        "all": "party.create number.share live.own",
    },
    "manager": {
        "own": "party.edit party.change_owner party.merge call.read call.notes recording.listen journal.read",
        "team": "party.read",
        "all": "party.create number.share live.own",
    },
    "head": {
        "team": "party.read party.edit party.change_owner party.merge call.read call.notes recording.listen "
        "live.board journal.read",
        "all": "party.create number.share live.own export",
    },
    "telephony": {
        "own": "journal.read",
        "all": "call.read live.board live.own connection.read connection.manage line.manage extension.manage "
        "number.normalise system.state",
    },
    "admin": {"all": EVERY_RIGHT},
}
APPEND_ONLY = ("change_log", "access_log")


def upgrade() -> None:
    for extension in ("pg_trgm", "btree_gist"):
        op.execute(f"create extension if not exists {extension}")
    for statement in re.split(r";\n", SCHEMA.read_text(encoding="utf-8")):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
    make_append_only()
    plant()


def make_append_only() -> None:
    """Rows of the journals of changes and accesses can be added and read; nobody alters or removes them."""
    op.execute(
        "create function refuse_change() returns trigger language plpgsql as $$ begin "
        "raise exception 'The table % is append-only: its rows are neither changed nor removed.', tg_table_name "
        "using errcode = 'insufficient_privilege'; end $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table} "
            "for each statement execute function refuse_change()"
        )
        # Where the program signs in as another role than the one that migrates, that role gets no more than this.
        op.execute(f"revoke update, delete, truncate on {table} from public")


def plant() -> None:
    role = sa.table("role", sa.column("id"), sa.column("code"), sa.column("name"), sa.column("is_system"))
    kind = sa.table(
        "party_kind", sa.column("code"), sa.column("name"), sa.column("position"), sa.column("is_system")
    )
    op.bulk_insert(role, [{"code": code, "name": name, "is_system": True} for code, name in ROLES])
    op.bulk_insert(
        kind,
        [
            {"code": code, "name": name, "position": position, "is_system": True}
            for position, (code, name) in enumerate(PARTY_KINDS, 1)
        ],
    )
    insert = sa.text(
        "insert into permission (role_id, area, action, scope) "
        "select id, :area, :action, :scope from role where code = :code"
    )
    for code, scopes in PERMISSIONS.items():
        for scope, rights in scopes.items():
            for right in rights.split():
                area, _, action = right.partition(".")
                op.execute(insert.bindparams(area=area, action=action, scope=scope, code=code))
    op.execute("insert into numbering_profile (name, region) values ('RU', 'RU')")


def downgrade() -> None:
    """Back to an empty database; the extensions stay, since somebody else may have made them."""
    created = re.findall(r"^create table (\w+)", SCHEMA.read_text(encoding="utf-8"), re.MULTILINE)
    op.execute(f"drop table {', '.join(created)} cascade")
    op.execute("drop function refuse_change()")
