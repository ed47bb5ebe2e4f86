"""Where we may send to: public addresses over TLS, and networks of the company's own that the installation names.

The check is made of the address that is connected to, after the name was looked up: a name that leads inside, a number written in
another way, an address that carries another one, are refused like the address itself.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from crm.errors import Invalid

Network = IPv4Network | IPv6Network
MOST_CHARACTERS: Final = 1_000
_SCHEMES: Final = frozenset({"http", "https"})
# One reading only: what another parser could take for something else is refused.
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_PLAIN: Final = re.compile(r"[!#-&(-;=?-\[\]_a-z~]+")  # no blanks, quotes, backslashes, angle brackets
_NAT64: Final = ip_network("64:ff9b::/96")
_LOCAL_NAT64: Final = ip_network("64:ff9b:1::/48")


class AddressRefused(OSError):
    """An address that we may not send to."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, f"{address} is no address that subscribers may have")


def networks_of(words: Sequence[str]) -> tuple[Network, ...]:
    """As `subscriber_networks` names them. Raises ValueError."""
    return tuple(ip_network(word, strict=False) for word in words)


def checked_url(typed: str, networks: Sequence[Network]) -> str:
    """The address of a subscriber as it is stored.

    Raises:
        Invalid: no address; with a user, a password or a fragment; plain HTTP where no own network is allowed;
            a number that is refused at once.
    """
    url = _parsed(typed.strip())
    host = url.hostname or ""
    if url.username or url.password or url.fragment:
        why = "Write the address without a user, a password and a #: requests are signed instead."
        raise Invalid("url", "", why)
    if url.scheme == "http" and not networks:
        why = "Use https. Plain http is for networks that the setting subscriber_networks names."
        raise Invalid("url", "", why)
    if (literal := _literal(host)) is not None and not is_allowed(literal, url.scheme, networks):
        why = "%(address)s is not a public address. An installation may allow its own networks: subscriber_networks."
        raise Invalid("url", "", why, address=str(literal))
    return url.geturl()


def is_allowed(address: IPv4Address | IPv6Address, scheme: str, networks: Sequence[Network]) -> bool:
    """Whether we may connect there. Over plain HTTP to networks of our own only."""
    address = _carried(address)
    if any(address in network for network in networks if network.version == address.version):
        return True
    return scheme == "https" and is_public(address)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it belongs to the public network, and to one machine of it."""
    if isinstance(address, IPv6Address):
        if address in _LOCAL_NAT64 or address.sixtofour or address.teredo:
            return False
        if (carried := _carried(address)) is not address:
            return is_public(carried)
    return address.is_global and not address.is_multicast


class GuardedSockets:
    """Makes the sockets of a connector, for allowed addresses only."""

    def __init__(self, scheme: str, networks: Sequence[Network]) -> None:
        self._scheme = scheme
        self._networks = networks

    def __call__(self, info: Any) -> socket.socket:
        """A socket for an address as `getaddrinfo` gives it. Raises AddressRefused."""
        family, kind, protocol, _name, address = info
        text = str(address[0])
        if not is_allowed(ip_address(text.partition("%")[0]), self._scheme, self._networks):
            raise AddressRefused(text)
        return socket.socket(family, kind, protocol)


def _parsed(typed: str) -> SplitResult:
    if len(typed) > MOST_CHARACTERS:
        raise Invalid("url", "", "An address has at most %(most)d characters.", most=MOST_CHARACTERS)
    try:
        url = urlsplit(typed)
        host = url.hostname or ""
        name = host if ":" in host else host.encode("idna").decode()
        port = "" if url.port is None else f":{url.port}"
        netloc = url.netloc if "@" in url.netloc else (f"[{name}]" if ":" in name else name) + port
        url = url._replace(netloc=netloc, path=quote(url.path, safe="/%:@!$&*+,;=~"))
        is_good = (
            typed.isprintable() and url.scheme in _SCHEMES and bool(_HOST.fullmatch(name)) and url.port != 0
        )
    except ValueError:
        is_good = False
    if not is_good or not _PLAIN.fullmatch(url.geturl()):
        why = "This is no address of a web service. Write it as https://crm.example/ringcard."
        raise Invalid("url", typed[:100], why)
    return url


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The number that a host is written as, also in the old ways that the system's resolver understands."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host)) if host[-1:].isalnum() and host[:1].isdigit() else None
    except OSError:
        return None


def _carried(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The address inside of one that carries another."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
