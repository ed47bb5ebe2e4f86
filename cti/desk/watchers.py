"""Who watches the board: each watcher is told of the calls within their rights."""

from __future__ import annotations

from datetime import datetime

from cti.desk import board
from cti.desk.directory import Directory
from cti.desk.messages import Message, Sight
from cti.desk.seats import PresentCall


class Watchers:
    """By the watcher's own number: two sockets of one user may see differently far."""

    def __init__(self) -> None:
        self._watchers: dict[int, tuple[int, Sight]] = {}  # (user, how far)

    def add(self, watcher: int, user_id: int, sight: Sight) -> None:
        self._watchers[watcher] = user_id, sight

    def remove(self, watcher: int) -> None:
        self._watchers.pop(watcher, None)

    def users(self) -> set[int]:
        return {user_id for user_id, _ in self._watchers.values()}

    def tell(
        self,
        call: PresentCall,
        message_type: str,
        at: datetime | None,
        *,
        directory: Directory,
        extension: str | None = None,
    ) -> list[Message]:
        """What everybody who may see this call is told; `extension`: the one that the event is about."""
        return [
            Message(
                user_id=user_id,
                type=message_type,
                data=board.picture(call, directory, sight, extension),
                at=at,
                seq=None,
                topic="calls",
                watcher=watcher,
            )
            for watcher, (user_id, sight) in self._watchers.items()
            if board.is_seen(call, directory, sight)
        ]
