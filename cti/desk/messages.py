"""The values that leave the desk: what one user is told. `web.live` writes them as JSON exactly as they stand here.

Names of types are those of `docs/live.md`. A call message carries the whole picture of that call as this user sees it,
so a page that missed one is right again with the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from cti.calls.records import CallState, Direction


class SeatState(StrEnum):
    """How one user's window of a call stands."""

    RINGING = "ringing"
    LIFT = "lift"  # the program calls this user's own telephone first: «Поднимите трубку»
    DIALLING = "dialling"
    TALKING = "talking"
    HELD = "held"
    ELSEWHERE = "elsewhere"  # somebody else answered
    CALLER_LEFT = "caller_left"
    STOPPED = "stopped"  # declined, busy, or rang long enough: the call goes on without this user
    ENDED = "ended"


OPEN_STATES = frozenset(
    {SeatState.RINGING, SeatState.LIFT, SeatState.DIALLING, SeatState.TALKING, SeatState.HELD}
)
TALK_STATES = frozenset({SeatState.TALKING, SeatState.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchParty:
    """One client whom the number may belong to, as far as a window's first picture needs it."""

    id: int
    name: str
    kinds: tuple[str, ...] = ()
    contact_id: int | None = None
    contact_name: str | None = None
    position: str | None = None
    is_primary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Who calls: matched, ambiguous, unknown, hidden, internal, ignored; and why we think so."""

    outcome: str
    reasons: tuple[str, ...] = ()
    parties: tuple[MatchParty, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteView:
    """The comment of one user on one call; `version` grows with every save."""

    text: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Who passed a call on, and how."""

    by: str | None  # by name, else the extension; None: the source does not tell
    extension: str | None
    to: str
    kind: str  # blind, attended, blonde, park
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOverCard:
    """What a colleague wrote for whoever gets the call next, and who it was that called."""

    by: str  # by name
    extension: str
    to: str  # an extension, a queue, a number outside
    reason: str
    note: str
    caller: str | None  # the original caller's number, as it was known then
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """One call as one user sees it. Moments are UTC, None where the source does not know."""

    id: UUID
    connection_id: int
    line: str | None
    line_colour: str | None
    direction: Direction
    number_kind: str | None  # e164, hidden, internal, service, local, not_a_number; None: not known yet
    phone: str | None  # E.164, else as presented; None when withheld
    phone_text: str  # as people write it; "" when withheld
    colleague: str | None  # an internal call's other side: name, else extension
    colleague_extension: str | None
    colleague_team: str | None
    queue: str | None
    extension: str  # this user's
    state: SeatState
    reason: str | None = None  # why ringing stopped, or the disposition of an ended call
    answered_by: str | None = None  # whoever took it, by name
    ringing_since: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    match: Match | None = None
    note: NoteView | None = None
    was: UUID | None = None  # the id this call had in earlier messages
    handed_over: HandOver | None = None  # to this user, by a colleague
    card: HandOverCard | None = None  # what that colleague wrote
    controls: tuple[str, ...] = ()  # what can be done to it from the screen: `cti.desk.controls`
    is_recording_paused: bool = False
    is_muted: bool = False  # nobody hears this user, who asked for it on the screen
    wrap_up_until: datetime | None = (
        None  # this user's time after the talk; so long the window belongs to the picture
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardAgent:
    extension: str
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCall:
    """One call as the live board sees it."""

    id: UUID
    connection_id: int
    line: str | None
    line_colour: str | None
    direction: Direction
    number_kind: str | None
    phone: str | None
    phone_text: str
    queue: str | None
    state: CallState
    extension: str | None  # whom the message is about
    reason: str | None
    placed_by: BoardAgent | None
    ringing: tuple[BoardAgent, ...]
    talking: tuple[BoardAgent, ...]
    started_at: datetime | None
    queued_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    disposition: str | None
    match: Match | None
    handed_over: HandOver | None = None  # the last time it was passed on


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionView:
    """The link to one PBX: connecting, up, refused, down."""

    id: int
    name: str
    state: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Where the user sits and whether those telephones are connected to us."""

    extensions: tuple[str, ...]
    connections: tuple[ConnectionView, ...]
    agent: OwnAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The whole picture of one user. A page drops every call that is not in it."""

    epoch: str
    seq: int
    user: int
    calls: tuple[CallView, ...]
    presence: Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSnapshot:
    """Every present call within a watcher's rights."""

    calls: tuple[BoardCall, ...]


class AgentState(StrEnum):
    """What an agent does now; the states of the table `agent_state`."""

    AVAILABLE = "available"
    RINGING = "ringing"
    TALKING = "talking"  # dialling and holding, too: the telephone is in use
    WRAP_UP = "wrap_up"  # a queue leaves the agent alone for a while after its call
    PAUSED = "paused"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStateChange:
    """An agent's state from a moment on; None: they sit at no telephone any more."""

    user_id: int
    state: AgentState | None
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One agent as the board sees them.

    `reason`: of a pause as entered at the PBX, `dnd` for do-not-disturb; of offline `no_link` (we hear nothing of the
    PBX) or `unreachable` (no telephone of theirs answers). `since` is when we first saw it.
    """

    id: int
    name: str
    team_id: int | None
    team: str | None
    extensions: tuple[str, ...]
    state: AgentState
    reason: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnAgent:
    """What a user does now, for themselves: `state` is None for who sits at no telephone. `wish`: what they said they want
    to be, None if they never did."""

    id: int
    state: AgentState | None = None
    reason: str | None = None
    since: datetime | None = None
    wish: AgentState | None = None
    wish_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMemberView:
    """A member within the watcher's rights. `state` is that of the telephone, as the queue sees it."""

    extension: str
    user_id: int | None
    name: str
    state: str  # idle, ringing, in_use, busy, on_hold, unavailable, unknown
    is_paused: bool
    reason: str | None
    is_in_call: bool
    penalty: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingView:
    """A caller in a queue. Who it is stands here only where the watcher may see the call."""

    position: int
    since: datetime | None
    call: UUID | None
    phone: str | None
    phone_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One queue as the board sees it. `is_current` is false while we hear nothing of its PBX."""

    connection_id: int
    name: str
    is_current: bool
    waiting: tuple[WaitingView, ...]
    waiting_since: datetime | None  # of whoever waits longest
    members: tuple[QueueMemberView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsSnapshot:
    """Every agent within a watcher's rights."""

    agents: tuple[AgentView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesSnapshot:
    """Every queue within a watcher's rights."""

    queues: tuple[QueueView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRef:
    """An agent who is not on the board any more."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRef:
    """A queue that is not on the board any more."""

    connection_id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSaved:
    """A comment was stored, by one of the user's tabs."""

    id: UUID  # the call's
    note: NoteView


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRef:
    """A call by its id alone: its window was closed by the user, in all tabs."""

    id: UUID


Data = (
    CallView
    | BoardCall
    | NoteSaved
    | CallRef
    | ConnectionView
    | AgentView
    | AgentRef
    | OwnAgent
    | QueueView
    | QueueRef
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something one user is told. `seq` numbers the user's own messages without gaps.

    A message of a topic has no `seq` and is for one `watcher` alone; one's own state has none either: the next one holds.
    """

    user_id: int
    type: str
    data: Data
    at: datetime | None
    seq: int | None
    topic: str | None = None
    watcher: int | None = None


class Sight(Protocol):
    """How far one watcher of the live board may see; made from their rights."""

    @property
    def shows_parties(self) -> bool: ...

    def covers(self, *, users: Iterable[int | None], teams: Iterable[int | None]) -> bool: ...
