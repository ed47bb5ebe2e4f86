"""The journals that every write leaves: change log, access log, outbox; in the transaction of the write itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access
from crm.schema.access import User
from crm.schema.journals import AccessLog, ChangeLog, OutboxEvent

SECRET_FIELDS: Final = frozenset({"password", "password_hash", "secret", "token", "token_hash"})
HIDDEN: Final = "•••"  # that a secret changed is told, never what it was

ACCESS_CHANNEL: Final = (
    "ringcard_access"  # payload: the id of the user whose sessions, tokens or rights changed
)
PARTIES_CHANNEL: Final = (
    "ringcard_parties"  # payload: nothing; who answers to a number may be another party now
)
DIRECTORY_CHANNEL: Final = "ringcard_directory"  # payload: what changed: connection, line, extension, profile


async def record_change(
    session: AsyncSession,
    access: Access,
    record_kind: str,
    record_id: object,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    event: str | None = None,
    via: str = "form",
    request_id: str | None = None,
) -> dict[str, tuple[Any, Any]]:
    """Write down what changed, a row a field, and one outbox event. Returns field → (old, new); {} writes nothing.

    Args:
        before: None for a new record. after: None for a record that goes.
        event: the outbox event's type; by default "party.created", "party.changed" or "party.deleted".
        via: form, call_window, api, import, command.
    """
    fields = differing(before or {}, after or {})
    if not fields:
        return fields
    common = {"record_kind": record_kind, "record_id": str(record_id), "actor_id": access.actor_id}
    log = [
        {
            **common,
            "field": name,
            "old": _stored(name, old),
            "new": _stored(name, new),
            "via": via,
            "request_id": request_id,
        }
        for name, (old, new) in fields.items()
    ]
    await session.execute(insert(ChangeLog), log)
    verb = "created" if before is None else "deleted" if after is None else "changed"
    await publish(
        session,
        access,
        event or f"{record_kind}.{verb}",
        record_kind,
        record_id,
        before=None if before is None else {name: _stored(name, old) for name, (old, _) in fields.items()},
        after=None if after is None else {name: _stored(name, new) for name, (_, new) in fields.items()},
    )
    return fields


async def record_many(
    session: AsyncSession,
    access: Access,
    record_kind: str,
    changes: Mapping[int, tuple[Mapping[str, Any], Mapping[str, Any]]],
    *,
    event: str | None = None,
    via: str = "form",
    request_id: str | None = None,
) -> None:
    """What one action changed in many records (id → before, after), as `record_change` writes it, in two statements."""
    log: list[dict[str, Any]] = []
    events: list[dict[str, Any]] = []
    for record_id, (before, after) in changes.items():
        fields = differing(before, after)
        common = {"record_kind": record_kind, "record_id": str(record_id), "actor_id": access.actor_id}
        kept = {name: (_stored(name, old), _stored(name, new)) for name, (old, new) in fields.items()}
        log += [
            {**common, "field": name, "old": old, "new": new, "via": via, "request_id": request_id}
            for name, (old, new) in kept.items()
        ]
        sides = {"before": {n: v[0] for n, v in kept.items()}, "after": {n: v[1] for n, v in kept.items()}}
        events.append({**common, "type": event or f"{record_kind}.changed", **sides})
    if log:
        await session.execute(insert(ChangeLog), log)
        await session.execute(insert(OutboxEvent), events)


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Field → (old, new) where they differ; a field that one side lacks is None there."""
    names = dict.fromkeys([*before, *after])
    return {
        name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)
    }


async def last_author(session: AsyncSession, record_kind: str, record_id: object) -> str:
    """The name of whoever changed a record last, "—" if nobody did: whom a conflict names."""
    name = await session.scalar(
        select(User.name)
        .join(ChangeLog, ChangeLog.actor_id == User.id)
        .where(ChangeLog.record_kind == record_kind, ChangeLog.record_id == str(record_id))
        .order_by(ChangeLog.id.desc())
        .limit(1)
    )
    return name or "—"


async def publish(
    session: AsyncSession,
    access: Access,
    event: str,
    record_kind: str,
    record_id: object,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """An outbox event: the only source of live events, webhooks and scenarios about records."""
    row = {
        "type": event,
        "record_kind": record_kind,
        "record_id": str(record_id),
        "before": before,
        "after": after,
        "actor_id": access.actor_id,
    }
    await session.execute(insert(OutboxEvent), [row])


async def publish_many(
    session: AsyncSession, access: Access, event: str, record_kind: str, record_ids: Iterable[object]
) -> None:
    """One event about each of several records, in one statement."""
    common = {"type": event, "record_kind": record_kind, "actor_id": access.actor_id}
    rows = [{**common, "record_id": str(record_id)} for record_id in record_ids]
    if rows:
        await session.execute(insert(OutboxEvent), rows)


async def log_access(
    session: AsyncSession,
    event: str,
    access: Access | None,
    *,
    login: str | None = None,
    from_address: str | None = None,
    record_kind: str | None = None,
    record_id: object = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """A row of the access log: sign-ins, refused ones, refused rights, exports, secrets and roles changed."""
    row = {
        "event": event,
        "actor_id": access and access.actor_id,
        "login": login or (access.login if access else None),
        "from_address": from_address,
        "record_kind": record_kind,
        "record_id": None if record_id is None else str(record_id),
        "detail": {name: _stored(name, value) for name, value in (detail or {}).items()},
    }
    await session.execute(insert(AccessLog), [row])


async def notify(session: AsyncSession, channel: str, payload: object) -> None:
    """Tell running programs at commit; the same payload twice in one transaction is told once."""
    await session.execute(
        text("select pg_notify(:channel, :payload)"), {"channel": channel, "payload": str(payload)}
    )


def _stored(name: str, value: Any) -> Any:
    if name in SECRET_FIELDS:
        return None if value is None else HIDDEN
    return as_json(value)


def as_json(value: Any) -> Any:
    """A value as JSON can keep it."""
    match value:
        case Enum():
            return value.value
        case str():
            return storable(value)
        case datetime() | date():
            return value.isoformat()
        case UUID():
            return str(value)
        case Mapping():
            return {str(key): as_json(each) for key, each in value.items()}
        case set() | frozenset():
            return sorted(as_json(each) for each in value)
        case list() | tuple():
            return [as_json(each) for each in value]
        case _:
            return value


def storable(text: str) -> str:
    """Text that PostgreSQL takes: no NUL, no bytes that were no UTF-8 (half surrogate pairs)."""
    if text.isascii() and text.isprintable():
        return text
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
