"""Communications: a bin for what was written by hand, search by its words, and calls that one took part in, in the order of time.

A participation repeats when its call began: of one's own and of a team's calls the index is in a list's order, newest or oldest first.
"""

from __future__ import annotations

from alembic import op

revision = "0060"
down_revision = "0058"
branch_labels = None
depends_on = None

WORDS = "translate(lower(coalesce(subject, '') || ' ' || coalesce(summary, '')), 'ё', 'е')"
UP = (
    """
    alter table communication add column deleted_at timestamptz, add column deleted_by_id bigint,
        add constraint fk_communication_deleted_by_id foreign key (deleted_by_id) references app_user (id)
    """,
    "create index ix_communication_binned on communication (deleted_at desc, id desc) where deleted_at is not null",
    f"""
    create index ix_communication_words on communication using gin ({WORDS} gin_trgm_ops)
        where subject is not null or summary is not null
    """,
    "alter table participation add column started_at timestamptz",
    "drop index ix_participation_user_id_call_id, ix_participation_team_id_call_id",
    """
    update participation set started_at = communication.started_at from communication
    where communication.id = participation.call_id
    """,
    "alter table participation alter column started_at set not null",
    "create index ix_participation_user_started_at on participation (user_id, started_at desc, call_id desc)",
    "create index ix_participation_team_started_at on participation (team_id, started_at desc, call_id desc)",
    """
    create function copy_start_to_participation() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        select started_at into new.started_at from communication where id = new.call_id;
        return new;
    end
    $$
    """,
    # The journal says it itself.
    """
    create trigger copy_start_when_new before insert on participation for each row when (new.started_at is null)
        execute function copy_start_to_participation()
    """,
    """
    create trigger copy_start_when_moved before update of call_id on participation for each row
        when (old.call_id is distinct from new.call_id) execute function copy_start_to_participation()
    """,
    """
    create function copy_start_to_participations() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        update participation set started_at = new.started_at where call_id = new.id;
        return null;
    end
    $$
    """,
    """
    create trigger copy_start after update of started_at on communication for each row
        when (old.started_at is distinct from new.started_at and new.kind = 'call')
        execute function copy_start_to_participations()
    """,
)
DOWN = (
    "drop trigger copy_start on communication",
    "drop function copy_start_to_participations()",
    "drop trigger copy_start_when_moved on participation",
    "drop trigger copy_start_when_new on participation",
    "drop function copy_start_to_participation()",
    "drop index ix_participation_user_started_at, ix_participation_team_started_at",
    "alter table participation drop column started_at",
    "create index ix_participation_user_id_call_id on participation (user_id, call_id)",
    "create index ix_participation_team_id_call_id on participation (team_id, call_id)",
    "drop index ix_communication_words, ix_communication_binned",
    "alter table communication drop column deleted_at, drop column deleted_by_id",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)
    # Not where nothing is yet: the planner would take the tables for empty for as long as its plans are kept.
    if op.get_bind().exec_driver_sql("select exists (select from communication)").scalar():
        op.execute("analyze communication, participation")


def downgrade() -> None:
    """What was in the bin stands in the lists again: older versions have none for it."""
    for statement in DOWN:
        op.execute(statement)
