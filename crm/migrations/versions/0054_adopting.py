"""Numbers whose earlier calls are to be looked at: those that are nobody's become their owner's. After a long journal: a minute."""

from __future__ import annotations

from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

UP = (
    "alter table party_phone add is_adopting boolean default false not null",
    """
    update party_phone set is_adopting = true from phone_number number
    where number.id = party_phone.number_id and party_phone.ended_at is null and number.e164 in (
        select call.customer_e164 from communication join call on call.id = communication.id
        where communication.party_id is null and communication.contact_id is null and not communication.is_internal
            and call.customer_e164 is not null
    )
    """,
    "alter table party_phone alter column is_adopting set default true",
    "create index ix_party_phone_adopting on party_phone (id) where is_adopting",
)


def upgrade() -> None:
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    op.execute("alter table party_phone drop is_adopting")
