"""The calls that are known now, by our id and by those that their PBXs gave them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from uuid import UUID

from cti.desk.seats import PresentCall

KEPT_CALLS = 20_000


class PresentCalls:
    """Oldest first."""

    def __init__(self) -> None:
        self._calls: OrderedDict[UUID, PresentCall] = OrderedDict()
        self._ids: dict[tuple[int, str], UUID] = {}  # by connection and linked id

    def __iter__(self) -> Iterator[PresentCall]:
        return iter(self._calls.values())

    def __getitem__(self, call_id: UUID) -> PresentCall:
        return self._calls[call_id]

    def get(self, call_id: UUID) -> PresentCall | None:
        return self._calls.get(call_id)

    def known_as(self, connection_id: int, linked_id: str) -> PresentCall | None:
        call_id = self._ids.get((connection_id, linked_id))
        return self._calls.get(call_id) if call_id else None

    def add(self, call: PresentCall) -> None:
        self._calls[call.id] = call

    def learn(self, call: PresentCall) -> None:
        """Its record has come: from now on the call is known by the record's key as well."""
        self._ids.setdefault((call.connection_id, call.record.key), call.id)

    def rename(self, call: PresentCall, stored_id: UUID) -> None:
        """The journal knows it by an earlier id; `was` tells by which it was known until now."""
        del self._calls[call.id]
        call.id, call.was = stored_id, call.id
        self._calls[stored_id] = call
        for linked_id in (call.record.key, *call.record.linked_ids):
            self._ids[call.connection_id, linked_id] = stored_id

    def remove(self, call: PresentCall) -> None:
        self._calls.pop(call.id, None)
        for linked_id in {call.record.key, *call.record.linked_ids}:
            if self._ids.get((call.connection_id, linked_id)) == call.id:
                del self._ids[call.connection_id, linked_id]

    def overdue(self) -> PresentCall | None:
        """Which call must go before another comes; None while there is room."""
        if len(self._calls) < KEPT_CALLS:
            return None
        return next((call for call in self if call.is_ended), None) or next(iter(self))
