"""The statements that write calls. Each takes its rows as one JSON array, so its text never changes with their number:
PostgreSQL plans it once, whether one call comes or a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import TextClause, text

from crm.call_rows import COLUMNS


def as_json(rows: Sequence[Any]) -> dict[str, str]:
    """The parameter of a statement that takes one array."""
    return {"rows": to_json(rows)}


def to_json(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()


def _rows_of(table: str) -> str:
    return f"jsonb_populate_recordset(null::{table}, cast(:rows as jsonb)) as r"


def _upsert_calls() -> str:
    columns = ", ".join(COLUMNS)
    values = ", ".join(_known(column) for column in COLUMNS)
    changes = ", ".join(
        f"{column} = excluded.{column}" for column in COLUMNS if column not in ("id", "connection_id")
    )
    return (
        f"insert into call ({columns}) select {values} from {_rows_of('call')} order by r.id "  # noqa: S608
        f"on conflict (id) do update set {changes}"
    )


def _known(column: str) -> str:
    """A line or note removed while the call waited on disk must not keep the call from being stored."""
    tables = {"line_id": "line", "number_note_id": "number_note"}
    table = tables.get(column)
    return f"(select id from {table} where id = r.{column})" if table else f"r.{column}"  # noqa: S608


KNOWN_CALLS = text(
    f"""
    select key.linked_id, {", ".join(f"call.{column}" for column in COLUMNS)}
    from jsonb_to_recordset(cast(:rows as jsonb)) as asked (connection_id bigint, linked_id text)
    join call_key key on key.connection_id = asked.connection_id and key.linked_id = asked.linked_id
    join call on call.id = key.call_id
    order by call.id for update of call
    """  # noqa: S608 - our own column names
)
PEOPLE = text(
    """
    select asked.connection_id, asked.extension, asked.at, a.user_id, coalesce((
        select m.team_id from team_membership m where m.user_id = a.user_id and m.is_primary
            and m.valid_from <= asked.at and (m.valid_to is null or m.valid_to > asked.at)
    ), u.team_id) as team_id
    from jsonb_to_recordset(cast(:rows as jsonb)) as asked (connection_id bigint, extension text, at timestamptz)
    join extension_assignment a on a.extension_id = coalesce(
        (select e.id from extension e where e.connection_id = asked.connection_id and e.digits = asked.extension),
        (select e.extension_id from extension_endpoint e where e.connection_id = asked.connection_id
            and e.endpoint in (asked.extension, 'PJSIP/' || asked.extension, 'SIP/' || asked.extension) limit 1)
    ) and a.valid_from <= asked.at and (a.valid_to is null or a.valid_to > asked.at)
    join app_user u on u.id = a.user_id
    """
)
# With several open leads people decide which of them a call belongs to. A lead made after a call is another matter.
_SINGLE_OPEN_LEAD = """
    select min(lead.id) as id from lead
    where lead.subject_party_id in (coalesce(party.merged_into_id, party.id), coalesce(contact.merged_into_id, contact.id))
        and lead.state in ('open', 'on_hold') and lead.deleted_at is null and lead.created_at <= coalesce(r.ended_at, now())
    having count(*) = 1
    """
# Everybody locks parties before leads, and both in the order of their ids (`crm.lead_locks`).
_LOCKED_PARTIES = f"""
    select id, merged_into_id from party
    where id in (select r.party_id from {_rows_of("communication")} union select r.contact_id from {_rows_of("communication")})
    order by id for no key update
    """  # noqa: S608
LOCK_PARTIES = text(_LOCKED_PARTIES)
# A party merged meanwhile stands for its survivor; one that is gone leaves the call without a link.
UPSERT_COMMUNICATIONS = text(
    f"""
    with known as materialized ({_LOCKED_PARTIES})
    insert into communication
        (id, kind, direction, started_at, ended_at, user_id, team_id, party_id, contact_id, lead_id, link_source,
            is_internal)
    select r.id, 'call', r.direction, r.started_at, r.ended_at, r.user_id, r.team_id,
        coalesce(party.merged_into_id, party.id),
        (select person.party_id from person where person.party_id = coalesce(contact.merged_into_id, contact.id)),
        open_lead.id, case when party.id is not null then 'auto' end, r.is_internal
    from {_rows_of("communication")} left join known party on party.id = r.party_id
    left join known contact on contact.id = r.contact_id
    left join lateral ({_SINGLE_OPEN_LEAD}) open_lead on not r.is_internal
    order by r.id
    on conflict (id) do update set
        direction = excluded.direction, started_at = excluded.started_at, ended_at = excluded.ended_at,
        user_id = coalesce(excluded.user_id, communication.user_id),
        team_id = coalesce(excluded.team_id, communication.team_id),
        party_id = case when communication.link_source = 'agent' or excluded.party_id is null
            then communication.party_id else excluded.party_id end,
        contact_id = case when communication.link_source = 'agent' or excluded.party_id is null
            then communication.contact_id else excluded.contact_id end,
        lead_id = case when communication.link_source = 'agent' then communication.lead_id
            else coalesce(communication.lead_id, excluded.lead_id) end,
        link_source = coalesce(communication.link_source, excluded.link_source),
        is_internal = excluded.is_internal, updated_at = now()
    returning id, party_id, contact_id, lead_id
    """  # noqa: S608
)
_UPSERT_CALLS = _upsert_calls()
_ADD_KEYS = (
    f"insert into call_key (connection_id, linked_id, call_id) select connection_id, linked_id, call_id "  # noqa: S608
    f"from {_rows_of('call_key')} on conflict (connection_id, linked_id) do nothing"
)
_UPSERT_PARTICIPATIONS = f"""
    insert into participation (id, call_id, started_at, user_id, team_id, position, extension, attempt, came_by, rang_at,
        has_rung, answered_at, left_at, result, is_first_answer)
    select r.id, r.call_id, r.started_at, r.user_id, r.team_id, r.position, r.extension, r.attempt, r.came_by, r.rang_at, r.has_rung, r.answered_at,
        r.left_at, r.result, r.is_first_answer
    from {_rows_of("participation")}
    on conflict (call_id, extension, attempt) do update set
        user_id = coalesce(participation.user_id, excluded.user_id),
        team_id = coalesce(participation.team_id, excluded.team_id),
        position = excluded.position, came_by = excluded.came_by,
        rang_at = coalesce(participation.rang_at, excluded.rang_at),
        has_rung = participation.has_rung or excluded.has_rung,
        answered_at = coalesce(participation.answered_at, excluded.answered_at),
        left_at = coalesce(participation.left_at, excluded.left_at),
        result = case participation.result when 'answered' then 'answered'
            else coalesce(excluded.result, participation.result) end,
        is_first_answer = participation.is_first_answer or excluded.is_first_answer
    """  # noqa: S608
# A channel is made just before it rings: it belongs to the first attempt at its extension that is not before it.
UPSERT_LEGS = text(
    f"""
    insert into leg (id, call_id, participation_id, channel_id, channel_name, extension, started_at, answered_at,
        ended_at, hangup_cause)
    select r.id, r.call_id, (
            select p.id from participation p where p.call_id = r.call_id and p.extension = r.extension
            order by coalesce(p.rang_at, p.answered_at) < r.started_at nulls last, p.attempt limit 1
        ), r.channel_id, r.channel_name, r.extension, r.started_at, r.answered_at, r.ended_at, r.hangup_cause
    from {_rows_of("leg")}
    on conflict (call_id, channel_id) do update set
        participation_id = coalesce(excluded.participation_id, leg.participation_id),
        extension = coalesce(excluded.extension, leg.extension),
        started_at = coalesce(leg.started_at, excluded.started_at),
        answered_at = coalesce(leg.answered_at, excluded.answered_at),
        ended_at = coalesce(leg.ended_at, excluded.ended_at),
        hangup_cause = coalesce(leg.hangup_cause, excluded.hangup_cause)
    """  # noqa: S608
)
_UPSERT_TRANSFERS = f"""
    insert into transfer (id, call_id, position, from_extension, to_target, kind, at, outcome)
    select r.id, r.call_id, r.position, r.from_extension, r.to_target, r.kind, r.at, r.outcome
    from {_rows_of("transfer")}
    on conflict (call_id, position) do update set
        from_extension = excluded.from_extension, to_target = excluded.to_target, kind = excluded.kind,
        at = coalesce(transfer.at, excluded.at), outcome = coalesce(excluded.outcome, transfer.outcome)
    """  # noqa: S608
_TOUCH_PARTIES = """
    update party set
        last_communication_at = greatest(party.last_communication_at, latest.started_at),
        last_talk_at = greatest(party.last_talk_at, latest.answered_at)
    from (
        select r.id, max(r.started_at) as started_at, max(r.answered_at) as answered_at
        from jsonb_to_recordset(cast(:rows as jsonb)) as r (id bigint, started_at timestamptz, answered_at timestamptz)
        group by r.id
    ) latest
    where party.id = latest.id and (
        party.last_communication_at is null or party.last_communication_at < latest.started_at
        or party.last_talk_at < latest.answered_at or (party.last_talk_at is null and latest.answered_at is not null)
    )
    """
_GRANT = f"""
    insert into access_grant (user_id, party_id, reason, call_id, until)
    select r.user_id, r.party_id, 'call', r.call_id, max(r.until) from {_rows_of("access_grant")}
    group by r.user_id, r.party_id, r.call_id
    on conflict (user_id, party_id, reason, call_id) do update
        set until = greatest(access_grant.until, excluded.until)
    """  # noqa: S608
_ADD_OUTBOX = (
    f"insert into outbox_event (type, record_kind, record_id, after, at) "  # noqa: S608
    f"select r.type, 'call', r.record_id, r.after, r.at from {_rows_of('outbox_event')}"
)


def _all_of(**fragments: str) -> TextClause:
    """One statement out of several, each with its rows in the parameter of its name: one way to the server and back."""
    parts = (f"{name} as ({fragment.replace(':rows', f':{name}')})" for name, fragment in fragments.items())
    return text(f"with {', '.join(parts)} select")


# Foreign keys between them are checked at the end of the statement. Legs look for participations: they come after.
WRITE = _all_of(
    calls=_UPSERT_CALLS,
    keys=_ADD_KEYS,
    parts=_UPSERT_PARTICIPATIONS,
    transfers=_UPSERT_TRANSFERS,
    parties=_TOUCH_PARTIES,
    grants=_GRANT,
    outbox=_ADD_OUTBOX,
)
