"""The order of the outbox goes on after a dump was restored elsewhere, where transactions count anew."""

from __future__ import annotations

from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

UP = (
    """
    create table feed_clock (
        id integer not null,
        ahead bigint not null,
        constraint pk_feed_clock primary key (id),
        constraint ck_feed_clock_single check (id = 1)
    )
    """,
    "insert into feed_clock (id, ahead) values (1, 0)",
    """
    create function feed_tx() returns bigint language sql stable as
    $$select cast(cast(pg_current_xact_id() as text) as bigint) + (select ahead from feed_clock)$$
    """,
    """
    create function feed_running() returns bigint language sql stable as
    $$select cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint) + (select ahead from feed_clock)$$
    """,
    "alter table outbox_event alter tx set default feed_tx()",
)
DOWN = (
    "alter table outbox_event alter tx set default cast(cast(pg_current_xact_id() as text) as bigint)",
    "drop function feed_running()",
    "drop function feed_tx()",
    "drop table feed_clock",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWN:
        op.execute(statement)
