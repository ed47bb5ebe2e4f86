"""The messages of one user: numbered without gaps, the latest kept for those who come back."""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta

from cti.desk.messages import Data, Message

KEPT_MESSAGES = 256  # of the last minutes; a busy day of hundreds of agents shall not cost memory for hours
KEPT_ALWAYS = 64  # however old
KEPT_FOR = timedelta(minutes=2)
KEPT_MAILBOXES = 5_000


class Mailbox:
    """One user's numbering and ring buffer. When full, the oldest message goes: whoever needs it gets a new hello."""

    __slots__ = ("_kept", "epoch", "seq", "user_id")

    def __init__(self, user_id: int, epoch: str) -> None:
        self.user_id = user_id
        self.epoch = epoch
        self.seq = 0
        self._kept: deque[Message] = deque(maxlen=KEPT_MESSAGES)

    def put(self, message_type: str, data: Data, at: datetime | None) -> Message:
        self.seq += 1
        message = Message(user_id=self.user_id, type=message_type, data=data, at=at, seq=self.seq)
        self._kept.append(message)
        self._let_go(at)
        return message

    def _let_go(self, now: datetime | None) -> None:
        """What is old, of more than are kept always. A message of an unknown moment goes when it is the oldest."""
        while now is not None and len(self._kept) > KEPT_ALWAYS:
            oldest = self._kept[0].at
            if oldest is not None and now - oldest < KEPT_FOR:
                return
            self._kept.popleft()

    def since(self, epoch: str, seq: int) -> list[Message] | None:
        """What came after `seq`; None if that is not kept (any more) and a new hello is due."""
        if epoch != self.epoch or not 0 <= seq <= self.seq or self.seq - seq > len(self._kept):
            return None
        return list(self._kept)[len(self._kept) - (self.seq - seq) :]


class Mailboxes:
    """All users' mailboxes. When there are too many, the one unused for longest goes, and its epoch with it."""

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._made = 0
        self._boxes: OrderedDict[int, Mailbox] = OrderedDict()

    def of(self, user_id: int) -> Mailbox:
        box = self._boxes.get(user_id)
        if box is None:
            box = self._make(user_id)
        self._boxes.move_to_end(user_id)
        return box

    def users(self) -> list[int]:
        """Everyone who has been here since the start."""
        return list(self._boxes)

    def _make(self, user_id: int) -> Mailbox:
        self._made += 1
        box = self._boxes[user_id] = Mailbox(user_id, f"{self._epoch}.{self._made}")
        if len(self._boxes) > KEPT_MAILBOXES:
            self._boxes.popitem(last=False)
        return box
