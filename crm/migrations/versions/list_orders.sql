alter table party_kind_assignment add column sort_name text collate "C", add column last_communication_at timestamptz,
    add column party_created_at timestamptz;;
update party_kind_assignment k set sort_name = p.sort_name, last_communication_at = p.last_communication_at,
    party_created_at = p.created_at from party p where p.id = k.party_id;;
alter table party_kind_assignment alter column sort_name set not null, alter column party_created_at set not null;;
create function copy_orders_to_kind() returns trigger language plpgsql as $$
begin
    select sort_name, last_communication_at, created_at
    into new.sort_name, new.last_communication_at, new.party_created_at from party where id = new.party_id;
    return new;
end
$$;;
create trigger copy_orders before insert or update of party_id on party_kind_assignment
    for each row execute function copy_orders_to_kind();;
create function copy_orders_to_kinds() returns trigger language plpgsql set enable_seqscan = off as $$
begin
    update party_kind_assignment set sort_name = new.sort_name, last_communication_at = new.last_communication_at,
        party_created_at = new.created_at
    where party_id = new.id;
    return null;
end
$$;;
create trigger copy_orders after update on party for each row
    when ((old.sort_name, old.last_communication_at, old.created_at)
        is distinct from (new.sort_name, new.last_communication_at, new.created_at))
    execute function copy_orders_to_kinds();;
create table party_lack (
    party_id bigint not null,
    lack text not null,
    constraint pk_party_lack primary key (lack, party_id),
    constraint ck_party_lack_lack check (lack in ('number', 'company')),
    constraint fk_party_lack_party_id foreign key(party_id) references party (id) on delete cascade
);;
create index ix_party_lack_party_id on party_lack (party_id);;
create function lacks_of(ids bigint[]) returns setof party_lack language sql stable as $$
    select p.id, stands.lack from party p cross join lateral (
        select 'number' as lack
        where not exists (select from party_phone t where t.party_id = p.id and t.ended_at is null)
        union all
        select 'company' where p.type = 'person'
            and not exists (select from affiliation a where a.person_id = p.id and a.ended_at is null)
            and not exists (select from party_kind_assignment k where k.party_id = p.id and k.status <> 'ended')
    ) stands
    where p.id = any(ids)
$$;;
comment on function lacks_of is
    'The rows of party_lack as they should be. number: has none; company: a person with neither organisation nor kind.';;
create function find_lacks(ids bigint[], what text) returns void language plpgsql
-- A plan made while the tables are empty is kept: it must be the one for full tables.
set enable_seqscan = off as $$
begin
    -- Whoever changes the same party at this moment waits here, and then the second statement sees what they did.
    insert into party_lack select id, what from party where id = any(ids) and (what = 'number' or type = 'person')
    order by id on conflict do nothing;
    if what = 'number' then
        delete from party_lack l where lack = 'number' and party_id = any(ids)
            and exists (select from party_phone t where t.party_id = l.party_id and t.ended_at is null);
    else
        delete from party_lack l where lack = 'company' and party_id = any(ids) and (
            exists (select from affiliation a where a.person_id = l.party_id and a.ended_at is null)
            or exists (select from party_kind_assignment k where k.party_id = l.party_id and k.status <> 'ended')
            or exists (select from party p where p.id = l.party_id and p.type <> 'person')
        );
    end if;
end
$$;;
create function note_lacks() returns trigger language plpgsql as $$
declare
    ids bigint[];
    changed text := case tg_op when 'INSERT' then 'select %1$I as id from after'
        when 'DELETE' then 'select %1$I as id from before'
        else 'select %1$I as id from before union select %1$I from after' end;
begin
    execute format('select array_agg(distinct id) from (' || changed || ') changed', tg_argv[0]) into ids;
    if ids is not null then
        perform find_lacks(ids, tg_argv[1]);
    end if;
    return null;
end
$$;;
create function note_new_lacks() returns trigger language plpgsql as $$
begin
    insert into party_lack select id, 'number' from after
    union all select id, 'company' from after where type = 'person';
    return null;
end
$$;;
create trigger lacks_after_insert after insert on party referencing new table as after
    for each statement execute function note_new_lacks();;
create function note_turned_lacks() returns trigger language plpgsql as $$
begin
    perform find_lacks(array[new.id], 'company');
    return null;
end
$$;;
create trigger lacks_after_turning after update of type on party for each row
    when (old.type <> new.type) execute function note_turned_lacks();;
insert into party_lack select * from lacks_of(array(select id from party));;
