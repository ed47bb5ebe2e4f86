"""The acceptance examples «Numbers and ownership» (crm-model 18), each under its own name, at the pages people use.

The caller who is identified by an INN stands in `tests/crm/test_identifying.py`, the file with one person twice in
`tests/crm/importing/test_running.py`.
"""

from __future__ import annotations

import asyncio
import re

from sqlalchemy import func, select

from crm.matching import MatchOutcome, MatchResult, find_by_number
from crm.numbers import NumberValues, attach_number
from crm.parties import create_party, organisation_values
from crm.party_cards import party_card
from crm.schema.parties import Party, PartyPhone, PhoneNumber
from cti.numbers import to_e164
from tests.crm.people import make_user
from tests.web.pages.office import Office


async def firm(office: Office, name: str, *numbers: str, who: str = "manager") -> int:
    async with office.database.sessions.begin() as session:
        values = [NumberValues(presented=number) for number in numbers]
        return await create_party(
            session, office.people[who], organisation_values(name), kinds=["client"], numbers=values
        )


async def match_of(office: Office, number: str) -> MatchResult:
    async with office.database.sessions() as session:
        return await find_by_number(session, to_e164(number))


async def parties(office: Office) -> int:
    async with office.database.sessions() as session:
        return (await session.execute(select(func.count()).select_from(Party))).scalar_one()


async def phone_id(office: Office, party_id: int) -> int:
    async with office.database.sessions() as session:
        return (await party_card(session, office.people["admin"], party_id)).phones[0].id


async def test_a_number_that_a_has_is_refused_to_b_in_another_spelling_and_nothing_is_stored(
    office: Office,
) -> None:
    owner = await firm(office, "ООО «Альфа»", "+79000000001")
    before = await parties(office)
    typed = {"mode": "quick", "organisation": "ООО «Бета»", "person": "Имя", "number": "8 (900) 000-00-01"}
    refused = await office.post("/parties/new", typed, "manager")
    assert refused.status == 422
    text = await refused.text()
    assert "ООО «Альфа»" in text
    assert f'href="/parties/{owner}"' in text
    assert 'value="ООО «Бета»"' in text  # what was typed stays
    assert await parties(office) == before


async def test_a_number_marked_shared_is_added_to_b_and_a_call_shows_both_none_chosen_and_direct_is_refused(
    office: Office,
) -> None:
    one = await firm(office, "ООО «Гамма»", "+79000000011")
    typed = {"mode": "quick", "organisation": "ООО «Дельта»", "number": "8 900 000-00-11", "is_shared": "1"}
    made = await office.post("/parties/new", typed, "manager")
    assert made.status == 303
    other = int(made.headers["Location"].rpartition("/")[2])
    match = await match_of(office, "+79000000011")
    assert match.outcome is MatchOutcome.AMBIGUOUS
    assert {party.id for party in match.parties} == {one, other}
    assert match.link == (None, None)
    marked = await office.post(
        f"/parties/{one}/numbers/{await phone_id(office, one)}/usage", {"usage": "direct"}, "manager"
    )
    assert marked.status == 422
    text = await marked.text()
    assert "ООО «Гамма»" in text
    assert "ООО «Дельта»" in text
    assert (await match_of(office, "+79000000011")).outcome is MatchOutcome.AMBIGUOUS


async def test_one_number_with_two_extensions_is_two_owners_and_without_one_it_is_ambiguous(
    office: Office,
) -> None:
    one = await firm(office, "ООО «Эпсилон»", "+7 495 000-00-21 доб. 101")
    other = await firm(office, "ООО «Дзета»", "+7 495 000-00-21 доб. 102")
    match = await match_of(office, "+74950000021")
    assert match.outcome is MatchOutcome.AMBIGUOUS
    assert {party.id for party in match.parties} == {one, other}


async def test_sixteen_agents_create_one_caller_at_once_and_fifteen_keep_their_text(office: Office) -> None:
    async with office.database.sessions.begin() as session:
        for index in range(16):
            office.gate.sessions[f"agent{index}"] = await make_user(session)

    async def create(index: int) -> tuple[int, str]:
        name = f"Набрано агентом {index}"
        typed = {"mode": "quick", "person": name, "number": "8 900 000-00-31"}
        answer = await office.post("/parties/new", typed, f"agent{index}")
        while answer.status == 503:  # a machine with much to do says so, and one presses again
            answer = await office.post("/parties/new", typed, f"agent{index}")
        text = await answer.text()
        if answer.status == 422:
            assert "Уже создано" in text
            assert f'value="{name}"' in text
        return answer.status, text

    answers = await asyncio.gather(*[create(index) for index in range(16)])
    assert sorted(status for status, _ in answers) == [303] + [422] * 15
    async with office.database.sessions() as session:
        owners = (
            select(func.count())
            .select_from(PartyPhone)
            .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        )
        assert await session.scalar(owners.where(PhoneNumber.e164 == "+79000000031")) == 1


