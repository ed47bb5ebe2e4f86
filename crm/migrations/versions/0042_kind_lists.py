"""A kind that is paused leaves the lists of its kind: their indexes hold the active ones alone, the paused ones have their own."""

from __future__ import annotations

from alembic import op

revision = "0042"
down_revision = "0040"
branch_labels = None
depends_on = None

ORDERS = {
    "name": "sort_name, party_id",
    "last": "last_communication_at desc nulls last, party_id desc",
    "created": "party_created_at desc, party_id desc",
}
LISTS = {"": "", "_kind": "kind_id, "}


def upgrade() -> None:
    _list_kinds("status = 'active'")
    for order, columns in ORDERS.items():
        on = f"party_kind_assignment (kind_id, {columns})"
        op.execute(f"create index ix_party_kind_assignment_paused_{order} on {on} where status = 'paused'")


def downgrade() -> None:
    for order in ORDERS:
        op.execute(f"drop index ix_party_kind_assignment_paused_{order}")
    _list_kinds("status <> 'ended'")


def _list_kinds(where: str) -> None:
    """Which kinds the lists show."""
    for order, columns in ORDERS.items():
        for list_, first in LISTS.items():
            name = f"ix_party_kind_assignment{list_}_{order}"
            op.execute(f"drop index {name}")
            op.execute(f"create index {name} on party_kind_assignment ({first}{columns}) where {where}")
