"""A talk that two connections saw: every agent in it wraps it up once, wherever they sat, and under whichever id their window stood."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import NotFound
from crm.journal import store_entries
from crm.journal_entries import CallEntry
from crm.notes import save_note
from crm.rights import Access
from crm.said_outcomes import SPAM, say_outcome
from crm.schema.base import uuid7
from crm.wrap_up_codes import list_codes
from crm.wrap_ups import count_unfinished, finish, list_unfinished, running_wrap_ups, wrap_up_of
from cti.calls import records
from cti.calls.records import CallRecord, CallState, CameBy, Disposition
from tests.crm import planting
from tests.crm.people import make_user
from tests.crm.telling import after, rings
from tests.crm.test_mirrors import Company, told_at


class Talks:
    """Of a call that came in at the PBX and went on at the branch: 101 of the PBX talks first, then 101 of the branch."""

    def __init__(self, company: Company, first: Access, second: Access) -> None:
        self.company, self.first, self.second = company, first, second
        self.pbx, self.branch = uuid7(), uuid7()

    @classmethod
    async def found(cls, session: AsyncSession) -> Talks:
        names = ("Office 2", "Carrier 2", "Branch 2")
        pbx, carrier, branch = [await planting.connection(session, name) for name in names]
        first, second = [await make_user(session, ["agent"]) for _ in range(2)]
        await planting.extension(session, pbx, "101", first.user_id)
        await planting.extension(session, pbx, "102", second.user_id)
        await planting.extension(session, branch, "101", second.user_id)
        client = await planting.organisation(session, "Invented Ltd")
        company = Company(session, pbx, carrier, branch, (first.user_id, second.user_id), client)
        return cls(company, first, second)

    def at_the_pbx(self, *parts: records.Participation, ends: float | None = 60) -> CallEntry:
        return self.company.entry(self.company.pbx, talk("100.1", parts, ends), self.pbx)

    def at_the_branch(self, *parts: records.Participation, ends: float | None = 120) -> CallEntry:
        return self.company.entry(self.company.branch, told_at(talk("300.1", parts, ends), 1), self.branch)

    async def tell(self, *entries: CallEntry) -> None:
        for entry in entries:
            await store_entries(await self.company.session.connection(), [entry])
        self.company.session.expire_all()

    async def rows(self) -> set[tuple[UUID, int]]:
        found = await self.company.session.execute(text("select call_id, user_id from wrap_up"))
        return {(call_id, user_id) for call_id, user_id in found}


@pytest.fixture
async def talks(session: AsyncSession) -> Talks:
    return await Talks.found(session)


def part(begins: float, ends: float | None, extension: str = "101", **more: Any) -> records.Participation:
    return records.Participation(
        extension=extension,
        attempt=1,
        came_by=CameBy.RING,
        rang_at=after(begins),
        answered_at=after(begins),
        left_at=None if ends is None else after(ends),
        **more,
    )


def talk(key: str, parts: tuple[records.Participation, ...], ends: float | None) -> CallRecord:
    return replace(
        rings(key),
        state=CallState.TALKING if ends is None else CallState.ENDED,
        disposition=None if ends is None else Disposition.ANSWERED,
        ringing=(),
        talking=(),
        answered_at=after(6),
        ended_at=None if ends is None else after(ends),
        participations=parts,
    )


PASSES_ON, TAKES_OVER = part(6, 60), part(70, 120)
ORDERS = list(itertools.permutations(range(4)))


@pytest.mark.parametrize("order", ORDERS[::5])
async def test_who_talks_at_the_mirrors_side_alone_wraps_up_as_well(
    talks: Talks, order: tuple[int, ...]
) -> None:
    told = [
        talks.at_the_pbx(PASSES_ON, ends=None),
        talks.at_the_pbx(PASSES_ON, ends=120),
        talks.at_the_branch(part(70, None), ends=None),
        talks.at_the_branch(TAKES_OVER),
    ]
    await talks.tell(*(told[index] for index in (*order, *order[:2])))
    links = await talks.company.links()
    assert links == {"100.1": None, "300.1": "100.1"}
    assert await talks.rows() == {
        (talks.pbx, talks.first.user_id),
        (talks.branch, talks.second.user_id),
    }
    info = await wrap_up_of(talks.company.session, talks.second, talks.branch)
    assert info.started_at == after(120)
    running = await running_wrap_ups(talks.company.session, after(121))
    assert talks.second.user_id in {one.user_id for one in running}


@pytest.mark.parametrize("is_mirror_first", [False, True])
async def test_who_talks_at_both_sides_wraps_up_once(talks: Talks, is_mirror_first: bool) -> None:
    """They passed the call from the one telephone on their desk to the other."""
    told = [talks.at_the_pbx(part(6, 60, "102"), ends=120), talks.at_the_branch(TAKES_OVER)]
    for _twice in range(2):
        await talks.tell(*(reversed(told) if is_mirror_first else told))
    assert len(await talks.rows()) == 1
    for call_id in (talks.pbx, talks.branch):
        info = await wrap_up_of(talks.company.session, talks.second, call_id)
        assert info.started_at == after(120)
    with pytest.raises(NotFound):
        await wrap_up_of(talks.company.session, talks.first, talks.pbx)


async def test_comment_and_outcome_said_under_the_other_id_are_those_of_the_talk(talks: Talks) -> None:
    """The window stands under the id of the sighting that was heard of first."""
    session = talks.company.session
    await talks.tell(talks.at_the_pbx(PASSES_ON, ends=None))
    await save_note(session, talks.second, talks.pbx, "Asks for a discount", version=0, is_present=True)
    await say_outcome(session, talks.second, talks.pbx, SPAM)
    await talks.tell(talks.at_the_branch(TAKES_OVER), talks.at_the_pbx(PASSES_ON, ends=120))
    spam = next(code.id for code in await list_codes(session) if code.name == "Spam")
    for call_id in (talks.pbx, talks.branch):
        info = await wrap_up_of(session, talks.second, call_id)
        assert (info.note, info.note_call_id, info.code_id) == ("Asks for a discount", talks.pbx, spam)
    assert await count_unfinished(session, talks.second, after(1000)) == 0
    assert await count_unfinished(session, talks.first, after(1000)) == 1
    (waiting,) = (await list_unfinished(session, talks.first, after(1000))).items
    assert waiting.call_id == talks.pbx
    await finish(session, talks.second, talks.pbx, spam)
    assert (await wrap_up_of(session, talks.second, talks.branch)).finished_at is not None
