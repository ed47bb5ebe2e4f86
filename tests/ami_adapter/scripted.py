"""A fake Asterisk manager that does what a test tells it, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from ami_adapter.framing import AmiFrames, AmiMessage
from ami_adapter.link import AmiSettings, Limits, Patience

GREETING = b"Asterisk Call Manager/11.0.0\r\n"
HASTY = Patience(
    connect=0.3,
    action=0.3,
    ping=0.05,
    silence=0.4,
    boot=0.05,
    retry_first=0.02,
    retry_longest=0.1,
    retry_refused=0.15,
)
LISTS = {
    "ExtensionStateList": "ExtensionStateListComplete",
    "BridgeList": "BridgeListComplete",
    "CoreShowChannels": "CoreShowChannelsComplete",
    "Status": "StatusComplete",
    "QueueStatus": "QueueStatusComplete",
    "DeviceStateList": "DeviceStateListComplete",
}


def message(**headers: str) -> bytes:
    """One AMI message."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"


class Link:
    """The server's side of one connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.requests: list[AmiMessage] = []

    def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        if not self.writer.is_closing():
            self.writer.write(data)

    def answer(self, request: AmiMessage, **headers: str) -> None:
        """Answer one action."""
        self.say(message(**({"Response": "Success"} | headers | {"ActionID": request["ActionID"]})))

    def asked(self, name: str) -> list[AmiMessage]:
        """The actions of this name, so far."""
        return [request for request in self.requests if request["Action"] == name]


def obliging(link: Link, request: AmiMessage) -> None:
    """Answers everything a connection needs, as an idle PBX would."""
    name = request["Action"]
    match name:
        case "Challenge":
            link.answer(request, Challenge="4711")
        case "Login":
            link.answer(request, Message="Authentication accepted")
            link.say(message(Event="FullyBooted", Privilege="system,all"))
        case "Ping":
            link.answer(request, Ping="Pong")
        case "ListCommands":
            link.answer(request, Ping="Keepalive command.  (Priv: <none>)")
        case "CoreSettings":
            link.answer(request, AsteriskVersion="22.0.0")
        case "CoreShowChannels":
            link.answer(request, EventList="start", Message="Channels will follow")
            link.say(
                message(Event=LISTS[name], ActionID=request["ActionID"], EventList="Complete", ListItems="0")
            )
        case _ if name in LISTS:
            link.answer(request, EventList="start", Message="A list follows")
            link.say(
                message(Event=LISTS[name], ActionID=request["ActionID"], EventList="Complete", ListItems="0")
            )
        case _:
            link.answer(request, Response="Error", Message=f"Invalid/unknown command: {name}")


class ScriptedAmi:
    """`async with ScriptedAmi() as pbx:`; `behave` may be changed at any time."""

    def __init__(
        self, behave: Callable[[Link, AmiMessage], None] = obliging, greeting: bytes = GREETING
    ) -> None:
        self.behave = behave
        self.greeting = greeting
        self.links: list[Link] = []
        self.port = 0

    async def __aenter__(self) -> ScriptedAmi:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for link in self.links:
            link.writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0.01)  # the handlers see their end

    @property
    def link(self) -> Link:
        """The latest connection."""
        return self.links[-1]

    @property
    def requests(self) -> list[AmiMessage]:
        """Everything asked, over all links."""
        return [request for link in self.links for request in link.requests]

    def settings(
        self,
        *,
        patience: Patience = HASTY,
        limits: Limits | None = None,
        accepts_excessive_rights: bool = False,
    ) -> AmiSettings:
        """How to reach this one, hastily."""
        return AmiSettings(
            host="127.0.0.1",
            port=self.port,
            user="cti",
            secret="s3cr3t-canary",
            patience=patience,
            limits=limits or Limits(),
            accepts_excessive_rights=accepts_excessive_rights,
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(writer)
        self.links.append(link)
        link.say(self.greeting)
        frames = AmiFrames()
        try:
            while data := await reader.read(65_536):
                for request in frames.feed(data):
                    link.requests.append(request)
                    self.behave(link, request)
        except ConnectionError:
            pass
        finally:
            writer.close()


async def eventually(holds: Callable[[], object], within: float = 10.0) -> None:
    """Wait until it holds; fails with the last look."""
    deadline = asyncio.get_running_loop().time() + within
    while not holds():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError("it did not come about in time")
        await asyncio.sleep(0.005)
