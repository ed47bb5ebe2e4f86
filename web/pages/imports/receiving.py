"""A file that a browser or a program sends: written to a temporary file piece by piece, within limits of size and time."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from aiohttp import BodyPartReader, web

from crm.errors import Invalid
from crm.importing.files import MOST_BYTES, refused

RECEIVING_SECONDS: Final = 300.0
_PIECE: Final = 256 * 1024


class Sender(Protocol):
    """A body or a part of one; an empty piece is its end."""

    async def read_piece(self) -> bytes: ...


class PartSender:
    """The file of a form."""

    def __init__(self, part: BodyPartReader) -> None:
        self._part = part

    async def read_piece(self) -> bytes:
        return bytes(await self._part.read_chunk(_PIECE))


class BodySender:
    """The whole body of a request."""

    def __init__(self, request: web.Request) -> None:
        self._content = request.content

    async def read_piece(self) -> bytes:
        return await self._content.read(_PIECE)


@asynccontextmanager
async def received(sender: Sender) -> AsyncIterator[Path]:
    """The file for as long as the block runs; its name is ours.

    Raises:
        Invalid: too large, or too slow.
    """
    descriptor, name = await asyncio.to_thread(tempfile.mkstemp, prefix="ringcard-import-")
    try:
        try:
            async with asyncio.timeout(RECEIVING_SECONDS):
                await _write(sender, descriptor)
        except TimeoutError as error:
            raise refused(
                "The file took longer than %(seconds)d s to arrive.", seconds=RECEIVING_SECONDS
            ) from error
        finally:
            os.close(descriptor)
        yield Path(name)
    finally:
        await asyncio.to_thread(Path(name).unlink)


async def _write(sender: Sender, descriptor: int) -> None:
    size = 0
    while piece := await sender.read_piece():
        size += len(piece)
        if size > MOST_BYTES:
            raise _too_large()
        await asyncio.to_thread(os.write, descriptor, piece)
    if not size:
        raise refused("There is nothing in this file.")


def _too_large() -> Invalid:
    return refused("The file is larger than %(most)d MiB. Divide it into several.", most=MOST_BYTES >> 20)
