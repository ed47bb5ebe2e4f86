"""Whose request it is: a proxy of ours is believed, and only as far as it can know."""

from __future__ import annotations

from typing import ClassVar

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.cti.desk.calls import desk
from tests.web.frame import FakeGate, access_with, services_with
from web.app import create_app
from web.gate import TurnedAway
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


class NotingGate(FakeGate):
    """Writes down from where people sign in."""

    addresses: ClassVar[list[str]] = []

    async def sign_in(self, login: str, password: str, *, address: str, user_agent: str) -> TurnedAway:
        self.addresses.append(address)
        return TurnedAway()


@pytest.mark.parametrize(("trusted", "address"), [((), "127.0.0.1"), (("127.0.0.1", "::1"), "198.51.100.1")])
async def test_t30_t16_the_delay_is_that_of_the_clients_own_address(
    trusted: tuple[str, ...], address: str
) -> None:
    gate = NotingGate(people={}, tokens={"rc_t": access_with("agent")})
    app = create_app(services_with(gate, desk(), trusted_proxies=networks(trusted)))
    forwarded = {"X-Forwarded-For": "6.6.6.6, 198.51.100.1"}
    async with TestClient(TestServer(app)) as client:
        form = {"login": "agent", "password": "wrong"}
        answer = await client.post(
            "/sign-in", data=form, headers=forwarded | {"Sec-Fetch-Site": "same-origin"}
        )
        assert (answer.status, gate.addresses.pop()) == (422, address)
        bearer = forwarded | {"Authorization": "Bearer rc_t"}
        async with client.ws_connect("/live", headers=bearer) as ws:  # passed on like any other request
            assert (await ws.receive_json(timeout=2))["type"] == "hello"
