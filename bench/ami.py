"""How many AMI events a second of processor time: framing + translation + tracking, against panoramisk alone.

Both get the same recorded bytes in the recorded chunks. panoramisk parses and dispatches to an empty callback for "*";
ours tells complete calls. The last row leaves out what accounts without the class `dialplan` never see, so that
nothing is gained by skipping.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

from ami_adapter.framing import AmiFrames
from ami_adapter.presence import PresenceTranslator
from ami_adapter.translate import Translator, is_noise
from bench.rows import Row
from cti.calls.tracker import CallTracker
from cti.daemon.garbage import keep_what_stays
from tests.captures import ALL, Capture

ROUNDS = 12
AT = datetime(2026, 1, 1, tzinfo=UTC)
FLOOD = (b"VarSet", b"Newexten", b"RTCPSent", b"RTCPReceived", b"TestEvent", b"AGIExecStart", b"AGIExecEnd")

Chunks = Sequence[bytes]


def run() -> list[Row]:
    """The ratio over everything recorded, and over the events of class call, agent and user alone."""
    whole = [list(recorded_chunks(one)) for one in ALL]
    keep_what_stays()  # for both, as the program does at its start
    freepbx = [list(recorded_chunks(one)) for one in ALL if one.pbx.startswith("freepbx")]
    thinned = [[without_flood(one.stream)] for one in ALL]
    return [
        compared("ami: all events", whole, wanted="≥ 3"),
        compared("ami: a FreePBX", freepbx, wanted="≥ 4"),
        compared("ami: all, telephones and queues too", whole, ours_is=track_with_presence),
        compared("ami: without dialplan events", [list(in_pieces(chunks[0])) for chunks in thinned]),
    ]


def compared(
    name: str, streams: Sequence[Chunks], *, wanted: str = "", ours_is: Callable[[Chunks], None] | None = None
) -> Row:
    """Both in turn, the best round of each: other processes can only slow a round down."""
    events = sum(chunk.count(b"Event: ") for chunks in streams for chunk in chunks)
    ways = (ours_is or track, panoramisk_alone())
    rounds = [[processor_seconds(consume, streams) for consume in ways] for _ in range(ROUNDS)]
    ours, floor = (events / min(seconds) for seconds in zip(*rounds, strict=True))
    return Row(
        name=name,
        ours=f"{ours:,.0f} events/s",
        floor=f"{floor:,.0f} events/s",
        ratio=ours / floor,
        wanted=wanted,
    )


def processor_seconds(consume: Callable[[Chunks], None], streams: Sequence[Chunks]) -> float:
    """Processor time of this process over all streams."""
    start = time.process_time()
    for chunks in streams:
        consume(chunks)
    return time.process_time() - start


def track(chunks: Chunks) -> None:
    """Calls, as the live connection tells them."""
    frames, translator, tracker = AmiFrames(is_noise=is_noise), Translator(), CallTracker()
    for chunk in chunks:
        for message in frames.feed(chunk):
            for event in translator.translate(message, AT):
                tracker.apply(event)


def track_with_presence(chunks: Chunks) -> None:
    """And the picture of telephones and queues beside the calls."""
    frames, translator, tracker = AmiFrames(is_noise=is_noise), Translator(), CallTracker()
    presence = PresenceTranslator()
    for chunk in chunks:
        for message in frames.feed(chunk):
            for event in translator.translate(message, AT):
                tracker.apply(event)
            presence.translate(message, AT)


def panoramisk_alone() -> Callable[[Chunks], None]:
    """panoramisk's own parse and dispatch, with a callback that does nothing."""
    log = logging.getLogger("bench.panoramisk")
    log.setLevel(logging.ERROR)
    manager = Manager(loop=asyncio.new_event_loop(), log=log)
    manager.register_event("*", ignore)
    manager.callbacks["FullyBooted"].clear()  # it would send the actions that wait for a link
    manager.loop.close()

    def consume(chunks: Chunks) -> None:
        protocol = AMIProtocol()
        protocol.connection_made(None)
        protocol.factory, protocol.log, protocol.encoding, protocol.closed = manager, log, "utf8", True
        for chunk in chunks:
            protocol.data_received(chunk)

    return consume


def ignore(_manager: Manager, _event: object) -> None:
    """The empty callback."""


def recorded_chunks(one: Capture) -> Iterator[bytes]:
    """The pieces the socket gave."""
    reached = 0
    for _, size in one.timing:
        yield one.stream[reached : reached + size]
        reached += size


def without_flood(stream: bytes) -> bytes:
    """The stream of an account that may not see the dialplan."""
    kept = (
        block for block in stream.split(b"\r\n\r\n") if not block.lstrip(b"\r\n").startswith(FLOOD_STARTS)
    )
    return b"\r\n\r\n".join(kept)


def in_pieces(stream: bytes, size: int = 4096) -> Iterator[bytes]:
    """The stream in chunks of one size."""
    for start in range(0, len(stream), size):
        yield stream[start : start + size]


FLOOD_STARTS = tuple(b"Event: " + name for name in FLOOD)
