"""Regions of numbers in lists: what a party's numbers, and those of its primary contact, tell of the place; kept by triggers."""

from __future__ import annotations

from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

SEEN = {
    "insert": "new table as after",
    "update": "old table as before new table as after",
    "delete": "old table as before",
}
TABLES = (
    """
    create table party_region (
        region text not null,
        party_id bigint not null,
        constraint pk_party_region primary key (region, party_id),
        constraint fk_party_region_party_id foreign key(party_id) references party (id) on delete cascade
    )
    """,
    "create index ix_party_region_party_id on party_region (party_id)",
    "create index ix_phone_number_undescribed on phone_number (id) where region is null and e164 is not null",
)
FUNCTIONS = (
    """
    create function regions_of(ids bigint[]) returns setof party_region language sql stable as $$
        select number.region, owned.party_id from party_phone owned join phone_number number on number.id = owned.number_id
        where owned.party_id = any(ids) and owned.ended_at is null and number.region <> ''
        union
        select number.region, tie.organisation_id from affiliation tie
        join party_phone owned on owned.party_id = tie.person_id and owned.ended_at is null
        join phone_number number on number.id = owned.number_id
        where tie.organisation_id = any(ids) and tie.is_primary and tie.ended_at is null and number.region <> ''
    $$
    """,
    """
    create function find_regions(ids bigint[]) returns void language plpgsql
    -- A plan made while the tables are empty is kept: it must be the one for full tables.
    set enable_seqscan = off as $$
    begin
        insert into party_region select * from regions_of(ids) order by 1, 2 on conflict do nothing;
        delete from party_region r where r.party_id = any(ids)
            and not exists (select from regions_of(array[r.party_id]) now where now.region = r.region);
    end $$
    """,
    """
    create function note_regions() returns trigger language plpgsql set enable_seqscan = off as $$
    declare
        ids bigint[];
        changed text := case tg_op when 'INSERT' then 'select %1$I as id from after'
            when 'DELETE' then 'select %1$I as id from before'
            else 'select %1$I as id from before union select %1$I from after' end;
    begin
        execute format('select array_agg(distinct id) from (' || changed || ') changed', tg_argv[0]) into ids;
        if ids is not null and tg_table_name = 'party_phone' then
            ids := ids || array(select organisation_id from affiliation
                where person_id = any(ids) and is_primary and ended_at is null);
        end if;
        if ids is not null then
            perform find_regions(ids);
        end if;
        return null;
    end $$
    """,
    """
    create function note_number_regions() returns trigger language plpgsql set enable_seqscan = off as $$
    declare
        ids bigint[];
    begin
        select array_agg(distinct owned.party_id) into ids
        from after join before on before.id = after.id
        join party_phone owned on owned.number_id = after.id and owned.ended_at is null
        where after.region is distinct from before.region;
        if ids is not null then
            perform find_regions(ids || array(select organisation_id from affiliation
                where person_id = any(ids) and is_primary and ended_at is null));
        end if;
        return null;
    end $$
    """,
    """
    create trigger regions_after_update after update on phone_number
        referencing old table as before new table as after for each statement execute function note_number_regions()
    """,
)
OWNERS = (("party_phone", "party_id"), ("affiliation", "organisation_id"))


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS):
        op.execute(statement)
    for table, column in OWNERS:
        for event, seen in SEEN.items():
            op.execute(
                f"create trigger regions_after_{event} after {event} on {table} referencing {seen} "
                f"for each statement execute function note_regions('{column}')"
            )


def downgrade() -> None:
    for table, _column in OWNERS:
        for event in SEEN:
            op.execute(f"drop trigger regions_after_{event} on {table}")
    op.execute("drop trigger regions_after_update on phone_number")
    for function in (
        "note_number_regions()",
        "note_regions()",
        "find_regions(bigint[])",
        "regions_of(bigint[])",
    ):
        op.execute(f"drop function {function}")
    op.execute("drop index ix_phone_number_undescribed")
    op.execute("drop table party_region")
