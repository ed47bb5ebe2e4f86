"""A bare AMI client of a few lines: keeps every byte with its time, asks what it is told. Shares nothing with ours."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.pbx.asterisk_lab import AsteriskLab


class AmiTap:
    """One connection to the test PBX, recorded from its first byte on."""

    def __init__(
        self, lab: AsteriskLab, account: str, *, events: str = "on", secret: str | None = None
    ) -> None:
        self._lab = lab
        self._login = (account, lab.secret_of(account) if secret is None else secret, events)
        self._chunks: list[tuple[float, bytes]] = []
        self._news = asyncio.Condition()
        self._ids = itertools.count(1)
        self.login_answer: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        self._started_at = time.monotonic()
        self._reader, self._writer = await asyncio.open_connection(self._lab.host, self._lab.ami_port)
        self._reading = asyncio.create_task(self._read())
        account, secret, events = self._login
        self.login_answer = (await self.ask("Login", Username=account, Secret=secret, Events=events))[0]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    @property
    def bytes(self) -> bytes:
        return b"".join(chunk for _, chunk in self._chunks)

    def messages(self) -> list[dict[str, str]]:
        """What arrived, whole messages only; of a header that is repeated the last."""
        blocks = self.bytes.decode("utf-8", "replace").split("\r\n\r\n")[:-1]
        return [dict(line.split(": ", 1) for line in block.split("\r\n") if ": " in line) for block in blocks]

    async def ask(self, action: str, *, seconds: float = 5, **headers: str) -> list[dict[str, str]]:
        """The answer to an action, and the list of events that belongs to it if there is one."""
        action_id = f"tap-{next(self._ids)}"
        lines = [
            f"Action: {action}",
            f"ActionID: {action_id}",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(seconds), self._news:
            while True:
                answer = [message for message in self.messages() if message.get("ActionID") == action_id]
                if answer and (
                    answer[0].get("EventList") != "start" or answer[-1].get("EventList") == "Complete"
                ):
                    return answer
                await self._news.wait()

    def save(self, file: Path) -> None:
        """FILE.ami with the bytes, FILE.timing.json with [seconds since connect, bytes in this chunk]."""
        file.with_suffix(".ami").write_bytes(self.bytes)
        timing = [[round(at, 6), len(chunk)] for at, chunk in self._chunks]
        file.with_suffix(".timing.json").write_text(json.dumps(timing))

    async def _read(self) -> None:
        while chunk := await self._reader.read(65_536):
            async with self._news:
                self._chunks.append((time.monotonic() - self._started_at, chunk))
                self._news.notify_all()
