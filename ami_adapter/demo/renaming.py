"""New ids for a recording each time it is played, so that a call of this round is never one of an earlier round.

Uniqueids, linked ids (also where a recording's file name holds them), bridges and the counters in channel names are
replaced wherever they stand, always by the same new one: every relation between them stays. Lines are never split or
joined, so the framing stays exact.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Iterable
from itertools import count

from ami_adapter.demo.recording import Recording

_UNIQUE_ID = rb"(?<![0-9.])[0-9]{9,11}\.[0-9]+"
_BRIDGE_ID = rb"(?<![0-9a-f-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f-])"
_CHANNEL_COUNTER = rb"(?<=-)[0-9a-f]{8}(?![0-9a-zA-Z-])"
_ID_HEADER = re.compile(rb"^[A-Za-z]*(?:Uniqueid|Linkedid): ([^\r\n]+)", re.MULTILINE)
_CHANNEL_HEADER = re.compile(rb"^[A-Za-z]*Channel: [^\r\n]*-([0-9a-f]{8})(?:;[12])?\r?$", re.MULTILINE)
_NO_ID = frozenset({b"none", b"<unknown>"})


class IdMint:
    """Gives ids that no earlier round had; one for a whole PBX.

    Args:
        epoch: seconds since 1970, the first part of every Uniqueid; read once for each round.
    """

    def __init__(self, epoch: Callable[[], float], seed: int) -> None:
        self._epoch = epoch
        self._calls = count(1)
        self._channels = count(1)
        self._rounds = count(1)
        self._random = random.Random(seed)  # noqa: S311 - bridges need other names, not secret ones

    def names_for(self, recording: Known) -> dict[bytes, bytes]:
        """What each old id is called in this round."""
        round_number = next(self._rounds)
        base = int(self._epoch()) - recording.first_second
        names = {old: self._unique_id(old, base) for old in recording.unique_ids}
        names |= {old: b"%08x" % (next(self._channels) & 0xFFFFFFFF) for old in recording.counters}
        names |= {old: b"%s-%d" % (old, round_number) for old in recording.odd_ids}
        bits = (self._random.getrandbits(128) for _ in recording.bridge_ids)
        return names | {
            old: str(uuid.UUID(int=bit, version=4)).encode()
            for old, bit in zip(recording.bridge_ids, bits, strict=True)
        }

    def _unique_id(self, old: bytes, base: int) -> bytes:
        seconds = int(old.partition(b".")[0])
        return b"%d.%d" % (base + seconds, next(self._calls))


class Known:
    """The ids in one recording, found once; `rename` writes an event with other ones."""

    def __init__(self, recording: Recording) -> None:
        text = b"\r\n\r\n".join(event.raw for event in recording.events)
        named = set(_ID_HEADER.findall(text)) - _NO_ID
        plain = {name for name in named if re.search(_UNIQUE_ID + rb"\Z", name)}
        self.unique_ids = sorted({re.sub(rb"^.*-", b"", name) for name in plain}, key=_age)
        self.odd_ids = sorted(named - plain)
        self.counters = sorted(set(_CHANNEL_HEADER.findall(text)))
        self.bridge_ids = sorted(set(re.findall(_BRIDGE_ID, text)))
        self.first_second = int(self.unique_ids[0].partition(b".")[0]) if self.unique_ids else 0
        self._pattern = re.compile(
            b"|".join([*_literals(self.odd_ids), _BRIDGE_ID, _UNIQUE_ID, _CHANNEL_COUNTER])
        )

    def rename(self, raw: bytes, names: dict[bytes, bytes]) -> bytes:
        """The same event with the names of this round; what only looks like an id stays."""
        return self._pattern.sub(lambda found: names.get(found.group(), found.group()), raw)


def _age(unique_id: bytes) -> tuple[int, int]:
    seconds, _, number = unique_id.partition(b".")
    return int(seconds), int(number)


def _literals(odd_ids: Iterable[bytes]) -> list[bytes]:
    return [rb"(?<![0-9A-Za-z_-])" + re.escape(old) + rb"(?![0-9A-Za-z_-])" for old in odd_ids]
