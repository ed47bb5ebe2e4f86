"""Whoever answers for a party is one value, in every list's order; what parties lack is read in those orders too.

A party is one's own if one is responsible for it, or if nobody is and one entered it: `coalesce(owner_id, created_by)`. Asked for by
itself, the second had no index in a list's order. A kind's row carries it, and so does a row of what a party lacks. One's own persons and
those of a team are read apart from organisations, its parties from a source or a city and what was logged by hand from indexes of their own.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0050"
down_revision = "0047"
branch_labels = None
depends_on = None

BEFORE = Path(__file__).with_name("list_orders.sql")
KEEPER = "coalesce(owner_id, created_by)"
LISTED = "lifecycle = 'active' and deleted_at is null"
PARTY_ORDERS = {
    "name": "sort_name, id",
    "last": "last_communication_at desc nulls last, id desc",
    "created": "created_at desc, id desc",
}
SCOPES = {"keeper": KEEPER, "team": "team_id"}
ORDERS = {
    "name": "sort_name, party_id",
    "last": "last_communication_at desc nulls last, party_id desc",
    "created": "party_created_at desc, party_id desc",
}
PLACES = ("source", "city")
# Whose the two of a pair are, so that a team's pairs are found among everybody's.
PAIRS = (
    """
    alter table duplicate_pair add column low_keeper_id bigint, add column low_team_id bigint,
        add column high_keeper_id bigint, add column high_team_id bigint
    """,
    """
    update duplicate_pair d set low_keeper_id = coalesce(low.owner_id, low.created_by), low_team_id = low.team_id,
        high_keeper_id = coalesce(high.owner_id, high.created_by), high_team_id = high.team_id
    from party low, party high where low.id = d.low_id and high.id = d.high_id
    """,
    """
    create function copy_keepers_to_pair() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        select coalesce(owner_id, created_by), team_id into new.low_keeper_id, new.low_team_id
        from party where id = new.low_id;
        select coalesce(owner_id, created_by), team_id into new.high_keeper_id, new.high_team_id
        from party where id = new.high_id;
        return new;
    end
    $$
    """,
    """
    create trigger copy_keepers before insert or update of low_id, high_id on duplicate_pair
        for each row execute function copy_keepers_to_pair()
    """,
    "alter table duplicate_pair enable always trigger copy_keepers",
    """
    create function copy_keepers_to_pairs() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        update duplicate_pair set low_keeper_id = coalesce(new.owner_id, new.created_by), low_team_id = new.team_id
        where low_id = new.id;
        update duplicate_pair set high_keeper_id = coalesce(new.owner_id, new.created_by), high_team_id = new.team_id
        where high_id = new.id;
        return null;
    end
    $$
    """,
    # At the end, when nobody waits for a party any more: a pair is of two, and they may be changed at the same moment.
    """
    create constraint trigger copy_keepers after update on party deferrable initially deferred for each row
        when ((old.owner_id, old.created_by, old.team_id) is distinct from (new.owner_id, new.created_by, new.team_id))
        execute function copy_keepers_to_pairs()
    """,
    """
    create index ix_duplicate_pair_low_keeper on duplicate_pair (low_keeper_id, likeness desc, id desc)
        where low_keeper_id is not null
    """,
    """
    create index ix_duplicate_pair_low_team on duplicate_pair (low_team_id, likeness desc, id desc)
        where low_team_id is not null
    """,
)
PAIRS_BEFORE = (
    "drop trigger copy_keepers on party",
    "drop trigger copy_keepers on duplicate_pair",
    "drop function copy_keepers_to_pairs()",
    "drop function copy_keepers_to_pair()",
    """
    alter table duplicate_pair drop column low_keeper_id, drop column low_team_id, drop column high_keeper_id,
        drop column high_team_id
    """,
)
# Short names stand beside one another without the long ones that begin alike.
SHORT_NAMES = "create index ix_name_key_short on name_key (key, party_id) where char_length(key) <= 17"
# Of a team: schemes and teams go together, so that neither tells how many of a stage are the team's.
LEADS = {
    "ix_lead_team_id_stage_id_open": (
        "team_id, stage_id, created_at desc, id desc) where state in ('open', 'on_hold') and deleted_at is null"
    ),
    "ix_lead_team_id_nobodys_open": (
        "team_id, created_at desc, id desc) where owner_id is null and state in ('open', 'on_hold') and deleted_at is null"
    ),
}
STATES = {"": "active", "_ended": "ended"}
# Of revision 0041; their rows are filled in anew.
FILLED_UNDER = ("", "_kind", "_paused", "_ended", "_person", "_nobodys")
OTHERS = {
    "": ("", "status = 'active'"),
    "_kind": ("kind_id, ", "status = 'active'"),
    "_paused": ("kind_id, ", "status = 'paused'"),
    "_ended": ("kind_id, ", "status = 'ended'"),
    "_person": ("kind_id, ", "status = 'active' and party_type = 'person'"),
}
NOBODYS = "owner_id is null and status = 'active'"

COLUMNS = (
    "alter table party_kind_assignment add column keeper_id bigint",
    """
    update party_kind_assignment k set keeper_id = coalesce(p.owner_id, p.created_by) from party p where p.id = k.party_id
    """,
    """
    alter table party_lack add column sort_name text collate "C", add column last_communication_at timestamptz,
        add column party_created_at timestamptz, add column keeper_id bigint, add column team_id bigint
    """,
    """
    update party_lack l set sort_name = p.sort_name, last_communication_at = p.last_communication_at,
        party_created_at = p.created_at, keeper_id = coalesce(p.owner_id, p.created_by), team_id = p.team_id
    from party p where p.id = l.party_id
    """,
    "alter table party_lack alter column sort_name set not null, alter column party_created_at set not null",
)
# Plans are kept that were made while a table was empty: they must be those for full ones.
COPIES = (
    """
    create or replace function copy_orders_to_kind() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        select sort_name, last_communication_at, created_at, owner_id, coalesce(owner_id, created_by), team_id, type
        into new.sort_name, new.last_communication_at, new.party_created_at, new.owner_id, new.keeper_id, new.team_id,
            new.party_type
        from party where id = new.party_id;
        return new;
    end
    $$
    """,
    """
    create function copy_orders_to_lack() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        select sort_name, last_communication_at, created_at, coalesce(owner_id, created_by), team_id
        into new.sort_name, new.last_communication_at, new.party_created_at, new.keeper_id, new.team_id
        from party where id = new.party_id;
        return new;
    end
    $$
    """,
    """
    create trigger copy_orders before insert or update of party_id on party_lack
        for each row execute function copy_orders_to_lack()
    """,
    # Also where rows are loaded as a replica's: nothing else fills the columns.
    "alter table party_lack enable always trigger copy_orders",
    """
    create or replace function copy_orders_to_kinds() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        update party_kind_assignment set sort_name = new.sort_name, last_communication_at = new.last_communication_at,
            party_created_at = new.created_at, owner_id = new.owner_id, keeper_id = coalesce(new.owner_id, new.created_by),
            team_id = new.team_id, party_type = new.type
        where party_id = new.id;
        update party_lack set sort_name = new.sort_name, last_communication_at = new.last_communication_at,
            party_created_at = new.created_at, keeper_id = coalesce(new.owner_id, new.created_by), team_id = new.team_id
        where party_id = new.id;
        return null;
    end
    $$
    """,
    "drop trigger copy_orders on party",
    """
    create trigger copy_orders after update on party for each row
        when ((old.sort_name, old.last_communication_at, old.created_at, old.owner_id, old.created_by, old.team_id, old.type)
            is distinct from
            (new.sort_name, new.last_communication_at, new.created_at, new.owner_id, new.created_by, new.team_id, new.type))
        execute function copy_orders_to_kinds()
    """,
)
COPIES_BEFORE = (
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
    "drop trigger copy_orders on party_lack",
    "drop function copy_orders_to_lack()",
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


def upgrade() -> None:
    _drop_kind_orders((*FILLED_UNDER, "_owner", "_owner_ended", "_team", "_team_ended"))
    op.execute("drop function lacks_of(bigint[])")  # its rows are no longer those of the table
    for statement in COLUMNS:
        op.execute(statement)
    op.execute(_before("lacks_of").replace("setof party_lack", "table (party_id bigint, lack text)"))
    for statement in COPIES:
        op.execute(statement)
    for order, columns in ORDERS.items():
        for name, (first, where) in OTHERS.items():
            _kind_index(f"{name}_{order}", f"{first}{columns}", where)
        _kind_index(f"_nobodys_{order}", f"{columns}, kind_id", NOBODYS)
        for scope in ("keeper", "team"):
            for name, state in STATES.items():
                where = f"{scope}_id is not null and status = '{state}'"
                _kind_index(f"_{scope}{name}_{order}", f"{scope}_id, {columns}, kind_id, owner_id", where)
            on = f"party_lack (lack, {scope}_id, {columns})"
            op.execute(f"create index ix_party_lack_{scope}_{order} on {on} where {scope}_id is not null")
        op.execute(f"create index ix_party_lack_{order} on party_lack (lack, {columns})")
    _make_party_orders()
    for place in PLACES:
        where = f"team_id is not null and {place} is not null and {LISTED}"
        op.execute(f"create index ix_party_team_{place} on party (team_id, {place}, type) where {where}")
        op.execute(f"create statistics st_party_team_{place} (mcv) on team_id, {place} from party")
    for scope in ("user", "team"):
        op.execute(
            f"create index ix_communication_{scope}_by_hand on communication ({scope}_id, kind, started_at desc, id desc) "
            f"where {scope}_id is not null and kind <> 'call'"
        )
    for statement in (*PAIRS, SHORT_NAMES):
        op.execute(statement)
    for name, on in LEADS.items():
        op.execute(f"create index {name} on lead ({on}")
    # Not where nothing is yet: the planner would take the tables for empty for as long as its plans are kept.
    if op.get_bind().exec_driver_sql("select exists (select from party)").scalar():
        op.execute("analyze party, party_kind_assignment, party_lack, duplicate_pair")


def downgrade() -> None:
    op.execute("drop index ix_name_key_short")
    for statement in PAIRS_BEFORE:
        op.execute(statement)
    for name in LEADS:
        op.execute(f"drop index {name}")
    op.execute("drop index ix_communication_user_by_hand, ix_communication_team_by_hand")
    for place in PLACES:
        op.execute(f"drop statistics st_party_team_{place}")
        op.execute(f"drop index ix_party_team_{place}")
    for scope in SCOPES:
        orders = ", ".join(f"ix_party_{scope}_{order}" for order in PARTY_ORDERS)
        op.execute(f"drop index ix_party_{scope}, {orders}")
    op.execute("create index ix_party_unassigned on party (created_by, sort_name, id) where owner_id is null")
    for scope in ("owner", "team"):
        op.execute(f"create index ix_party_{scope}_id_sort_name on party ({scope}_id, sort_name, id)")
        where = f"{scope}_id is not null and {LISTED}"
        for order in ("last", "created"):
            on = f"party ({scope}_id, {PARTY_ORDERS[order]})"
            op.execute(f"create index ix_party_{scope}_{order} on {on} where {where}")
    _drop_kind_orders(("_keeper", "_keeper_ended", "_team", "_team_ended"))
    op.execute("drop function lacks_of(bigint[])")
    for statement in COPIES_BEFORE:
        op.execute(statement)
    op.execute("alter table party_kind_assignment drop column keeper_id")
    op.execute(
        "alter table party_lack drop column sort_name, drop column last_communication_at, drop column party_created_at, "
        "drop column keeper_id, drop column team_id"
    )
    op.execute(_before("lacks_of"))
    for order, columns in ORDERS.items():
        for scope in ("owner", "team"):
            for name, state in STATES.items():
                where = f"{scope}_id is not null and status = '{state}'"
                _kind_index(f"_{scope}{name}_{order}", f"{scope}_id, {columns}, kind_id", where)


def _make_party_orders() -> None:
    op.execute(
        "drop index ix_party_unassigned, ix_party_owner_id_sort_name, ix_party_owner_last, ix_party_owner_created, "
        "ix_party_team_id_sort_name, ix_party_team_last, ix_party_team_created"
    )
    for scope, column in SCOPES.items():
        op.execute(f"create index ix_party_{scope} on party (({column}))")
        where = f"{column} is not null and {LISTED}"
        for order, columns in PARTY_ORDERS.items():
            on = f"party (({column}), type, {columns})"
            op.execute(f"create index ix_party_{scope}_{order} on {on} where {where}")


def _drop_kind_orders(names: tuple[str, ...]) -> None:
    for name in names:
        for order in ORDERS:
            op.execute(f"drop index ix_party_kind_assignment{name}_{order}")


def _kind_index(name: str, columns: str, where: str) -> None:
    op.execute(
        f"create index ix_party_kind_assignment{name} on party_kind_assignment ({columns}) where {where}"
    )


def _before(function: str) -> str:
    """As revision 0020 made it."""
    statements = re.split(r";;\n", BEFORE.read_text(encoding="utf-8"))
    (found,) = [each for each in statements if each.startswith(f"create function {function}(")]
    return found
