"""The telephone on the screen, as the web sees it: who may dial from where, a click, a hand on a call. `cti.daemon` fits it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from crm.dial_requests import DialInfo
from crm.dial_rules import Policy
from crm.dialling_policy import Judged
from crm.errors import CrmError
from crm.rights import Access
from cti.numbers import Number

CONTROLS: Final = (
    *("hang_up", "decline", "deflect", "transfer", "consult"),
    *("cancel_consult", "park", "mute", "unmute", "keys", "pause_recording", "resume_recording"),
)


class NotOffered(CrmError):
    """The call does not stand so, or the PBX's account may not ask for it."""

    template = "“%(control)s” is not possible for this call now. Look at what its window offers."
    field = "action"

    def __init__(self, control: str) -> None:
        super().__init__(control=control)


class NotJudged(CrmError):
    """The database does not answer, and what is in memory does not tell whether this number may be called."""

    template = (
        "The database does not answer, so nobody can say whether %(number)s may be called. "
        "Pass the call on to a colleague’s extension, or at your telephone."
    )
    field = "to"

    def __init__(self, number: str) -> None:
        super().__init__(number=number)


class NowhereToDial(CrmError):
    """The user sits at no telephone that can be rung for them."""

    template = (
        "You sit at no extension of a PBX over which calls can be placed. "
        "Ask your administrator for an extension, and for a dialling account of its connection."
    )
    field = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChoice:
    """A number of ours that may be shown to whoever is called."""

    id: int
    name: str
    e164: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a user can dial from: their extension of one connection."""

    connection_id: int
    connection: str
    extension: str
    is_ready: bool  # the dialling account is connected
    lines: tuple[LineChoice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """What somebody clicked or typed."""

    request_id: UUID  # made by the page, the same for a repeated request
    number: str  # as typed, in any form
    connection_id: int | None = None  # None: the first place that is ready
    line_id: int | None = None
    override_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to do with a call; what a control does not use is left empty."""

    control: str  # one of CONTROLS
    to: str = ""  # whom to pass the call on to: an extension or a number, as typed
    keys: str = ""
    reason: str = ""  # of passing on; with the note it makes the hand-over card
    note: str = ""
    override_reason: str = ""
    is_database_away: bool = False  # known already: it need not be asked once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of it. `outcome`: done, refused, not_sent, unknown; `detail` is the PBX's own word for a refusal."""

    outcome: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiallerState:
    """How the dialling account of a connection stands: connecting, up, refused, down; `code` says why."""

    connection: str
    state: str
    code: str
    values: Mapping[str, str]


class Telephone(Protocol):
    """What the web asks of telephony beside hearing of calls."""

    def places(self, user_id: int) -> Sequence[Place]:
        """Where this user can dial from."""

    def read(self, user_id: int, typed: str, connection_id: int | None = None) -> Number:
        """A number as this user's PBX writes numbers."""

    async def place(self, access: Access, click: Click) -> DialInfo:
        """Ring the user's telephone, then the number; the same click again tells what became of it.

        Raises:
            CrmError: nothing was sent, and why.
        """

    async def judge(self, access: Access, typed: str, policy: Policy | None = None) -> Judged:
        """What the number policy says of a number, for this user now."""

    async def control(self, access: Access, call_id: UUID, wanted: Wanted) -> Done:
        """Do something to a call in which the user sits.

        Raises:
            CrmError: nothing was sent, and why.
        """

    def dialler_states(self) -> Sequence[DiallerState]:
        """How every dialling account stands."""
