"""How quickly call windows came up, as browsers measured it: one row a call and user, kept for some days."""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0034"
branch_labels = None
depends_on = None

UP = (
    """
    create table pop_delay (
        call_id uuid not null,
        user_id bigint not null,
        connection_id bigint not null,
        at timestamp with time zone not null,
        milliseconds integer not null,
        constraint pk_pop_delay primary key (call_id, user_id),
        constraint ck_pop_delay_milliseconds check (milliseconds between 0 and 60000),
        constraint fk_pop_delay_user_id foreign key(user_id) references app_user (id),
        constraint fk_pop_delay_connection_id foreign key(connection_id) references pbx_connection (id)
    )
    """,
    "create index ix_pop_delay_at on pop_delay (at)",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table pop_delay")
