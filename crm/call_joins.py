"""Two stored calls turn out to be one, or a call goes on under another run of the program: the rarer changes of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from crm.call_statements import as_json
from cti.calls.records import Participation

# Attempts that the joined record names again are told by it; others move, counted on from those that are there.
_MOVE: tuple[TextClause, ...] = tuple(
    map(
        text,
        (
            "update call_key set call_id = :survivor where call_id = :absorbed",
            """
            update leg set participation_id = null where participation_id in (
                select p.id from participation p
                join jsonb_to_recordset(cast(:rows as jsonb)) as told (extension text, rang_at timestamptz,
                    answered_at timestamptz)
                on told.extension = p.extension and told.rang_at is not distinct from p.rang_at
                    and (told.answered_at is not distinct from p.answered_at or p.answered_at is null)
                where p.call_id = :absorbed
            )
            """,
            """
            delete from participation p using jsonb_to_recordset(cast(:rows as jsonb)) as told
                (extension text, rang_at timestamptz, answered_at timestamptz)
            where p.call_id = :absorbed and told.extension = p.extension
                and told.rang_at is not distinct from p.rang_at
                and (told.answered_at is not distinct from p.answered_at or p.answered_at is null)
            """,
            """
            update participation p set call_id = :survivor, is_first_answer = false, attempt = p.attempt + greatest(
                (select coalesce(max(attempt), 0) from participation s
                    where s.call_id = :survivor and s.extension = p.extension),
                (select count(*) from jsonb_to_recordset(cast(:rows as jsonb)) as told (extension text)
                    where told.extension = p.extension)
            ) where p.call_id = :absorbed
            """,
            """
            update leg set call_id = :survivor where call_id = :absorbed and channel_id not in (
                select channel_id from leg where call_id = :survivor
            )
            """,
            "delete from leg where call_id = :absorbed",
            "delete from transfer where call_id = :absorbed",
            "update call set joined_into_id = :survivor where joined_into_id = :absorbed",
            "update call set mirror_of_id = null where :absorbed in (id, mirror_of_id)",
            """
            update call set joined_into_id = :survivor, state = 'ended',
                ended_at = coalesce(ended_at, greatest(started_at, answered_at, (
                    select max(started_at) from call other where other.id = :survivor
                ))) where id = :absorbed
            """,
            """
            update communication kept set party_id = gone.party_id, contact_id = gone.contact_id,
                link_source = gone.link_source
            from communication gone where gone.id = :absorbed and kept.id = :survivor
                and gone.link_source = 'agent' and kept.link_source is distinct from 'agent'
            """,
            """
            update communication set party_id = null, contact_id = null, user_id = null, team_id = null,
                ended_at = (select ended_at from call where id = :absorbed) where id = :absorbed
            """,
            """
            delete from access_grant gone using access_grant kept where gone.call_id = :absorbed
                and kept.call_id = :survivor and (kept.user_id, kept.party_id) = (gone.user_id, gone.party_id)
            """,
            "update access_grant set call_id = :survivor where call_id = :absorbed",
            """
            insert into wrap_up (call_id, user_id, code_id, started_at, due_at, extended, finished_at)
            select cast(:survivor as uuid), user_id, code_id, started_at, due_at, extended, finished_at
            from wrap_up where call_id = :absorbed
            on conflict (call_id, user_id) do update set code_id = coalesce(wrap_up.code_id, excluded.code_id),
                version = wrap_up.version + 1
            """,
            "delete from wrap_up where call_id = :absorbed",
            """
            insert into outbox_event (type, record_kind, record_id, after) values
                ('call.joined', 'call', cast(cast(:absorbed as uuid) as text),
                    jsonb_build_object('into', cast(:survivor as uuid)))
            """,
        ),
    )
)
_APPEND_NOTES = text(
    """
    update call_note kept set text = kept.text || e'\\n' || gone.text, version = kept.version + 1, updated_at = now()
    from call_note gone where gone.call_id = :source and kept.call_id = :target
        and gone.user_id = kept.user_id and gone.text <> '' and position(gone.text in kept.text) = 0
    """
)
_DROP_APPENDED_NOTES = text(
    """
    delete from call_note gone using call_note kept where gone.call_id = :source
        and kept.call_id = :target and gone.user_id = kept.user_id
    """
)
_MOVE_NOTES = text("update call_note set call_id = :target where call_id = :source")
_MOVE_OUTCOMES = text(
    """
    with gone as (delete from said_outcome where call_id = :source returning user_id, code_id, at)
    insert into said_outcome (call_id, user_id, code_id, at)
    select cast(:target as uuid), user_id, code_id, at from gone
    on conflict (call_id, user_id) do update set code_id = excluded.code_id, at = excluded.at
    where said_outcome.at < excluded.at
    """
)
_AGREE = tuple(
    text(f"with asked as (select cast(value as uuid) as id from jsonb_array_elements_text(cast(:rows as jsonb))) {change}")  # noqa: S608
    for change in (
        """
        update participation p set left_at = greatest(call.ended_at, p.rang_at, p.answered_at),
            result = coalesce(p.result, case when p.answered_at is null then 'not_answered' else 'answered' end)
        from call join asked on asked.id = call.id
        where call.id = p.call_id and p.left_at is null and call.ended_at is not null
        """,
        """
        update participation p set is_first_answer = false from asked
        where asked.id = p.call_id and p.is_first_answer and exists (
            select from participation other where other.call_id = p.call_id and other.is_first_answer
                and (other.answered_at, other.id) < (p.answered_at, p.id)
        )
        """,
        """
        update transfer t set outcome = case when took.part then 'answered' else 'not_answered' end from (
            select sent.id, bool_or(coalesce(p.answered_at >= sent.at, false)) as part from transfer sent
            join asked on asked.id = sent.call_id join call on call.id = sent.call_id and call.ended_at is not null
            join participation p on p.call_id = sent.call_id and p.extension = sent.to_target and p.left_at >= sent.at
            where sent.outcome is null and sent.kind <> 'park' group by sent.id
        ) took where took.id = t.id
        """,
    )
)  # fmt: skip

_DROP_UNTOLD = tuple(
    text(f"with told as (select call_id, {keys} from jsonb_populate_recordset(null::{table}, cast(:rows as jsonb))), "  # noqa: S608
         f"untold as (select id from {table} t where t.call_id = any(:calls) and not exists "
         f"(select from told where (told.call_id, {told}) = (t.call_id, {ours}))) {change}")
    for table, keys, told, ours, change in (
        ("participation", "extension, attempt", "told.extension, told.attempt", "t.extension, t.attempt",
         "update leg set participation_id = null where participation_id in (select id from untold)"),
        ("participation", "extension, attempt", "told.extension, told.attempt", "t.extension, t.attempt",
         "delete from participation where id in (select id from untold)"),
        ("leg", "channel_id", "told.channel_id", "t.channel_id", "delete from leg where id in (select id from untold)"),
        ("transfer", "position", "told.position", "t.position",
         "delete from transfer where id in (select id from untold)"),
    )
)  # fmt: skip


async def drop_untold(
    connection: AsyncConnection,
    calls: Sequence[str],
    parts: Sequence[Any],
    legs: Sequence[Any],
    transfers: Sequence[Any],
) -> None:
    """Remove what the last record of these calls does not name any more: it was seen wrongly on the way."""
    ids = [UUID(call_id) for call_id in calls]
    for statement, rows in zip(_DROP_UNTOLD, (parts, parts, legs, transfers), strict=True):
        await connection.execute(statement, {"calls": ids, **as_json(rows)})


async def join_calls(
    connection: AsyncConnection, absorbed: str, survivor: str, told: Sequence[Participation]
) -> None:
    """The absorbed call's keys, participations, legs, notes and outcomes go to the survivor; its row leaves every list.

    Args:
        told: the participations of the joined record, which the survivor gets anyway.
    """
    values: dict[str, Any] = {"absorbed": UUID(absorbed), "survivor": UUID(survivor), **as_json(told)}
    for statement in _MOVE:
        names = statement.compile().params.keys()
        await connection.execute(statement, {name: values[name] for name in names})
    await move_notes(connection, absorbed, survivor)


async def set_apart(connection: AsyncConnection, call: str, told: Sequence[Participation]) -> None:
    """The call was stored under the key of one that it absorbs: parts of that one must not lend their times to its own.

    They stand as further attempts until the last word of the call says what is true.
    """
    values: dict[str, Any] = {"absorbed": UUID(call), "survivor": UUID(call), **as_json(told)}
    for statement in _MOVE[1:4]:
        names = statement.compile().params.keys()
        await connection.execute(statement, {name: values[name] for name in names})


async def move_notes(connection: AsyncConnection, source: str, target: str) -> None:
    """What agents typed and said under one call's id stands under another's.

    Of an agent with both, the texts are put together, and the later outcome holds.
    """
    for statement in (_APPEND_NOTES, _DROP_APPENDED_NOTES, _MOVE_NOTES, _MOVE_OUTCOMES):
        await connection.execute(statement, {"source": UUID(source), "target": UUID(target)})


async def agree_over_runs(connection: AsyncConnection, calls: Sequence[str]) -> None:
    """Of calls that several runs told of: what an earlier one saw begin ended with the call, and one answer was the first."""
    for statement in _AGREE:
        await connection.execute(statement, as_json(calls))
