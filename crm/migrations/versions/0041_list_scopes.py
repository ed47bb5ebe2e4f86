"""Lists of one's own, of teams and of the persons of a kind have indexes in their order; names are kept in the orders that find likeness.

A kind's row carries the party's owner, team and type as well. An import says who lacks what once for a batch, not at every statement.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0041"
down_revision = "0042"
branch_labels = None
depends_on = None

BEFORE = Path(__file__).with_name("list_orders.sql")
ACTIVE = "status = 'active'"
ORDERS = {
    "name": "sort_name, party_id",
    "last": "last_communication_at desc nulls last, party_id desc",
    "created": "party_created_at desc, party_id desc",
}
# Of revisions 0020 and 0042; made anew, since filling new columns in under them takes ten times as long.
THERE = {
    "ix_party_kind_assignment": ("", ACTIVE),
    "ix_party_kind_assignment_kind": ("kind_id, ", ACTIVE),
    "ix_party_kind_assignment_paused": ("kind_id, ", "status = 'paused'"),
    "ix_party_kind_assignment_ended": ("kind_id, ", "status = 'ended'"),
}
KIND_INDEXES = {
    "ix_party_kind_assignment_nobodys": ("", f"owner_id is null and {ACTIVE}"),
    "ix_party_kind_assignment_owner": ("owner_id, ", f"owner_id is not null and {ACTIVE}"),
    "ix_party_kind_assignment_owner_ended": ("owner_id, ", "owner_id is not null and status = 'ended'"),
    "ix_party_kind_assignment_team": ("team_id, ", f"team_id is not null and {ACTIVE}"),
    "ix_party_kind_assignment_team_ended": ("team_id, ", "team_id is not null and status = 'ended'"),
}
OF_PERSONS = ("kind_id, ", f"{ACTIVE} and party_type = 'person'")
LISTED = "lifecycle = 'active' and deleted_at is null"
PARTY_ORDERS = {
    "last": "last_communication_at desc nulls last, id desc",
    "created": "created_at desc, id desc",
}
LATER = "if current_setting('ringcard.lacks', true) = 'later' then return null; end if;"

COLUMNS = (
    """
    alter table party_kind_assignment
        add column owner_id bigint, add column team_id bigint, add column party_type text
    """,
    """
    update party_kind_assignment k set owner_id = p.owner_id, team_id = p.team_id, party_type = p.type
    from party p where p.id = k.party_id
    """,
    "alter table party_kind_assignment alter column party_type set not null",
)
COPIES = (
    """
    create or replace function copy_orders_to_kind() returns trigger language plpgsql as $$
    begin
        select sort_name, last_communication_at, created_at, owner_id, team_id, type
        into new.sort_name, new.last_communication_at, new.party_created_at, new.owner_id, new.team_id, new.party_type
        from party where id = new.party_id;
        return new;
    end
    $$
    """,
    # Also where rows are loaded as a replica's: nothing else fills the columns.
    "alter table party_kind_assignment enable always trigger copy_orders",
    """
    create or replace function copy_orders_to_kinds() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        update party_kind_assignment set sort_name = new.sort_name, last_communication_at = new.last_communication_at,
            party_created_at = new.created_at, owner_id = new.owner_id, team_id = new.team_id, party_type = new.type
        where party_id = new.id;
        return null;
    end
    $$
    """,
    "drop trigger copy_orders on party",
    """
    create trigger copy_orders after update on party for each row
        when ((old.sort_name, old.last_communication_at, old.created_at, old.owner_id, old.team_id, old.type)
            is distinct from (new.sort_name, new.last_communication_at, new.created_at, new.owner_id, new.team_id, new.type))
        execute function copy_orders_to_kinds()
    """,
)
SETTLED = """
    create function settle_lacks(made bigint[], touched bigint[]) returns void language plpgsql
    set enable_seqscan = off as $$
    begin
        insert into party_lack select * from lacks_of(made);
        if cardinality(touched) > 0 then
            perform find_lacks(touched, 'number'), find_lacks(touched, 'company');
        end if;
    end
    $$
    """
NAMES = (
    """
    create table name_key (
        key text collate "C" not null,
        party_id bigint not null,
        constraint pk_name_key primary key (key, party_id),
        constraint fk_name_key_party_id foreign key(party_id) references party (id) on delete cascade
    )
    """,
    "create index ix_name_key_party_id on name_key (party_id)",
)
COPIES_BEFORE = """
    create trigger copy_orders after update on party for each row
        when ((old.sort_name, old.last_communication_at, old.created_at)
            is distinct from (new.sort_name, new.last_communication_at, new.created_at))
        execute function copy_orders_to_kinds()
    """


def upgrade() -> None:
    for name in THERE:
        for order in ORDERS:
            op.execute(f"drop index {name}_{order}")
    for statement in COLUMNS:
        op.execute(statement)
    for order, columns in ORDERS.items():
        of_kind = THERE | {"ix_party_kind_assignment_person": OF_PERSONS}
        for name, (first, where) in of_kind.items():
            _index(f"{name}_{order}", f"{first}{columns}", where)
        for name, (first, where) in KIND_INDEXES.items():
            _index(f"{name}_{order}", f"{first}{columns}, kind_id", where)
    for order, columns in PARTY_ORDERS.items():
        for scope in ("owner", "team"):
            on, where = f"party ({scope}_id, {columns})", f"{scope}_id is not null and {LISTED}"
            op.execute(f"create index ix_party_{scope}_{order} on {on} where {where}")
    for function in ("note_lacks", "note_new_lacks"):
        _replace(_before(function).replace("begin\n", f"begin\n    {LATER}\n", 1))
    for statement in (*COPIES, SETTLED, *NAMES, "analyze party_kind_assignment"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table name_key")
    op.execute("drop function settle_lacks(bigint[], bigint[])")
    op.execute("drop trigger copy_orders on party")
    for function in ("note_lacks", "note_new_lacks", "copy_orders_to_kind", "copy_orders_to_kinds"):
        _replace(_before(function))
    op.execute(COPIES_BEFORE)
    op.execute("alter table party_kind_assignment enable trigger copy_orders")
    for order in PARTY_ORDERS:
        op.execute(f"drop index ix_party_owner_{order}, ix_party_team_{order}")
    op.execute(
        "alter table party_kind_assignment drop column owner_id, drop column team_id, drop column party_type"
    )


def _index(name: str, columns: str, where: str) -> None:
    op.execute(f"create index {name} on party_kind_assignment ({columns}) where {where}")


def _before(function: str) -> str:
    """As revision 0020 made it."""
    statements = re.split(r";;\n", BEFORE.read_text(encoding="utf-8"))
    (found,) = [each for each in statements if each.startswith(f"create function {function}()")]
    return found


def _replace(function: str) -> None:
    statement = function.replace("create function", "create or replace function", 1)
    op.get_bind().exec_driver_sql(statement)
