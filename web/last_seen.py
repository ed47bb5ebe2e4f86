"""Whom the database let in lately: while it is away, a browser that lost its socket hears its calls again (invariant I13).

For the live socket, which tells one's own calls, and for a hand on these calls (routes with `while_away`). Whoever was blocked, signed out or got other
rights is forgotten at once, and everybody is asked about again as soon as the database answers.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from crm.rights import Access
from web.gate import Credential

BELIEVED_SECONDS: Final = 600.0
MOST_BELIEVED: Final = 5_000


class LastSeen:
    """In memory only; when full, whoever was seen longest ago goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[Credential, tuple[Access, float]] = OrderedDict()

    def note(self, credential: Credential, access: Access | None) -> None:
        """What the database said at this moment; None: the credential opens nothing any more."""
        self._seen.pop(credential, None)
        if access is not None:
            self._seen[credential] = (access, self._clock())
        if len(self._seen) > MOST_BELIEVED:
            self._seen.popitem(last=False)

    def of(self, credential: Credential) -> Access | None:
        """What the bearer might do when last asked about; None if that is too long ago."""
        access, at = self._seen.get(credential, (None, 0.0))
        return access if self._clock() - at < BELIEVED_SECONDS else None

    def forget_user(self, user_id: int) -> None:
        for credential in [each for each, (access, _at) in self._seen.items() if access.user_id == user_id]:
            del self._seen[credential]

    def forget_everybody(self) -> None:
        self._seen.clear()