async def test_of_a_client_outside_ones_rights_only_existence_and_the_responsible_are_told(
    office: Office,
) -> None:
    hidden = await firm(office, "ООО «Тайна»", "+79000000041", who="stranger")
    async with office.database.sessions.begin() as session:
        values = NumberValues(presented="+79000000042")
        await attach_number(session, office.people["stranger"], hidden, values)
    typed = {"mode": "person", "last_name": "Новый", "kinds": "client", "number": "+79000000041"}
    refused = await office.post("/parties/new", typed, "manager")
    text = await refused.text()
    assert refused.status == 422
    assert "ООО «Тайна»" in text
    assert "Stranger Example" in text
    assert f'href="/parties/{hidden}"' not in text
    assert "79000000042" not in text
    assert (await office.get(f"/parties/{hidden}", "manager")).status == 404


async def test_an_address_and_a_barred_number_on_the_card(office: Office) -> None:
    mine = await firm(office, "Адресат", who="agent")
    card = f"/parties/{mine}"
    assert (await office.post(f"{card}/emails", {"email": "нет адреса"}, "agent")).status == 422
    for address in ("info@card.example", "boss@card.example"):
        assert (
            await office.post(f"{card}/emails", {"email": address, "label": "office"}, "agent")
        ).status == 303
    text = await (await office.get(card, "agent")).text()
    ends = re.findall(rf"{card}/emails/(\d+)/end", text)
    other = await firm(office, "Другой адресат", who="agent")
    taken = await office.post(f"/parties/{other}/emails", {"email": "info@card.example"}, "agent")
    assert (taken.status, f'href="{card}"' in await taken.text()) == (422, True)
    assert (await office.post(f"{card}/emails/{ends[0]}/usage", {"usage": "shared"}, "agent")).status == 303
    shared = await office.post(f"/parties/{other}/emails", {"email": "info@card.example"}, "agent")
    assert shared.status == 303
    direct = await office.post(f"{card}/emails/{ends[0]}/usage", {"usage": "direct"}, "agent")
    assert (direct.status, "Другой адресат" in await direct.text()) == (422, True)
    assert (await office.post(f"{card}/emails/{ends[1]}/primary", {}, "agent")).status == 303
    assert (await office.post(f"/parties/{other}/emails/{ends[1]}/end", {}, "agent")).status == 404
    assert (await office.post(f"{card}/emails/{ends[1]}/end", {}, "stranger")).status == 404
    assert (await office.post(f"{card}/emails/{ends[1]}/end", {}, "agent")).status == 303
    await office.post(f"{card}/numbers", {"number": "+7 495 120-88-01"}, "agent")
    text = await (await office.get(card, "agent")).text()
    assert "boss@card.example</a>" not in text
    (phone,) = re.findall(rf"{card}/numbers/(\d+)/end", text)
    assert (await office.post(f"{card}/numbers/{phone}/edit", {"do_not_call": "1"}, "agent")).status == 303
    text = await (await office.get(card, "agent")).text()
    assert "May be called again" in text
    assert "Not to be called" in text  # in the history
    person = await office.post(
        "/parties/new", {"mode": "person", "last_name": "Знакомый", "number": "+7 495 120-88-02"}, "agent"
    )
    known = person.headers["Location"].rpartition("/")[2]
    refused = await office.post(
        f"{card}/contacts", {"person": "Знакомый", "number": "+7 495 120-88-02"}, "agent"
    )
    assert f'name="person_id" value="{known}"' in await refused.text()
    tied = await office.post(f"{card}/contacts", {"person_id": known, "position": "Закупки"}, "agent")
    assert tied.status == 303
    assert f"/parties/{known}" in await (await office.get(card, "agent")).text()


async def test_an_address_not_to_be_written_to_says_so_and_is_no_link(office: Office) -> None:
    card = f"/parties/{office.firm_id}"
    added = await office.post(f"{card}/emails", {"email": "quiet@card.example"}, "agent")
    assert added.status == 303
    text = await (await office.get(card, "agent")).text()
    assert "mailto:quiet@card.example" in text
    path = re.findall(rf"({card}/emails/\d+/edit)", text)[-1]
    assert (await office.post(path, {"opted_out": "1"}, "agent")).status == 303
    assert (await office.post(path, {"bounced": "1"}, "agent")).status == 303
    text = await (await office.get(card, "agent")).text()
    assert "mailto:quiet@card.example" not in text
    assert "do not write" in text
    assert "letters come back" in text
    changes = await (await office.get(f"{card}?show=changes", "agent")).text()
    assert "Not to be written to" in changes
    assert (await office.post(path, {"opted_out": "0"}, "stranger")).status == 404
    assert (await office.post(path, {"opted_out": "0"}, "agent")).status == 303
    assert "mailto:quiet@card.example" in await (await office.get(card, "agent")).text()
