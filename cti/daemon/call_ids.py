"""Our ids of calls: made here when a call is first told, so that nothing waits for the database."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from uuid import UUID

from crm.schema.base import uuid7
from cti.calls.records import CallRecord

MOST_KNOWN = 50_000  # linked ids; beyond that the oldest are forgotten, ended calls long before


class CallIds:
    """(connection, linked id) → our id. A call keeps its id whichever of its linked ids it is named by."""

    def __init__(self) -> None:
        self._ids: OrderedDict[tuple[int, str], UUID] = OrderedDict()

    def of(self, connection_id: int, call: CallRecord) -> UUID:
        """The id of this call, made now if it has none; its oldest linked id decides."""
        keys = [(connection_id, key) for key in dict.fromkeys((call.key, *call.linked_ids))]
        known = next((self._ids[key] for key in keys if key in self._ids), None)
        found = known or uuid7()
        for key in keys:
            if key not in self._ids:
                self._remember(key, found)
        return found

    def learn(self, connection_id: int, call_id: UUID, linked_ids: Iterable[str]) -> None:
        """The journal knows this call already: from an earlier run, or under an earlier id."""
        for linked_id in linked_ids:
            self._remember((connection_id, linked_id), call_id)

    def join(self, connection_id: int, absorbed_key: str, survivor: UUID) -> UUID | None:
        """The absorbed call's linked id names the survivor from now on; the id it had, if another."""
        absorbed = self._ids.get((connection_id, absorbed_key))
        self._remember((connection_id, absorbed_key), survivor)
        return absorbed if absorbed != survivor else None

    def _remember(self, key: tuple[int, str], call_id: UUID) -> None:
        self._ids[key] = call_id
        self._ids.move_to_end(key)
        while len(self._ids) > MOST_KNOWN:
            self._ids.popitem(last=False)
