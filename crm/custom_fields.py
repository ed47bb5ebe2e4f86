"""Fields of the company's own: their definitions, and the one function that checks values before they are stored.

Values stand in the record's `custom` column by the field's key. Forms for them come later; programs write them by the API.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.based_changes import check_version
from crm.changes import differing, record_change, storable
from crm.errors import Invalid, NotFound, Taken
from crm.names import checked_name
from crm.party_access import editable_party
from crm.rights import Access
from crm.schema.directories import CustomField
from crm.schema.parties import Party

PARTY: Final = "party"
TYPES: Final = ("text", "number", "date", "flag", "choice")
MAX_TEXT: Final = 2000
MOST_FIELDS: Final = 100
MOST_OPTIONS: Final = 100
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
Value = str | float | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """A field of the company's own. `options`: what a choice is chosen from."""

    id: int
    record_kind: str
    key: str
    name: str
    type: str  # text, number, date, flag, choice
    options: tuple[str, ...]
    archived_at: datetime | None
    version: int


async def list_fields(session: AsyncSession, record_kind: str = PARTY) -> list[FieldInfo]:
    """The fields of a kind of record, by their keys; archived ones, too."""
    query = select(CustomField).where(CustomField.record_kind == record_kind).order_by(CustomField.key)
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [_info(row) for row in rows]


async def read_field(session: AsyncSession, field_id: int) -> FieldInfo:
    """One of them. Raises NotFound."""
    return await _field(session, field_id)


async def add_field(
    session: AsyncSession,
    access: Access,
    *,
    key: str,
    name: str,
    type: str,  # noqa: A002 - what a field's kind of value is called everywhere
    options: Collection[str] = (),
    record_kind: str = PARTY,
    via: str = "api",
) -> FieldInfo:
    """A new field. Its key and its type stay for good: values are stored under them.

    Raises:
        NotAllowed, Invalid, Taken (the key, also an archived field's).
    """
    access.require("directory.manage")
    if record_kind != PARTY:
        raise Invalid("record_kind", record_kind, "Own fields are there for parties: choose party.")
    if not _KEY.fullmatch(key):
        raise Invalid(
            "key", key, "A key has 1 to 40 small Latin letters, digits and _, and begins with a letter."
        )
    if type not in TYPES:
        raise Invalid("type", type, "Choose one of: %(allowed)s.", allowed=", ".join(TYPES))
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended('custom_field', 0))"))
    present = await list_fields(session, record_kind)
    if key in {each.key for each in present}:
        raise Taken("key", key)
    if len(present) >= MOST_FIELDS:
        raise Invalid("key", key, "There are at most %(most)d own fields.", most=MOST_FIELDS)
    row = {
        "record_kind": record_kind,
        "key": key,
        "name": checked_name(name),
        "type": type,
        "options": _checked_options(type, options),
    }
    field_id = (await session.execute(insert(CustomField).values(row).returning(CustomField.id))).scalar_one()
    await record_change(session, access, "custom_field", field_id, after=row, via=via)
    return await _field(session, field_id)


async def edit_field(
    session: AsyncSession,
    access: Access,
    field_id: int,
    *,
    name: str,
    options: Collection[str] = (),
    is_archived: bool = False,
    version: int | None = None,
    via: str = "api",
) -> FieldInfo:
    """Another name, other options, archived or back. Values that are stored stay.

    Args:
        version: that the change is based on; None: whatever it is.

    Raises:
        NotAllowed, NotFound, Invalid, Conflict (somebody changed it meanwhile).
    """
    access.require("directory.manage")
    await session.execute(select(CustomField.id).where(CustomField.id == field_id).with_for_update())
    found = await _field(session, field_id)
    archived_at = (found.archived_at or datetime.now(UTC)) if is_archived else None
    after = {
        "name": checked_name(name),
        "options": _checked_options(found.type, options),
        "archived_at": archived_at,
    }
    before = {"name": found.name, "options": [*found.options], "archived_at": found.archived_at}
    if not (changed := differing(before, after)):
        return found
    await check_version(session, "custom_field", field_id, found.version, version, changed)
    await record_change(session, access, "custom_field", field_id, before=before, after=after, via=via)
    values = {**after, "version": found.version + 1}
    await session.execute(update(CustomField).where(CustomField.id == field_id).values(values))
    return await _field(session, field_id)


