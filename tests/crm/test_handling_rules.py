"""What follows from calls by rule: which rule holds, and what is done beside the journal, once."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database
from crm.errors import Invalid, NotAllowed, NotFound
from crm.handling_rules import FollowUp, Rule, Situation, all_rules, set_rule, try_on_call
from crm.rule_actions import carry_out_next
from crm.schema.base import uuid7
from crm.schema.communications import Communication
from crm.schema.desk import CallAction
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schema.views import Notification
from cti.calls.records import Disposition
from cti.daemon.follow_ups import FollowUps
from tests.crm import planting
from tests.crm.missing import Company, caller
from tests.crm.people import COMMAND, make_user


@pytest_asyncio.fixture(loop_scope="session")
async def company(session: AsyncSession) -> Company:
    return await Company.found(session)


async def rule(
    company: Company, situation: Situation, *actions: FollowUp, is_known: bool = False, is_own: bool = True
) -> None:
    line_id = company.line if is_own else None
    wanted = Rule(line_id=line_id, situation=situation, is_known=is_known, actions=frozenset(actions))
    await set_rule(company.session, COMMAND, wanted)


async def carry_out(company: Company) -> int:
    done = 0
    while await carry_out_next(company.session):
        done += 1
    company.session.expire_all()
    return done


async def test_a_lines_own_rule_wins_over_that_of_all_lines(company: Company) -> None:
    situation = Situation.INBOUND_MISSED
    await rule(company, situation, FollowUp.NOTIFY)
    rules = await all_rules(company.session)
    assert rules.of(company.line, situation, is_known=False).actions == {FollowUp.NOTIFY}
    assert rules.of(company.line, situation, is_known=True).actions == {FollowUp.CALLBACK_CASE}
    assert rules.of(None, situation, is_known=False).actions == {FollowUp.CALLBACK_CASE}
    assert rules.of(company.line, Situation.OUTBOUND_ANSWERED, is_known=True).actions == frozenset()


async def test_a_missed_unknown_caller_becomes_one_lead_however_often_they_call(company: Company) -> None:
    await rule(company, Situation.INBOUND_MISSED, FollowUp.LEAD, FollowUp.CALLBACK_CASE)
    first = company.missed(caller(51), "10:00")
    await company.tell(first, company.missed(caller(51), "10:05"))
    assert await carry_out(company) == 2
    await company.tell(msgspec.structs.replace(first, run="2"))  # told again: nothing more is done
    assert await carry_out(company) == 0
    leads = (await company.session.scalars(select(Lead).where(Lead.line_id == company.line))).all()
    assert len(leads) == 1
    linked = select(func.count()).select_from(Communication).where(Communication.lead_id == leads[0].id)
    assert await company.session.scalar(linked) == 2
    assert leads[0].first_response_at is None
    assert (await company.case(caller(51))).missed_count == 2


async def test_a_lead_of_an_answered_call_was_answered_at_once(company: Company) -> None:
    await rule(company, Situation.INBOUND_ANSWERED, FollowUp.LEAD)
    await company.tell(company.talk(caller(52), "11:00", is_inbound=True))
    assert await carry_out(company) == 1
    lead = (await company.session.scalars(select(Lead).where(Lead.line_id == company.line))).one()
    assert lead.first_response_at is not None


async def test_a_withheld_number_makes_no_lead_and_says_why(company: Company) -> None:
    await rule(company, Situation.INBOUND_MISSED, FollowUp.LEAD)
    entry = company.missed(None, "12:00")
    await company.tell(entry)
    assert await carry_out(company) == 1
    failed = await company.session.get(CallAction, (entry.call_id, "lead"))
    assert failed is not None
    assert (failed.state, "withheld" in (failed.why or "")) == ("failed", True)


async def test_the_responsible_user_is_told_and_of_nobodys_the_head(company: Company) -> None:
    head = await make_user(company.session, ["head"], team_id=company.team, is_head=True)
    owner = company.agents[0].user_id
    client = await planting.organisation(company.session, "Invented Ltd", kind="client", owner_id=owner)
    for is_known in (True, False):
        await rule(company, Situation.INBOUND_MISSED, FollowUp.NOTIFY, is_known=is_known)
    await company.tell(
        company.missed(caller(53), "13:00", party_id=client, match_status="matched"),
        company.missed(caller(54), "13:05"),
    )
    await carry_out(company)
    query = select(Notification.user_id, Notification.detail["name"].astext).where(
        Notification.kind == "call", Notification.user_id.in_([owner, head.user_id])
    )
    told = {tuple(row) for row in await company.session.execute(query)}
    assert told == {(owner, "Invented Ltd"), (head.user_id, None)}


async def test_a_client_of_nobody_is_theirs_who_talked_and_nobody_loses_one(company: Company) -> None:
    owner, talked = (agent.user_id for agent in company.agents)
    nobodys = await planting.organisation(company.session, "Nobody's Ltd", kind="client")
    owned = await planting.organisation(company.session, "Owned Ltd", kind="client", owner_id=owner)
    for is_known in (True, False):
        await rule(company, Situation.INBOUND_ANSWERED, FollowUp.ASSIGN, is_known=is_known)
    stranger = company.talk(caller(58), "15:10", is_inbound=True)
    await company.tell(
        company.talk(caller(56), "15:00", is_inbound=True, party_id=nobodys, match_status="matched"),
        company.talk(caller(57), "15:05", is_inbound=True, party_id=owned, match_status="matched"),
        stranger,
    )
    assert await carry_out(company) == 3
    owners = select(Party.id, Party.owner_id).where(Party.id.in_([nobodys, owned]))
    assert dict((await company.session.execute(owners)).all()) == {nobodys: talked, owned: owner}
    why = await company.session.scalar(select(CallAction.why).where(CallAction.call_id == stranger.call_id))
    assert why is not None
    assert "Nobody is known by this number" in why


async def test_an_outgoing_call_that_was_not_answered(company: Company) -> None:
    await rule(company, Situation.OUTBOUND_FAILED, FollowUp.NOTIFY, is_own=False)
    await company.tell(
        company.tried(caller(55), "14:00"), company.tried(caller(55), "14:05", Disposition.CANCELLED)
    )
    assert await carry_out(company) == 1  # we gave the second up ourselves


async def test_two_workers_do_each_thing_once(database: Database) -> None:
    async with database.sessions.begin() as session:
        company = await Company.found(session)
        await rule(company, Situation.INBOUND_MISSED, FollowUp.LEAD)
        numbers = [caller(560 + index) for index in range(4)]
        for number in numbers:
            await company.tell(company.missed(number, "15:00"))
    workers = [FollowUps(database.sessions) for _ in range(2)]
    await asyncio.gather(*(worker.work() for worker in workers))
    async with database.sessions() as session:
        leads = select(func.count()).select_from(Lead).where(Lead.line_id == company.line)
        assert await session.scalar(leads) == len(numbers)


async def test_trying_on_a_call_does_nothing_and_says_what_would_follow(company: Company) -> None:
    entry = company.missed(caller(57), "16:00")
    await company.tell(entry)
    admin = await make_user(company.session, ["admin"])
    trial = await try_on_call(company.session, admin, entry.call_id)
    assert trial.rule is not None
    assert (trial.situation, trial.is_known) == (Situation.INBOUND_MISSED, False)
    assert trial.rule.actions == {FollowUp.CALLBACK_CASE}
    with pytest.raises(NotFound):
        await try_on_call(company.session, admin, uuid7())
    ignored = company.missed(caller(58), "16:05", match_status="ignored")
    await company.tell(ignored)
    assert (await try_on_call(company.session, admin, ignored.call_id)).why == "ignored"


async def test_who_may_not_set_up_lines_sets_no_rules(company: Company) -> None:
    wanted = Rule(line_id=None, situation=Situation.INBOUND_MISSED, is_known=True)
    with pytest.raises(NotAllowed):
        await set_rule(company.session, company.agents[0], wanted)
    with pytest.raises(NotFound):
        await set_rule(company.session, COMMAND, Rule(line_id=987, situation=wanted.situation, is_known=True))
    with pytest.raises(Invalid):
        await set_rule(
            company.session,
            COMMAND,
            Rule(line_id=None, situation=wanted.situation, is_known=True, due_minutes=0),
        )
