"""What befell callers who were missed, told at the end of the journal's transaction: to pages, and to programs by the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.callback_states import CALLBACK_CHANNEL
from crm.changes import as_json, differing
from crm.schema.journals import OutboxEvent

# What a program is told of a case, as `crm.callbacks.CaseInfo` names it.
FIELDS: Final = (
    "e164", "state", "team_id", "line_id", "party_id", "contact_id", "missed_count", "first_missed_at", "last_missed_at",
    "due_at", "taken_by_id", "taken_until", "attempts", "reacted_at", "resolved_at", "resolved_by_id", "resolving_call_id",
    "close_reason",
)  # fmt: skip
_PICTURES: Final = text(f"select id, {', '.join(FIELDS)} from callback_case where id = any(:cases)")  # noqa: S608
_NOTIFY: Final = text("select pg_notify(:channel, payload) from unnest(cast(:payloads as text[])) payload")


@dataclass(frozen=True, slots=True)
class _Event:
    what: str  # opened, changed, resolved
    case_id: int
    team_id: int | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(slots=True)
class CaseNews:
    """What to tell at the end: of each case what happened to it, in order, with the fields that changed."""

    _events: list[_Event] = field(default_factory=list)
    _pending: list[tuple[str, int, int | None]] = field(default_factory=list)
    _known: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def seen(self, case: Any) -> None:
        """A row as it stood before anything is written; the first of this transaction counts."""
        self._known.setdefault(case.id, _picture(case))

    def add(self, what: str, case_id: int, team_id: int | None) -> None:
        """Something was written; `describe` reads what, before more is."""
        self._pending.append((what, case_id, team_id))

    async def describe(self, session: AsyncSession) -> None:
        """Read how the cases stand now; what differs from how they stood is told."""
        if not self._pending:
            return
        cases = sorted({case_id for _what, case_id, _team in self._pending})
        rows = {row.id: _picture(row) for row in await session.execute(_PICTURES, {"cases": cases})}
        for what, case_id, team_id in self._pending:
            before, after = self._known.get(case_id), rows.get(case_id)
            self._events.append(_Event(what, case_id, team_id, before, after))
            if after is not None:
                self._known[case_id] = after
        self._pending.clear()

    async def tell(self, session: AsyncSession) -> None:
        """To pages at commit, and to programs by the outbox."""
        await self.describe(session)
        if not self._events:
            return
        payloads = [f"{each.what} {each.case_id} {each.team_id or 0}" for each in self._events]
        await session.execute(_NOTIFY, {"channel": CALLBACK_CHANNEL, "payloads": payloads})
        await session.execute(insert(OutboxEvent), _outbox_rows(self._events))


def _picture(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FIELDS}


def _outbox_rows(events: Sequence[_Event]) -> list[dict[str, Any]]:
    rows = []
    for each in events:
        fields = differing(each.before or {}, each.after or {})
        old = None if each.before is None else {name: as_json(value) for name, (value, _) in fields.items()}
        new = None if each.after is None else {name: as_json(value) for name, (_, value) in fields.items()}
        rows.append(
            {
                "type": f"callback.{each.what}",
                "record_kind": "callback_case",
                "record_id": str(each.case_id),
                "before": old,
                "after": new,
            }
        )
    return rows
