"""What telephones say and hear: each speaks in a tone of its own, so that the ear tells who is on the other side.

A voice is a multiple of 100 Hz: 20 ms of it hold whole periods, and the voices do not disturb one another. Music on
hold is such a tone too.
"""

from __future__ import annotations

import asyncio
import math
import random
import struct
from collections.abc import Callable
from functools import cache, lru_cache

RATE = 8000
FRAME = 160  # samples in 20 ms
FRAME_SECONDS = FRAME / RATE
LOUDNESS = 6000
MUSIC_HZ = 500
VOICES_HZ = range(700, 3400, 100)
DTMF = "0123456789*#"
PCMA, EVENTS = 8, 101
LISTEN_EVERY = 5  # frames: a tenth of a second
EAR_SHARE = 0.2  # of a voice's full loudness: quieter is nobody
PURE_SHARE = 0.9  # of the energy in a frame: a speaking voice has less in our tones


def a_law(sample: int) -> int:
    """One sample of 16 bits as A-law (G.711)."""
    sign, sample = (0x80, sample) if sample >= 0 else (0, -sample - 1)
    sample = min(sample, 32_635)
    exponent = max(0, sample.bit_length() - 8)
    mantissa = sample >> 4 if exponent == 0 else (exponent << 4) | ((sample >> (exponent + 3)) & 0x0F)
    return (mantissa | sign) ^ 0x55


@cache
def tone(hz: int) -> bytes:
    """20 ms of this tone; repeated it goes on without a click."""
    return bytes(a_law(int(LOUDNESS * math.sin(2 * math.pi * hz * n / RATE))) for n in range(FRAME))


@lru_cache(maxsize=4096)
def heard_in(frame: bytes) -> frozenset[int]:
    """The tones in 20 ms of A-law: voices, and MUSIC_HZ. Nothing if there is more to hear than tones: an announcement."""
    samples = [_linear()[byte] for byte in frame]
    loud = {
        hz: size for hz in (MUSIC_HZ, *VOICES_HZ) if (size := _loudness(samples, hz)) > EAR_SHARE * LOUDNESS
    }
    energy = sum(sample * sample for sample in samples) / FRAME
    is_pure = sum(size * size for size in loud.values()) / 2 > PURE_SHARE * energy
    return frozenset(loud) if is_pure else frozenset()


def _loudness(samples: list[int], hz: int) -> float:
    cosines, sines = _waves(hz)
    real = sum(sample * wave for sample, wave in zip(samples, cosines, strict=False))
    imaginary = sum(sample * wave for sample, wave in zip(samples, sines, strict=False))
    return 2 * math.hypot(real, imaginary) / FRAME


@cache
def _waves(hz: int) -> tuple[list[float], list[float]]:
    angles = [2 * math.pi * hz * n / RATE for n in range(FRAME)]
    return [math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]


@cache
def _linear() -> list[int]:
    """A-law byte → sample of 16 bits."""
    return [_decoded(byte ^ 0x55) for byte in range(256)]


def _decoded(byte: int) -> int:
    exponent, mantissa = (byte >> 4) & 7, byte & 0x0F
    size = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << (exponent - 1)
    return size if byte & 0x80 else -size


class Sound(asyncio.DatagramProtocol):
    """The sound of one call: RTP out in one voice, RTP in to the ear."""

    def __init__(self, address: str, hz: int, on_heard: Callable[[frozenset[int]], None]) -> None:
        self.is_speaking = True
        self._address, self._hz, self._on_heard = address, hz, on_heard
        self._peer: tuple[str, int] | None = None
        self._frames_in = 0
        self._sequence, self._clock = random.randrange(60_000), random.randrange(1 << 30)
        self._source = random.randrange(1 << 31)
        self._digits = ""
        self._speaking: asyncio.Task[None] | None = None
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self._address, 0))

    @property
    def port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def speak_to(self, peer: tuple[str, int]) -> None:
        self._peer = peer
        if self._speaking is None:
            self._speaking = asyncio.create_task(self._speak())

    async def press(self, digits: str) -> None:
        """Keys, one after another, as telephone events (RFC 4733)."""
        self._digits += digits
        while self._digits and self._transport is not None:  # the last one may end the call
            await asyncio.sleep(FRAME_SECONDS)

    def close(self) -> None:
        if self._speaking is not None:
            self._speaking.cancel()
        if self._transport is not None:
            self._transport.close()
        self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._frames_in += 1
        if self._frames_in % LISTEN_EVERY == 0 and data[1] & 0x7F == PCMA and len(data) >= 12 + FRAME:
            self._on_heard(heard_in(data[12 : 12 + FRAME]))

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._transport is not None:
            if self._digits:
                await self._press_one(self._digits[0])
                self._digits = self._digits[1:]
                due = loop.time()
            if self.is_speaking:
                self._send(PCMA, tone(self._hz))
            self._clock += FRAME
            due += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _press_one(self, digit: str) -> None:
        event = DTMF.index(digit)
        for step in range(1, 6):
            self._send(EVENTS, struct.pack("!BBH", event, 10, FRAME * step), is_first=step == 1)
            await asyncio.sleep(FRAME_SECONDS)
        for _ in range(3):
            self._send(EVENTS, struct.pack("!BBH", event, 0x80 | 10, FRAME * 6))
        self._clock += 8 * FRAME
        await asyncio.sleep(0.15)

    def _send(self, payload: int, data: bytes, *, is_first: bool = False) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        mark = (int(is_first) << 7) | payload
        head = struct.pack("!BBHII", 0x80, mark, self._sequence, self._clock & 0xFFFFFFFF, self._source)
        if self._transport is not None and self._peer is not None:
            self._transport.sendto(head + data, self._peer)
