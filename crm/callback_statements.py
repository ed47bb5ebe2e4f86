"""What `crm.callback_following` asks the database and writes there."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

LOCK: Final = text(
    "select pg_advisory_xact_lock(:locks, 1)"
)  # the key space of the mirrors' numbers hashes, plus one
# The calls themselves, and those that became their mirrors or went into them just now.
TOLD: Final = text(
    """
    select c.id, c.direction, c.customer_e164, c.started_at, c.answered_at, c.ended_at, c.disposition, c.line_id,
        c.match_status, c.mirror_of_id is not null or c.joined_into_id is not null as is_elsewhere,
        line.team_id, comm.party_id, comm.contact_id, comm.link_source, miss.case_id, held.e164 as held_e164
    from call c join communication comm on comm.id = c.id left join line on line.id = c.line_id
    left join callback_miss miss on miss.call_id = c.id left join callback_case held on held.id = miss.case_id
    where (c.id = any(:calls) or c.mirror_of_id = any(:calls) or c.joined_into_id = any(:calls)) and c.direction <> 'internal'
        and (c.ended_at is not null or c.answered_at is not null)
    order by c.started_at, c.id
    """
)
# The cases that misses may belong to: what is open, and what was settled after the miss.
CASES: Final = text(
    """
    select held.*
    from unnest(cast(:e164s as text[]), cast(:line_groups as text[]), cast(:since as timestamptz[]))
        as wanted (e164, line_group, since)
    join callback_case held using (e164, line_group)
    where held.resolved_at is null or held.resolved_at >= wanted.since
    order by held.resolved_at nulls last, held.id for update of held
    """
)
OPEN: Final = text(
    """
    insert into callback_case (e164, line_group, team_id, line_id, party_id, contact_id, first_missed_at, last_missed_at, due_at,
        missed_count)
    select * from unnest(cast(:e164 as text[]), cast(:line_group as text[]), cast(:team_id as bigint[]),
        cast(:line_id as bigint[]), cast(:party_id as bigint[]), cast(:contact_id as bigint[]), cast(:first as timestamptz[]),
        cast(:last as timestamptz[]), cast(:due_at as timestamptz[]), cast(:count as integer[]))
    returning id, e164, line_group
    """
)
ADD_MISSES: Final = text(
    """
    insert into callback_miss (call_id, case_id, missed_at)
    select * from unnest(cast(:calls as uuid[]), cast(:cases as bigint[]), cast(:moments as timestamptz[]))
    on conflict do nothing
    """
)
ADDED: Final = text(
    """
    update callback_case set due_at = least(callback_case.due_at, added.due_at),
        line_id = coalesce(added.line_id, callback_case.line_id), party_id = coalesce(callback_case.party_id, added.party_id),
        contact_id = coalesce(callback_case.contact_id, added.contact_id)
    from unnest(cast(:ids as bigint[]), cast(:due_at as timestamptz[]), cast(:line_id as bigint[]), cast(:party_id as bigint[]),
        cast(:contact_id as bigint[])) as added (id, due_at, line_id, party_id, contact_id)
    where callback_case.id = added.id
    """
)
COUNT: Final = text(
    """
    update callback_case set missed_count = told.count, first_missed_at = told.first, last_missed_at = told.last,
        version = version + 1, updated_at = now()
    from (
        select case_id, count(*) as count, min(missed_at) as first, max(missed_at) as last from callback_miss
        where case_id = any(:cases) group by case_id
    ) told
    where id = told.case_id
    returning id, team_id
    """
)
SEEN: Final = text("select * from callback_case where id = any(:cases) order by id for update")
DROP_MISSES: Final = text("delete from callback_miss where call_id = any(:calls)")
DROP_EMPTY: Final = text(
    """
    delete from callback_case c where id = any(:cases) and not exists (select from callback_miss m where m.case_id = c.id)
    returning id, team_id
    """
)
# Whose calls may have settled a case: by the number itself, by another number of the same people, or linked by an agent.
CONCERNED: Final = text(
    """
    with people as (
        select phone.party_id from party_phone phone join phone_number number on number.id = phone.number_id
        where number.e164 = any(:numbers) and phone.ended_at is null
      union
        select unnest(cast(:parties as bigint[]))
    ),
    numbers as (
        select number.e164 from party_phone phone join phone_number number on number.id = phone.number_id
        where phone.party_id in (select party_id from people) and phone.ended_at is null and number.e164 is not null
      union
        select unnest(cast(:numbers as text[]))
    )
    select id from callback_case where state in ('open', 'attempted') and e164 in (select e164 from numbers)
    union
    select id from callback_case where state in ('open', 'attempted') and party_id in (select party_id from people)
    union
    select id from callback_case where state in ('open', 'attempted') and contact_id in (select party_id from people)
    order by id
    """
)
# The cases among these for which there is anything to judge: mostly nobody has spoken with whoever was missed just now.
TOUCHED: Final = text(
    """
    with mine as (select * from callback_case where id = any(:cases) and state in ('open', 'attempted')),
    people as (
        select id as case_id, unnest(array_remove(array[party_id, contact_id], null)) as party_id from mine
      union
        select mine.id, min(phone.party_id) from mine join phone_number number on number.e164 = mine.e164
            join party_phone phone on phone.number_id = number.id and phone.ended_at is null
        group by mine.id having count(*) = 1
    ),
    numbers as (
        select people.case_id, number.e164 from people join party_phone phone using (party_id)
            join phone_number number on number.id = phone.number_id
        where phone.ended_at is null and number.e164 is not null
      union
        select id, e164 from mine
    )
    select id from mine where state = 'attempted' or exists (
        select from numbers join call c on c.customer_e164 = numbers.e164
        where numbers.case_id = mine.id and c.started_at > mine.first_missed_at - cast(:longest_wait as interval)
            and (c.direction = 'outbound' or c.answered_at is not null or c.disposition = 'answered')
    ) or exists (
        select from people join communication comm on comm.party_id = people.party_id
        where people.case_id = mine.id and comm.link_source = 'agent' and comm.kind = 'call'
            and comm.started_at > mine.first_missed_at - cast(:longest_wait as interval)
    )
    order by id
    """
)
LOCKED: Final = text(
    "select * from callback_case where id = :case_id and state in ('open', 'attempted') for update"
)
# Of a number that several have nobody is picked; a contact who called is called back, not their whole company.
NUMBERS: Final = text(
    """
    with people as (
        select unnest(array_remove(array[cast(:party_id as bigint), cast(:contact_id as bigint)], null)) as party_id
      union
        select min(phone.party_id) from party_phone phone join phone_number number on number.id = phone.number_id
        where number.e164 = :e164 and phone.ended_at is null having count(*) = 1
    )
    select array(
        select number.e164 from party_phone phone join phone_number number on number.id = phone.number_id
        where phone.party_id in (select party_id from people) and phone.ended_at is null and number.e164 is not null
      union
        select :e164
    ) as numbers, array(select party_id from people where party_id is not null) as parties
    """
)
# An answer whose moment nobody saw counts from the call's end; how long such a talk was is not argued about.
SINCE: Final = text(
    """
    with theirs as (
        select id from call where customer_e164 = any(:numbers) and started_at > :since
      union
        select id from communication where party_id = any(:parties) and link_source = 'agent' and kind = 'call'
            and started_at > :since
    ),
    told as (
        select c.*, coalesce(c.answered_at, case when c.disposition = 'answered' then c.ended_at end) as spoke_at
        from theirs join call c on c.id = theirs.id
        where c.joined_into_id is null and c.mirror_of_id is null and c.direction <> 'internal'
    )
    select told.id, told.direction, told.started_at, told.spoke_at, comm.user_id,
        told.direction = 'inbound' or (told.spoke_at is not null and coalesce(
            told.talk_seconds, extract(epoch from told.ended_at - told.answered_at), :shortest
        ) >= :shortest) as is_talk
    from told join communication comm on comm.id = told.id
    where case when told.direction = 'inbound' then told.spoke_at > :missed_at
        else told.started_at > :missed_at and told.ended_at is not null end
    order by coalesce(told.spoke_at, told.started_at), told.id
    """
)
ATTEMPTED: Final = text(
    """
    update callback_case set state = 'attempted', attempts = :attempts, reacted_at = :reacted_at, version = version + 1,
        updated_at = now()
    where id = :case_id and (state, attempts, reacted_at) is distinct from ('attempted', :attempts, :reacted_at)
    returning id
    """
)
RESOLVE: Final = text(
    """
    update callback_case set state = :state, resolved_at = :resolved_at, resolved_by_id = :user_id, resolving_call_id = :call_id,
        attempts = :attempts, reacted_at = :reacted_at, taken_by_id = null, taken_until = null, version = version + 1,
        updated_at = now()
    where id = :case_id
    """
)
LATER: Final = text(
    "select call_id from callback_miss where case_id = :case_id and missed_at > :resolved_at order by missed_at, call_id"
)
SPLIT: Final = text(
    """
    with later as (select min(missed_at) as first from callback_miss where case_id = :case_id and missed_at > :resolved_at),
    opened as (
        insert into callback_case (e164, line_group, team_id, line_id, party_id, contact_id, first_missed_at, last_missed_at, due_at)
        select e164, line_group, team_id, coalesce(cast(:line_id as bigint), line_id),
            coalesce(cast(:party_id as bigint), party_id), coalesce(cast(:contact_id as bigint), contact_id), later.first,
            later.first, cast(:due_at as timestamptz)
        from callback_case, later where id = :case_id
        returning id
    )
    update callback_miss set case_id = opened.id from opened
    where callback_miss.case_id = :case_id and callback_miss.missed_at > :resolved_at
    returning opened.id
    """
)
