"""Whether the PBX was asked for what an agent wants to be; outcomes that «Кто звонит?» sets before a talk is over."""

from __future__ import annotations

from alembic import op

revision = "0044"
down_revision = "0041"
branch_labels = None
depends_on = None

CODES = (("wrong_number", "Wrong number", "#8a94a6"), ("spam", "Spam", "#5b6472"))
UP = (
    "alter table agent_wish add asked_at timestamp with time zone, add problem text, add detail text",
    "update agent_wish set asked_at = now()",  # of what was wished before, the PBX's word holds
    """
    alter table agent_wish add constraint ck_agent_wish_problem
        check (problem in ('no_account', 'not_allowed', 'not_sent', 'refused', 'unknown'))
    """,
    "alter table wrap_up_code add meaning text constraint ck_wrap_up_code_meaning check (meaning in ('wrong_number', 'spam'))",
    "create unique index uq_wrap_up_code_meaning on wrap_up_code (meaning) where meaning is not null",
    """
    create table said_outcome (
        call_id uuid not null,
        user_id bigint not null,
        code_id bigint not null,
        at timestamp with time zone default now() not null,
        constraint pk_said_outcome primary key (call_id, user_id),
        constraint fk_said_outcome_user_id foreign key(user_id) references app_user (id),
        constraint fk_said_outcome_code_id foreign key(code_id) references wrap_up_code (id)
    )
    """,
)
# A code of the company's own with that name takes the meaning; «meaning» alone goes with a downgrade, as talks have the code.
CODE = """
    insert into wrap_up_code (name, colour, meaning, position)
    values ('{name}', '{colour}', '{meaning}', (select coalesce(max(position), 0) + 1 from wrap_up_code))
    on conflict (lower(name)) do update set meaning = excluded.meaning
"""


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)
    for meaning, name, colour in CODES:
        op.execute(CODE.format(meaning=meaning, name=name, colour=colour))


def downgrade() -> None:
    op.execute("drop table said_outcome")
    op.execute("alter table wrap_up_code drop meaning")
    op.execute("alter table agent_wish drop asked_at, drop problem, drop detail")
