"""T9: where subscribers may be: public addresses over TLS, own networks only where the installation names them."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from crm.errors import Invalid
from webhooks.addresses import AddressRefused, GuardedSockets, checked_url, is_allowed, networks_of

OWN = networks_of(["10.1.0.0/16", "127.0.0.0/8"])
INSIDE = (
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2001:0:53aa:64c:0:fbff:80ff:fffe",
)  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_t09_addresses_inside_are_refused(address: str) -> None:
    assert not is_allowed(ip_address(address), "https", ())
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(AddressRefused):
        GuardedSockets("https", ())((family, socket.SOCK_STREAM, 6, "", (address, 443)))


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_reached_over_tls_only(address: str) -> None:
    assert is_allowed(ip_address(address), "https", OWN)
    assert not is_allowed(ip_address(address), "http", OWN)


def test_own_networks_are_allowed_by_the_setting() -> None:
    assert is_allowed(ip_address("10.1.2.3"), "http", OWN)
    assert is_allowed(ip_address("::ffff:10.1.2.3"), "http", OWN)
    assert not is_allowed(ip_address("10.2.2.3"), "https", OWN)


@pytest.mark.parametrize(
    "typed",
    [
        "", "crm.example", "ftp://crm.example/", "https://", "https://a b/", "https://x.example:0/", "https://x.example:99999/",
        "https://x\\@y/", "https://u:p@x.example/", "https://x.example/#f", "javascript:alert(1)", "https://x.example/\x00",
        "https://" + "a" * 1000, "http://crm.example/", "https://127.1/", "https://0x7f000001/",
        "https://2130706433/", "https://017700000001/", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/",
    ],
)  # fmt: skip
def test_t09_an_address_that_cannot_be_is_refused_when_it_is_typed(typed: str) -> None:
    with pytest.raises(Invalid) as raised:
        checked_url(typed, ())
    assert raised.value.field == "url"


def test_an_address_is_stored_as_it_is_sent_to() -> None:
    assert checked_url(" https://CRM.example:8443/in?a=1 ", ()) == "https://crm.example:8443/in?a=1"
    assert checked_url("https://Пример.рф/путь", ()).startswith("https://xn--e1afmkfd.xn--p1ai/%D0%BF")
    assert checked_url("http://127.0.0.1:8000/hook", OWN) == "http://127.0.0.1:8000/hook"
