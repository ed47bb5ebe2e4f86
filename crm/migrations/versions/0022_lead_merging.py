"""Leads that were merged, comments on leads, and indexes for what is searched: line, source marks, no response yet, e-mail.

Nothing that is stored changes. On the way down comments on leads go, and the log of merges of leads: an older version cannot show
them; merged leads stay disqualified as duplicates.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0023"
branch_labels = None
depends_on = None

NEWEST = "created_at desc, id desc"
KEPT = "deleted_at is null"
LEAD_INDEXES = (
    ("ix_lead_line_id_created_at", f"(line_id, {NEWEST}) where {KEPT}"),
    (
        "ix_lead_unanswered",
        f"({NEWEST}) where first_response_at is null and state in ('open', 'on_hold') and {KEPT}",
    ),
    ("ix_lead_utm_source", f"((campaign ->> 'utm_source'), {NEWEST}) where {KEPT}"),
    ("ix_lead_utm_campaign", f"((campaign ->> 'utm_campaign'), {NEWEST}) where {KEPT}"),
    ("ix_lead_merged_into_id", "(merged_into_id) where merged_into_id is not null"),
)


def upgrade() -> None:
    op.add_column(
        "lead",
        sa.Column(
            "merged_into_id", sa.BigInteger, sa.ForeignKey("lead.id", name=op.f("fk_lead_merged_into_id"))
        ),
    )
    op.create_check_constraint("merged", "lead", "merged_into_id is null or state = 'disqualified'")
    op.create_check_constraint("merged_into", "lead", "merged_into_id <> id")
    for name, what in LEAD_INDEXES:
        op.execute(f"create index {name} on lead {what}")
    op.execute("create index ix_email_address_address_trgm on email_address using gin (address gin_trgm_ops)")
    op.alter_column("comment", "party_id", nullable=True)
    to_lead = sa.ForeignKey("lead.id", name=op.f("fk_comment_lead_id"), ondelete="cascade")
    op.add_column("comment", sa.Column("lead_id", sa.BigInteger, to_lead))
    op.create_check_constraint("one_record", "comment", "num_nonnulls(party_id, lead_id) = 1")
    op.execute(
        "create index ix_comment_lead_id_created_at on comment (lead_id, created_at desc, id desc) "
        "where lead_id is not null"
    )
    op.add_column("merge_log", sa.Column("record_kind", sa.Text, server_default="party", nullable=False))
    op.create_check_constraint("record_kind", "merge_log", "record_kind in ('party', 'lead')")


def downgrade() -> None:
    op.execute(
        "delete from merge_move where merge_id in (select id from merge_log where record_kind = 'lead')"
    )
    op.execute("delete from merge_log where record_kind = 'lead'")
    op.drop_column("merge_log", "record_kind")
    op.execute(
        "delete from comment_mention where comment_id in (select id from comment where party_id is null)"
    )
    op.execute("delete from comment where party_id is null")
    op.drop_column("comment", "lead_id")
    op.alter_column("comment", "party_id", nullable=False)
    op.execute("drop index ix_email_address_address_trgm")
    for name, _what in LEAD_INDEXES:
        op.execute(f"drop index {name}")
    op.drop_column("lead", "merged_into_id")
