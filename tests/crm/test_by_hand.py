"""Communications by hand and their list: chosen kinds, meetings with people, rights, pages, plans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.by_hand import CommunicationValues, edit_communication, log_communication, values_of
from crm.communication_filters import CommunicationFilter
from crm.communication_kinds import add_kind, change_kind, own_kinds
from crm.communications import communication_card, list_communications
from crm.errors import Conflict, Invalid, NotAllowed, NotFound, Taken
from crm.notifications import list_notices
from crm.parties import create_party, organisation_values, person_values
from crm.rights import Access
from crm.schema.communications import Communication
from crm.schema.parties import Party
from tests.crm.people import COMMAND, make_team, make_user

NOW = datetime.now(UTC).replace(microsecond=0)
EARLIER = NOW - timedelta(hours=1)


def letter(**more: Any) -> CommunicationValues:
    said: dict[str, Any] = {"kind": "email", "direction": "out", "started_at": EARLIER, "subject": "Счёт"}
    return CommunicationValues(**said | more)


async def firm(session: AsyncSession, owner: Access, name: str = "Пример") -> int:
    return await create_party(session, owner, organisation_values(name), kinds=["client"])


async def seen(session: AsyncSession, access: Access, **wanted: Any) -> list[UUID]:
    page = await list_communications(session, access, CommunicationFilter(**wanted))
    return [each.id for each in page.items]


async def test_what_has_happened_is_the_last_communication_of_the_party(session: AsyncSession) -> None:
    vera = await make_user(session)
    party = await firm(session, vera)
    first = await log_communication(session, vera, letter(party_id=party))
    await log_communication(session, vera, letter(party_id=party, started_at=EARLIER - timedelta(days=1)))
    planned = letter(
        party_id=party,
        kind="meeting",
        state="planned",
        direction="none",
        started_at=NOW + timedelta(days=1),
    )
    await log_communication(session, vera, planned)
    last = select(Party.last_communication_at).where(Party.id == party)
    assert (await session.execute(last)).scalar_one() == EARLIER
    card = await communication_card(session, vera, first)
    assert (card.communication.user_id, card.communication.party_name) == (vera.user_id, "Пример")
    assert card.may_edit


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("kind", {"kind": "dove"}),
        ("direction", {"direction": ""}),
        ("ended_at", {"ended_at": EARLIER - timedelta(seconds=1)}),
        ("state", {"kind": "meeting"}),
        ("kind", {"place": "Офис"}),
        ("own_kind_id", {"own_kind_id": 1}),
        ("own_kind_id", {"kind": "other", "own_kind_id": 999}),
        ("user_ids", {"kind": "meeting", "state": "held", "user_ids": (999_999,)}),
        ("user_ids", {"kind": "meeting", "state": "held", "user_ids": tuple(range(60))}),
    ],
)
async def test_what_does_not_fit_is_refused(session: AsyncSession, field: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        await log_communication(session, COMMAND, letter(**wrong))
    assert refused.value.field == field


async def test_a_meeting_is_planned_with_people_and_held_with_a_result(session: AsyncSession) -> None:
    vera, oleg = await make_user(session), await make_user(session)
    party = await firm(session, vera)
    person = await create_party(session, vera, person_values("Примерова Анна"))
    values = letter(
        kind="meeting",
        direction="none",
        state="planned",
        place="Переговорная",
        party_id=party,
        started_at=NOW + timedelta(days=2),
        user_ids=(oleg.user_id,),
        person_ids=(person,),
    )
    meeting = await log_communication(session, vera, values)
    card = await communication_card(session, oleg, meeting)  # invited, so seen
    assert [each.name for each in card.participants] == [oleg.name, "Примерова Анна"]
    assert not card.may_edit
    assert await seen(session, oleg) == [meeting]
    (notice,) = (await list_notices(session, oleg)).items
    assert (notice.kind, notice.record_id) == ("meeting", str(meeting))
    held = letter(**{**_fields(values), "state": "held", "result": "Договорились", "started_at": EARLIER})
    assert await edit_communication(session, vera, meeting, held, version=1) == 2
    stored = await communication_card(session, vera, meeting)
    assert (stored.communication.meeting_state, stored.communication.result) == ("held", "Договорились")
    assert len((await list_notices(session, oleg)).items) == 1  # invited once
    with pytest.raises(Conflict) as conflict:
        await edit_communication(session, vera, meeting, values, version=1)
    assert set(conflict.value.fields) == {"state", "result", "started_at"}
    assert values_of(stored) == held
    with pytest.raises(NotFound):
        await edit_communication(session, oleg, meeting, values, version=2)


def _fields(values: CommunicationValues) -> dict[str, Any]:
    return {name: getattr(values, name) for name in CommunicationValues.__dataclass_fields__}


async def test_t11_the_list_and_the_card_hold_what_one_may_see(session: AsyncSession) -> None:
    team, other = await make_team(session, "Ours"), await make_team(session, "Theirs")
    vera = await make_user(session, team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    stranger = await make_user(session, team_id=other)
    telephony = await make_user(session, ("telephony",))
    party = await firm(session, vera)
    ours = await log_communication(session, vera, letter(party_id=party))
    theirs = await log_communication(session, stranger, letter())
    expected = {vera: [ours], manager: [ours], stranger: [theirs], COMMAND: [theirs, ours]}
    for access, found in expected.items():
        assert await seen(session, access, kind="email") == found
    for access in (manager, vera):
        with pytest.raises(NotFound):
            await communication_card(session, access, theirs)
    for refused in (list_communications, log_communication):
        with pytest.raises(NotAllowed):
            await refused(session, telephony, letter())  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        await log_communication(session, stranger, letter(party_id=party))
    person = await create_party(session, vera, person_values("Чужая"))
    with pytest.raises(NotFound):
        await log_communication(session, stranger, letter(contact_id=person))
    assert not (await communication_card(session, manager, ours)).may_edit


async def test_pages_meet_and_filters_narrow(session: AsyncSession) -> None:
    vera = await make_user(session)
    ids = [
        await log_communication(session, vera, letter(started_at=EARLIER - timedelta(minutes=n // 2)))
        for n in range(25)
    ]
    chat = await log_communication(session, vera, letter(kind="chat", direction="in"))
    found, cursor = [], None
    while True:
        page = await list_communications(session, vera, cursor=cursor, limit=10)
        found += [each.id for each in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert sorted(found) == sorted([*ids, chat])
    assert await seen(session, vera, kind="chat") == [chat]
    assert await seen(session, vera, direction="in") == [chat]
    assert chat in await seen(session, vera, since=EARLIER, until=NOW)
    assert await seen(session, vera, until=EARLIER - timedelta(days=1)) == []
    with pytest.raises(Invalid):
        await list_communications(session, vera, cursor="rubbish")


@pytest.mark.parametrize("wanted", [CommunicationFilter(), CommunicationFilter(kind="meeting")])
async def test_a_page_of_a_long_list_is_read_from_an_index(
    session: AsyncSession, wanted: CommunicationFilter
) -> None:
    await session.execute(
        text(
            "insert into communication (id, kind, direction, started_at) select gen_random_uuid(), "
            "case when n % 200 = 0 then 'meeting' else 'call' end, 'in', now() - n * interval '1 second' "
            "from generate_series(1, 30000) n"
        )
    )
    await session.execute(text("analyze communication"))
    connection, asked = await session.connection(), []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    await list_communications(session, COMMAND, wanted)
    event.remove(connection.sync_connection, "before_cursor_execute", note)
    for statement, parameters in asked:
        plan = "\n".join((await connection.exec_driver_sql("explain " + statement, parameters)).scalars())
        assert "Seq Scan on communication " not in plan, plan


async def test_own_kinds_are_kept_by_administrators_and_archived_once_used(session: AsyncSession) -> None:
    admin, vera = await make_user(session, ("admin",)), await make_user(session)
    exhibition = await add_kind(session, admin, " Выставка ")
    with pytest.raises(Taken):
        await add_kind(session, admin, "выставка")
    with pytest.raises(NotAllowed):
        await add_kind(session, vera, "Баня")
    for name in ("", "x" * 61):
        with pytest.raises(Invalid):
            await add_kind(session, admin, name)
    made = await log_communication(session, vera, letter(kind="other", own_kind_id=exhibition))
    await change_kind(session, admin, exhibition, name="Ярмарка", is_archived=True)
    assert (await communication_card(session, vera, made)).communication.own_kind == "Ярмарка"
    assert await own_kinds(session) == []
    assert [kind.name for kind in await own_kinds(session, with_archived=True)] == ["Ярмарка"]
    with pytest.raises(NotFound):
        await change_kind(session, admin, 999, name="x", is_archived=False)


async def test_what_the_pbx_told_is_not_edited(session: AsyncSession) -> None:
    vera = await make_user(session)
    made = await log_communication(session, vera, letter(kind="call", direction="in"))
    card = await communication_card(session, vera, made)
    assert card.communication.is_by_hand
    await session.execute(update(Communication).where(Communication.id == made).values(user_id=None))
    with pytest.raises(NotFound):
        await communication_card(session, vera, made)
