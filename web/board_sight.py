"""How far somebody sees on the live board: what the desk asks before it tells of a call, an agent or a queue."""

from __future__ import annotations

from collections.abc import Iterable

from crm.rights import Access


class BoardSight:
    """How far a user sees on the live board."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @property
    def shows_parties(self) -> bool:
        return self._access.may("party.read")

    def covers(self, *, users: Iterable[int | None], teams: Iterable[int | None]) -> bool:
        return self._access.covers("live.board", users=users, teams=teams)
