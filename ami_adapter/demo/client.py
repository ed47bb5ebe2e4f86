"""One client of the PBX in the box: its login, what it subscribed to, and how much may wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ami_adapter.demo.answers import AMI_VERSION, answer, encode, refusal, success
from ami_adapter.demo.picture import Picture
from ami_adapter.errors import AmiMessageTooLong
from ami_adapter.framing import AmiFrames, AmiMessage

GREETING = f"Asterisk Call Manager/{AMI_VERSION}\r\n".encode()
BOOTED = [("Event", "FullyBooted"), ("Privilege", "system,all"), ("Status", "Fully Booted")]


@dataclass(frozen=True, slots=True)
class Account:
    """Who may log in. `repr` hides the secret."""

    user: str
    secret: str

    def __repr__(self) -> str:
        return f"Account(user={self.user!r})"


class DemoClient(asyncio.Protocol):
    """The server's side of one AMI socket.

    Args:
        most_unsent_bytes: a client for which more waits does not read; it is thrown out, like Asterisk does.
    """

    def __init__(
        self,
        account: Account,
        picture: Picture,
        *,
        most_unsent_bytes: int,
        clock: Callable[[], float],
        on_login: Callable[[], None],
    ) -> None:
        self._account = account
        self._picture = picture
        self._most_unsent_bytes = most_unsent_bytes
        self._clock = clock
        self._on_login = on_login
        self._frames = AmiFrames()
        self._transport: asyncio.Transport | None = None
        self._challenge = ""
        self._classes: frozenset[str] | None = frozenset()  # None: all of them
        self.is_logged_in = False
        self.is_open = True  # from its acceptance on: whoever comes at the same moment must not sweep it away

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_open = True
        transport.write(GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = self.is_logged_in = False

    def data_received(self, data: bytes) -> None:
        try:
            requests = self._frames.feed(data)
        except AmiMessageTooLong:
            self.throw_out()
            return
        for request in requests:
            self._handle(request)

    def tell(self, event_class: str, message: bytes) -> None:
        """Send an event if the client is logged in and wants its class."""
        if self.is_logged_in and (self._classes is None or event_class in self._classes):
            self._write(message)

    @property
    def unsent_bytes(self) -> int:
        """How much waits for the client to read."""
        return self._transport.get_write_buffer_size() if self._transport is not None and self.is_open else 0

    def throw_out(self) -> None:
        """Close at once, whatever is still unsent."""
        self.is_logged_in = False
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport is None or not self.is_open:
            return
        self._transport.write(data)
        if self.unsent_bytes > self._most_unsent_bytes:
            self.throw_out()

    def _handle(self, request: AmiMessage) -> None:
        match request.get("Action", "").lower():
            case "challenge":
                self._challenge = str(secrets.randbelow(10**9))
                self._reply(success(request, ("Challenge", self._challenge)))
            case "login":
                self._log_in(request)
            case "logoff":
                self._reply(
                    [("Response", "Goodbye"), *success(request)[1:], ("Message", "Thanks for all the fish.")]
                )
                self._close()
            case _ if not self.is_logged_in:
                self._reply(refusal(request, "Permission denied"))
            case "ping":
                self._reply(success(request, ("Ping", "Pong"), ("Timestamp", f"{self._clock():.6f}")))
            case "events":
                self._subscribe(request.get("EventMask", ""))
                self._reply(success(request, ("Events", "Off" if self._classes == frozenset() else "On")))
            case _:
                self._write(b"".join(map(encode, answer(request, self._picture))))

    def _log_in(self, request: AmiMessage) -> None:
        if not self._knows_secret(request):
            self._reply(refusal(request, "Authentication failed"))
            self._close()
            return
        self._subscribe(request.get("Events", "on"))
        self.is_logged_in = True
        self._on_login()
        self._reply(success(request, ("Message", "Authentication accepted")))
        self.tell("system", encode(BOOTED))

    def _knows_secret(self, request: AmiMessage) -> bool:
        user_fits = hmac.compare_digest(request.get("Username", "").encode(), self._account.user.encode())
        if request.get("AuthType", "").lower() == "md5":
            wanted = hashlib.md5(
                (self._challenge + self._account.secret).encode(), usedforsecurity=False
            ).hexdigest()
            given = request.get("Key", "") if self._challenge else ""
        else:
            wanted, given = self._account.secret, request.get("Secret", "")
        return hmac.compare_digest(given.encode(), wanted.encode()) and user_fits

    def _subscribe(self, mask: str) -> None:
        words = frozenset(word.strip() for word in mask.lower().split(","))
        everything = {"on", "all", "yes", "true", "1"}
        self._classes = None if words & everything else words - {"off", "no", "false", "0", "none", ""}

    def _reply(self, lines: list[tuple[str, str]]) -> None:
        self._write(encode(lines))

    def _close(self) -> None:
        self.is_logged_in = False
        if self._transport is not None:
            self._transport.close()
