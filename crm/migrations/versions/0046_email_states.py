"""Addresses from which letters come back, and people who asked not to be written to: since when, and who said so."""

from __future__ import annotations

from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None

MARKS = ("bounced", "opted_out")


def upgrade() -> None:
    for mark in MARKS:
        op.execute(f"alter table party_email add {mark}_at timestamp with time zone, add {mark}_by_id bigint")
        op.execute(
            f"alter table party_email add constraint fk_party_email_{mark}_by_id "
            f"foreign key({mark}_by_id) references app_user (id)"
        )
        op.execute(
            f"alter table party_email add constraint ck_party_email_{mark} "
            f"check ({mark}_by_id is null or {mark}_at is not null)"
        )


def downgrade() -> None:
    for mark in MARKS:
        op.execute(f"alter table party_email drop {mark}_at, drop {mark}_by_id")
