"""The floor of the `pop` benchmark: a bare relay from AMI bytes to the agents' sockets, knowing nothing of calls.

It cuts the stream at empty lines and forwards a fixed frame to the extension named by each ringing event. Whatever a
call server does beyond this is its own doing.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections import defaultdict

from aiohttp import web

FRAME = b'{"v":1,"seq":1,"type":"call.ringing","data":{"phone":"","line":"","state":"ringing"}}'
RINGING = re.compile(
    rb"Event: Newstate\r\n.*?\r\nChannel: PJSIP/([0-9]+)-.*?\r\nChannelState: 5\r\n", re.DOTALL
)


class Relay:
    """Sockets by extension, and one reader of one AMI stream."""

    def __init__(self) -> None:
        self._queues: defaultdict[bytes, list[asyncio.Queue[bytes]]] = defaultdict(list)

    async def accept(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue(100)
        self._queues[request.query["extension"].encode()].append(queue)
        await socket.send_str('{"type":"hello"}')
        writer = asyncio.create_task(self._write(socket, queue))
        try:
            async for _message in socket:
                pass
        finally:
            writer.cancel()
        return socket

    async def read(self, port: int, user: str, secret: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        writer.write(f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\nEvents: on\r\n\r\n".encode())
        pending = b""
        while data := await reader.read(65_536):
            *messages, pending = (pending + data).split(b"\r\n\r\n")
            for message in messages:
                if found := RINGING.match(message):
                    for queue in self._queues.get(found[1], ()):
                        queue.put_nowait(FRAME)

    @staticmethod
    async def _write(socket: web.WebSocketResponse, queue: asyncio.Queue[bytes]) -> None:
        while True:
            await socket.send_str((await queue.get()).decode())


async def serve(options: argparse.Namespace) -> None:
    """Relay until killed."""
    relay = Relay()
    app = web.Application()
    app.router.add_get("/live", relay.accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.listen, backlog=1024).start()
    await relay.read(options.ami, options.user, options.secret)


def main() -> None:
    """The command line of the relay."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay")
    parser.add_argument("--ami", type=int, required=True)
    parser.add_argument("--listen", type=int, required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--secret", required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
