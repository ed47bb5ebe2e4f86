"""Whom the database let in lately: for how long, and how many."""

from __future__ import annotations

from tests.web.frame import access_with
from web.gate import Credential
from web.last_seen import BELIEVED_SECONDS, MOST_BELIEVED, LastSeen


def test_believed_for_a_while_and_not_after_a_no() -> None:
    now = 0.0
    seen, access = LastSeen(lambda: now), access_with("agent", 1)
    one, other = Credential(secret="1", is_token=False), Credential(secret="1", is_token=True)
    seen.note(one, access)
    assert (seen.of(one), seen.of(other)) == (access, None)
    now = BELIEVED_SECONDS
    assert seen.of(one) is None
    seen.note(one, access)
    seen.note(one, None)
    assert seen.of(one) is None


def test_i10_when_full_the_oldest_goes() -> None:
    seen, access = LastSeen(), access_with("agent", 1)
    credentials = [Credential(secret=str(number), is_token=False) for number in range(MOST_BELIEVED + 1)]
    for credential in credentials:
        seen.note(credential, access)
    assert seen.of(credentials[0]) is None
    assert seen.of(credentials[1]) == seen.of(credentials[-1]) == access
