"""Who is at the small PBX (`small_pbx`): its channels, and what people would call a call."""

from __future__ import annotations

from dataclasses import dataclass, field

from cti.calls.channel_events import Channel, ChannelState

LINE = "PJSIP/line"


@dataclass(eq=False, repr=False)
class Party:
    """One channel as the PBX itself knows it."""

    channel_id: str
    endpoint: str
    conversation_of: Talk
    number: str
    was_called: bool
    dialled: str = ""
    connected: str = ""
    pair: str = ""  # the Local channel's name without the half
    half: str = ""
    state: ChannelState = ChannelState.CALLING
    bridge: str = ""
    is_parked: bool = False
    caller: Party | None = None  # for whom it was called
    helpers: tuple[Party, ...] = ()  # the Local channel it was called through
    consults_on: Party | None = None  # this telephone's second channel

    def __repr__(self) -> str:
        return self.shown().name

    @property
    def is_helper(self) -> bool:
        return bool(self.pair)

    @property
    def is_phone(self) -> bool:
        return not self.pair and self.endpoint != LINE

    @property
    def extension(self) -> str:
        return self.endpoint.partition("/")[2]

    def shown(self) -> Channel:
        name = f"{self.pair};{self.half}" if self.pair else f"{self.endpoint}-{self.channel_id}"
        return Channel(
            channel_id=self.channel_id,
            name=name,
            linked_id=self.conversation_of.linked_id,
            endpoint=self.endpoint,
            pair=self.pair,
            state=self.state,
            caller_number=self.number,
            connected_number=self.connected,
            dialled=self.dialled,
        )


@dataclass(eq=False)
class Talk:
    """What people would call one call."""

    linked_id: str
    parties: list[Party] = field(default_factory=list)
    was_reported: bool = False

    def lines(self) -> list[Party]:
        return [party for party in self.parties if party.endpoint == LINE]

    def phones(self) -> list[Party]:
        return [party for party in self.parties if party.is_phone]

    def real(self) -> list[Party]:
        return [party for party in self.parties if not party.is_helper]
