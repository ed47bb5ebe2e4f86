"""The names as the nightly search for duplicates keeps them: made at once, where it would take an hour."""

from __future__ import annotations

import asyncpg

from bench.population import bare_url

# As `crm.likely_names` says: from the beginning, from the end, by the longest word.
NAMES = """
insert into name_key
select key.key, party.id from party cross join lateral (
    values ('1' || sort_name), ('2' || reverse(sort_name)), ('3' || (
        select string_agg(word, ' ' order by char_length(word) desc, word collate "C")
        from regexp_split_to_table(sort_name, ' ') word
    ))
) key (key)
where merged_into_id is null and deleted_at is null and char_length(sort_name) > 2
on conflict do nothing
"""


async def keep_names(url: str) -> None:
    """Once for each base."""
    connection = await asyncpg.connect(bare_url(url))
    try:
        if not await connection.fetchval("select exists (select from name_key)"):
            await connection.execute(NAMES)
            await connection.execute("vacuum analyze name_key")
    finally:
        await connection.close()
