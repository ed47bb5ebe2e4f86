"""The search for pairs that may be one: by number, address and INN through everything, by name for what changed since the last one.

A name is compared with those that stand beside it in three orders (`crm.likely_names`): so the work grows with the base and no faster,
however many have a word in common. The first search of a million clients takes a quarter of an hour of one processor.

It goes in pieces of bounded size, each a transaction of its own; where it stands is kept in its row, so that a restart goes on. A number,
address or INN of more than five is a reception or a bank with branches, not a duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from sqlalchemy import BigInteger, TextClause, bindparam, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.likely_names import likely_keys
from crm.planning import plan_for_page
from crm.schema.merging import DuplicatePair, DuplicateRun, NameKey
from crm.schema.parties import EmailAddress, Organisation, Party, PhoneNumber
from crm.similar_names import SIMILAR

log = structlog.get_logger(__name__)
ROWS_AT_ONCE: Final = 5_000
NAMES_AT_ONCE: Final = 100
NEIGHBOURS: Final = 8  # on either side, in each order
MOST_OWNERS: Final = 5
MOST_COUNTED: Final = 100_000
_NEXT: Final = {"number": "email", "email": "inn", "inn": "name", "name": "done"}

# What is the same of several parties of one type: key, shown, party.
_OWNERS: Final = {
    "number": """
        select n.id::text || '/' || t.extension || '/' || p.type as key, coalesce(n.e164, n.local_digits) as shown, p.id
        from phone_number n join party_phone t on t.number_id = n.id and t.ended_at is null
        join party p on p.id = t.party_id
        where n.id > :after and n.id <= :upto and n.usage = 'shared'
    """,
    "email": """
        select n.id::text || '/' || p.type as key, n.address as shown, p.id
        from email_address n join party_email t on t.email_id = n.id and t.ended_at is null
        join party p on p.id = t.party_id
        where n.id > :after and n.id <= :upto and n.usage = 'shared'
    """,
    "inn": """
        select other.inn as key, other.inn as shown, p.id
        from organisation other join party p on p.id = other.party_id
        where other.inn in (select inn from organisation where party_id > :after and party_id <= :upto)
    """,
}
_ADD: Final = """
    insert into duplicate_pair (low_id, high_id, reason, shown, likeness, run_id)
    select distinct on (low_id, high_id) low_id, high_id, :reason, shown, likeness, :run_id from found
    where not exists (
        select from duplicate_dismissal d where d.low_id = found.low_id and d.high_id = found.high_id
    )
    order by low_id, high_id, likeness desc
    on conflict (low_id, high_id) do update
    set reason = excluded.reason, shown = excluded.shown, likeness = excluded.likeness, run_id = excluded.run_id
    where duplicate_pair.run_id < excluded.run_id or duplicate_pair.likeness < excluded.likeness
