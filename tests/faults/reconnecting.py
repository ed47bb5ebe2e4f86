"""Browsers that come and go every second, in a process of their own: `python -m tests.faults.reconnecting URL`.

It reads API tokens from its standard input, a line each; each is a client. It goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

PAUSE_SECONDS = 1.0


async def come_and_go(url: str, token: str, first_after: float) -> None:
    await asyncio.sleep(first_after)
    while True:
        try:
            headers = {"Authorization": f"Bearer {token}"}
            async with connect(url, additional_headers=headers, compression=None) as socket:
                await socket.recv()  # the whole picture
        except (OSError, WebSocketException, TimeoutError) as error:
            print(f"refused: {error!r}", flush=True)
        await asyncio.sleep(PAUSE_SECONDS)


async def main() -> None:
    url, tokens = sys.argv[1], sys.stdin.read().split()
    clients = (come_and_go(url, token, number / len(tokens)) for number, token in enumerate(tokens))
    await asyncio.gather(*clients)


if __name__ == "__main__":
    asyncio.run(main())
