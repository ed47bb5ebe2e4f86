"""The program itself as its users have it: the `ringcard` command, and `ringcard serve` in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

COMMAND = Path(sys.executable).with_name("ringcard")
PATIENCE_SECONDS = 180.0  # a busy machine makes a cluster and all its tables in a minute


class CommandFailed(Exception):
    """A command ended with an error; the text is what it said."""


class Ringcard:
    """One installation: a data folder, with an embedded PostgreSQL in it, and an address."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._log = data / "serve.log"
        self._process: Process | None = None

    async def run(self, *arguments: str, stdin: str = "", seconds: float = PATIENCE_SECONDS) -> str:
        """What one command prints.

        Raises:
            CommandFailed: it ended with another code than 0.
        """
        process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, env=self._environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        async with asyncio.timeout(seconds):
            out, errors = await process.communicate(stdin.encode())
        if process.returncode != 0:
            raise CommandFailed(
                f"ringcard {' '.join(arguments)}: exit {process.returncode}: {errors.decode()}"
            )
        return out.decode()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """`ringcard serve`, ready; it is told to stop at the end of the block, and its log stays in the data folder."""
        await self.start()
        try:
            yield
        finally:
            await self.stop()

    async def start(self, *, seconds: float = PATIENCE_SECONDS) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                COMMAND, "serve", env=self._environment, stdin=DEVNULL, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
                while not await _is_ready(session, f"{self.url}/readyz"):
                    if self._process.returncode is not None:
                        raise CommandFailed(f"ringcard serve ended by itself: {self.log()[-3000:]}")
                    await asyncio.sleep(0.1)
        except BaseException:
            await self.stop()
            raise

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End `serve` by its pid, and for good if it has not obeyed within 20 s."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(number)
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise CommandFailed(f"ringcard serve did not obey {number.name}: {self.log()[-3000:]}") from None

    async def kill(self) -> None:
        """End `serve` as a crash of the machine would: it gets no chance to tidy up."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None, "ringcard serve does not run"
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def _environment(self) -> dict[str, str]:
        own = {"RINGCARD_DATA": str(self.data), "RINGCARD_LISTEN": self.url.removeprefix("http://")}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RINGCARD_")}
        return inherited | own


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
