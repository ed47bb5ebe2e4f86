"""Whose request it is when a proxy of ours passes it on; nobody else's word is taken (threat T30)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp import web

from web.keys import SERVICES
from web.routes import Handler

FORWARDED: Final = "X-Forwarded-For"
Networks = Sequence[IPv4Network | IPv6Network]


@web.middleware
async def believe_proxies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """`request.remote` is the client's address: the socket's, or what a trusted proxy says of it."""
    trusted = request.app[SERVICES].trusted_proxies
    if trusted and request.remote:
        client = client_address(request.remote, request.headers.getall(FORWARDED, []), trusted)
        if client != request.remote:
            request = request.clone(remote=client)
    return await handler(request)


def client_address(peer: str, forwarded: Sequence[str], trusted: Networks) -> str:
    """The last address that is no proxy of ours, read from the end: what comes before it anybody may have written."""
    hops = [hop.strip() for header in forwarded for hop in header.split(",")]
    address = peer
    while hops and _is_trusted(address, trusted):
        hop = hops.pop()
        if not _is_address(hop):
            return address
        address = hop
    return address


def networks(texts: Sequence[str]) -> Networks:
    """Addresses and networks of the settings.

    Raises:
        ValueError: a text is neither.
    """
    return tuple(ip_network(text, strict=False) for text in texts)


def _is_trusted(address: str, trusted: Networks) -> bool:
    parsed = ip_address(address) if _is_address(address) else None
    return parsed is not None and any(parsed in network for network in trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
