"""How a PBX is reached, and how the link to it stands, in words for people and codes for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# Without `dialplan` a FreePBX sends a tenth of the bytes, but neither FROM_DID nor the recordings' names.
# `reporting` (RTCP reports) is never used; `system` brings FullyBooted and Shutdown.
DEFAULT_EVENT_CLASSES = ("system", "call", "agent", "user", "dialplan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long we wait for what, in seconds; tests are less patient."""

    connect: float = 3.0
    action: float = 5.0  # also: between two messages of one long answer
    ping: float = 3.0
    silence: float = 10.0  # without a byte: the peer is dead
    boot: float = 2.0  # for FullyBooted after the login, then we ask all the same
    retry_first: float = 1.0
    retry_longest: float = 30.0
    retry_refused: float = 60.0
    steady: float = 30.0  # a link that held so long starts the retries anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is bounded, and thereby how much a mad or hostile PBX can cost us."""

    message_bytes: int = 65_536  # larger: the link is closed, told and made anew
    queued_messages: int = 50_000  # more: the link is closed and the picture taken anew by snapshot
    pending_actions: int = 256  # more: further actions are refused before they are sent
    answer_messages: int = 50_000  # more in one answer: the link is closed
    unsent_bytes: int = 65_536  # more: the peer does not read, the link is closed


@dataclass(frozen=True, slots=True, kw_only=True)
class AmiSettings:
    """One connection to one Asterisk. `repr` hides the secret."""

    host: str
    user: str
    secret: str = field(repr=False)
    port: int = 5038
    event_classes: tuple[str, ...] = DEFAULT_EVENT_CLASSES
    accepts_excessive_rights: bool = False  # an administrator said so, and is warned for as long
    patience: Patience = Patience()
    limits: Limits = Limits()


class LinkStatus(StrEnum):
    """Where a link stands; REFUSED waits for a person, DOWN only for the network."""

    CONNECTING = "connecting"
    UP = "up"
    REFUSED = "refused"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCounters:
    """Since the connection's start."""

    messages: int = 0
    connects: int = 0
    losses: int = 0
    handler_errors: int = 0
    repeated_headers: int = 0
    overflows: int = 0
    too_long: int = 0
    unanswered_actions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """How a link stands. `code` and `values` are for catalogues, `detail` is the same in English with its remedy."""

    status: LinkStatus
    since: datetime
    code: str  # connecting, up, up_with_excessive_rights, up_without_picture, login_refused, …
    detail: str
    values: Mapping[str, str] = field(default_factory=dict)
    last_event_at: datetime | None = None
    heard_at: datetime | None = None  # the last message of any kind: a quiet PBX answers pings
    pbx_version: str = ""
    counters: LinkCounters = LinkCounters()
