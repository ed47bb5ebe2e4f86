"""One call at one telephone: what the script does with it, and what was seen and heard of it."""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.pbx.phones.messages import AUTHORISATION, Message, NotAnswered, digest, tag_in, unique, uri_in
from tests.pbx.phones.sound import EVENTS, PCMA, Sound

if TYPE_CHECKING:
    from tests.pbx.phones.phone import Phone

Headers = tuple[tuple[str, str], ...]
INVITE_SECONDS = 120.0


@dataclass(eq=False)
class Notes:
    """What a telephone noted of one call; moments of the monotonic clock, in seconds."""

    started_at: float = field(default_factory=time.monotonic)
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: Literal["us", "them"] | None = None
    code: int = 0  # the last final answer: 200, 486, 487 …
    heard: list[tuple[float, frozenset[int]]] = field(default_factory=list)  # every tenth of a second, in Hz
    presses: int = 0  # runs of keys; nobody is heard meanwhile
    transferred: list[int] = field(default_factory=list)  # answers of the PBX to our REFER


class Line:
    """A dialog. `is_ours`: the telephone placed it."""

    def __init__(self, phone: Phone, hz: int, *, is_ours: bool, number: str) -> None:
        self.phone, self.hz, self.is_ours, self.number = phone, hz, is_ours, number
        self.notes = Notes()
        self.answered, self.ended, self.transfer_done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.call_id, self.tag, self.peer_tag = f"{unique()}@{phone.address}", unique(), ""
        self.ours, self.theirs, self.target = "", "", ""
        self.invite = Message(start="")
        self.sound = Sound(phone.address, hz, self._hear)
        self._direction = "sendrecv"
        self._sequence = random.randrange(1, 1000)

    def __repr__(self) -> str:
        return f"<{self.phone.name} {'to' if self.is_ours else 'from'} {self.number}: {self.notes}>"

    # ---- what a script does -------------------------------------------------------------------------------------

    async def ring(self) -> None:
        if not self.ended.is_set():
            self.phone.answer_with(self.invite, 180, tag=self.tag)
            self.notes.rang_at = time.monotonic()

    async def answer(self) -> None:
        if self.ended.is_set():
            return
        self.phone.answer_with(self.invite, 200, tag=self.tag, body=self._sdp())
        self._begin(self.invite.body)

    def refuse(self, code: int, *extra: tuple[str, str]) -> None:
        """486 busy, 603 declined, 302 with a Contact: somebody else."""
        self.phone.answer_with(self.invite, code, tag=self.tag, extra=extra)
        self.end(by="us", code=code)

    async def until_answered(self, *, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            await self.answered.wait()

    async def until_ended(self, *, seconds: float = 40) -> None:
        async with asyncio.timeout(seconds):
            await self.ended.wait()

    async def stay(self, seconds: float) -> None:
        """In the call for so long, or until the other side leaves."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()

    async def hang_up(self) -> None:
        """BYE, CANCEL or 480, whichever fits; nothing if it is over."""
        if self.ended.is_set():
            return
        if self.answered.is_set():
            self.end(by="us", code=200)
            await self.request("BYE")
        elif self.is_ours:
            self.notes.ended_by = "us"
            answer = await self.phone.ask(self._like_invite("CANCEL"))
            if answer.code == 481:  # a PBX that was restarted meanwhile knows nothing of it
                self.end(by="us", code=481)
            await self.until_ended(seconds=5)
        else:
            self.refuse(480)

    async def hold(self) -> None:
        self.sound.is_speaking = False
        await self._renegotiate("sendonly")

    async def resume(self) -> None:
        await self._renegotiate("sendrecv")
        self.sound.is_speaking = True

    async def press(self, digits: str) -> None:
        self.notes.presses += 1
        async with asyncio.timeout(10):
            await self.sound.press(digits)

    async def transfer(self, target: str, *, replacing: Line | None = None) -> None:
        """REFER; with `replacing` an attended transfer that joins this call with that one."""
        uri = f"sip:{target}@{self.phone.server}"
        if replacing is not None:
            call_id = replacing.call_id.replace("@", "%40")
            uri += f"?Replaces={call_id}%3Bto-tag%3D{replacing.peer_tag}%3Bfrom-tag%3D{replacing.tag}"
        by = f"<sip:{self.phone.name}@{self.phone.server}>"
        answer = await self.request("REFER", (("Refer-To", f"<{uri}>"), ("Referred-By", by)))
        assert answer.code == 202, f"the PBX refused to transfer to {target}: {answer.start}"

    # ---- dialling -----------------------------------------------------------------------------------------------

    async def dial(self, uri: str, ours: str, extra: Headers = ()) -> None:
        """Place the call; whatever comes of it is noted, 408 where the PBX was gone before it answered."""
        await self.sound.open()
        self.target, self.ours, self.theirs = uri, ours, f"<{uri}>"
        try:
            answer = await self._invited(extra)
        except NotAnswered:
            self.end(by="them", code=408)
            return
        self.notes.code = answer.code
        if answer.code < 300:
            self._begin(answer.body)
        else:
            self.end(by=self.notes.ended_by or "them", code=answer.code)

    async def _invited(self, extra: Headers) -> Message:
        """The final answer, with a proof of who we are if one is asked for."""
        proof: Headers = ()
        while True:
            self.invite = self._request("INVITE", (*extra, *proof), self._sdp())
            answer = await self.phone.ask(
                self.invite, seconds=INVITE_SECONDS, on_progress=self._note_ringback
            )
            self._acknowledge(self.invite, answer)
            if proof or answer.code not in AUTHORISATION:
                return answer
            proof = (self._proof(answer, self.invite),)

    def _note_ringback(self, answer: Message) -> None:
        self.peer_tag = tag_in(answer.get("To")) or self.peer_tag
        if answer.code in (180, 183) and self.notes.rang_at is None:
            self.notes.rang_at = time.monotonic()

    # ---- what the other side asks ----------------------------------------------------------------------------------

    def take(self, request: Message) -> None:
        """A request inside the call."""
        match request.method:
            case "BYE":
                self.phone.answer_with(request, 200)
                self.end(by="them", code=200)
            case "INVITE" | "UPDATE":
                has_sound = bool(request.body) or request.method == "INVITE"
                self._speak_to(request.body)
                body = self._sdp(_answering(request.body) or self._direction) if has_sound else ""
                self.phone.answer_with(request, 200, body=body)
            case "NOTIFY":
                self.phone.answer_with(request, 200)
                self._note_transfer(request.body)
            case _:
                self.phone.answer_with(request, 200)

    def cancelled(self, request: Message) -> None:
        self.phone.answer_with(request, 200, tag=unique())
        self.phone.answer_with(self.invite, 487, tag=self.tag)
        self.end(by="them", code=487)

    def end(self, *, by: Literal["us", "them"], code: int) -> None:
        if not self.ended.is_set():
            self.notes.ended_at, self.notes.ended_by, self.notes.code = time.monotonic(), by, code
            self.sound.close()
            self.ended.set()

    def _note_transfer(self, body: str) -> None:
        if found := re.search(r"SIP/2.0 (\d+)", body):
            self.notes.transferred.append(int(found[1]))
            if int(found[1]) >= 200:
                self.transfer_done.set()

    # ---- inside ----------------------------------------------------------------------------------------------------

    async def request(self, method: str, extra: Headers = (), body: str = "") -> Message:
        """A request inside the call, with a proof if one is asked for."""
        sent = self._request(method, extra, body)
        answer = await self.phone.ask(sent)
        if answer.code in AUTHORISATION:
            if method == "INVITE":
                self._acknowledge(sent, answer)
            sent = self._request(method, (*extra, self._proof(answer, sent)), body)
            answer = await self.phone.ask(sent)
        if method == "INVITE":
            self._acknowledge(sent, answer)
        return answer

    def acknowledge_again(self, answer: Message) -> None:
        number = int(answer.get("CSeq").split(" ")[0])
        self.phone.send(self._request("ACK", sequence=number))

    async def _renegotiate(self, direction: str) -> None:
        self._direction = direction
        answer = await self.request("INVITE", body=self._sdp(direction))
        assert answer.code == 200, f"the PBX refused {direction}: {answer.start}"

    def _begin(self, sdp: str) -> None:
        self.notes.answered_at, self.notes.code = time.monotonic(), 200
        self._speak_to(sdp)
        self.answered.set()

    def _hear(self, tones: frozenset[int]) -> None:
        self.notes.heard.append((time.monotonic(), tones - {self.hz}))

    def _speak_to(self, sdp: str) -> None:
        address = re.search(r"c=IN IP4 (\S+)", sdp)
        port = re.search(r"m=audio (\d+)", sdp)
        if address and port:
            self.sound.speak_to((address[1], int(port[1])))

    def _sdp(self, direction: str = "sendrecv") -> str:
        lines = (
            "v=0",
            f"o=- {id(self) % 100_000} {time.monotonic_ns()} IN IP4 {self.phone.address}",
            "s=-",
            f"c=IN IP4 {self.phone.address}",
            "t=0 0",
            f"m=audio {self.sound.port} RTP/AVP {PCMA} {EVENTS}",
            f"a=rtpmap:{PCMA} PCMA/8000",
            f"a=rtpmap:{EVENTS} telephone-event/8000",
            f"a=fmtp:{EVENTS} 0-16",
            "a=ptime:20",
            f"a={direction}",
        )
        return "\r\n".join(lines) + "\r\n"

    def _request(self, method: str, extra: Headers = (), body: str = "", *, sequence: int = 0) -> Message:
        if not sequence:
            self._sequence += 1
        to = f"{self.theirs};tag={self.peer_tag}" if self.peer_tag else self.theirs
        headers = (
            ("Via", f"SIP/2.0/UDP {self.phone.address}:{self.phone.port};branch=z9hG4bK{unique()};rport"),
            ("Max-Forwards", "70"),
            ("From", f"{self.ours};tag={self.tag}"),
            ("To", to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{sequence or self._sequence} {method}"),
            ("Contact", self.phone.contact),
            *extra,
            *((("Content-Type", "application/sdp"),) if body else ()),
        )
        return Message(start=f"{method} {self.target} SIP/2.0", headers=headers, body=body)

    def _like_invite(self, method: str, *, to: str = "") -> Message:
        """CANCEL, and the ACK of a refusal: the INVITE's own headers (RFC 3261, 9.1 and 17.1.1.3)."""
        number = self.invite.get("CSeq").split(" ")[0]
        kept = tuple((name, self.invite.get(name)) for name in ("Via", "Max-Forwards", "From", "Call-ID"))
        headers = (*kept, ("To", to or self.invite.get("To")), ("CSeq", f"{number} {method}"))
        return Message(start=f"{method} {self.invite.uri} SIP/2.0", headers=headers)

    def _acknowledge(self, sent: Message, answer: Message) -> None:
        if answer.code < 300:
            self.peer_tag = tag_in(answer.get("To"))
            self.target = uri_in(answer.get("Contact")) or self.target
            self.acknowledge_again(answer)
            return
        if sent is self.invite:
            self.phone.send(self._like_invite("ACK", to=answer.get("To")))

    def _proof(self, challenge: Message, sent: Message) -> tuple[str, str]:
        asked, answered = AUTHORISATION[challenge.code]
        text = digest(challenge.get(asked), self.phone.name, self.phone.password, sent.method, sent.uri)
        return answered, text


def _answering(sdp: str) -> str | None:
    """How to answer an offer: who is put on hold only listens."""
    return "recvonly" if "a=sendonly" in sdp or "a=inactive" in sdp else None
