"""A telephone, or the provider's end: one UDP socket with any number of calls, and a habit for what rings."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Self

from tests.pbx.asterisk_lab import SIP_PORT
from tests.pbx.phones.line import Headers, Line
from tests.pbx.phones.messages import (
    AUTHORISATION,
    REASONS,
    Message,
    NotAnswered,
    digest,
    tag_in,
    unique,
    uri_in,
    user_in,
    without_tag,
)

Habit = Callable[[Line], Awaitable[None]]
ALLOW = "INVITE, ACK, CANCEL, BYE, REFER, NOTIFY, UPDATE, OPTIONS"


class Phone(asyncio.DatagramProtocol):
    """Named by its extension (or "provider").

    Args:
        voices: whence each call takes its tone; a telephone has one voice, the provider one for each call.
    """

    def __init__(
        self, name: str, address: str, server: str, *, password: str = "", voices: Iterator[int] | int
    ) -> None:
        self.name, self.address, self.server, self.password = name, address, server, password
        self.port = SIP_PORT
        self.lines: list[Line] = []
        self.habit: Habit | None = None  # None: whoever calls is told that nobody is here
        self._voices = itertools.repeat(voices) if isinstance(voices, int) else voices
        self._asked: dict[
            tuple[str, str], tuple[asyncio.Future[Message], Callable[[Message], None] | None]
        ] = {}
        self._answered: dict[tuple[str, str], bytes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._registration = unique()
        self._sequence = itertools.count(1)
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        place = (self.address, self.port)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=place)
        if self.password:
            await self.register()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for line in self.lines:
            line.sound.close()
        if self._transport is not None:
            self._transport.close()

    @property
    def contact(self) -> str:
        return f"<sip:{self.name}@{self.address}:{self.port}>"

    @property
    def open_lines(self) -> list[Line]:
        return [line for line in self.lines if not line.ended.is_set()]

    # ---- what a script does -------------------------------------------------------------------------------------

    async def register(self, *, expires: int = 3600) -> None:
        uri = f"sip:{self.server}"
        proof: Headers = ()
        for _ in range(2):
            request = self._registering(uri, expires, proof)
            answer = await self.ask(request)
            if answer.code not in AUTHORISATION:
                break
            asked, answered = AUTHORISATION[answer.code]
            proof = ((answered, digest(answer.get(asked), self.name, self.password, "REGISTER", uri)),)
        assert answer.code == 200, f"{self.name} could not register: {answer.start}"

    async def dial(self, number: str, *, caller: str = "", name: str = "", extra: Headers = ()) -> Line:
        """A call to this number, begun now; `caller` and `name` are what the provider shows of a customer."""
        line = Line(self, next(self._voices), is_ours=True, number=number)
        self.lines.append(line)
        shown = f'"{name}" ' if name else ""
        ours = f"{shown}<sip:{caller or self.name}@{self.server if self.password else self.address}>"
        self._start(line.dial(f"sip:{number}@{self.server}", ours, extra))
        return line

    async def next_line(self, *, after: int = 0, seconds: float = 30) -> Line:
        """The first call that came in after so many lines were there, once it rings or is over."""
        async with asyncio.timeout(seconds):
            while True:
                for line in self.lines[after:]:
                    if not line.is_ours and (line.notes.rang_at or line.ended.is_set()):
                        return line
                await asyncio.sleep(0.02)

    # ---- SIP ----------------------------------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        if self._transport is not None:
            self._transport.sendto(message.encode(), (self.server, SIP_PORT))

    async def ask(
        self, request: Message, *, seconds: float = 20, on_progress: Callable[[Message], None] | None = None
    ) -> Message:
        """The final answer to a request. Raises NotAnswered."""
        key = (request.branch, request.method)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._asked[key] = (answer, on_progress)
        self.send(request)
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise NotAnswered(f"{self.name}: no answer to {request.start} within {seconds} s") from None
        finally:
            del self._asked[key]

    def answer_with(
        self, request: Message, code: int, *, tag: str = "", body: str = "", extra: Headers = ()
    ) -> None:
        to = request.get("To")
        if tag and not tag_in(to):
            to += f";tag={tag}"
        kept = tuple(("Via", via) for via in request.all("Via"))
        headers = (
            *kept,
            ("From", request.get("From")),
            ("To", to),
            ("Call-ID", request.get("Call-ID")),
            ("CSeq", request.get("CSeq")),
            *((("Contact", self.contact),) if code < 300 else ()),
            ("Allow", ALLOW),
            *extra,
            *((("Content-Type", "application/sdp"),) if body else ()),
        )
        start = f"SIP/2.0 {code} {REASONS.get(code, 'Told')}"
        data = Message(start=start, headers=headers, body=body).encode()
        self._answered[request.branch, request.method] = data
        if self._transport is not None:
            self._transport.sendto(data, request.source)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip():
            return  # a keep-alive
        message = Message.read(data, addr)
        if message.code:
            self._take_answer(message)
        else:
            self._take_request(message)

    def _take_answer(self, answer: Message) -> None:
        future, on_progress = self._asked.get((answer.branch, answer.method), (None, None))
        if future is None:
            self._take_late_answer(answer)
        elif answer.code < 200:
            if on_progress is not None:
                on_progress(answer)
        elif not future.done():
            future.set_result(answer)

    def _take_late_answer(self, answer: Message) -> None:
        """A 200 sent again: our acknowledgement was late."""
        if answer.method == "INVITE" and 200 <= answer.code < 300:
            for line in self.lines:
                if (line.call_id, line.tag) == (answer.get("Call-ID"), tag_in(answer.get("From"))):
                    line.acknowledge_again(answer)

    def _take_request(self, request: Message) -> None:
        if request.method == "ACK" or self._transport is None:
            return
        if (again := self._answered.get((request.branch, request.method))) is not None:
            self._transport.sendto(again, request.source)
        elif line := self._line_of(request):
            if request.method == "CANCEL":
                line.cancelled(request)
            else:
                line.take(request)
        elif request.method == "INVITE" and not tag_in(request.get("To")):
            self._start(self._offer(request))
        else:
            self.answer_with(request, 200 if request.method == "OPTIONS" else 481, tag=unique())

    def _line_of(self, request: Message) -> Line | None:
        legs = {line.tag: line for line in self.open_lines if line.call_id == request.get("Call-ID")}
        if request.method == "CANCEL":  # of a call that has no tag of ours yet
            return next(iter(legs.values()), None)
        return legs.get(tag_in(request.get("To")))

    async def _offer(self, invite: Message) -> None:
        self.answer_with(invite, 100)
        line = Line(self, next(self._voices), is_ours=False, number=user_in(invite.get("From")))
        line.invite, line.call_id, line.peer_tag = invite, invite.get("Call-ID"), tag_in(invite.get("From"))
        line.ours, line.theirs = without_tag(invite.get("To")), without_tag(invite.get("From"))
        line.target = uri_in(invite.get("Contact"))
        self.lines.append(line)
        await line.sound.open()
        if self.habit is None:
            line.refuse(480)
        else:
            await self.habit(line)

    def _registering(self, uri: str, expires: int, proof: Headers) -> Message:
        us = f"<sip:{self.name}@{self.server}>"
        headers = (
            ("Via", f"SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{unique()};rport"),
            ("Max-Forwards", "70"),
            ("From", f"{us};tag={unique()}"),
            ("To", us),
            ("Call-ID", self._registration),
            ("CSeq", f"{next(self._sequence)} REGISTER"),
            ("Contact", self.contact),
            ("Expires", str(expires)),
            *proof,
        )
        return Message(start=f"REGISTER {uri} SIP/2.0", headers=headers)

    def _start(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
