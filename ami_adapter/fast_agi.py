"""FastAGI: the dialplan's `AGI(agi://host/script,argument)` asks us over TCP, one short talk a call.

Everything is bounded: what may come, how long it may take, how many may ask at once. A talk that breaks off leaves the
dialplan where it was: `AGISTATUS` is FAILURE and the call goes on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog

log = structlog.get_logger(__name__)

MOST_TALKS: Final = 200
MOST_LINES: Final = 100  # of the environment
MOST_LINE_BYTES: Final = 4_096
TALK_SECONDS: Final = 2.0
_ANSWER: Final = re.compile(r"200 result=(-?\d+)(?: \((.*)\))?")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")


class AgiBroken(Exception):
    """The other side does not speak AGI, or stopped speaking it; the text says where."""


class AgiTalk:
    """One call that asks. `environment` is what Asterisk sends first, names without "agi_"."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.environment: Mapping[str, str] = {}

    async def begin(self) -> None:
        """Read the environment.

        Raises:
            AgiBroken: it is no such, or too long.
        """
        environment: dict[str, str] = {}
        for _ in range(MOST_LINES):
            line = await self._line()
            if not line:
                self.environment = environment
                return
            name, colon, value = line.partition(":")
            if not colon or not name.startswith("agi_"):
                raise AgiBroken(f"{line[:40]!r} is no line of an AGI environment")
            environment.setdefault(name.removeprefix("agi_"), value.strip())
        raise AgiBroken(f"more than {MOST_LINES} lines of environment")

    async def variable(self, name: str) -> str:
        """A variable of the channel, or a global one; "" if it is not set."""
        _, value = await self._ask(f"GET FULL VARIABLE ${{{_checked(name)}}}")
        return value or ""

    async def set_variable(self, name: str, value: str) -> None:
        """Set one; line ends and what is not text are left out."""
        plain = "".join(letter for letter in value if letter.isprintable())
        quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
        await self._ask(f'SET VARIABLE {_checked(name)} "{quoted}"')

    async def _ask(self, command: str) -> tuple[int, str | None]:
        self._writer.write(command.encode() + b"\n")
        await self._writer.drain()
        line = await self._line()
        found = _ANSWER.fullmatch(line)
        if found is None:
            raise AgiBroken(f"{line[:40]!r} is no answer to {command.partition(' ')[0]}")
        return int(found[1]), found[2]

    async def _line(self) -> str:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            raise AgiBroken("the call ended") from error
        except asyncio.LimitOverrunError as error:
            raise AgiBroken(f"a line is longer than {MOST_LINE_BYTES} bytes") from error
        return line.decode("utf-8", "replace").rstrip("\r\n")


Answer = Callable[[AgiTalk], Awaitable[None]]


class FastAgi:
    """The server; `answer` leads each talk, and what it raises ends that talk alone."""

    def __init__(self, host: str, port: int, answer: Answer) -> None:
        self._host = host
        self._port = port
        self._answer = answer
        self._talks = 0

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            OSError: the address cannot be listened at.
        """
        server = await asyncio.start_server(self._talk, self._host, self._port, limit=MOST_LINE_BYTES)
        self._port = server.sockets[0].getsockname()[1]
        async with server:
            await server.serve_forever()

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._port

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._talks >= MOST_TALKS:
            writer.transport.abort()
            return
        self._talks += 1
        try:
            async with asyncio.timeout(TALK_SECONDS):
                talk = AgiTalk(reader, writer)
                await talk.begin()
                await self._answer(talk)
        except (AgiBroken, TimeoutError, OSError) as error:
            log.warning("agi_talk_broken", why=type(error).__name__, detail=str(error)[:200])
        except Exception:
            log.exception("agi_talk_failed")
        finally:
            self._talks -= 1
            writer.close()


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a variable")
    return name
