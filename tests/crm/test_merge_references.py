"""Every foreign key to a party is known to the merge, and every unique index that could refuse a move has its rule."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.merge_references import REFERENCES, STAYING

PARTIES = ("party", "person", "organisation")


async def test_the_merge_knows_every_foreign_key_to_a_party(session: AsyncSession) -> None:
    rows = await session.execute(
        text(
            "select c.conrelid::regclass::text || '.' || a.attname from pg_constraint c "
            "join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any(c.conkey) "
            "where c.contype = 'f' and c.confrelid::regclass::text = any(:parties)"
        ),
        {"parties": list(PARTIES)},
    )
    staying = {f"{column.class_.__tablename__}.{column.key}" for column in STAYING}
    known = {reference.name for reference in REFERENCES} | staying
    unknown = set(rows.scalars()) - known
    assert not unknown, f"{unknown}: add them to crm.merge_references.REFERENCES, or say in STAYING why not"


async def test_every_unique_index_over_a_reference_has_its_rule(session: AsyncSession) -> None:
    """Moving a row must never meet a unique index: rows that both have are made one first."""
    rows = await session.execute(
        text(
            "select i.indrelid::regclass::text, array_agg(a.attname::text), pg_get_expr(i.indpred, i.indrelid) "
            "from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey::int2[]) "
            "where i.indisunique group by i.indexrelid, i.indrelid, i.indpred"
        )
    )
    indexes = [(table, set(columns), predicate or "") for table, columns, predicate in rows]
    for reference in REFERENCES:
        mine = [each for each in indexes if each[0] == reference.table and reference.column.key in each[1]]
        for _table, columns, predicate in mine:
            others = columns - {reference.column.key}
            is_mark = not others and "is_primary" in predicate
            assert (is_mark and reference.has_primary) or set(reference.same) == others, (
                f"{reference.name}: a unique index over {columns} could refuse the move"
            )
