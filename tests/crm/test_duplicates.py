"""Pairs that may be one: how they are found, who sees them, «Не дубль»."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import duplicate_search
from crm.duplicate_search import begin_if_due, search_piece, skip_piece
from crm.duplicates import (
    ask_search,
    dismiss_pair,
    list_dismissed,
    list_pairs,
    search_state,
    withdraw_dismissal,
)
from crm.emails import attach_email
from crm.errors import Invalid, NotAllowed, NotFound
from crm.merging import merge_parties
from crm.numbers import NumberValues, attach_number
from crm.parties import change_owner, create_party, edit_party, organisation_values, person_values
from crm.rights import Access
from crm.schema.journals import ChangeLog
from crm.schema.merging import DuplicateDismissal, DuplicateRun
from crm.schema.parties import EmailAddress, Party
from tests.crm.people import COMMAND, make_user


async def firm(
    session: AsyncSession, name: str, access: Access = COMMAND, inn: str = "", kpp: str = ""
) -> int:
    values = organisation_values(name, inn=inn, kpp=kpp)
    return await create_party(session, access, values, kinds=["client"])


async def search(session: AsyncSession) -> int:
    """The whole search; how many pieces it took."""
    await ask_search(session, COMMAND)
    pieces = 0
    while await search_piece(session):
        pieces += 1
        assert pieces < 1000
    return pieces


async def pairs(session: AsyncSession, access: Access = COMMAND) -> dict[tuple[int, int], tuple[str, str]]:
    page = await list_pairs(session, access, limit=200)
    return {(pair.one.id, pair.other.id): (pair.reason, pair.shown) for pair in page.items}


async def test_pairs_are_found_by_number_address_inn_and_name(session: AsyncSession) -> None:
    by_number = [await create_party(session, COMMAND, person_values(name)) for name in ("Зоя", "Лев")]
    for party_id in by_number:
        values = NumberValues(presented="+79000000101", is_shared=True)
        await attach_number(session, COMMAND, party_id, values)
    by_email = [await create_party(session, COMMAND, person_values(name)) for name in ("Ира", "Олег")]
    await attach_email(session, COMMAND, by_email[0], "both@example.org")
    await session.execute(update(EmailAddress).values(usage="shared"))
    await attach_email(session, COMMAND, by_email[1], "both@example.org")
    by_inn = [
        await firm(session, "Северный берег", inn="7707083893", kpp="770701001"),
        await firm(session, "Южный порт", inn="7707083893", kpp="780701001"),
    ]
    by_name = [await firm(session, name) for name in ("Ромашка Трейд", "ООО «Ромашка-трейд»")]
    await firm(session, "Совсем другое")
    await search(session)
    found = await pairs(session)
    assert found == {
        tuple(by_number): ("number", "+79000000101"),
        tuple(by_email): ("email", "both@example.org"),
        tuple(by_inn): ("inn", "7707083893"),
        tuple(by_name): ("name", ""),
    }
    state = await search_state(session)
    assert (state.pairs, state.is_running) == (4, False)
    assert state.made_at is not None


async def test_a_person_and_a_firm_are_no_pair_nor_is_a_reception(session: AsyncSession) -> None:
    await firm(session, "Анна")
    await create_party(session, COMMAND, person_values("Анна"))
    names = ("Борис", "Вера", "Глеб", "Дарья", "Егор", "Жанна")
    for name in names:
        party_id = await create_party(session, COMMAND, person_values(name))
        values = NumberValues(presented="+74950000111", is_shared=True)
        await attach_number(session, COMMAND, party_id, values)
    await search(session)
    assert await pairs(session) == {}


async def test_a_search_goes_in_pieces_and_finds_the_same(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicate_search, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(duplicate_search, "NAMES_AT_ONCE", 1)
    one, other = await firm(session, "Весенний сад"), await firm(session, "Весенний сад, ООО")
    assert await search(session) > 5
    assert set(await pairs(session)) == {(one, other)}


async def test_the_next_search_looks_at_what_changed_and_forgets_what_is_gone(session: AsyncSession) -> None:
    one, other = await firm(session, "Весенний сад"), await firm(session, "Весенний сад, ООО")
    await search(session)
    before = datetime.now(UTC) - timedelta(days=1)
    await session.execute(update(Party).values(updated_at=before))
    await search(session)
    assert set(await pairs(session)) == {(one, other)}  # nothing changed: it stays
    await edit_party(session, COMMAND, other, organisation_values("Осенний лес"), version=1)
    await session.execute(update(Party).where(Party.id == other).values(updated_at=datetime.now(UTC)))
    await search(session)
    assert await pairs(session) == {}


async def test_no_duplicate_holds_for_everybody_and_in_every_later_search(session: AsyncSession) -> None:
    one, other = await firm(session, "Весенний сад"), await firm(session, "Весенний сад, ООО")
    await search(session)
    await dismiss_pair(session, COMMAND, other, one, reason="разные владельцы")
    await dismiss_pair(session, COMMAND, one, other)
    assert await pairs(session) == {}
    assert await session.scalar(select(func.count()).select_from(DuplicateDismissal)) == 1
    logged = await session.scalars(
        select(ChangeLog.record_id).where(
            ChangeLog.field == "not_duplicate_of", ChangeLog.record_id.in_([str(one), str(other)])
        )
    )
    assert sorted(logged) == sorted([str(one), str(other)])
    await search(session)
    assert await pairs(session) == {}
    with pytest.raises(Invalid):
        await dismiss_pair(session, COMMAND, one, one)
    with pytest.raises(NotFound):
        await dismiss_pair(session, COMMAND, one, 987_654_321)


async def test_merging_ends_the_pair(session: AsyncSession) -> None:
    one, other = await firm(session, "Весенний сад"), await firm(session, "Весенний сад, ООО")
    await search(session)
    await merge_parties(session, COMMAND, one, [other])
    assert await pairs(session) == {}
    await search(session)
    assert await pairs(session) == {}


async def test_who_sees_which_pairs(session: AsyncSession) -> None:
    agent = await make_user(session)
    manager = await make_user(session, ("manager",))
    one = await firm(session, "Весенний сад", manager)
    other = await firm(session, "Весенний сад, ООО")
    await search(session)
    with pytest.raises(NotAllowed):
        await list_pairs(session, agent)
    with pytest.raises(NotAllowed):
        await ask_search(session, agent)
    assert await pairs(session, manager) == {}
    with pytest.raises(NotFound):
        await dismiss_pair(session, manager, one, other)
    await change_owner(session, COMMAND, other, manager.user_id)
    await session.execute(text("set constraints all immediate"))  # as where the transaction ends
    assert set(await pairs(session, manager)) == {(one, other)}


async def test_g02_whose_a_pair_is_is_judged_by_the_parties_themselves(session: AsyncSession) -> None:
    manager = await make_user(session, ("manager",))
    pair = [await firm(session, name, manager) for name in ("Весенний сад", "Весенний сад, ООО")]
    await search(session)
    # As where the pair was written at the very moment at which its party was given away.
    await session.execute(text("set session_replication_role = replica"))
    await session.execute(update(Party).where(Party.id == pair[1]).values(owner_id=None, created_by=None))
    await session.execute(text("set session_replication_role = origin"))
    assert await pairs(session, manager) == {}
    assert set(await pairs(session)) == {tuple(pair)}


async def test_pages_go_from_the_likeliest_on(session: AsyncSession) -> None:
    names = ("Весенний сад", "Весенний сад 2", "Весенний садик", "ООО Весенний сад")
    for name in names:
        await firm(session, name)
    await search(session)
    whole = await list_pairs(session, COMMAND)
    assert [pair.likeness for pair in whole.items] == sorted(
        (pair.likeness for pair in whole.items), reverse=True
    )
    assert len(whole.items) >= 4
    found, cursor = [], None
    while True:
        page = await list_pairs(session, COMMAND, cursor=cursor, limit=2)
        found += [pair.id for pair in page.items]
        if (cursor := page.next) is None:
            break
    assert found == [pair.id for pair in whole.items]
    with pytest.raises(Invalid):
        await list_pairs(session, COMMAND, cursor="nonsense")


async def test_what_cannot_be_searched_is_left_out_and_the_search_ends(
    session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicate_search, "NAMES_AT_ONCE", 1)
    first, *pair = [await firm(session, name) for name in ("Один такой", "Весенний сад", "Весенний сад, ООО")]
    await ask_search(session, COMMAND)
    await skip_piece(session)
    run = select(DuplicateRun.stage, DuplicateRun.after_id).where(DuplicateRun.finished_at.is_(None))
    assert (await session.execute(run)).one() == ("number", duplicate_search.ROWS_AT_ONCE)
    while (await session.execute(run)).one().stage != "name":
        await search_piece(session)
    await skip_piece(session)
    assert (await session.execute(run)).one() == ("name", first)
    while await search_piece(session):
        pass
    assert set(await pairs(session)) == {tuple(pair)}


async def test_the_nightly_search_begins_once_a_night(session: AsyncSession) -> None:
    now = datetime.now(UTC)
    assert await begin_if_due(session, now - timedelta(hours=1))
    assert not await begin_if_due(session, now - timedelta(hours=1))
    while await search_piece(session):
        pass
    assert await begin_if_due(session, now + timedelta(hours=23))
    assert (await search_state(session)).is_running
    await ask_search(session, COMMAND)  # the one that goes on serves
    unfinished = select(func.count()).select_from(DuplicateRun).where(DuplicateRun.finished_at.is_(None))
    assert await session.scalar(unfinished) == 1


async def test_no_duplicate_is_taken_back_and_the_pair_is_there_again(session: AsyncSession) -> None:
    manager, other = await make_user(session, ("manager",)), await make_user(session, ("manager",))
    one, two = await firm(session, "Восход Плюс", manager), await firm(session, "Восход-Плюс", manager)
    await search(session)
    assert (one, two) in await pairs(session, manager)
    await dismiss_pair(session, manager, two, one, reason="разные города")
    (said,) = (await list_dismissed(session, manager)).items
    assert (said.one.id, said.other.id, said.reason, said.by_name) == (
        one,
        two,
        "разные города",
        manager.name,
    )
    assert (await list_dismissed(session, other)).items == ()
    with pytest.raises(NotFound):
        await withdraw_dismissal(session, other, said.id)
    await withdraw_dismissal(session, manager, said.id)
    assert (await pairs(session, manager))[(one, two)] == ("name", "")
    assert (await list_dismissed(session, manager)).items == ()
    with pytest.raises(NotFound):
        await withdraw_dismissal(session, manager, said.id)
    field = ChangeLog.field == "not_duplicate_of"
    gone = select(func.count()).select_from(ChangeLog).where(field, ChangeLog.new.is_(None))
    assert await session.scalar(gone) == 2


@pytest.mark.parametrize("shared", ["number", "inn"])
async def test_what_is_taken_back_comes_with_its_strongest_reason(session: AsyncSession, shared: str) -> None:
    inns = ("7707083893", "7707083893") if shared == "inn" else ("", "")
    one = await firm(session, f"Альфа {shared}", inn=inns[0], kpp=inns[0] and "770701001")
    two = await firm(session, f"Омега {shared}", inn=inns[1], kpp=inns[1] and "780701001")
    if shared == "number":
        for party_id in (one, two):
            values = NumberValues(presented="+79000000177", is_shared=True)
            await attach_number(session, COMMAND, party_id, values)
    await search(session)
    await dismiss_pair(session, COMMAND, one, two)
    said = next(each for each in (await list_dismissed(session, COMMAND)).items if each.one.id == one)
    await withdraw_dismissal(session, COMMAND, said.id)
    shown = "7707083893" if shared == "inn" else "+79000000177"
    assert (await pairs(session))[(one, two)] == (shared, shown)
