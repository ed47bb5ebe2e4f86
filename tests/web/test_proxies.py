"""Whose request it is: a proxy of ours is believed, and only as far as it can know."""

from __future__ import annotations

import pytest

from web.proxies import client_address, networks

OURS = networks(["10.0.0.1", "192.168.0.0/16", "::1"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # a stranger's word
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the client wrote itself is left
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1, 192.168.3.4"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("::1", ["2001:db8::5"], "2001:db8::5"),
    ],
)
def test_t30_the_address_is_the_sockets_unless_a_trusted_proxy_tells(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_address(peer, forwarded, OURS) == client


def test_a_wrong_network_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0"):
        networks(["10.0.0"])