"""


def _same(reason: str) -> TextClause:
    """Pairs of the owners of one number, address or INN."""
    return text(
        f"""
        with owner as materialized ({_OWNERS[reason]} and p.merged_into_id is null and p.deleted_at is null),
        few as (select key from owner group by key having count(distinct id) between 2 and {MOST_OWNERS}),
        found as (
            select a.id as low_id, b.id as high_id, a.shown, 1000 as likeness
            from few join owner a using (key) join owner b using (key) where a.id < b.id
        )
        {_ADD}
        """  # noqa: S608 - put together from constants of this module
    )


_SAME: Final = {reason: _same(reason) for reason in _OWNERS}
# What two parties have in common now, the strongest reason first.
_AGAIN: Final = text(
    """
    insert into duplicate_pair (low_id, high_id, reason, shown, likeness, run_id)
    select :low, :high, reason, shown, likeness, (select max(id) from duplicate_run) from (
        select 1 as rank, 'number' as reason, coalesce(n.e164, n.local_digits) as shown, 1000 as likeness
        from party_phone a join party_phone b using (number_id, extension) join phone_number n on n.id = number_id
        where a.party_id = :low and b.party_id = :high and a.ended_at is null and b.ended_at is null
        union all
        select 2, 'email', e.address, 1000
        from party_email a join party_email b using (email_id) join email_address e on e.id = email_id
        where a.party_id = :low and b.party_id = :high and a.ended_at is null and b.ended_at is null
        union all
        select 3, 'inn', a.inn, 1000 from organisation a join organisation b using (inn)
        where a.party_id = :low and b.party_id = :high
        union all
        select 4, 'name', '', least(999, round(similarity(a.sort_name, b.sort_name) * 1000))::int
        from party a join party b on b.id = :high
        where a.id = :low and similarity(a.sort_name, b.sort_name) >= :similar
    ) found
    where exists (select from duplicate_run)
    and (select count(*) from party where id in (:low, :high) and merged_into_id is null and deleted_at is null) = 2
    order by rank limit 1
    on conflict (low_id, high_id) do nothing
    """
).bindparams(bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger))
_STAND: Final = text(
    """
    insert into name_key (key, party_id) select * from unnest(cast(:keys as text[]), cast(:ids as bigint[]))
    on conflict do nothing
    """
)
# Who went is not to stand between two that are still there.
_GONE: Final = text(
    """
    delete from name_key k using party p
    where p.id = k.party_id and p.id > :after and p.id <= :upto
        and (p.merged_into_id is not null or p.deleted_at is not null)
    """
)
_ALIKE: Final = text(
    f"""
    with neighbour as materialized (
        select distinct mine.party_id as id, beside.party_id as other_id
        from unnest(cast(:keys as text[]), cast(:ids as bigint[])) as mine (key, party_id) cross join lateral (
            (select k.party_id from name_key k where (k.key, k.party_id) > (mine.key collate "C", mine.party_id)
                order by k.key, k.party_id limit {NEIGHBOURS})
            union all
            (select k.party_id from name_key k where (k.key, k.party_id) < (mine.key collate "C", mine.party_id)
                order by k.key desc, k.party_id desc limit {NEIGHBOURS})
        ) beside
    ),
    alike as (
        select n.id, n.other_id, similarity(p.sort_name, o.sort_name) as likeness
        from neighbour n join party p on p.id = n.id join party o on o.id = n.other_id
        where o.id <> p.id and o.type = p.type and o.merged_into_id is null and o.deleted_at is null
    ),
    best as (
        select *, row_number() over (partition by id order by likeness desc, other_id) as place
        from alike where likeness >= cast(:similar as real)
    ),
    found as (
        select least(id, other_id) as low_id, greatest(id, other_id) as high_id, '' as shown,
            least(999, round(likeness * 1000))::int as likeness
        from best where place <= {MOST_OWNERS}
    )
    {_ADD}
    """  # noqa: S608
)


async def begin_if_due(
    session: AsyncSession, due_at: datetime, *, first_after: datetime | None = None
) -> bool:
    """The nightly search, if none was begun since it was due.

    Args:
        first_after: where nobody ever searched, the first one is not due before: a new installation waits for its first night.
    """
    latest = await session.scalar(select(func.max(DuplicateRun.asked_at)))
    begun = latest or first_after
    if begun is not None and begun >= due_at:
        return False
    await session.execute(upsert(DuplicateRun).values(asked_by_id=None).on_conflict_do_nothing())
    return True


async def look_again(session: AsyncSession, low_id: int, high_id: int) -> None:
    """Whether these two may be one after all: then the pair is back before the next search."""
    await session.execute(_AGAIN, {"low": low_id, "high": high_id, "similar": SIMILAR})


async def search_piece(session: AsyncSession) -> bool:
    """One piece of the search that was asked for; False: there is nothing to do, or another program does it."""
    run = await session.scalar(
        select(DuplicateRun)
        .where(DuplicateRun.finished_at.is_(None))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if run is None:
        return False
    after = await (_names(session, run) if run.stage == "name" else _equals(session, run))
    if after is not None:
        place: dict[str, Any] = {"after_id": after}
    elif run.stage == "name":
        place = await _finished(session, run)
    else:
        place = {"stage": _NEXT[run.stage], "after_id": 0}
    await session.execute(update(DuplicateRun).where(DuplicateRun.id == run.id).values(place))
    return True


async def skip_piece(session: AsyncSession) -> None:
    """Leave out what cannot be done: the next piece."""
    run = await session.scalar(
        select(DuplicateRun).where(DuplicateRun.finished_at.is_(None)).with_for_update()
    )
    if run is None:
        return
    upto = run.after_id + ROWS_AT_ONCE
    ids = list(await _changed(session, run, upto)) if run.stage == "name" else []
    place = {"after_id": ids[-1] if ids else upto}
    log.warning("duplicates_not_searched", stage=run.stage, after_id=run.after_id, upto=place["after_id"])
    await session.execute(update(DuplicateRun).where(DuplicateRun.id == run.id).values(place))


async def _equals(session: AsyncSession, run: DuplicateRun) -> int | None:
    """Where the piece ended; None after the last one."""
    key: Any = {"number": PhoneNumber.id, "email": EmailAddress.id, "inn": Organisation.party_id}[run.stage]
    piece = select(key).where(key > run.after_id).order_by(key).limit(ROWS_AT_ONCE).subquery()
    upto: int | None = await session.scalar(select(func.max(piece.c[0])))
    if upto is not None:
        values = {"after": run.after_id, "upto": upto, "reason": run.stage, "run_id": run.id}
        await session.execute(_SAME[run.stage], values)
    return upto


async def _names(session: AsyncSession, run: DuplicateRun) -> int | None:
    last: int = (await session.execute(select(func.coalesce(func.max(Party.id), 0)))).scalar_one()
    if run.after_id >= last:
        return None
    upto = run.after_id + ROWS_AT_ONCE
    names = await _changed(session, run, upto)
    if len(names) == NAMES_AT_ONCE:
        upto = max(names)
    await session.execute(_GONE, {"after": run.after_id, "upto": upto})
    if names:
        await _forget_names(session, run, list(names))
        await _compare(session, run, names)
    return upto


async def _compare(session: AsyncSession, run: DuplicateRun, names: Mapping[int, str]) -> None:
    """Let these parties stand under the names that they have now, and look who stands beside them."""
    keys = [(key, party_id) for party_id, name in names.items() for key in likely_keys(name)]
    stand = {"keys": [key for key, _ in keys], "ids": [party_id for _, party_id in keys]}
    await session.execute(delete(NameKey).where(NameKey.party_id.in_(names)))
    await session.execute(_STAND, stand)
    await plan_for_page(session)
    await session.execute(_ALIKE, {**stand, "similar": SIMILAR, "reason": "name", "run_id": run.id})


async def _changed(session: AsyncSession, run: DuplicateRun, upto: int) -> dict[int, str]:
    """The next parties whose name may be new since the search before this one, and their names."""
    query = select(Party.id, Party.sort_name).where(
        Party.id > run.after_id, Party.id <= upto, Party.merged_into_id.is_(None), Party.deleted_at.is_(None)
    )
    since = await session.scalar(
        select(func.max(DuplicateRun.asked_at)).where(
            DuplicateRun.finished_at.is_not(None), DuplicateRun.id < run.id
        )
    )
    # Where nobody stands from here on, none was ever compared.
    have_stood = await session.scalar(select(exists().where(NameKey.party_id > run.after_id)))
    if since is not None and have_stood:
        query = query.where(Party.updated_at >= since)
    return dict((await session.execute(query.order_by(Party.id).limit(NAMES_AT_ONCE))).all())


async def _forget_names(session: AsyncSession, run: DuplicateRun, ids: Sequence[int]) -> None:
    """What was alike under the old name; what still is, is found again."""
    stale = "delete from duplicate_pair where reason = 'name' and run_id < :run_id"
    for column in ("low_id", "high_id"):
        query = text(f"{stale} and {column} = any(:ids)")
        await session.execute(query, {"run_id": run.id, "ids": list(ids)})


async def _finished(session: AsyncSession, run: DuplicateRun) -> dict[str, Any]:
    """Through: what is the same no longer goes, and the pairs are counted."""
    await session.execute(
        text("delete from duplicate_pair where reason <> 'name' and run_id < :run_id"), {"run_id": run.id}
    )
    some = select(DuplicatePair.id).limit(MOST_COUNTED).subquery()
    pairs = (await session.execute(select(func.count()).select_from(some))).scalar_one()
    return {"stage": "done", "after_id": 0, "finished_at": datetime.now(UTC), "pairs": pairs}
