"""The call core under many calls: what a live call weighs, and how long a resync takes.

A thousand times one recorded answered call, under new ids, stopped in mid-talk; a snapshot of five hundred talking pairs.
"""

from __future__ import annotations

import gc
import itertools
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ami_adapter.demo.pbx import DemoPbx
from ami_adapter.demo.recording import packaged
from ami_adapter.demo.renaming import Known
from ami_adapter.framing import AmiFrames
from ami_adapter.translate import Translator, is_noise
from bench.rows import Row
from cti.calls.call_events import SnapshotApplied
from cti.calls.channel_events import Channel, ChannelState, SeenChannel, SnapshotTaken
from cti.calls.tracker import CallTracker

TEMPLATE: Final = "asterisk22-01-inbound-answered"
CLASSES: Final = ("call", "agent")
CALLS_AT_ONCE: Final = 1000
SNAPSHOT_CALLS: Final = 500
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def run() -> list[Row]:
    """Weight and resync."""
    return [weight_row(), resync_row()]


def calls() -> Iterator[list[bytes]]:
    """The events of one call after another, each under its own ids."""
    template, pbx = packaged(TEMPLATE).of_classes(CLASSES), DemoPbx([])
    known = Known(template)
    for _ in itertools.count():
        names = pbx.new_names(known)
        yield [known.rename(event.raw, names).rstrip(b"\r\n") + b"\r\n\r\n" for event in template.events]


def weight_row() -> Row:
    """Memory of calls in mid-talk, each told up to its answer."""
    frames, translator, tracker = AmiFrames(is_noise=is_noise), Translator(), CallTracker()
    source = list(itertools.islice(calls(), CALLS_AT_ONCE))
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for call in source:
        for message in frames.feed(b"".join(call[: len(call) * 2 // 3])):
            for event in translator.translate(message, START):
                tracker.apply(event)
    gc.collect()
    each = (tracemalloc.get_traced_memory()[0] - before) / max(1, len(tracker.present()))
    tracemalloc.stop()
    return Row(
        name="core: memory of a live call",
        ours=f"{each / 1024:.1f} KB",
        floor="20 KB",
        ratio=each / 1024 / 20,
        wanted="≤ 1",
    )


def resync_row() -> Row:
    """From a snapshot of 500 talking pairs to the whole picture."""
    snapshot = SnapshotTaken(channels=tuple(talking_pairs(SNAPSHOT_CALLS)), at=START)
    began = time.perf_counter()
    *_, applied = CallTracker().apply(snapshot)
    seconds = time.perf_counter() - began
    assert isinstance(applied, SnapshotApplied)
    assert len(applied.present) == SNAPSHOT_CALLS
    return Row(
        name="core: resync of 500 calls",
        ours=f"{seconds * 1000:.0f} ms",
        floor="2000 ms",
        ratio=seconds / 2,
        wanted="≤ 1",
    )


def talking_pairs(count: int) -> Iterator[SeenChannel]:
    for number in range(count):
        linked, bridge = f"17.{number * 2}", f"bridge-{number}"
        caller, extension = f"8916{number:07d}", str(1000 + number)
        customer = Channel(
            linked, f"PJSIP/trunk-{number:08x}", linked, "PJSIP/trunk", state=ChannelState.UP,
            caller_number=caller, connected_number=extension, dialled="84951234567", context="from-trunk",
        )  # fmt: skip
        agent = Channel(
            f"17.{number * 2 + 1}", f"PJSIP/{extension}-{number:08x}", linked, f"PJSIP/{extension}",
            state=ChannelState.UP, caller_number=extension, connected_number=caller,
        )  # fmt: skip
        yield SeenChannel(channel=customer, bridge_id=bridge, age_seconds=60.0, was_called=False)
        yield SeenChannel(channel=agent, bridge_id=bridge, age_seconds=59.0, was_called=True)
