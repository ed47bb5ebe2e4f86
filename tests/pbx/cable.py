"""The cable between ringcard and the PBX: a TCP relay on loopback that a test can cut and mend."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

CHUNK = 65_536


class Cable:
    """Listens on `port` for as long as the block lasts; every connection is carried to the PBX."""

    def __init__(self, host: str, port: int) -> None:
        self._far = (host, port)
        self._carrying: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()

    async def mend(self) -> None:
        """From now on connections get through again, at the same port."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Every connection breaks off, and nobody answers any more."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._carrying):
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._far)
            ways = (_carry(reader, far_writer), _carry(far_reader, writer))
            running = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in running:
                    way.cancel()
                await asyncio.gather(*running, return_exceptions=True)
                far_writer.transport.abort()
        except OSError:
            pass  # the PBX is away: so is this connection
        except asyncio.CancelledError:
            pass  # cut
        finally:
            writer.transport.abort()
            self._carrying.discard(task)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
