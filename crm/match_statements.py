"""The statements behind `crm.matching`: everything that is known of a number, in one way to the server and back."""

from __future__ import annotations

from sqlalchemy import TextClause, text

MOST_CANDIDATES = 50  # shown; `owners` counts all
MOST_EARLIER_CALLS = 1000  # counted; more is "more"

COLLEAGUE = text(
    """
    select u.id, u.name
    from extension e
    left join extension_assignment a on a.extension_id = e.id and a.valid_from <= coalesce(:at, now())
        and (a.valid_to is null or a.valid_to > coalesce(:at, now()))
    left join app_user u on u.id = a.user_id
    where e.connection_id = :connection_id and e.digits = :digits
    """
)


def _owners_statement(condition: str) -> TextClause:
    """One row per active owner of the number (at least one), each with what is known of the number itself."""
    return text(
        f"""
        with asked as (select cast(:e164 as text) as e164, coalesce(cast(:at as timestamptz), now()) as at),
        found as (select id, is_spam from phone_number n where {condition}),
        note as (
            select id, kind from number_note, asked
            where (number_note.e164 = :e164 or (pattern is not null and asked.e164 like pattern))
                and (until is null or until > asked.at)
            order by array_position(array['own', 'ignored', 'spam', 'emergency'], kind), id limit 1
        ),
        earlier as (
            select count(*) as calls, max(started_at) as last_at,
                count(*) filter (
                    where direction = 'inbound' and started_at > (select at from asked) - interval '1 hour'
                ) as last_hour
            from (
                select started_at, direction from call
                where customer_e164 = :e164 and joined_into_id is null and mirror_of_id is null
                    and started_at <= (select at from asked)
                    and id is distinct from cast(:present_call as uuid)
                    and id is distinct from (select mirror_of_id from call where id = cast(:present_call as uuid))
                order by started_at desc limit {MOST_EARLIER_CALLS}
            ) calls
        ),
        hands as (
            select p.id, p.type, p.display_name, p.sort_name, p.last_talk_at, p.do_not_call,
                pp.extension, pp.ended_at, pp.do_not_call as number_do_not_call
            from found join party_phone pp on pp.number_id = found.id join party p on p.id = pp.party_id
            where p.merged_into_id is null and p.deleted_at is null
        )
        select (select is_spam from found) as number_is_spam,
            (select array_agg(display_name order by ended_at desc) from hands where ended_at is not null) as former,
            (select name from line where line.e164 = :e164 and deleted_at is null order by id limit 1) as line_name,
            note.id as note_id, note.kind as note_kind, earlier.calls, earlier.last_at, earlier.last_hour,
            owner.*
        from earlier left join note on true left join lateral ({OWNER}) owner on true
        """  # noqa: S608 - put together from constants of this module
    )


OWNER = f"""
    select hand.id as hand_id, hand.extension, hand.do_not_call or hand.number_do_not_call as do_not_call,
        hand.last_talk_at, count(*) over () as owners,
        card.id, card.number, card.type, card.display_name, card.lifecycle, card.owner_id, card.team_id,
        u.name as owner_name, hand.display_name as hand_name, job.position, coalesce(job.is_primary, false) as is_primary,
        case hand.type when 'organisation' then array[hand.id] else work.organisation_ids end as organisation_ids,
        case hand.type when 'organisation' then array[hand.display_name] else work.organisation_names
        end as organisation_names,
        array(
            select k.code from party_kind_assignment a join party_kind k on k.id = a.kind_id
            where a.party_id = card.id and a.status <> 'ended' order by k.position, k.id
        ) as kinds,
        array(
            select distinct k.code from party_kind_assignment a join party_kind k on k.id = a.kind_id
            where a.party_id = card.id and a.status = 'ended' order by k.code
        ) as ended_kinds,
        latest.started_at as latest_at, latest.kind as latest_kind, latest.direction as latest_direction,
        latest.talk_seconds, latest.disposition, latest.note,
        open_lead.id as lead_id, open_lead.number as lead_number, open_lead.stage as lead_stage,
        open_lead.source as lead_source, open_lead.leads
    from hands hand
    left join lateral (
        select array_agg(o.id order by o.id) as organisation_ids,
            array_agg(o.display_name order by o.id) as organisation_names, case
            when exists (
                select from party_kind_assignment k where k.party_id = hand.id and k.status <> 'ended'
            ) then null
            when count(*) = 1 then min(a.organisation_id)
            when count(*) filter (where a.is_primary) = 1 then min(a.organisation_id) filter (where a.is_primary)
        end as organisation_id
        from affiliation a join party o on o.id = a.organisation_id
        where a.person_id = hand.id and a.ended_at is null and o.merged_into_id is null and o.deleted_at is null
    ) work on hand.type = 'person'
    left join affiliation job
        on job.person_id = hand.id and job.organisation_id = work.organisation_id and job.ended_at is null
    join party card on card.id = coalesce(work.organisation_id, hand.id)
    left join app_user u on u.id = card.owner_id
    left join lateral (
        select c.started_at, c.kind, c.direction, call.talk_seconds, call.disposition, coalesce((
            select note.text from call_note note where note.text <> ''
                and note.call_id in (select c.id union all select id from call where mirror_of_id = c.id)
            order by note.updated_at desc limit 1
        ), c.summary) as note
        from (
            (select id, kind, direction, started_at, ended_at, summary from communication
                where party_id = card.id and deleted_at is null order by started_at desc, id desc limit 3)
            union all
            (select id, kind, direction, started_at, ended_at, summary from communication
                where contact_id = hand.id and deleted_at is null order by started_at desc, id desc limit 3)
        ) c left join call on call.id = c.id
        where c.ended_at is not null and call.joined_into_id is null and call.mirror_of_id is null
        order by c.started_at desc, c.id desc limit 1
    ) latest on true
    left join lateral (
        select lead.id, lead.number, stage.name as stage, lead.source, count(*) over () as leads
        from lead join stage on stage.id = lead.stage_id
        where lead.subject_party_id in (hand.id, card.id) and lead.state in ('open', 'on_hold')
            and lead.deleted_at is null
        order by lead.created_at desc, lead.id desc limit 1
    ) open_lead on true
    where hand.ended_at is null
    order by open_lead.id is not null desc, hand.last_talk_at desc nulls last, is_primary desc, hand.sort_name collate "C", hand.id
    limit {MOST_CANDIDATES}
"""  # noqa: S608 - the constant above


def _one_hand_statement(source: str) -> TextClause:
    """The card of one party, as if a number of theirs had called."""
    return text(
        f"""
        with hands as (
            select p.id, p.type, p.display_name, p.sort_name, p.last_talk_at, p.do_not_call, '' as extension,
                cast(null as timestamptz) as ended_at, false as number_do_not_call
            from {source} where p.merged_into_id is null and p.deleted_at is null
        ) select owner.* from ({OWNER}) owner
        """  # noqa: S608 - put together from constants of this module
    )


HAND = _one_hand_statement("party p join (select cast(:party_id as bigint) as id) asked on asked.id = p.id")
SAID_BY_AGENT = _one_hand_statement(
    "communication c join party p on p.id = coalesce(c.contact_id, c.party_id) "
    "and c.id = :call_id and c.link_source = 'agent'"
)
OWNERS_BY_E164 = _owners_statement("n.e164 = :e164")
OWNERS_BY_DIGITS = _owners_statement(
    "n.local_digits = :digits and coalesce(n.profile_id, 0) = coalesce((select coalesce(l.profile_id, c.profile_id) "
    "from pbx_connection c left join line l on l.id = :line_id where c.id = :connection_id), 0)"
)
