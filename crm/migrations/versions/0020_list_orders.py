"""Every list of parties has an index in its own order, and what parties lack is a row that can be found.

A kind's row carries what lists are in order of, copied by triggers. `party_lack` says, also by triggers, who has no number and which
person neither an organisation nor a kind: absence has no index otherwise. What calls and leads are searched by gets its indexes too.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0022"
branch_labels = None
depends_on = None

SCHEMA = Path(__file__).with_name("list_orders.sql")
LISTED = "lifecycle = 'active' and deleted_at is null"
ORDERS = (
    ("name", "sort_name, {id}"),
    ("last", "last_communication_at desc nulls last, {id} desc"),
    ("created", "{created} desc, {id} desc"),
)
NOT_ENDED = "status <> 'ended'"
KIND_INDEXES = (
    ("ix_party_kind_assignment_{order}", "", NOT_ENDED),
    ("ix_party_kind_assignment_kind_{order}", "kind_id, ", NOT_ENDED),
    ("ix_party_kind_assignment_ended_{order}", "kind_id, ", "status = 'ended'"),
)
REPLACED = (
    ("ix_party_kind_assignment_kind_id", NOT_ENDED),
    ("ix_party_kind_assignment_ended", "status = 'ended'"),
)
NEWEST = "started_at desc, id desc"
NOT_JOINED = "joined_into_id is null"
LEAD_IS_OPEN = "state in ('open', 'on_hold') and deleted_at is null"
MORE_INDEXES = {
    "ix_call_direction": f"call (direction, {NEWEST}) where {NOT_JOINED} and direction <> 'inbound'",
    "ix_call_disposition": f"call (disposition, {NEWEST}) where {NOT_JOINED} and disposition <> 'answered'",
    "ix_call_unseen": f"call ({NEWEST}) where {NOT_JOINED} and ended_unseen",
    "ix_call_queue": f"call (queue, {NEWEST}) where {NOT_JOINED} and queue is not null",
    "ix_call_customer_backwards": "call (reverse(customer_e164) text_pattern_ops) where customer_e164 is not null",
    "ix_call_from_backwards": "call (reverse(presented_from) text_pattern_ops) where customer_e164 is null",
    "ix_call_to_backwards": "call (reverse(presented_to) text_pattern_ops) where customer_e164 is null",
    "ix_lead_stage_id_open": f"lead (stage_id, created_at desc, id desc) where {LEAD_IS_OPEN}",
    "ix_lead_nobodys_open": f"lead (created_at desc, id desc) where owner_id is null and {LEAD_IS_OPEN}",
    "ix_meeting_state": "meeting (state)",
}
LACKS = (
    ("party_kind_assignment", "party_id", "company"),
    ("affiliation", "person_id", "company"),
    ("party_phone", "party_id", "number"),
)
SEEN = {
    "insert": "new table as after",
    "update": "old table as before new table as after",
    "delete": "old table as before",
}


def upgrade() -> None:
    for statement in re.split(r";;\n", SCHEMA.read_text(encoding="utf-8")):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
    for order, columns in ORDERS:
        of_kind = columns.format(id="party_id", created="party_created_at")
        for name, first, where in KIND_INDEXES:
            on = f"party_kind_assignment ({first}{of_kind})"
            op.execute(f"create index {name.format(order=order)} on {on} where {where}")
        of_person = columns.format(id="id", created="created_at")
        op.execute(
            f"create index ix_party_person_{order} on party ({of_person}) where type = 'person' and {LISTED}"
        )
    for name, _where in REPLACED:
        op.execute(f"drop index {name}")
    for name, on in MORE_INDEXES.items():
        op.execute(f"create index {name} on {on}")
    for table, column, lack in LACKS:
        for event, seen in SEEN.items():
            op.execute(
                f"create trigger lacks_after_{event} after {event} on {table} referencing {seen} "
                f"for each statement execute function note_lacks('{column}', '{lack}')"
            )


def downgrade() -> None:
    for name in MORE_INDEXES:
        op.execute(f"drop index {name}")
    for table, _column, _lack in LACKS:
        for event in SEEN:
            op.execute(f"drop trigger lacks_after_{event} on {table}")
    op.execute("drop trigger lacks_after_insert on party")
    op.execute("drop trigger lacks_after_turning on party")
    op.execute("drop trigger copy_orders on party")
    op.execute("drop trigger copy_orders on party_kind_assignment")
    for name, where in REPLACED:
        op.execute(f"create index {name} on party_kind_assignment (kind_id, party_id) where {where}")
    for order, _columns in ORDERS:
        op.execute(f"drop index ix_party_person_{order}")
    op.execute(
        "alter table party_kind_assignment drop column sort_name, drop column last_communication_at, "
        "drop column party_created_at"
    )
    for function in (
        "note_lacks()",
        "note_new_lacks()",
        "note_turned_lacks()",
        "find_lacks(bigint[], text)",
        "lacks_of(bigint[])",
        "copy_orders_to_kinds()",
        "copy_orders_to_kind()",
    ):
        op.execute(f"drop function {function}")
    op.execute("drop table party_lack")
