"""What somebody has typed into a form and not yet saved: kept on the server, until it is saved or thrown away."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import storable
from crm.errors import Invalid
from crm.rights import Access
from crm.schema.views import Draft

MOST_CHARACTERS: Final = 50_000  # of all fields together
MOST_FIELDS: Final = 100
MOST_DRAFTS: Final = 50  # of one user; the oldest make room
KEPT_FOR: Final = timedelta(days=30)
PARTY_EDIT: Final = "party.edit"  # the form of a party's card, with the party's id as its record

Fields = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDraft:
    """A form as it was left: each field's values, several where it has several."""

    fields: Fields
    updated_at: datetime


async def keep_draft(session: AsyncSession, access: Access, form: str, record: str, fields: Fields) -> None:
    """Keep what is typed now in place of what was kept before. Raises Invalid: too much for a form."""
    size = sum(len(name) + sum(map(len, values)) for name, values in fields.items())
    if len(fields) > MOST_FIELDS or size > MOST_CHARACTERS:
        raise Invalid("draft", size, "This is too much for a draft. Save the form.")
    kept = {storable(name): [storable(value) for value in values] for name, values in fields.items()}
    row = {"user_id": access.user_id, "form": form, "record": record, "fields": kept}
    new = upsert(Draft).values(**row, updated_at=func.now())
    await session.execute(
        new.on_conflict_do_update(
            index_elements=["user_id", "form", "record"], set_={"fields": kept, "updated_at": func.now()}
        )
    )
    await _sweep(session, access)


async def draft_of(session: AsyncSession, access: Access, form: str, record: str) -> StoredDraft | None:
    """What this user left in this form; None if nothing."""
    row = await session.scalar(
        select(Draft).where(_is(access, form, record)).execution_options(populate_existing=True)
    )
    return StoredDraft(fields=row.fields, updated_at=row.updated_at) if row else None


async def drafted_since(
    session: AsyncSession, access: Access, form: str, records: Collection[str], since: datetime
) -> frozenset[str]:
    """In which of these this user typed since then what is not saved."""
    mine = (Draft.user_id == access.user_id) & (Draft.form == form) & (Draft.updated_at >= since)
    return frozenset(await session.scalars(select(Draft.record).where(mine, Draft.record.in_(records))))


async def drop_draft(session: AsyncSession, access: Access, form: str, record: str) -> None:
    """It was saved, or is not wanted."""
    await session.execute(delete(Draft).where(_is(access, form, record)))


async def _sweep(session: AsyncSession, access: Access) -> None:
    mine = Draft.user_id == access.user_id
    newest = select(Draft.form, Draft.record).where(mine).order_by(Draft.updated_at.desc()).limit(MOST_DRAFTS)
    kept = newest.subquery()
    is_kept = select(kept.c.form).where(kept.c.form == Draft.form, kept.c.record == Draft.record).exists()
    await session.execute(delete(Draft).where(mine, ~is_kept).execution_options(synchronize_session=False))
    old = Draft.updated_at < func.now() - KEPT_FOR
    await session.execute(delete(Draft).where(mine, old).execution_options(synchronize_session=False))


def _is(access: Access, form: str, record: str) -> ColumnElement[bool]:
    return (Draft.user_id == access.user_id) & (Draft.form == form) & (Draft.record == record)
