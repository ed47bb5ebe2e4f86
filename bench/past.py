"""Years of an invented company: who works there, whom it called and who called, leads, comments, changes, the bin.

Statements for `bench.population`; `:parties` and `:calls` stand for the sizes. Everything follows from row numbers: the same
base every time.
"""

from __future__ import annotations

from dataclasses import dataclass

USERS = 200
TEAMS = 12


@dataclass(frozen=True, slots=True)
class Past:
    """What is written before the parties, and what after them."""

    before: tuple[str, ...]
    after: tuple[str, ...]


PAST_TABLES = (
    "communication", "call", "call_key", "participation", "call_note", "comment", "meeting", "lead", "stage_visit",
    "change_log", "duplicate_pair", "bin_entry",
)  # fmt: skip

_STAFF = (
    f"insert into team (id, name) overriding system value select n, 'Отдел ' || n from generate_series(1, {TEAMS}) n",
    f"""
    insert into app_user (id, login, name, team_id) overriding system value
    select n, 'user-' || n, 'Сотрудник ' || n, 1 + n % {TEAMS} from generate_series(1, {USERS}) n
    """,
    """
    insert into role_assignment (user_id, role_id) select u.id, r.id from app_user u
    join role r on r.code = case when u.id <= 20 then 'head' when u.id <= 60 then 'manager' else 'agent' end
    """,
    """
    insert into team_membership (user_id, team_id, is_primary, is_head, valid_from)
    select id, team_id, true, id <= 20, timestamptz '2023-01-01 00:00 UTC' from app_user
    """,
    "insert into pbx_connection (id, kind, name) overriding system value values (1, 'asterisk', 'АТС')",
    """
    insert into line (id, connection_id, presented, e164, name, team_id) overriding system value
    select n, 1, '8495000000' || n, '+7495000000' || n, 'Линия ' || n, n from generate_series(1, 5) n
    """,
    *(f"select setval(pg_get_serial_sequence('{table}', 'id'), (select max(id) from {table}))"
      for table in ("team", "app_user", "pbx_connection", "line")),
)  # fmt: skip

# What triggers would have kept; all at once, since the indexes come later.
LACKS = """
    insert into party_lack
    select id, 'number' from party p
    where not exists (select from party_phone t where t.party_id = p.id and t.ended_at is null)
    union all
    select id, 'company' from party p where type = 'person'
        and not exists (select from affiliation a where a.person_id = p.id and a.ended_at is null)
        and not exists (select from party_kind_assignment k where k.party_id = p.id and k.status <> 'ended')
    """

# The last twentieth of the parties is odd: archived, in the bin, merged, known from a lead only, clients that were,
# without a number, persons without an organisation. Before it everybody is active, has a kind and a number.
_ODD = (
    "create temporary table odd as select id, id % 20 as sort from party where id > :parties * 0.95",
    "update party p set lifecycle = 'archived' from odd where odd.id = p.id and sort in (0, 1)",
    "update party p set deleted_at = now() - interval '3 days' from odd where odd.id = p.id and sort = 2",
    """
    insert into bin_entry (party_id, at, by_id, via, released)
    select id, timestamptz '2026-06-01 00:00 UTC' + id * interval '1 second', 1 + id % 200, 'form',
        '{"phones": [], "emails": [], "ties": [], "inn": null}' from odd where sort = 2
    """,
    """
    update party p set lifecycle = 'merged', merged_into_id = p.id - :parties / 2 from odd
    where odd.id = p.id and sort in (3, 4)
    """,
    "update party p set lifecycle = 'unqualified' from odd where odd.id = p.id and sort in (5, 15, 17)",
    "delete from party_phone t using odd where odd.id = t.party_id and sort in (6, 16, 18)",
    "delete from affiliation a using odd where odd.id = a.person_id and sort in (7, 18, 19)",
    """
    update party_kind_assignment a set status = 'ended', until = now() - interval '1 day' from odd
    where odd.id = a.party_id and sort in (10, 11, 12)
    """,
    "delete from party_kind_assignment a using odd where odd.id = a.party_id and sort in (5, 13, 15)",
    """
    insert into party_kind_assignment (party_id, kind_id, sort_name, last_communication_at, party_created_at)
    select p.id, k.id, p.sort_name, p.last_communication_at, p.created_at from odd join party p on p.id = odd.id
    join party_kind k on k.code = 'client' where p.type = 'person' and sort in (8, 9) on conflict do nothing
    """,
    "drop table odd",
    "delete from party_lack",
    LACKS,
    "analyze party",
)

