"""The values of a merge: the survivor's rows as the database writes them in JSON, and how undoing puts them back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.merge_rows import Left
from crm.party_values import PERSON
from crm.rights import Access
from crm.schema.merging import MergeLog
from crm.schema.parties import Organisation, Party, Person

_BY_ITSELF: Final = frozenset({"id", "party_id", "version", "updated_at"})  # what every write changes
_OF_NAME: Final = frozenset({"display_name", "sort_name"})  # follow the name
# Half of an old name, or an old INN with a new form, would be nobody's: these go back together or not at all.
_TOGETHER: Final = (
    frozenset({"last_name", "first_name", "middle_name", "short_name", "full_name"}) | _OF_NAME,
    frozenset({"form", "inn", "kpp", "ogrn"}),
    frozenset({"owner_id", "team_id"}),
)


def detail_of(party_type: str) -> Any:
    """The class of a party's other half."""
    return Person if party_type == PERSON else Organisation


async def stored_rows(session: AsyncSession, party_id: int, party_type: str) -> dict[str, Any]:
    """Both rows of a party as one JSON object."""
    detail = detail_of(party_type).__tablename__
    query = f"select to_jsonb(p) || to_jsonb(d) from party p join {detail} d on d.party_id = p.id where p.id = :id"  # noqa: S608
    row: dict[str, Any] = (await session.execute(text(query), {"id": party_id})).scalar_one()
    return row


def to_give_back(
    log: MergeLog,
    present: Mapping[str, Any],
    *,
    by_itself: Collection[str],
    together: Iterable[Collection[str]] = (),
) -> tuple[dict[str, Any], set[str]]:
    """The values from before the merge of every field that still has the merge's, and the fields that people changed since.

    Args:
        present: the survivor's row now. by_itself: what every write changes. together: fields that go back all or not at all.
    """
    changed = {
        name for name, old in log.before.items() if name not in by_itself and old != log.after.get(name)
    }
    stays = {name for name in changed if present[name] != log.after[name]}
    for group in map(set, together):
        if stays & group or any(present[name] != log.after.get(name) for name in group if name in present):
            stays |= changed & group
    return {name: log.before[name] for name in changed - stays}, stays


async def give_back_values(
    session: AsyncSession, access: Access, log: MergeLog, survivor: Party, via: str
) -> list[Left]:
    """Each field that still has the value of the merge gets the one from before; what people changed since stays."""
    present = await stored_rows(session, survivor.id, survivor.type)
    back, stays = to_give_back(log, present, by_itself=_BY_ITSELF, together=_TOGETHER)
    detail = detail_of(survivor.type)
    for table, key in ((Party.__table__, "id"), (detail.__table__, "party_id")):
        columns = {column.name for column in table.c}
        of_table = {name: value for name, value in back.items() if name in columns}
        await put_values(session, str(table), key, survivor.id, of_table)
    before = {name: present[name] for name in back}
    await record_change(session, access, "party", survivor.id, before=before, after=back, via=via)
    moved_on = {"version": Party.version + 1}
    await session.execute(update(Party).where(Party.id == survivor.id).values(moved_on))
    told = stays - _OF_NAME
    return [Left(reference="party", count=len(told), why="elsewhere")] if told else []


async def give_back_inn(session: AsyncSession, log: MergeLog, survivor: Party) -> list[Left]:
    """The INN that the merged ones gave free, unless somebody has it now."""
    detail = detail_of(survivor.type)
    taken = 0
    for merged_id, kept in log.merged.items():
        if kept["inn"] is None:
            continue
        try:
            async with session.begin_nested():
                of_merged = update(detail).where(detail.party_id == int(merged_id))
                await session.execute(of_merged.values(inn=kept["inn"]))
        except IntegrityError:
            taken += 1
    return [Left(reference=f"{detail.__tablename__}.inn", count=taken, why="taken")] if taken else []


async def put_values(
    session: AsyncSession, table: str, key: str, record_id: int, values: Mapping[str, Any]
) -> None:
    """Write values that the database told as JSON. `table`, `key`, the names: ours."""
    if not values:
        return
    put = ", ".join(f"{name} = r.{name}" for name in values)
    query = text(
        f"update {table} t set {put} from jsonb_populate_record(null::{table}, cast(:row as jsonb)) r "  # noqa: S608
        f"where t.{key} = :id"
    )
    await session.execute(query, {"id": record_id, "row": msgspec.json.encode(dict(values)).decode()})
