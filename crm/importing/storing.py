"""The statements that store a batch of decided rows: a fixed number for any number of rows, each array of rows as JSON.

A client, what stands in it and what the journals tell of its making are one statement, out of the same values.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

# What clients lack is told once, when all of a batch is there (revision 0041): at every statement it would come and go again.
LACKS_LATER: Final = text("select set_config('ringcard.lacks', 'later', true)")
LACKS: Final = text(
    """
    select set_config('ringcard.lacks', '', true),
        settle_lacks(cast(:made as bigint[]), cast(:touched as bigint[]))
    """
)
LOCK: Final = text(
    """
    select id from party where id = any(cast(:ids as bigint[])) and merged_into_id is null and deleted_at is null
    order by id for no key update
    """
)
# Whether there is a primary one is counted and not asked by `exists`: the server would read the whole table for that.
HELD: Final = text(
    """
    select party.id, (
            select count(*) from party_phone tie
            where tie.party_id = party.id and tie.is_primary and tie.ended_at is null
        ) > 0, (
            select count(*) from party_email tie
            where tie.party_id = party.id and tie.is_primary and tie.ended_at is null
        ) > 0, (
            select count(*) from affiliation tie
            where tie.organisation_id = party.id and tie.is_primary and tie.ended_at is null
        ) > 0, array(
            select kind.code from party_kind_assignment given join party_kind kind on kind.id = given.kind_id
            where given.party_id = party.id and given.status <> 'ended'
        )
    from party where party.id = any(cast(:ids as bigint[]))
    """
)
NUMBERED: Final = text(
    """
    with given as materialized (
        insert into number_counter (kind, value) values ('party', cast(:count as bigint))
        on conflict (kind) do update set value = number_counter.value + number_counter.step * excluded.value
        returning value, step
    ), sequence as materialized (select cast(pg_get_serial_sequence('party', 'id') as regclass) as name)
    select nextval(sequence.name), given.value - given.step * (cast(:count as bigint) - place)
    from given cross join sequence cross join generate_series(1, cast(:count as bigint)) as place
    """
)
# The transaction's place in the feed is asked for once: as a column's default it would be for each row (revision 0051).
# The shown name follows from the names beside it, and no history shows it (`crm.history`): it is told to other programs only.
MAKE: Final = text(
    """
    with r as materialized (
        select made.id, made.number, made.row, made.sort_name, made.told, columns.*
        from jsonb_to_recordset(cast(:rows as jsonb)) as made (id bigint, number bigint, row int, sort_name text, told jsonb)
        cross join lateral jsonb_to_record(made.told) as columns (type text, display_name text, source text, city text,
            note text, owner_id bigint, custom jsonb, form text, short_name text, full_name text, inn text, kpp text,
            ogrn text, website text, industry text, last_name text, first_name text, middle_name text, birth_date date)
    ), parties as (
        insert into party (id, number, type, display_name, sort_name, source, city, note, owner_id, team_id, created_by,
            custom)
        select r.id, r.number, r.type, r.display_name, r.sort_name, r.source, r.city, r.note, r.owner_id,
            (select team_id from app_user where id = r.owner_id), :actor, coalesce(r.custom, '{}')
        from r order by r.id
    ), organisations as (
        insert into organisation (party_id, form, short_name, full_name, inn, kpp, ogrn, website, industry)
        select r.id, r.form, r.short_name, r.full_name, r.inn, r.kpp, r.ogrn, r.website, r.industry
        from r where r.type = 'organisation'
    ), people as (
        insert into person (party_id, last_name, first_name, middle_name, birth_date, inn)
        select r.id, r.last_name, r.first_name, r.middle_name, r.birth_date, r.inn from r where r.type = 'person'
    ), imported as (
        insert into imported_party (party_id, job_id, row) select r.id, :job, r.row from r
    ), published as (
        insert into outbox_event (tx, type, record_kind, record_id, after, actor_id)
        select (select feed_tx()), 'party.created', 'party', r.id::text, r.told, :actor from r order by r.id
    )
    insert into change_log (record_kind, record_id, field, new, actor_id, via, request_id)
    select 'party', r.id::text, field.key, field.value, :actor, 'import', :request
    from r cross join lateral jsonb_each(r.told) as field where field.key <> 'display_name'
    """
)
NAME_POINTS: Final = text(
    """
    with numbers as (
        insert into phone_number (e164, country, type, usage)
        select distinct on (r.e164) r.e164, r.country, r.type, r.usage
        from jsonb_to_recordset(cast(:phones as jsonb)) as r (e164 text, country text, type text, usage text)
        order by r.e164 on conflict do nothing
    )
    insert into email_address (address, usage)
    select distinct on (r.address) r.address, r.usage
    from jsonb_to_recordset(cast(:emails as jsonb)) as r (address text, usage text)
    order by r.address on conflict do nothing
    """
)
SHARE_NUMBERS: Final = text(
    """
    update phone_number set usage = 'shared' where usage = 'direct' and e164 = any(cast(:shared as text[]))
    returning id
    """
)
SHARE_ADDRESSES: Final = text(
    """
    update email_address set usage = 'shared' where usage = 'direct' and address = any(cast(:shared as text[]))
    """
)
TIE: Final = text(
    """
    with kinds as (
        insert into party_kind_assignment (party_id, kind_id, assigned_by, assigned_by_id)
        select r.party_id, kind.id, 'import', :actor
        from jsonb_to_recordset(cast(:kinds as jsonb)) as r (party_id bigint, code text)
        join party_kind kind on kind.code = r.code
    ), phones as (
        insert into party_phone (party_id, number_id, usage, extension, presented, is_primary, created_by)
        select r.party_id, number.id, number.usage, r.extension, r.presented, r.is_primary, :actor
        from jsonb_to_recordset(cast(:phones as jsonb)) as r (party_id bigint, e164 text, extension text,
            presented text, is_primary boolean)
        join phone_number number on number.e164 = r.e164
    ), emails as (
        insert into party_email (party_id, email_id, usage, is_primary, created_by)
        select r.party_id, email.id, email.usage, r.is_primary, :actor
        from jsonb_to_recordset(cast(:emails as jsonb)) as r (party_id bigint, address text, is_primary boolean)
        join email_address email on email.address = r.address
    )
    insert into affiliation (person_id, organisation_id, position, is_primary, created_by)
    select r.person_id, r.organisation_id, r.position, r.is_primary, :actor
    from jsonb_to_recordset(cast(:contacts as jsonb)) as r (person_id bigint, organisation_id bigint, position text,
        is_primary boolean)
    """
)
OWNERS: Final = text(
    """
    update party set owner_id = r.owner_id, team_id = (select team_id from app_user where id = r.owner_id),
        version = party.version + 1
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (party_id bigint, owner_id bigint),
        lateral (select owner_id from party before where before.id = r.party_id) as before
    where party.id = r.party_id and party.owner_id is distinct from r.owner_id
    returning party.id, before.owner_id, party.owner_id
    """
)
