"""What an import writes down about its own doing: the same rows of the change log and the outbox as a form leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# One array for both journals: a row a field for the one, a row a change for the other. The shown name follows from the names
# beside it, and no history shows it (`crm.history`): it is told to outside programs only.
_WRITE: Final = text(
    """
    with told as materialized (
        select r.place, r.type, r.kind, r.id, r.before, r.after
        from rows from (jsonb_to_recordset(cast(:rows as jsonb)) as (type text, kind text, id text, before jsonb,
            after jsonb)) with ordinality as r (type, kind, id, before, after, place)
    ), published as (
        insert into outbox_event (tx, type, record_kind, record_id, before, after, actor_id)
        select (select feed_tx()), type, kind, id, before, after, :actor from told order by place
    )
    insert into change_log (record_kind, record_id, field, old, new, actor_id, via, request_id)
    select told.kind, told.id, field.key, nullif(told.before -> field.key, 'null'), nullif(field.value, 'null'), :actor,
        'import', :request
    from told cross join lateral jsonb_each(told.after) as field
    where field.key <> 'display_name'
    """
)
_UNTOLD: Final[tuple[object, ...]] = (None, "", False, [], {})


class Trail:
    """Gathers what a batch changes, and writes it in one statement."""

    def __init__(self, actor_id: int | None, job_id: int) -> None:
        self._actor_id = actor_id
        self._request = request_of(job_id)
        self._events: list[dict[str, Any]] = []

    def changed(
        self, party_id: int, event: str, after: Mapping[str, Any], before: Mapping[str, Any] | None = None
    ) -> None:
        """A party that was there, or its numbers, addresses and contacts; with `before`, only what differs is given."""
        self._note("party", party_id, event, before or {}, dict(after) if before else _told(after))

    def number_shared(self, number_id: int) -> None:
        self._note("number", number_id, "number.changed", {"usage": "direct"}, {"usage": "shared"})

    def _note(
        self,
        kind: str,
        record_id: int,
        event: str,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
    ) -> None:
        """All values came as JSON, from the child or from the database, and go as such."""
        told = {"type": event, "kind": kind, "id": str(record_id), "before": before, "after": after}
        self._events.append(told)

    async def write(self, session: AsyncSession) -> None:
        """All that was gathered."""
        if self._events:
            rows = await asyncio.to_thread(msgspec.json.encode, self._events)
            asked = {"rows": rows.decode(), "actor": self._actor_id, "request": self._request}
            await session.execute(_WRITE, asked)


def request_of(job_id: int) -> str:
    """What the change log calls an import by."""
    return f"import-{job_id}"


def _told(after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if value not in _UNTOLD and name != "sort_name"}
