"""Comments, mentions and notifications; the story of a party; history; drafts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm import comments, drafts, notifications
from crm.by_hand import CommunicationValues, log_communication
from crm.comments import (
    add_comment,
    comments_of,
    edit_comment,
    logins_in,
    pin_comment,
    pinned_comments,
    remove_comment,
)
from crm.errors import Conflict, Invalid, NotAllowed, NotFound
from crm.history import party_history
from crm.parties import change_owner, create_party, edit_party, organisation_values
from crm.party_cards import party_card
from crm.party_story import Source, party_story
from crm.rights import Access
from crm.schema.access import AccessGrant
from crm.schema.communications import Comment
from crm.schema.journals import ChangeLog
from crm.schema.views import Notification
from tests.crm.people import COMMAND, make_team, make_user


async def firm(session: AsyncSession, owner: Access, name: str = "Пример") -> int:
    return await create_party(session, owner, organisation_values(name), kinds=["client"])


@pytest.mark.parametrize(
    ("text", "logins"),
    [
        ("@vera, посмотри", ["vera"]),
        ("Спросить у @Oleg.P. и @vera.", ["oleg.p", "vera"]),
        ("почта a@vera.example и @@vera", []),
        ("@вера @вера (@oleg)", ["вера", "oleg"]),
        ("@ @- @.", []),
    ],
)
def test_logins_are_read_as_people_write_them(text: str, logins: list[str]) -> None:
    assert logins_in(text) == logins


async def test_a_mention_notifies_once_and_opens_the_card_for_a_week(session: AsyncSession) -> None:
    team, other = await make_team(session, "Ours"), await make_team(session, "Theirs")
    vera = await make_user(session, team_id=team, login="vera1")
    oleg = await make_user(session, team_id=other, login="Oleg1")
    party = await firm(session, vera)
    with pytest.raises(NotFound):
        await party_card(session, oleg, party)
    comment = await add_comment(session, vera, party, "@oleg1 и @vera1: проверьте")
    (notice,) = (await notifications.list_notices(session, oleg)).items
    assert (notice.kind, notice.record_id, notice.actor_name) == ("mentioned", str(party), vera.name)
    assert notice.detail["name"] == "Пример"
    assert await notifications.count_unseen(session, vera) == 0  # nobody is told of what they did
    assert (await party_card(session, oleg, party)).id == party
    await edit_comment(session, vera, comment, "@oleg1 ещё раз", version=1)
    assert await notifications.count_unseen(session, oleg) == 1
    grant = (await session.scalars(select(AccessGrant).where(AccessGrant.user_id == oleg.user_id))).one()
    assert timedelta(days=6) < grant.until - datetime.now(UTC) <= timedelta(days=7)


async def test_t11_who_reads_by_a_mention_does_not_pass_it_on(session: AsyncSession) -> None:
    vera, oleg = await make_user(session), await make_user(session)
    anna = await make_user(session, login="anna1")
    party = await firm(session, vera)
    await add_comment(session, vera, party, f"@{oleg.login}")
    await add_comment(session, oleg, party, "@anna1 тоже")
    assert await notifications.count_unseen(session, anna) == 1
    with pytest.raises(NotFound):
        await party_card(session, anna, party)


async def test_one_edits_ones_own_and_pins_what_one_may(session: AsyncSession) -> None:
    team = await make_team(session, "Ours")
    vera = await make_user(session, team_id=team)
    manager = await make_user(session, ("manager",), team_id=team)
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    stranger = await make_user(session)
    party = await firm(session, vera)
    by_vera = await add_comment(session, vera, party, "первый")
    assert await edit_comment(session, vera, by_vera, "первый", version=1) == 1  # no change
    assert await edit_comment(session, vera, by_vera, "иначе", version=1) == 2
    with pytest.raises(Conflict):
        await edit_comment(session, vera, by_vera, "совсем иначе", version=1)
    for other in (manager, head, stranger):
        with pytest.raises(NotFound):
            await edit_comment(session, other, by_vera, "чужое", version=2)
    for other in (manager, stranger):
        with pytest.raises(NotFound):
            await pin_comment(session, other, by_vera, is_pinned=True)
    await pin_comment(session, head, by_vera, is_pinned=True)
    (pinned,) = await pinned_comments(session, manager, party)
    assert (pinned.text, pinned.is_pinned, pinned.edited_at is not None) == ("иначе", True, True)
    for n in range(comments.MOST_PINNED - 1):
        more = await add_comment(session, vera, party, f"ещё {n}")
        await pin_comment(session, vera, more, is_pinned=True)
    last = await add_comment(session, vera, party, "лишний")
    with pytest.raises(Invalid):
        await pin_comment(session, vera, last, is_pinned=True)
    for wrong in ("", "  \n ", "x" * 10_001, "a\0b"):
        with pytest.raises(Invalid):
            await add_comment(session, vera, party, wrong)
    with pytest.raises(NotFound):
        await add_comment(session, stranger, party, "чужое")
    with pytest.raises(NotFound):
        await comments_of(session, stranger, party)


async def test_a_notification_is_shown_by_one_tab_and_seen_once(session: AsyncSession) -> None:
    vera, oleg = await make_user(session, ("manager",)), await make_user(session)
    party = await firm(session, vera)
    await change_owner(session, COMMAND, party, oleg.user_id)
    (notice,) = (await notifications.list_notices(session, oleg, only_unseen=True)).items
    assert (notice.kind, notice.detail) == ("assigned", {"name": "Пример"})
    assert await notifications.take_to_show(session, oleg, notice.id) is not None
    assert await notifications.take_to_show(session, oleg, notice.id) is None
    with pytest.raises(NotFound):
        await notifications.take_to_show(session, vera, notice.id)
    assert await notifications.mark_seen(session, vera, notice.id) == 0
    assert await notifications.mark_seen(session, oleg) == 1
    assert await notifications.mark_seen(session, oleg, notice.id) == 0
    assert await notifications.count_unseen(session, oleg) == 0


async def test_old_notifications_make_room(session: AsyncSession) -> None:
    oleg = await make_user(session)
    await notifications.tell_users(session, COMMAND, [oleg.user_id], "assigned")
    old = datetime.now(UTC) - timedelta(days=100)
    await session.execute(
        update(Notification).where(Notification.user_id == oleg.user_id).values(created_at=old)
    )
    await notifications.tell_users(session, COMMAND, [oleg.user_id, oleg.user_id], "assigned")
    assert len((await notifications.list_notices(session, oleg)).items) == 1


async def test_the_story_is_one_line_of_time_in_pages_that_meet(session: AsyncSession) -> None:
    vera = await make_user(session)
    party = await firm(session, vera)
    start = datetime.now(UTC) - timedelta(days=1)
    for n in range(9):
        at = start + timedelta(minutes=n // 3)  # several of each at one moment
        values = CommunicationValues(kind="email", direction="in", started_at=at, party_id=party)
        await log_communication(session, vera, values)
        comment = await add_comment(session, vera, party, f"№ {n}")
        await session.execute(update(Comment).where(Comment.id == comment).values(created_at=at))
    whole = await party_story(session, vera, party)
    assert whole.next is None
    keys = [entry.key for entry in whole.items]
    assert keys == sorted(keys, reverse=True)
    assert len(keys) == 19  # and the creation of the card
    assert whole.items[0].change is not None
    found, cursor = [], None
    while True:
        page = await party_story(session, vera, party, cursor=cursor, limit=4)
        found += [entry.key for entry in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert found == keys
    only = await party_story(session, vera, party, sources=frozenset({Source.COMMENT}))
    assert {entry.source for entry in only.items} == {Source.COMMENT}
    for cursor in ("rubbish", "WyJhIiwgOSwgImIiXQ"):
        with pytest.raises(Invalid):
            await party_story(session, vera, party, cursor=cursor)


async def test_history_tells_names_and_keeps_to_the_right_to_the_journal(session: AsyncSession) -> None:
    team, other = await make_team(session, "Ours"), await make_team(session, "Theirs")
    vera = await make_user(session, team_id=team)
    oleg = await make_user(session, team_id=other, login="oleg2")
    head = await make_user(session, ("head",), team_id=team, is_head=True)
    telephony = await make_user(session, ("telephony",))
    party = await firm(session, vera)
    await edit_party(session, vera, party, organisation_values("Иначе"), version=1)
    await change_owner(session, head, party, head.user_id)
    await change_owner(session, COMMAND, party, vera.user_id)
    page = await party_history(session, head, party)
    (newest, *_rest) = [each for each in page.items if each.fields[0].field == "owner_id"]
    assert (newest.fields[0].old, newest.fields[0].new, newest.actor_name) == (head.name, vera.name, None)
    assert any(each.fields[0].new == "Иначе" and each.actor_name == vera.name for each in page.items)
    first = await party_history(session, vera, party, limit=2)
    second = await party_history(session, vera, party, limit=200, cursor=first.next)
    assert (*first.items, *second.items) == page.items
    await add_comment(session, vera, party, "@oleg2")
    assert (await party_history(session, oleg, party)).items == ()  # reads the card, did nothing with it
    for refused, error in ((telephony, NotFound), (await make_user(session), NotFound)):
        with pytest.raises(error):
            await party_history(session, refused, party)
    nobody = Access(user_id=vera.user_id, login="x", name="x")
    with pytest.raises(NotAllowed):
        await party_history(session, nobody, party)


async def test_a_draft_is_its_writers_and_goes_when_it_is_saved(session: AsyncSession) -> None:
    vera, oleg = await make_user(session), await make_user(session)
    await drafts.keep_draft(session, vera, "party", "5", {"city": ["Тверь"], "kinds": ["client", "other"]})
    await drafts.keep_draft(session, vera, "party", "5", {"city": ["Псков\0"]})
    kept = await drafts.draft_of(session, vera, "party", "5")
    assert kept is not None
    assert kept.fields == {"city": ["Псков\N{REPLACEMENT CHARACTER}"]}
    assert await drafts.draft_of(session, oleg, "party", "5") is None
    assert await drafts.draft_of(session, vera, "party", "") is None
    with pytest.raises(Invalid):
        await drafts.keep_draft(session, vera, "party", "5", {"note": ["x" * 60_000]})
    await drafts.drop_draft(session, oleg, "party", "5")
    assert await drafts.draft_of(session, vera, "party", "5") is not None
    await drafts.drop_draft(session, vera, "party", "5")
    assert await drafts.draft_of(session, vera, "party", "5") is None


async def test_a_comment_is_removed_by_its_author_and_stays_in_the_journal(session: AsyncSession) -> None:
    team = await make_team(session, "Removing")
    vera, oleg = await make_user(session, team_id=team), await make_user(session, ("head",), team_id=team)
    party = await firm(session, vera)
    first = await add_comment(session, vera, party, "Первый")
    second = await add_comment(session, vera, party, "Второй")
    await pin_comment(session, vera, second, is_pinned=True)
    with pytest.raises(NotFound):
        await remove_comment(session, oleg, second)
    with pytest.raises(Conflict):
        await remove_comment(session, vera, second, version=7)
    await remove_comment(session, vera, second, version=1)
    assert [each.id for each in (await comments_of(session, vera, party)).items] == [first]
    assert await pinned_comments(session, vera, party) == []
    story = await party_story(session, vera, party, sources=frozenset({Source.COMMENT}))
    assert [entry.id for entry in story.items] == [first]
    for act in (
        remove_comment(session, vera, second),
        edit_comment(session, vera, second, "Иначе", version=2),
        comments.comment(session, vera, second),
    ):
        with pytest.raises(NotFound):
            await act
    of_comment = (ChangeLog.record_kind == "comment", ChangeLog.record_id == str(second))
    kept = await session.scalars(
        select(ChangeLog.old).where(*of_comment, ChangeLog.field == "text", ChangeLog.new.is_(None))
    )
    assert kept.all() == ["Второй"]
