"""What an import writes down about its own doing: the same rows of the change log and the outbox as a form leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_CHANGES: Final = text(
    """
    insert into change_log (record_kind, record_id, field, old, new, actor_id, via, request_id)
    select r.kind, r.id, r.field, r.old, r.new, :actor, 'import', :request
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (kind text, id text, field text, old jsonb, new jsonb)
    """
)
_EVENTS: Final = text(
    """
    insert into outbox_event (type, record_kind, record_id, before, after, actor_id)
    select r.type, r.kind, r.id, r.before, r.after, :actor
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (type text, kind text, id text, before jsonb, after jsonb)
    """
)
_UNTOLD: Final[tuple[object, ...]] = (None, "", False, [])


class Trail:
    """Gathers what a batch changes, and writes it in two statements."""

    def __init__(self, actor_id: int | None, job_id: int) -> None:
        self._actor_id = actor_id
        self._request = f"import-{job_id}"
        self._changes: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []

    def created(self, party_id: int, after: Mapping[str, Any]) -> None:
        """A new party, with what is known of it."""
        self._note("party", party_id, "party.created", None, _told(after))

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
        common = {"kind": kind, "id": str(record_id)}
        was = before or {}
        self._changes += [
            {**common, "field": name, "old": was.get(name), "new": new} for name, new in after.items()
        ]
        self._events.append({**common, "type": event, "before": before, "after": after})

    async def write(self, session: AsyncSession) -> None:
        """All that was gathered."""
        common = {"actor": self._actor_id}
        if self._changes:
            rows = msgspec.json.encode(self._changes).decode()
            await session.execute(_CHANGES, {"rows": rows, "request": self._request, **common})
        if self._events:
            await session.execute(_EVENTS, {"rows": msgspec.json.encode(self._events).decode(), **common})


def _told(after: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if value not in _UNTOLD and name != "sort_name"}
