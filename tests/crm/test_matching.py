"""Who is calling: the outcomes and orders of the model's section 6, on a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.matching import MatchedParty, MatchOutcome, MatchResult, Reason, find_by_number
from crm.schema.base import uuid7
from crm.schema.communications import CallNote
from crm.schema.parties import PartyPhone
from crm.schema.telephony import NumberingProfile, NumberNote
from cti.numbers import E164, Number, NumberKind, to_e164
from cti.numbers import NumberingProfile as Profile
from tests.crm import planting
from tests.crm.planting import NOON

CALLER = "+79000000001"
RECEPTION = "+74950000001"


async def asking(session: AsyncSession, presented: str) -> MatchResult:
    return await find_by_number(session, to_e164(presented, Profile()))


def names(result: MatchResult) -> list[str]:
    return [party.contact_name or party.name for party in result.parties]


async def test_a_withheld_number(session: AsyncSession) -> None:
    result = await asking(session, "anonymous")
    assert (result.outcome, result.reasons) == (MatchOutcome.HIDDEN, (Reason("no_number"),))


async def test_a_number_nobody_has(session: AsyncSession) -> None:
    result = await asking(session, CALLER)
    assert (result.outcome, result.parties, result.link) == (MatchOutcome.UNKNOWN, (), (None, None))
    assert result.reasons == (Reason("no_owner", CALLER),)


async def test_one_owner_is_matched_with_the_whole_card(session: AsyncSession) -> None:
    responsible = await planting.user(session, "responsible")
    client = await planting.organisation(session, "Invented Ltd", kind="client", owner_id=responsible)
    await planting.owns(session, client, await planting.number(session, CALLER))
    result = await asking(session, "8 (900) 000-00-01")
    assert result.outcome is MatchOutcome.MATCHED
    assert result.link == (client, None)
    (party,) = result.parties
    assert (party.name, party.kinds, party.owner_name, party.lifecycle) == (
        "Invented Ltd",
        ("client",),
        "Responsible",
        "active",
    )
    assert result.owners == 1


async def test_a_contact_comes_with_the_organisation(session: AsyncSession) -> None:
    client = await planting.organisation(session, "Invented Ltd", kind="client")
    contact = await planting.person(session, "A contact")
    await planting.contact_of(session, contact, client, "Buyer", is_primary=True)
    await planting.owns(session, contact, await planting.number(session, CALLER))
    (party,) = (result := await asking(session, CALLER)).parties
    assert result.link == (client, contact)
    assert (party.name, party.contact_name, party.position, party.is_primary) == (
        "Invented Ltd",
        "A contact",
        "Buyer",
        True,
    )
    assert party.number_owner_id == contact


async def test_a_contact_of_two_organisations_stays_themselves(session: AsyncSession) -> None:
    contact = await planting.person(session, "A contact")
    for name in ("First", "Second"):
        await planting.contact_of(session, contact, await planting.organisation(session, name))
    await planting.owns(session, contact, await planting.number(session, CALLER))
    assert (await asking(session, CALLER)).link == (contact, None)


async def test_a_client_who_is_also_a_contact_is_the_client(session: AsyncSession) -> None:
    client = await planting.person(session, "A private client", kind="client")
    await planting.contact_of(session, client, await planting.organisation(session, "Invented Ltd"))
    await planting.owns(session, client, await planting.number(session, CALLER))
    assert (await asking(session, CALLER)).link == (client, None)


async def test_several_owners_are_shown_as_several_latest_talk_first(session: AsyncSession) -> None:
    number = await planting.number(session, RECEPTION, "shared")
    talks = {"Never B": None, "Never A": None, "Older": NOON - timedelta(days=2), "Latest": NOON}
    for name, last_talk_at in talks.items():
        party = await planting.person(session, name, last_talk_at=last_talk_at)
        await planting.owns(session, party, number, usage="shared")
    result = await asking(session, RECEPTION)
    assert result.outcome is MatchOutcome.AMBIGUOUS
    assert names(result) == ["Latest", "Older", "Never A", "Never B"]
    assert (result.link, result.owners) == ((None, None), 4)
    assert Reason("several_owners", "4") in result.reasons


async def test_the_primary_contact_stands_before_the_name(session: AsyncSession) -> None:
    firm = await planting.organisation(session, "Invented Ltd")
    number = await planting.number(session, RECEPTION, "shared")
    for name, is_primary in (("Anybody", False), ("The primary one", True)):
        contact = await planting.person(session, name)
        await planting.contact_of(session, contact, firm, is_primary=is_primary)
        await planting.owns(session, contact, number, usage="shared")
    assert names(await asking(session, RECEPTION)) == ["The primary one", "Anybody"]


async def test_several_of_one_organisation_link_to_the_organisation(session: AsyncSession) -> None:
    firm = await planting.organisation(session, "Invented Ltd", kind="client")
    number = await planting.number(session, RECEPTION, "shared")
    await planting.owns(session, firm, number, usage="shared")
    for name in ("First", "Second"):
        contact = await planting.person(session, name)
        await planting.contact_of(session, contact, firm)
        await planting.owns(session, contact, number, usage="shared")
    result = await asking(session, RECEPTION)
    assert result.outcome is MatchOutcome.AMBIGUOUS
    assert (result.link, result.organisation_name) == ((firm, None), "Invented Ltd")


async def test_extensions_of_one_number_have_their_own_owners(session: AsyncSession) -> None:
    number = await planting.number(session, RECEPTION)
    for name, extension in (("At 101", "101"), ("At 102", "102"), ("The firm", "")):
        await planting.owns(session, await planting.organisation(session, name), number, extension=extension)
    assert names(await asking(session, f"{RECEPTION} доб. 101")) == ["At 101"]
    assert names(await asking(session, f"{RECEPTION} доб. 999")) == ["The firm"]
    assert (await asking(session, RECEPTION)).outcome is MatchOutcome.AMBIGUOUS


async def test_a_former_owner_is_named_and_not_matched(session: AsyncSession) -> None:
    number = await planting.number(session, CALLER)
    former = await planting.organisation(session, "Had it once")
    await planting.owns(session, former, number, ended_at=NOON)
    result = await asking(session, CALLER)
    assert (result.outcome, result.former) == (MatchOutcome.UNKNOWN, ("Had it once",))
    now = await planting.organisation(session, "Has it now")
    await planting.owns(session, now, number)
    assert names(await asking(session, CALLER)) == ["Has it now"]


@pytest.mark.parametrize("lifecycle", ["archived", "unqualified"])
async def test_every_lifecycle_but_merged_is_recognised(session: AsyncSession, lifecycle: str) -> None:
    party = await planting.person(session, "Somebody", lifecycle=lifecycle)
    await planting.owns(session, party, await planting.number(session, CALLER))
    (found,) = (await asking(session, CALLER)).parties
    assert found.lifecycle == lifecycle


async def test_a_binned_party_is_nobody(session: AsyncSession) -> None:
    party = await planting.person(session, "Somebody", deleted_at=NOON)
    await planting.owns(session, party, await planting.number(session, CALLER))
    assert (await asking(session, CALLER)).outcome is MatchOutcome.UNKNOWN


async def test_earlier_calls_are_counted(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    for minutes in (10, 30, 300):
        await planting.past_call(session, office, CALLER, NOON - timedelta(minutes=minutes))
    result = await find_by_number(session, to_e164(CALLER, Profile()), at=NOON)
    assert (result.earlier_calls, result.calls_last_hour) == (3, 2)
    assert result.last_call_at == NOON - timedelta(minutes=10)


async def test_the_last_communication_and_its_note(session: AsyncSession) -> None:
    office, agent = await planting.connection(session, "Office"), await planting.user(session, "agent")
    client = await planting.organisation(session, "Invented Ltd")
    await planting.owns(session, client, await planting.number(session, CALLER))
    await planting.past_call(session, office, CALLER, NOON - timedelta(days=2), party_id=client)
    last = await planting.past_call(
        session, office, CALLER, NOON, seconds=252, party_id=client, direction="out"
    )
    note = {
        "id": uuid7(),
        "call_id": last,
        "user_id": agent,
        "text": "asked for a price\nwants it by Friday\n",
    }
    session.add(CallNote(**note))
    await session.flush()
    party: MatchedParty = (await asking(session, CALLER)).parties[0]
    assert party.last is not None
    assert (party.last.at, party.last.direction, party.last.seconds) == (NOON, "out", 252)
    assert party.last.note == "wants it by Friday"


@pytest.mark.parametrize("form", [{"e164": CALLER}, {"pattern": "+7900%"}])
async def test_an_ignored_number_shows_no_parties(session: AsyncSession, form: dict[str, str]) -> None:
    party = await planting.person(session, "Somebody")
    await planting.owns(session, party, await planting.number(session, CALLER))
    note = await planting.add(session, NumberNote, kind="ignored", **form)
    result = await asking(session, CALLER)
    assert (result.outcome, result.parties, result.number_note_id) == (MatchOutcome.IGNORED, (), note)


async def test_a_note_that_has_run_out_counts_no_more(session: AsyncSession) -> None:
    await planting.add(session, NumberNote, kind="ignored", e164=CALLER, until=NOON)
    assert (await asking(session, CALLER)).outcome is MatchOutcome.UNKNOWN


async def test_spam_is_said(session: AsyncSession) -> None:
    await planting.number(session, CALLER, is_spam=True)
    result = await asking(session, CALLER)
    assert (result.outcome, result.is_spam) == (MatchOutcome.UNKNOWN, True)


async def test_our_own_line_is_never_a_caller(session: AsyncSession) -> None:
    office = await planting.connection(session, "Office")
    await planting.line(session, office, RECEPTION, "Sales")
    result = await asking(session, RECEPTION)
    assert (result.outcome, result.colleague_name) == (MatchOutcome.INTERNAL, "Sales")


async def test_a_colleague_by_extension(session: AsyncSession) -> None:
    office, agent = await planting.connection(session, "Office"), await planting.user(session, "agent")
    await planting.extension(session, office, "101", agent)
    number = Number(kind=NumberKind.INTERNAL, presented="101", digits="101")
    result = await find_by_number(session, number, connection_id=office)
    assert (result.outcome, result.colleague_id, result.colleague_name) == (
        MatchOutcome.INTERNAL,
        agent,
        "Agent",
    )
    assert (await find_by_number(session, number)).colleague_id is None


async def test_local_digits_match_on_their_own_profile_only(session: AsyncSession) -> None:
    profile = await planting.add(session, NumberingProfile, name="Of the plant")
    plant = await planting.connection(session, "Plant", profile_id=profile)
    office = await planting.connection(session, "Office")
    party = await planting.person(session, "At the gate")
    number = await planting.number(session, None, local_digits="7777", profile_id=profile)
    await planting.owns(session, party, number)
    local = Number(kind=NumberKind.LOCAL, presented="77-77", digits="7777")
    assert names(await find_by_number(session, local, connection_id=plant)) == ["At the gate"]
    assert (await find_by_number(session, local, connection_id=office)).outcome is MatchOutcome.UNKNOWN


@pytest.mark.parametrize("kind", list(NumberKind))
@pytest.mark.parametrize("odd", ["", "\x00", "\ud800", "+" + "9" * 300, "'; drop table party; --", "٣٣٣"])
async def test_an_odd_number_never_raises(session: AsyncSession, kind: NumberKind, odd: str) -> None:
    result = await find_by_number(session, Number(kind=kind, presented=odd, e164=E164(odd), digits=odd))
    assert result.parties == ()


async def test_who_wants_no_calls_is_marked(session: AsyncSession) -> None:
    party = await planting.person(session, "Somebody")
    await planting.owns(session, party, await planting.number(session, CALLER))
    await session.execute(update(PartyPhone).values(do_not_call=True))
    assert (await asking(session, CALLER)).parties[0].do_not_call


async def test_two_people_of_two_firms_share_the_one_both_work_for(session: AsyncSession) -> None:
    both, first, second = [await planting.organisation(session, name) for name in ("Both", "First", "Second")]
    number = await planting.number(session, RECEPTION, "shared")
    for name, other in (("A contact", first), ("Another one", second)):
        contact = await planting.person(session, name)
        await planting.contact_of(session, contact, both)
        await planting.contact_of(session, contact, other)
        await planting.owns(session, contact, number, usage="shared")
    result = await asking(session, RECEPTION)
    assert (result.link, result.organisation_name) == ((both, None), "Both")
