"""«Запросить доступ»: who is told, who may answer, what is granted, and that asking tells nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm import access_requests
from crm.access_requests import answer_request, ask_access, list_requests
from crm.errors import Invalid, NotAllowed, NotFound
from crm.history import party_history
from crm.merging import merge_parties
from crm.notifications import count_unseen, list_notices
from crm.parties import change_owner, create_party, organisation_values
from crm.party_bin import bin_party
from crm.party_cards import party_card
from crm.rights import Access
from crm.schema.access import AccessGrant
from crm.schema.requests import AccessRequest
from tests.crm.people import COMMAND, make_team, make_user


async def firm(session: AsyncSession, owner: Access, name: str = "Пример") -> int:
    return await create_party(session, owner, organisation_values(name), kinds=["client"])


async def told(session: AsyncSession, access: Access) -> list[tuple[str, str | None]]:
    page = await list_notices(session, access)
    return [(notice.kind, notice.record_id) for notice in page.items]


async def waiting(session: AsyncSession, access: Access) -> list[int]:
    return [request.party_id for request in (await list_requests(session, access)).items]


async def office(session: AsyncSession) -> tuple[Access, Access, Access]:
    """Whose record it is, the head of their team, and somebody of another team."""
    ours, theirs = await make_team(session, "Ours"), await make_team(session, "Theirs")
    owner = await make_user(session, ("manager",), team_id=ours)
    head = await make_user(session, ("head",), team_id=ours, is_head=True)
    asker = await make_user(session, ("manager",), team_id=theirs)
    return owner, head, asker


async def test_the_responsible_and_their_head_are_told_and_one_press_opens_the_card(
    session: AsyncSession,
) -> None:
    owner, head, asker = await office(session)
    party = await firm(session, owner)
    await ask_access(session, asker, party)
    await ask_access(session, asker, party)  # pressed twice
    for access in (owner, head):
        assert [kind for kind, _ in await told(session, access)] == ["access_wanted"]
        assert await waiting(session, access) == [party]
    assert await waiting(session, asker) == []
    (request,) = (await list_requests(session, head)).items
    assert (request.user_name, request.team_name, request.party_name) == (asker.name, "Theirs", "Пример")
    await answer_request(session, head, request.id, is_granted=True)
    assert (await party_card(session, asker, party)).id == party
    grant = (await session.scalars(select(AccessGrant).where(AccessGrant.user_id == asker.user_id))).one()
    assert grant.reason == "request"
    assert timedelta(days=29) < grant.until - datetime.now(UTC) <= timedelta(days=30)
    assert await told(session, asker) == [("access_granted", str(party))]
    assert await count_unseen(session, owner) == 0  # nothing is left for them to do
    changes = [change.fields[0] for change in (await party_history(session, owner, party)).items]
    assert [(change.field, change.new) for change in changes[:2]] == [
        ("access_granted", asker.name),
        ("access_asked", asker.name),
    ]


async def test_a_refusal_is_told_and_opens_nothing(session: AsyncSession) -> None:
    owner, _head, asker = await office(session)
    party = await firm(session, owner)
    await ask_access(session, asker, party)
    (request,) = (await list_requests(session, owner)).items
    await answer_request(session, owner, request.id, is_granted=False)
    assert await told(session, asker) == [("access_refused", str(party))]
    with pytest.raises(NotFound):
        await party_card(session, asker, party)
    with pytest.raises(NotFound):  # answered already
        await answer_request(session, owner, request.id, is_granted=True)
    await ask_access(session, asker, party)  # may be asked again
    assert await waiting(session, owner) == [party]


async def test_asking_for_what_is_not_there_looks_the_same_and_leaves_nothing(session: AsyncSession) -> None:
    owner, _head, asker = await office(session)
    mine, binned = await firm(session, asker), await firm(session, owner)
    await bin_party(session, COMMAND, binned)
    for party_id in (mine, binned, 10**12):
        await ask_access(session, asker, party_id)
    assert await session.scalar(select(func.count()).select_from(AccessRequest)) == 0


async def test_whoever_may_not_change_the_record_does_not_answer(session: AsyncSession) -> None:
    owner, _head, asker = await office(session)
    party = await firm(session, owner)
    await ask_access(session, asker, party)
    (request,) = (await list_requests(session, owner)).items
    telephony = await make_user(session, ("telephony",))
    with pytest.raises(NotAllowed):
        await ask_access(session, telephony, party)
    with pytest.raises(NotAllowed):
        await list_requests(session, telephony)
    with pytest.raises(NotFound):
        await answer_request(session, asker, request.id, is_granted=True)


async def test_without_anybody_responsible_the_administrators_are_told(session: AsyncSession) -> None:
    admin = await make_user(session, ("admin",))
    _owner, _head, asker = await office(session)
    party = await firm(session, admin)
    await change_owner(session, COMMAND, party, None)
    await ask_access(session, asker, party)
    assert [kind for kind, _ in await told(session, admin)] == ["access_wanted"]


async def test_requests_follow_a_merge(session: AsyncSession) -> None:
    owner, _head, asker = await office(session)
    survivor, merged = await firm(session, owner), await firm(session, owner, "Пример 2")
    await ask_access(session, asker, survivor)
    await ask_access(session, asker, merged)
    await merge_parties(session, COMMAND, survivor, [merged], {})
    assert await waiting(session, owner) == [survivor]
    await ask_access(session, asker, merged)  # an old address
    assert await waiting(session, owner) == [survivor]


async def test_nobody_floods_the_bells(session: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_requests, "MOST_A_DAY", 1)
    owner, _head, asker = await office(session)
    await ask_access(session, asker, await firm(session, owner))
    with pytest.raises(Invalid, match="1 records today"):
        await ask_access(session, asker, await firm(session, owner, "Другая"))
