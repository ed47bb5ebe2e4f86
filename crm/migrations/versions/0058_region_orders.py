"""A region of a party's numbers is read in the orders of lists: of all, of one's own, of a team.

What a list of a region was read from had neither its order nor whose the parties are: a head's first page met ten thousand persons
without a kind before it was full. On the board an agent sees what nobody of the team has taken; that is read by its stage.
"""

from __future__ import annotations

from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

COPIED = "sort_name, last_communication_at, created_at, coalesce(owner_id, created_by), team_id"
ORDERS = {
    "name": "sort_name, party_id",
    "last": "last_communication_at desc nulls last, party_id desc",
    "created": "party_created_at desc, party_id desc",
}
SCOPES = ("keeper", "team")
NOBODYS = """
    create index ix_lead_team_id_stage_id_nobodys_open on lead (team_id, stage_id, created_at desc, id desc)
        where owner_id is null and state in ('open', 'on_hold') and deleted_at is null
"""
COLUMNS = (
    """
    alter table party_region add column sort_name text collate "C", add column last_communication_at timestamptz,
        add column party_created_at timestamptz, add column keeper_id bigint, add column team_id bigint
    """,
    f"""
    update party_region r set (sort_name, last_communication_at, party_created_at, keeper_id, team_id) =
        (select {COPIED} from party where id = r.party_id)
    """,
    "alter table party_region alter column sort_name set not null, alter column party_created_at set not null",
    "alter table party_region drop constraint pk_party_region",
    "drop index ix_party_region_party_id",
    "alter table party_region add constraint pk_party_region primary key (party_id, region)",
)
OWNED = """
    select number.region, owned.party_id{copies} from party_phone owned
    join phone_number number on number.id = owned.number_id{parties_of_owned}
    where owned.party_id = any(ids) and owned.ended_at is null and number.region <> ''
    union
    select number.region, tie.organisation_id{copies} from affiliation tie
    join party_phone owned on owned.party_id = tie.person_id and owned.ended_at is null
    join phone_number number on number.id = owned.number_id{parties_of_ties}
    where tie.organisation_id = any(ids) and tie.is_primary and tie.ended_at is null and number.region <> ''
"""
REGIONS_OF = (
    "create function regions_of(ids bigint[]) returns setof party_region language sql stable as $${}$$"
)
WITH_COPIES = {
    "copies": ", p.sort_name, p.last_communication_at, p.created_at, coalesce(p.owner_id, p.created_by), p.team_id",
    "parties_of_owned": " join party p on p.id = owned.party_id",
    "parties_of_ties": " join party p on p.id = tie.organisation_id",
}
COPY = """
    create or replace function copy_orders_to_kinds() returns trigger language plpgsql set enable_seqscan = off as $$
    begin
        update party_kind_assignment set sort_name = new.sort_name, last_communication_at = new.last_communication_at,
            party_created_at = new.created_at, owner_id = new.owner_id, keeper_id = coalesce(new.owner_id, new.created_by),
            team_id = new.team_id, party_type = new.type
        where party_id = new.id;
        update party_lack set sort_name = new.sort_name, last_communication_at = new.last_communication_at,
            party_created_at = new.created_at, keeper_id = coalesce(new.owner_id, new.created_by), team_id = new.team_id
        where party_id = new.id;{}
        return null;
    end
    $$
    """
COPY_TO_REGIONS = """
        update party_region set sort_name = new.sort_name, last_communication_at = new.last_communication_at,
            party_created_at = new.created_at, keeper_id = coalesce(new.owner_id, new.created_by), team_id = new.team_id
        where party_id = new.id;"""


def upgrade() -> None:
    op.execute("drop function regions_of(bigint[])")
    for statement in COLUMNS:
        op.execute(statement)
    op.execute(REGIONS_OF.format(OWNED.format(**WITH_COPIES)))
    op.execute(COPY.format(COPY_TO_REGIONS))
    for order, columns in ORDERS.items():
        op.execute(f"create index ix_party_region_{order} on party_region (region, {columns})")
        for scope in SCOPES:
            on = f"party_region (region, {scope}_id, {columns}) where {scope}_id is not null"
            op.execute(f"create index ix_party_region_{scope}_{order} on {on}")
    op.execute(NOBODYS)
    # Not where nothing is yet: the planner would take the table for empty for as long as its plans are kept.
    if op.get_bind().exec_driver_sql("select exists (select from party_region)").scalar():
        op.execute("analyze party_region")


def downgrade() -> None:
    op.execute("drop index ix_lead_team_id_stage_id_nobodys_open")
    op.execute(COPY.format(""))
    op.execute("drop function regions_of(bigint[])")
    op.execute("alter table party_region drop constraint pk_party_region")
    op.execute(
        "alter table party_region drop column sort_name, drop column last_communication_at, drop column party_created_at, "
        "drop column keeper_id, drop column team_id"
    )
    op.execute("alter table party_region add constraint pk_party_region primary key (region, party_id)")
    op.execute("create index ix_party_region_party_id on party_region (party_id)")
    op.execute(REGIONS_OF.format(OWNED.format(**dict.fromkeys(WITH_COPIES, ""))))
