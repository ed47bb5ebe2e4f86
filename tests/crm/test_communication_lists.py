"""The list of communications: both orders for everybody, quick search, actions on many, the bin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import communication_mass as mass
from crm.bin_emptying import empty_communications
from crm.by_hand import CommunicationValues, edit_communication, log_communication, values_of
from crm.changed_records import changed_communications
from crm.communication_bin import bin_communication, list_communication_bin, restore_communication
from crm.communication_filters import CommunicationFilter
from crm.communication_keys import allowed
from crm.communication_search import search_communications
from crm.communications import (
    communication_card,
    communication_ids,
    count_communications,
    list_communications,
)
from crm.database import Database
from crm.errors import Conflict, Invalid, NotAllowed, NotFound
from crm.lead_locks import lock_parties
from crm.mass_changes import MassResult
from crm.notifications import list_notices
from crm.parties import create_party, organisation_values
from crm.rights import Access
from crm.schema.base import uuid7
from crm.schema.communications import Communication, Participation
from crm.schema.meetings import Meeting
from crm.schema.parties import Party
from crm.schema.tasks import Task
from crm.timeline import timeline
from tests.crm import planting
from tests.crm.enquiries import lead_row, make_lead
from tests.crm.people import COMMAND, make_team, make_user

NOW = datetime.now(UTC).replace(microsecond=0)
EARLIER = NOW - timedelta(hours=1)
WRONG_STARTS = text(
    """
    select p.id from participation p join communication c on c.id = p.call_id
    where p.started_at is distinct from c.started_at
    """
)


def letter(**more: Any) -> CommunicationValues:
    said: dict[str, Any] = {"kind": "email", "direction": "out", "started_at": EARLIER, "subject": "Счёт"}
    return CommunicationValues(**said | more)


def meeting(**more: Any) -> CommunicationValues:
    return letter(kind="meeting", direction="none", state="planned", **more)


async def firm(session: AsyncSession, owner: Access, name: str = "Пример") -> int:
    return await create_party(session, owner, organisation_values(name), kinds=["client"])


async def ring(session: AsyncSession, call_id: UUID, user: Access, *, attempt: int = 1) -> UUID:
    """The call rang at a user: at which telephone does not matter."""
    part, extension = uuid7(), str(user.user_id)
    row: dict[str, Any] = {
        "extension": extension,
        "attempt": attempt,
        "came_by": "ring",
        "team_id": user.team_id,
    }
    session.add(Participation(id=part, call_id=call_id, user_id=user.user_id, **row))
    await session.flush()
    return part


async def walked(session: AsyncSession, access: Access, *, is_oldest_first: bool) -> list[UUID]:
    """Every page of two rows, one after the other."""
    found, cursor = [], None
    while True:
        page = await list_communications(
            session, access, is_oldest_first=is_oldest_first, cursor=cursor, limit=2
        )
        found += [each.id for each in page.items]
        cursor = page.next
        if cursor is None:
            return found


async def test_both_orders_hold_what_one_may_see_for_everybody(session: AsyncSession) -> None:
    team, other = await make_team(session, "Ours"), await make_team(session, "Theirs")
    vera = await make_user(session, team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    stranger = await make_user(session, team_id=other)
    pbx = await planting.connection(session, "pbx")
    for minutes in range(6):
        at = EARLIER - timedelta(minutes=minutes)
        await log_communication(session, vera, letter(started_at=at))
        await log_communication(session, stranger, letter(started_at=at))
        call = await planting.past_call(session, pbx, None, at, seconds=30)
        await ring(session, call, (vera, stranger)[minutes % 2])
        await ring(session, call, (vera, stranger)[minutes % 2], attempt=2)  # listed once
        await planting.past_call(session, pbx, None, at, user_id=vera.user_id, team_id=team)
    invited = meeting(started_at=NOW + timedelta(days=1), user_ids=(vera.user_id,))
    await log_communication(session, stranger, invited)
    for access, expected in ((vera, 16), (head, 15), (stranger, 10), (COMMAND, 25)):
        rule = select(Communication.id).where(or_(*allowed(access)))
        newest = rule.order_by(Communication.started_at.desc(), Communication.id.desc())
        due = list(await session.scalars(newest))
        assert len(due) == expected
        assert await walked(session, access, is_oldest_first=False) == due
        assert await walked(session, access, is_oldest_first=True) == due[::-1]
        assert (await count_communications(session, access)).value == expected
        assert await communication_ids(session, access, CommunicationFilter(), 200) == due
        first = await communication_ids(session, access, CommunicationFilter(), 3, is_oldest_first=True)
        assert first == due[:-4:-1]


async def test_a_participation_says_when_its_call_began(session: AsyncSession) -> None:
    vera = await make_user(session)
    pbx = await planting.connection(session, "pbx")
    one, other = [
        await planting.past_call(session, pbx, None, EARLIER - timedelta(hours=hours)) for hours in (1, 2)
    ]
    part = await ring(session, one, vera)
    assert (await session.execute(WRONG_STARTS)).all() == []
    later = {"started_at": EARLIER - timedelta(minutes=5)}
    await session.execute(update(Communication).where(Communication.id == one).values(later))
    assert (await session.execute(WRONG_STARTS)).all() == []
    await session.execute(update(Participation).where(Participation.id == part).values(call_id=other))
    assert (await session.execute(WRONG_STARTS)).all() == []


async def found(session: AsyncSession, access: Access, typed: str, **wanted: Any) -> list[UUID]:
    result = await search_communications(session, access, typed, CommunicationFilter(**wanted))
    assert not result.is_cut
    return [each.id for each in result.items]


async def test_quick_search_finds_words_names_and_numbers(session: AsyncSession) -> None:
    vera = await make_user(session)
    party, other = await firm(session, vera, "Ромашка"), await firm(session, vera, "Василёк")
    offer = await log_communication(
        session, vera, letter(party_id=party, subject="Ещё раз", summary="Скидка 100% на_всё")
    )
    chat = await log_communication(
        session, vera, letter(party_id=other, kind="chat", started_at=NOW - timedelta(days=2), subject=None)
    )
    pbx = await planting.connection(session, "pbx")
    call = await planting.past_call(session, pbx, "+79001234567", EARLIER, user_id=vera.user_id)
    assert await found(session, vera, "еще скидка") == [offer]
    assert await found(session, vera, "100%") == [offer]
    assert await found(session, vera, "на_всё") == [offer]
    assert await found(session, vera, "скидка нет") == []
    assert await found(session, vera, "ромаш") == [offer]
    assert await found(session, vera, "василек") == [chat]
    assert await found(session, vera, "василек", kind="email") == []
    assert await found(session, vera, "ромаш", since=NOW) == []
    for typed in ("4567", "45-67", "8 (900) 123-45-67", "+79001234567"):
        assert await found(session, vera, typed) == [call]
    assert await found(session, vera, "1234") == []  # the last digits, or all of them
    assert await found(session, vera, "4567", kind="email") == []
    assert (await search_communications(session, vera, "a")).is_too_short
    with pytest.raises(NotAllowed):
        await search_communications(session, await make_user(session, ("telephony",)), "ромашка")


async def test_quick_search_goes_in_the_lists_order_and_says_that_it_was_cut(session: AsyncSession) -> None:
    vera = await make_user(session)
    party = await firm(session, vera)
    ids = [
        await log_communication(
            session, vera, letter(party_id=party, subject="Тема", started_at=EARLIER - timedelta(minutes=n))
        )
        for n in range(4)
    ]
    first = await search_communications(session, vera, "тема", limit=3)
    assert ([each.id for each in first.items], first.is_cut) == (ids[:3], True)
    last = await search_communications(session, vera, "пример", is_oldest_first=True, limit=4)
    assert ([each.id for each in last.items], last.is_cut) == (ids[::-1], False)


async def test_t11_quick_search_finds_what_the_list_has(session: AsyncSession) -> None:
    team = await make_team(session, "Ours")
    vera = await make_user(session, team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    stranger = await make_user(session)
    party = await firm(session, stranger, "Незабудка")
    pbx = await planting.connection(session, "pbx")
    taken = await planting.past_call(session, pbx, "+79001234567", EARLIER, party_id=party)
    await ring(session, taken, vera)
    secret = await log_communication(session, stranger, letter(party_id=party, subject="Тайна"))
    for access, by_name, by_words, by_number in (
        (COMMAND, [secret, taken], [secret], [taken]),
        (stranger, [secret], [secret], []),
        (vera, [taken], [], [taken]),  # whose card it is she may not read
        (manager, [taken], [], [taken]),
    ):
        assert sorted(await found(session, access, "незабудка")) == sorted(by_name)
        assert await found(session, access, "тайна") == by_words
        assert await found(session, access, "4567") == by_number


async def test_the_bin_takes_what_was_written_by_hand_and_gives_it_back(session: AsyncSession) -> None:
    vera, stranger = await make_user(session), await make_user(session)
    party = await firm(session, vera)
    before = await log_communication(
        session, vera, letter(party_id=party, started_at=EARLIER - timedelta(days=3))
    )
    values = letter(
        kind="meeting", direction="none", state="held", party_id=party, user_ids=(stranger.user_id,)
    )
    made = await log_communication(session, vera, values)
    last = select(Party.last_communication_at).where(Party.id == party)
    assert await session.scalar(last) == EARLIER
    for access in (stranger, await make_user(session, ("telephony",))):
        with pytest.raises((NotFound, NotAllowed)):
            await bin_communication(session, access, made)
    with pytest.raises(Conflict):
        await bin_communication(session, vera, made, base_version=7)
    await bin_communication(session, vera, made, base_version=1)
    assert await session.scalar(last) == EARLIER - timedelta(days=3)
    for access in (vera, stranger, COMMAND):
        assert made not in [each.id for each in (await list_communications(session, access)).items]
        with pytest.raises(NotFound):
            await communication_card(session, access, made)
    assert [each.id for each in (await timeline(session, vera, party)).items] == [before]
    assert await found(session, vera, "счёт") == [before]
    with pytest.raises(NotFound):
        await edit_communication(session, vera, made, values, version=2)
    with pytest.raises(NotFound):
        await bin_communication(session, vera, made)
    (binned,) = (await list_communication_bin(session, vera)).items
    assert (binned.id, binned.party_name, binned.deleted_by) == (made, "Пример", vera.name)
    assert binned.until - binned.deleted_at == timedelta(days=30)
    assert (await list_communication_bin(session, stranger)).items == ()
    with pytest.raises(NotFound):
        await restore_communication(session, stranger, made)
    await restore_communication(session, vera, made)
    card = await communication_card(session, stranger, made)  # still invited
    assert [each.name for each in card.participants] == [stranger.name]
    assert await session.scalar(last) == EARLIER
    assert (await list_communication_bin(session, COMMAND)).items == ()
    with pytest.raises(NotFound):
        await restore_communication(session, vera, made)


async def test_what_the_pbx_told_never_gets_into_the_bin(session: AsyncSession) -> None:
    pbx = await planting.connection(session, "pbx")
    call = await planting.past_call(session, pbx, None, EARLIER)
    with pytest.raises(Invalid, match="The PBX told this call"):
        await bin_communication(session, COMMAND, call)
    by_hand = await log_communication(session, COMMAND, letter(kind="call"))
    await bin_communication(session, COMMAND, by_hand)
    assert [each.id for each in (await list_communications(session, COMMAND)).items] == [call]


async def test_the_bin_goes_in_pages_and_is_searched(session: AsyncSession) -> None:
    vera = await make_user(session)
    party = await firm(session, vera, "Ромашка")
    ids = [await log_communication(session, vera, letter(subject=f"Ещё {n}")) for n in range(3)]
    ids.append(await log_communication(session, vera, letter(party_id=party, subject="Другое")))
    for made in ids:
        await bin_communication(session, vera, made)
    first = await list_communication_bin(session, vera, limit=3)
    rest = await list_communication_bin(session, vera, cursor=first.next, limit=3)
    assert [each.id for each in (*first.items, *rest.items)] == ids[::-1]
    assert rest.next is None
    for typed, expected in (("еще 1", [ids[1]]), ("ромашка", [ids[3]]), ("нет такого", [])):
        assert [
            each.id for each in (await list_communication_bin(session, vera, wanted=typed)).items
        ] == expected
    with pytest.raises(Invalid):
        await list_communication_bin(session, vera, cursor="rubbish")


async def test_after_thirty_days_it_goes_for_good(session: AsyncSession) -> None:
    vera = await make_user(session)
    old, fresh = [await log_communication(session, vera, meeting(user_ids=(vera.user_id,))) for _ in range(2)]
    about: dict[str, Any] = {"title": "По встрече", "kind": "errand", "communication_id": old}
    session.add(Task(number=901, owner_id=vera.user_id, created_by=vera.user_id, **about))
    for made in (old, fresh):
        await bin_communication(session, vera, made)
    long_ago = {"deleted_at": NOW - timedelta(days=31)}
    await session.execute(update(Communication).where(Communication.id == old).values(long_ago))
    before, place = NOW - timedelta(days=30), 0
    while (after := await empty_communications(session, COMMAND, before, place)) is not None:
        place = after
    assert place == 1
    for model in (Communication, Meeting):
        assert list(await session.scalars(select(model.id))) == [fresh]
    assert (await session.scalars(select(Task.communication_id))).all() == [None]


async def test_programs_are_told_what_went_into_the_bin(database: Database) -> None:
    since = datetime.now(UTC) - timedelta(minutes=1)
    async with database.sessions.begin() as session:
        vera = await make_user(session)
        made, kept = [await log_communication(session, vera, letter()) for _ in range(2)]
        await bin_communication(session, vera, made)
    async with database.sessions() as session:
        changed = await changed_communications(session, vera, since, cursor=None, limit=None)
        assert ([each.id for each in changed.items], changed.gone) == ([kept], (made,))


async def test_many_change_at_once_and_the_rest_is_counted(database: Database) -> None:
    async with database.sessions.begin() as session:
        team = await make_team(session, "Массовая")
        head = await make_user(session, ("head",), team_id=team, is_head=True)
        oleg, stranger = await make_user(session, team_id=team), await make_user(session)
        party = await firm(session, head, "Массовая фирма")
        lead_id = (await make_lead(session, head, party_id=party)).id
        lead = await lead_row(session, lead_id)
        mine = [await log_communication(session, head, letter()) for _ in range(2)]
        planned = await log_communication(session, head, meeting())
        theirs = await log_communication(session, stranger, letter())
        call = await planting.past_call(
            session, await planting.connection(session, "pbx mass"), None, EARLIER
        )
        number = (await session.execute(select(Party.number).where(Party.id == party))).scalar_one()
    sessions, every = database.sessions, [*mine, planned, theirs, call]
    result = await mass.tie_to_party(sessions, head, every, number)
    assert result == MassResult(changed=3, refused=1, kept=1)
    assert await mass.tie_to_lead(sessions, head, mine, lead.number) == MassResult(changed=2)
    assert await mass.end_meetings(sessions, head, every, "held") == MassResult(changed=1, refused=3, kept=1)
    assert await mass.end_meetings(sessions, head, [planned], "held") == MassResult(unchanged=1)
    assert await mass.give_communications(sessions, head, mine, oleg.user_id) == MassResult(changed=2)
    assert await mass.give_communications(sessions, head, mine, oleg.user_id) == MassResult(unchanged=2)
    async with sessions() as session:
        card = await communication_card(session, oleg, mine[0])
        assert (card.communication.user_id, card.communication.party_id) == (oleg.user_id, party)
        stored = await session.get_one(Communication, mine[0])
        assert (stored.lead_id, stored.team_id) == (lead_id, team)
        assert (await communication_card(session, head, planned)).communication.meeting_state == "held"
        (notice,) = (await list_notices(session, oleg)).items
        assert (notice.kind, notice.record_kind, notice.detail) == ("assigned", "communication", {"count": 2})
    assert await mass.bin_communications(sessions, head, [*mine, call]) == MassResult(changed=2, kept=1)
    for refused in (
        mass.give_communications(sessions, head, mine, stranger.user_id),
        mass.give_communications(sessions, oleg, mine, oleg.user_id),
        mass.tie_to_lead(sessions, stranger, mine, lead.number),
        mass.tie_to_party(sessions, stranger, mine, number),
    ):
        with pytest.raises((NotFound, NotAllowed)):
            await refused
    with pytest.raises(Invalid):
        await mass.end_meetings(sessions, head, mine, "planned")
    with pytest.raises(Invalid):
        await mass.bin_communications(sessions, head, [uuid7() for _ in range(201)])


async def test_a_lead_of_somebody_else_is_not_theirs(database: Database) -> None:
    async with database.sessions.begin() as session:
        vera = await make_user(session)
        party, other = await firm(session, vera, "Одна"), await firm(session, vera, "Другая")
        made = await log_communication(session, vera, letter(party_id=party))
        lead = await lead_row(session, (await make_lead(session, vera, party_id=other)).id)
    assert await mass.tie_to_lead(database.sessions, vera, [made], lead.number) == MassResult(refused=1)
    async with database.sessions() as session:
        card = await communication_card(session, vera, made)
    assert values_of(card).party_id == party


async def test_a_word_that_many_say_is_found_among_the_first_of_ones_own(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.communication_search.MOST_SAYING", 2)
    vera, stranger = await make_user(session), await make_user(session)
    for _ in range(3):
        await log_communication(session, stranger, letter(subject="Общее слово"))
    mine = await log_communication(session, vera, letter(subject="Общее слово"))
    result = await search_communications(session, vera, "общее")
    assert ([each.id for each in result.items], result.is_cut) == ([mine], True)
    await bin_communication(session, vera, mine)
    assert (await search_communications(session, vera, "общее")).items == ()


@asynccontextmanager
async def holding(database: Database, *party_ids: int) -> AsyncIterator[AsyncSession]:
    """Whoever comes for these parties waits; at the end all of them come at once."""
    async with database.sessions.begin() as session:
        await lock_parties(session, party_ids)
        yield session
        await asyncio.sleep(0.3)


async def two_firms(database: Database) -> tuple[tuple[int, int], tuple[int, int], tuple[UUID, UUID]]:
    """The ids and the numbers of two firms, with a letter of each."""
    async with database.sessions.begin() as session:
        ids = await firm(session, COMMAND, "Альфа"), await firm(session, COMMAND, "Бета")
        first, second = [await log_communication(session, COMMAND, letter(party_id=each)) for each in ids]
        one, other = [(await session.get_one(Party, each)).number for each in ids]
    return ids, (one, other), (first, second)


async def test_two_who_tie_letters_crosswise_do_not_wait_for_one_another(database: Database) -> None:
    ids, numbers, (first, second) = await two_firms(database)
    async with asyncio.TaskGroup() as tasks, holding(database, *ids):
        there = tasks.create_task(mass.tie_to_party(database.sessions, COMMAND, [first], numbers[1]))
        back = tasks.create_task(mass.tie_to_party(database.sessions, COMMAND, [second], numbers[0]))
    assert there.result() == back.result() == MassResult(changed=1)


async def test_whoever_restores_a_letter_and_whoever_merges_its_party_do_not_wait_for_one_another(
    database: Database,
) -> None:
    (party_id, _other), _numbers, (letter_id, _second) = await two_firms(database)
    async with database.sessions.begin() as session:
        await bin_communication(session, COMMAND, letter_id)

    async def restore() -> None:
        async with database.sessions.begin() as session:
            await restore_communication(session, COMMAND, letter_id)

    async with holding(database, party_id) as merging:
        restoring = asyncio.create_task(restore())
        await asyncio.sleep(0.3)
        await merging.execute(update(Communication).where(Communication.id == letter_id).values(summary="—"))
    await restoring
    async with database.sessions() as session:
        assert (await communication_card(session, COMMAND, letter_id)).communication.summary == "—"