async def checked_custom(
    session: AsyncSession,
    given: Mapping[str, Any],
    *,
    stored: Mapping[str, Any] | None = None,
    record_kind: str = PARTY,
) -> dict[str, Any]:
    """The `custom` column to store: what is stored, with what is given. Every route that writes the column calls this.

    Args:
        given: key → value; None takes the value away. What is not named stays.

    Raises:
        Invalid: a key that no field has, or a value that does not fit its field.
    """
    if not given:
        return dict(stored or {})
    return with_custom(await list_fields(session, record_kind), given, stored or {})


def with_custom(
    present: Collection[FieldInfo], given: Mapping[str, Any], stored: Mapping[str, Any]
) -> dict[str, Any]:
    """The same with the fields at hand. Pure. Raises Invalid."""
    fields = {each.key: each for each in present}
    kept = dict(stored)
    for key, value in given.items():
        field = fields.get(key)
        if field is None or (field.archived_at is not None and value is not None):
            known = ", ".join(each.key for each in fields.values() if each.archived_at is None) or "—"
            why = "There is no own field “%(key)s”. There are: %(known)s."
            raise Invalid("custom", key, why, key=key[:50], known=known)
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = _checked(field, value)
    return kept


async def set_custom(
    session: AsyncSession,
    access: Access,
    party_id: int,
    given: Mapping[str, Any],
    *,
    version: int | None = None,
    via: str = "api",
) -> tuple[dict[str, Any], int]:
    """Write values of own fields of a party; what is not named stays, None takes a value away.

    Args:
        version: of the party, as it was read; None: the last change wins.

    Returns all values, and the party's version now.

    Raises:
        NotAllowed, NotFound, Invalid, Conflict (the party was changed meanwhile).
    """
    party = await editable_party(session, access, party_id)
    before = dict(party.custom)
    sent = {f"custom.{key}": (before.get(key), value) for key, value in given.items()}
    await check_version(session, PARTY, party.id, party.version, version, sent)
    after = await checked_custom(session, given, stored=before)
    told = ({f"custom.{key}": value for key, value in each.items()} for each in (before, after))
    old, new = told
    now = party.version
    if await record_change(session, access, "party", party.id, before=old, after=new, via=via):
        now += 1
        changed = {"custom": after, "version": now, "updated_at": func.now()}
        await session.execute(update(Party).where(Party.id == party.id).values(changed))
    return after, now


def _checked(field: FieldInfo, value: object) -> Value:
    match field.type, value:
        case "text", str() if len(value) <= MAX_TEXT and storable(value) == value:
            return value.strip()
        case "number", bool():
            pass  # true is no number, though Python counts with it
        case "number", int() | float() if abs(value) < 10**15:  # neither endless nor no number
            return value
        case "date", str() if _is_date(value):
            return value
        case "flag", bool():
            return value
        case "choice", str() if value in field.options:
            return value
    raise Invalid("custom", field.key, _WHY[field.type], key=field.key, options=", ".join(field.options))


_WHY: Final = {
    "text": "“%(key)s” is a text of at most 2000 characters.",
    "number": "“%(key)s” is a number.",
    "date": "“%(key)s” is a date, written as 2027-12-31.",
    "flag": "“%(key)s” is true or false.",
    "choice": "“%(key)s” is one of: %(options)s.",
}


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _checked_options(field_type: str, options: Collection[str]) -> list[str]:
    cleaned = list(dict.fromkeys(checked_name(each, "options") for each in options))
    if field_type != "choice" and cleaned:
        raise Invalid("options", cleaned[0], "Only a choice has options.")
    if field_type == "choice" and not 1 <= len(cleaned) <= MOST_OPTIONS:
        raise Invalid("options", "", "A choice has 1 to %(most)d options.", most=MOST_OPTIONS)
    return cleaned


async def _field(session: AsyncSession, field_id: int) -> FieldInfo:
    query = select(CustomField).where(CustomField.id == field_id)
    row = await session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        raise NotFound("custom_field", field_id)
    return _info(row)


def _info(row: CustomField) -> FieldInfo:
    return FieldInfo(
        id=row.id,
        record_kind=row.record_kind,
        key=row.key,
        name=row.name,
        type=row.type,
        options=tuple(row.options),
        archived_at=row.archived_at,
        version=row.version,
    )