# Every moment is in its place; of a thousand calls one is of a client who calls all the time.
_CALLS = """
    create temporary table told as
    select n, (lpad(to_hex(ms), 12, '0') || '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid as id,
        to_timestamp(ms / 1000.0) as at, n % 4 = 1 as is_out, n % 9 > 1 as is_answered,
        case when n % 8 = 3 then null when n % 1000 = 0 then 27
            else 1 + floor((:parties * 0.95 - 1) * power(('x' || substr(h, 20, 8))::bit(32)::bigint / 4294967296.0 + 0.5, 2))::bigint
        end as caller, 1 + n % 200 as user_id, 1 + n % 12 as team_id, 1 + n % 5 as line_id,
        10 + (n * 37 % 300) as seconds, 3 + n % 40 as wait
    from (
        select n, 1704067200000 + n * (86400000.0 * 900 / :calls)::bigint as ms, md5(n::text) as h
        from generate_series(1::bigint, :calls) n
    ) moments
"""
_COMMUNICATIONS = (
    _CALLS,
    "update told set caller = caller % (:parties * 95 / 100) + 1 where caller > :parties * 0.95",
    """
    insert into communication (id, kind, direction, started_at, ended_at, user_id, team_id, party_id, contact_id,
        link_source)
    select id, 'call', case when is_out then 'out' else 'in' end, at, at + seconds * interval '1 second',
        user_id, team_id, case when caller % 10 < 7 then caller else caller - caller % 10 + 1 end,
        case when caller % 10 >= 7 then caller end, case when caller is not null then 'auto' end
    from told order by n
    """,
    """
    insert into call (id, connection_id, external_id, direction, state, presented_from, presented_to, customer_e164,
        did_e164, line_id, queue, answered_by, final_agent, started_at, answered_at, ended_at, disposition,
        wait_seconds, talk_seconds, match_status)
    select told.id, 1, '1700000000.' || n, case when is_out then 'outbound' else 'inbound' end, 'ended',
        case when not is_out then e164 end, case when is_out then e164 else '8495000000' || line_id end, e164,
        case when not is_out then '+7495000000' || line_id end, line_id,
        case when not is_out and n % 3 = 0 then 'sales' end, case when is_answered then (100 + user_id)::text end,
        case when is_answered then (100 + user_id)::text end, at,
        case when is_answered then at + wait * interval '1 second' end, at + seconds * interval '1 second',
        case when is_answered then 'answered' when is_out then 'no_answer' when n % 2 = 0 then 'abandoned'
            else 'not_served' end, wait, case when is_answered then seconds - wait end,
        case when caller is null then 'unknown' else 'matched' end
    from told cross join lateral (
        select coalesce((select e164 from phone_number where phone_number.id = caller),
            '+78' || lpad((n * 7919 % 1000000000)::text, 9, '0')) as e164
    ) as number order by n
    """,
    "insert into call_key (connection_id, linked_id, call_id) select 1, '1700000000.' || n, id from told order by n",
    """
    insert into participation (id, call_id, started_at, user_id, team_id, position, extension, attempt, came_by, rang_at,
        has_rung, answered_at, left_at, result, is_first_answer)
    select (substr(id::text, 1, 24) || substr(md5(id::text || part), 1, 12))::uuid, id, at, part_user, 1 + part_user % 12, part,
        (100 + part_user)::text, 1, case when is_out then 'dialled' else 'ring' end, at, not is_out,
        case when is_answered and part = 0 then at + wait * interval '1 second' end, at + seconds * interval '1 second',
        case when is_answered and part = 0 then 'answered' when is_answered then 'elsewhere' else 'not_answered' end,
        is_answered and part = 0
    from told cross join lateral (
        select part, 1 + (user_id - 1 + part) % 200 as part_user
        from generate_series(0, case when not is_out and n % 4 = 0 then 1 else 0 end) part
    ) parts order by n
    """,
    """
    insert into call_note (id, call_id, user_id, text, created_at)
    select (substr(id::text, 1, 24) || substr(md5('note' || n), 1, 12))::uuid, id, user_id, 'Просил перезвонить ' || n, at
    from told where n % 10 = 0
    """,
    """
    insert into communication (id, kind, direction, started_at, ended_at, subject, summary, user_id, team_id, party_id,
        link_source)
    select (substr(id::text, 1, 24) || substr(md5('hand' || n), 1, 12))::uuid,
        (array['email', 'meeting', 'web_request', 'chat', 'sms', 'email'])[1 + n % 6],
        (array['in', 'none', 'in', 'in', 'out', 'out'])[1 + n % 6], at, at + interval '1 hour', 'Тема ' || n, 'Итог ' || n,
        user_id, team_id, case when caller % 10 < 7 then caller else caller - caller % 10 + 1 end, 'agent'
    from told where n % 16 = 7
    """,
    """
    insert into meeting (id, state, place) select id, case when started_at > '2026-06-01 00:00 UTC' then 'planned' else 'held'
        end, 'Переговорная' from communication where kind = 'meeting'
    """,
    """
    insert into comment (id, party_id, author_id, text, created_at)
    select (substr(id::text, 1, 24) || substr(md5('said' || n), 1, 12))::uuid, caller, user_id, 'Договорились ' || n, at
    from told where n % 25 = 5 and caller is not null
    """,
    "drop table told",
)
# One lead of every second party; of five, one is open.
_LEADS = (
    """
    insert into lead (id, number, scheme_id, stage_id, state, person_id, organisation_id, need, source, line_id, owner_id,
        team_id, created_by, created_at, updated_at, converted_at, converted_party_id, disqualified_at,
        disqualify_reason_id, auto_created)
    overriding system value
    select n, n, scheme.id, stage.id, told.state, case when p.type = 'person' then p.id end,
        case when p.type = 'organisation' then p.id end, 'Нужно ' || n, case n % 4 when 0 then 'site' else 'call' end,
        1 + n % 5, case when n % 7 > 0 then 1 + n % 200 end, 1 + n % 12, 1 + n % 200, at, at,
        case when told.state = 'converted' then at + interval '2 days' end,
        case when told.state = 'converted' then p.id end,
        case when told.state = 'disqualified' then at + interval '3 days' end,
        case when told.state = 'disqualified' then (select id from failure_reason order by id limit 1) end, n % 2 = 0
    from generate_series(1, :parties / 2) n join party p on p.id = n * 2
    cross join lateral (
        select timestamptz '2024-02-01 00:00 UTC' + n * (interval '800 days' / (:parties / 2)) as at,
            (array['open', 'converted', 'disqualified', 'converted', 'disqualified'])[1 + n % 5] as state
    ) told
    join scheme on scheme.object_kind = 'lead' and scheme.is_default
    join stage on stage.scheme_id = scheme.id and stage.name = case told.state
        when 'open' then (array['New', 'In progress', 'Qualified'])[1 + n % 3] when 'converted' then 'Converted'
        else 'Disqualified' end
    """,
    """
    insert into stage_visit (lead_id, stage_id, entered_at, via, owner_id, team_id)
    select id, stage_id, coalesce(converted_at, disqualified_at, created_at), 'form', owner_id, team_id from lead
    """,
    """
    update communication set lead_id = lead.id from lead where communication.kind = 'web_request'
        and communication.party_id = lead.organisation_id
    """,
    """
    insert into number_counter (kind, value) select 'lead', max(number) from lead
    on conflict (kind) do update set value = excluded.value
    """,
    "select setval(pg_get_serial_sequence('lead', 'id'), (select max(id) from lead))",
)
_JOURNALS = (
    """
    insert into change_log (record_kind, record_id, field, old, new, actor_id, via, at)
    select 'party', id::text, field, old, new, 1 + id % 200, 'form',
        timestamptz '2024-01-01 00:00 UTC' + id * interval '60 seconds'
    from party cross join (values ('city', null, '"Москва"'::jsonb), ('note', '"было"'::jsonb, '"стало"'::jsonb)) as
        changed (field, old, new)
    order by id
    """,
    """
    insert into duplicate_run (stage, finished_at, pairs) values ('done', now(), :parties / 20)
    """,
    """
    insert into duplicate_pair (low_id, high_id, reason, shown, likeness, run_id)
    select n * 10, n * 10 + 10 * (1 + n % 7), 'name', '', 600 + n % 400, (select max(id) from duplicate_run)
    from generate_series(1, :parties / 20) n where n * 10 + 70 <= :parties * 0.95
    """,
)
PAST = Past(before=_STAFF, after=(*_ODD, *_COMMUNICATIONS, *_LEADS, *_JOURNALS))
