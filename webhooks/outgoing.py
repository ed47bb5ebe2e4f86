"""One request to a subscriber: signed, bounded in time and size, to an allowed address, no redirect followed."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from http import HTTPStatus
from threading import Thread
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from crm.delivery_queue import KEPT_CHARACTERS, Tried
from webhooks.addresses import GuardedSockets, Network
from webhooks.signing import signed_headers

SECONDS: Final = 15.0  # for a whole request
CONNECT_SECONDS: Final = 5.0
MOST_ANSWER_BYTES: Final = 16 * 1024  # an answer that is longer is not read to its end
PARALLEL: Final = 8  # requests to one subscriber at a time
USER_AGENT: Final = "ringcard"


class Trouble(StrEnum):
    """Why an event did not get through."""

    NAME_UNKNOWN = "name_unknown"
    ADDRESS_REFUSED = "address_refused"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    TIMED_OUT = "timed_out"
    REDIRECT = "redirect"
    ANSWER = "answer"  # it answered, but not with 2xx
    BROKEN = "broken"  # what it answered is no HTTP, or the connection broke
    SECRET = "secret"  # noqa: S105 - the stored secret does not open, so nothing can be signed


class Outgoing:
    """Requests to one address. Made by `outgoing`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def send(self, event_id: str, body: str, secrets: Sequence[str]) -> Tried:
        """Send a body and tell what came of it; raises nothing that the other side could cause."""
        sent, began = body.encode(), time.monotonic()
        headers = signed_headers(event_id, int(time.time()), sent, secrets)
        try:
            status, answer = await self._post(sent, headers)
            trouble = _trouble_of(status)
        except Exception as error:
            status, answer, trouble = None, "", _meaning_of(error)
            if trouble is None:
                raise
        milliseconds = round((time.monotonic() - began) * 1000)
        return Tried(trouble=trouble, status=status, answer=answer, milliseconds=milliseconds)

    async def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        async with self._session.post(self.url, data=body, headers=headers, allow_redirects=False) as answer:
            read = b""
            while len(read) < MOST_ANSWER_BYTES and (more := await answer.content.read(MOST_ANSWER_BYTES)):
                read += more
            if not answer.content.at_eof():
                answer.close()
            return answer.status, read[: 4 * KEPT_CHARACTERS].decode("utf-8", "replace")[:KEPT_CHARACTERS]


@asynccontextmanager
async def outgoing(url: str, networks: Sequence[Network]) -> AsyncIterator[Outgoing]:
    """Connections of its own for one address, so that no other one waits for it."""
    connector = aiohttp.TCPConnector(
        limit=PARALLEL,
        resolver=_OwnThreads(),
        socket_factory=GuardedSockets(url.partition(":")[0], networks),
    )
    session = aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=SECONDS, sock_connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"User-Agent": USER_AGENT, "Content-Type": "application/json", "Accept-Encoding": "identity"},
    )
    async with session:
        yield Outgoing(url, session)


def _trouble_of(status: int) -> Trouble | None:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    return Trouble.REDIRECT if status < HTTPStatus.BAD_REQUEST else Trouble.ANSWER


def _meaning_of(error: Exception) -> Trouble | None:
    """None: it is a fault of ours."""
    match error:
        case TimeoutError():
            return Trouble.TIMED_OUT
        case aiohttp.ClientConnectorDNSError():
            return Trouble.NAME_UNKNOWN
        case aiohttp.ClientSSLError():
            return Trouble.TLS
        case aiohttp.ClientConnectorError(os_error=cause) if _is_refused(cause):
            return Trouble.ADDRESS_REFUSED
        case aiohttp.ClientConnectorError():
            return Trouble.UNREACHABLE
        case aiohttp.ClientError() | OSError() | ValueError():
            return Trouble.BROKEN
        case _:
            return None


def _is_refused(cause: OSError) -> bool:
    return cause.errno == errno.EACCES or "no address that subscribers may have" in str(cause)


class _OwnThreads(AbstractResolver):
    """Looks names up in threads of its own: a name server that does not answer keeps nobody else waiting."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def look_up() -> None:
            try:
                addresses, why = _addresses(host, port, family), None
            except (OSError, UnicodeError) as error:
                addresses, why = [], error
            try:
                loop.call_soon_threadsafe(_tell, found, addresses, why)
            except RuntimeError:  # the loop has ended meanwhile
                return

        Thread(target=look_up, name="subscriber-name", daemon=True).start()
        return await found

    async def close(self) -> None:
        """Threads end by themselves."""


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST,
        )
        for kind, _type, protocol, _name, address in found
    ]


def _tell(
    found: asyncio.Future[list[ResolveResult]], addresses: list[ResolveResult], why: Exception | None
) -> None:
    if found.done():  # nobody waits any more
        return
    if why is None:
        found.set_result(addresses)
    else:
        found.set_exception(why if isinstance(why, OSError) else OSError(str(why)))
