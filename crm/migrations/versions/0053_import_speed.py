"""What an import of many rows waited for: the journals' keys and indexes for the largest of their kinds, plans kept as JSON trees.

- Who did something is written in the journals by id, without a foreign key: it was checked for every field of every row. Users are
  blocked, never removed, and from now on the database says so itself.
- Nearly all rows of the change log are about clients: `crm.journals_read` finds those by time alone, the others by their kind.
- The understood row of a file is text that no query looks into.
"""

from __future__ import annotations

from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

JOURNALS = ("change_log", "outbox_event")
KEPT = (
    """
    create function refuse_removal_of_user() returns trigger language plpgsql as $$
    begin
        raise exception 'A user is blocked, never removed: the journals name them.'
            using errcode = 'foreign_key_violation';
    end
    $$
    """,
    """
    create trigger kept before delete or truncate on app_user
        for each statement execute function refuse_removal_of_user()
    """,
)


def upgrade() -> None:
    for statement in KEPT:
        op.execute(statement)
    for table in JOURNALS:
        op.execute(f"alter table {table} drop constraint fk_{table}_actor_id")
    op.execute("drop index ix_change_log_kind")
    op.execute(
        "create index ix_change_log_kind on change_log (record_kind, at, id) where record_kind <> 'party'"
    )
    op.execute("drop index ix_change_log_record")
    op.execute("create index ix_change_log_record on change_log (record_id, record_kind, id desc)")
    op.execute("alter table import_row alter column plan type json using plan::json")


def downgrade() -> None:
    op.execute("alter table import_row alter column plan type jsonb using plan::jsonb")
    op.execute("drop index ix_change_log_record")
    op.execute("create index ix_change_log_record on change_log (record_kind, record_id, id desc)")
    op.execute("drop index ix_change_log_kind")
    op.execute("create index ix_change_log_kind on change_log (record_kind, at, id)")
    for table in JOURNALS:
        op.execute(
            f"alter table {table} add constraint fk_{table}_actor_id foreign key (actor_id) references app_user (id)"
        )
    op.execute("drop trigger kept on app_user")
    op.execute("drop function refuse_removal_of_user()")
