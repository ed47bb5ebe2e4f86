"""What goes over a live socket, both ways, as JSON: one message is one frame. `docs/live.md` describes the protocol."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from cti.desk import Message

_encoder = msgspec.json.Encoder()


class FromClient(msgspec.Struct):
    """Any message a client may send; what a type does not use is ignored, as are unknown types and fields."""

    type: str
    epoch: str = ""
    seq: int = -1
    topics: list[str] = msgspec.field(default_factory=list)
    parties: list[int] = msgspec.field(default_factory=list)
    leads: list[int] = msgspec.field(default_factory=list)
    id: str = ""
    ms: float = 0.0
    sound: bool = False
    chosen: bool = False


_decoder = msgspec.json.Decoder(FromClient)


def decode(text: str) -> FromClient | None:
    """None for what is no message: clients may be newer than we are."""
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError:
        return None


class Envelope(msgspec.Struct, omit_defaults=True):
    """What goes over the wire, in this order of fields."""

    v: int | None  # no default on purpose: always written
    type: str
    seq: int | None = None
    at: datetime | None = None
    topic: str | None = None
    replayed: bool = False
    data: Any = None


def frame(
    kind: str, at: datetime, data: Any = None, *, seq: int | None = None, topic: str | None = None
) -> bytes:
    """One message of ours that is not the desk's."""
    return _encoder.encode(Envelope(1, kind, seq, at, topic, data=data))


def encode(message: Message, *, replayed: bool = False) -> bytes:
    """What the desk tells one user."""
    return _encoder.encode(
        Envelope(
            1, message.type, message.seq, message.at, message.topic, replayed=replayed, data=message.data
        )
    )
