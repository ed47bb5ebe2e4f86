"""One call seen by two connections: a table of cases, and laws for any of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.calls.mirrors import MOST_APART, Richness, Sighting, Talk, is_one_call, mirrors
from cti.calls.records import Direction

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CUSTOMER, LINE, BRANCH = "+79000000001", "+74950000001", "+78120000001"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def seen(number: int = 1, connection: int = 1, **changes: Any) -> Sighting:
    first = Sighting(
        id=UUID(int=number),
        connection_id=connection,
        direction=Direction.INBOUND,
        customer=CUSTOMER,
        ours=frozenset({LINE}),
        started_at=NOON,
    )
    return replace(first, **changes)


def talk(user_id: int, since: float = 5, until: float | None = 60) -> Talk:
    return Talk(user_id=user_id, since=at(since), until=None if until is None else at(until))


OUT: dict[str, Any] = {"direction": Direction.OUTBOUND}
PLACED = seen(direction=Direction.OUTBOUND, customer=BRANCH)
CASES: dict[str, tuple[Sighting, dict[str, Any], bool]] = {
    "the same": (seen(), {}, True),
    "five seconds later": (seen(), {"started_at": at(5)}, True),
    "six seconds later": (seen(), {"started_at": at(5.1)}, False),
    "before": (seen(), {"started_at": at(-4)}, True),
    "nobody knows when": (seen(), {"started_at": None}, False),
    "on one connection": (seen(), {"connection_id": 1}, False),
    "another customer": (seen(), {"customer": "+79000000002"}, False),
    "a hidden number": (seen(customer=None), {"customer": None}, False),
    "another number of ours": (seen(), {"ours": frozenset({BRANCH})}, False),
    "our number is told by one, a line of the other": (seen(), {"ours": frozenset({LINE, BRANCH})}, True),
    "no number of ours": (seen(ours=frozenset()), {"ours": frozenset()}, False),
    "the other way": (seen(), OUT, False),
    "outgoing, seen by the carrier": (seen(**OUT), OUT, True),
    "between colleagues": (seen(direction=Direction.INTERNAL), {"direction": Direction.INTERNAL}, False),
    "from one office to the other": (PLACED, {"customer": LINE, "ours": frozenset({BRANCH})}, True),
    "from elsewhere to the other office": (PLACED, {"ours": frozenset({BRANCH})}, False),
    "both offices placed one": (PLACED, {**OUT, "customer": LINE, "ours": frozenset({BRANCH})}, False),
    "from one office to the other, both talk": (
        replace(PLACED, talks=(talk(1),)),
        {"customer": LINE, "ours": frozenset({BRANCH}), "talks": (talk(2),)},
        True,
    ),
    "the same person talks": (seen(talks=(talk(1),)), {"talks": (talk(1),)}, True),
    "two people talk at one time": (seen(talks=(talk(1),)), {"talks": (talk(2, 30, 90),)}, False),
    "two people talk at this moment": (seen(talks=(talk(1, 5, None),)), {"talks": (talk(2, 9, None),)}, False),
    "one after the other": (seen(talks=(talk(1, 5, 30),)), {"talks": (talk(2, 30, 90),)}, True),
    "three in one talk, one of them seen twice": (seen(talks=(talk(1), talk(2))), {"talks": (talk(2),)}, True),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_when_two_connections_saw_one_call(case: str) -> None:
    one, changes, expected = CASES[case]
    other = replace(seen(2, 2), **changes)
    assert is_one_call(one, other) is expected
    assert is_one_call(other, one) is expected


def test_the_poorer_one_mirrors_the_richer_one() -> None:
    carrier, pbx = seen(1, 1), seen(2, 2, started_at=at(1), richness=Richness.PERSON_TALKED)
    assert mirrors([carrier, pbx]) == {carrier.id: pbx.id}


def test_of_equals_the_later_one_mirrors_the_earlier_one() -> None:
    assert mirrors([seen(1, 1, started_at=at(1)), seen(2, 2)]) == {UUID(int=1): UUID(int=2)}
    assert mirrors([seen(1, 1), seen(2, 2)]) == {UUID(int=2): UUID(int=1)}


def test_three_connections_have_one_root() -> None:
    three = [seen(number, number, started_at=at(number)) for number in (1, 2, 3)]
    assert mirrors(three) == {UUID(int=2): UUID(int=1), UUID(int=3): UUID(int=1)}


def test_who_redials_at_once_made_two_calls() -> None:
    first = [seen(1, 1), seen(2, 2, started_at=at(0.5))]
    again = [seen(3, 1, started_at=at(3)), seen(4, 2, started_at=at(3.4))]
    assert mirrors([*first, *again]) == {UUID(int=2): UUID(int=1), UUID(int=4): UUID(int=3)}


sightings = st.lists(
    st.builds(
        seen,
        number=st.integers(1, 12),
        connection=st.integers(1, 3),
        direction=st.sampled_from(Direction),
        customer=st.sampled_from([CUSTOMER, LINE, BRANCH, None]),
        ours=st.frozensets(st.sampled_from([LINE, BRANCH])),
        started_at=st.one_of(st.none(), st.integers(0, 120).map(lambda tenths: at(tenths / 10))),
        richness=st.sampled_from(Richness),
        talks=st.lists(st.builds(talk, st.integers(1, 2), st.integers(0, 5), st.none()), max_size=1).map(
            tuple
        ),
    ),
    unique_by=lambda sighting: sighting.id,
    max_size=9,
)


@given(sightings, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_and_never_a_chain(found: list[Sighting], chance: Any) -> None:
    links = mirrors(found)
    shuffled = chance.sample(found, len(found))
    assert mirrors(shuffled) == links
    assert not links.keys() & set(links.values())
    known = {sighting.id: sighting for sighting in found}
    groups: dict[UUID, list[Sighting]] = {}
    for mirror, root in links.items():
        groups.setdefault(root, [known[root]]).append(known[mirror])
    for root, group in groups.items():
        assert len({sighting.connection_id for sighting in group}) == len(group)
        assert all(is_one_call(known[root], sighting) for sighting in group[1:])
        assert max(sighting.richness for sighting in group) == known[root].richness
        times = [sighting.started_at for sighting in group if sighting.started_at]
        assert max(times) - min(times) <= MOST_APART
