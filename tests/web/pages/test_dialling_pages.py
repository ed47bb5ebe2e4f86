"""Calling from the screen, page by page: the pad, the number policy with its trial, the dialling account of a connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text

from crm.database import Database
from crm.schema.base import uuid7
from cti.desk import Agent
from tests.cti.desk.calls import rings
from tests.web.frame import FakeDirectory
from tests.web.pages.office import Office, open_office
from tests.web.telephones import UNWANTED, NotingTelephone
from web.api.dialling import DIALS

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def telephone(database: Database) -> NotingTelephone:
    return NotingTelephone(database.sessions)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dialling(
    database: Database, telephone: NotingTelephone, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    folder = Path(tmp_path_factory.mktemp("dialling"))
    async with open_office(database, folder, telephone=telephone) as office:
        yield office


async def post_json(
    office: Office, path: str, body: str, who: str = "agent"
) -> tuple[int, dict[str, object]]:
    answer = await office.post(path, body, who, **JSON)
    return answer.status, await answer.json()


def dial_of(number: str, **more: object) -> str:
    fields = {"id": str(uuid4()), "number": number} | more
    return "{" + ",".join(f'"{name}": "{value}"' for name, value in fields.items()) + "}"


async def test_the_pad_is_there_for_those_who_may_call(dialling: Office) -> None:
    assert "<dial-pad>" in await (await dialling.get("/parties", "agent")).text()
    assert "<dial-pad may-override>" in await (await dialling.get("/parties", "head")).text()
    assert "<dial-pad" not in await (await dialling.get("/admin/connections", "telephony")).text()
    pad = await (await dialling.get("/dial", "agent")).text()
    assert "Sales line" in pad
    assert (await dialling.get("/dial", "telephony")).status == 404


async def test_what_is_typed_is_understood_and_matched_within_ones_rights(dialling: Office) -> None:
    meaning = await (await dialling.get("/dial/meaning?number=8(495)120-33-44", "agent")).text()
    assert "+7 495 120-33-44" in meaning
    assert "Контактное Лицо" in meaning
    by_name = await (await dialling.get("/dial/meaning?number=пример", "agent")).text()
    assert 'data-number="+74951203344"' in by_name
    foreign = await (await dialling.get("/dial/meaning?number=88123092010", "agent")).text()
    assert "Чужое" not in foreign


async def test_a_number_is_called_by_the_api(dialling: Office, telephone: NotingTelephone) -> None:
    status, told = await post_json(dialling, DIALS, dial_of("8 916 123-45-67"))
    assert (status, told["state"], told["number"]) == (200, "ringing", "+79161234567")
    assert telephone.clicks[-1].number == "8 916 123-45-67"
    status, told = await post_json(dialling, DIALS, dial_of(UNWANTED))
    assert (status, told["code"], told["field"]) == (409, "DialRefused.do_not_call", "number")
    status, _told = await post_json(dialling, DIALS, dial_of("101\\r\\nAction: Command"))
    assert status == 422
    assert (await post_json(dialling, DIALS, dial_of("112"), "telephony"))[0] == 404
    assert (await dialling.get(f"{DIALS}/{uuid4()}", "agent")).status == 404


async def test_t14_a_call_cannot_be_placed_from_another_site(
    dialling: Office, telephone: NotingTelephone
) -> None:
    before = len(telephone.clicks)
    foreign = await dialling.post(DIALS, dial_of("112"), "agent", **JSON, **{"Sec-Fetch-Site": "cross-site"})
    assert (foreign.status, len(telephone.clicks)) == (403, before)


async def test_a_control_is_handed_on_as_it_was_asked(dialling: Office, telephone: NotingTelephone) -> None:
    call_id = uuid7()
    path = f"/api/v1/live/{call_id}/actions"
    body = '{"action": "transfer", "to": "102", "reason": "Счёт", "note": "До пятницы"}'
    assert await post_json(dialling, path, body) == (200, {"outcome": "done", "detail": ""})
    asked_of, wanted = telephone.wanted[-1]
    assert (asked_of, wanted.control, wanted.to, wanted.note) == (call_id, "transfer", "102", "До пятницы")
    assert (await post_json(dialling, path, '{"action": "explode"}'))[0] == 422
    assert (await post_json(dialling, path, body, "telephony"))[0] == 404


async def test_colleagues_are_offered_to_whoever_sits_in_the_call(dialling: Office) -> None:
    people = dialling.people
    agents = {
        "101": Agent(user_id=people["agent"].user_id, name="Agent Example"),
        "102": Agent(user_id=people["manager"].user_id, name="Manager Example", team="Sales"),
    }
    dialling.desk.set_directory(FakeDirectory(agents=agents))
    call_id = uuid7()
    dialling.desk.apply(1, call_id, rings("101"))
    offered = await (await dialling.get(f"/calls/{call_id}/colleagues?to=man", "agent")).text()
    assert 'data-to="102"' in offered
    assert "Offline" in offered
    assert 'data-to="101"' not in offered
    assert (await dialling.get(f"/calls/{call_id}/colleagues", "manager")).status == 404


async def test_the_policy_is_kept_and_a_second_writer_is_told(dialling: Office) -> None:
    path = "/admin/dialling"
    page = await (await dialling.get(path, "telephony")).text()
    assert 'value="RU"' in page
    assert "Authentication failed" in page  # how the dialling account stands
    typed = {
        "version": "1",
        "countries": "ru, by",
        "most_per_hour": "30",
        "most_per_day": "200",
        "most_of_all": "900",
    }
    assert (await dialling.post(path, typed, "telephony")).status == 303
    assert (await dialling.post(path, typed | {"countries": "RU"}, "telephony")).status == 409
    wrong = await dialling.post(path, typed | {"version": "2", "countries": "RUS"}, "telephony")
    assert (wrong.status, "is not a country" in await wrong.text()) == (422, True)
    no_number = await dialling.post(path, typed | {"version": "2", "most_per_day": "many"}, "telephony")
    assert (no_number.status, "Enter a whole number" in await no_number.text()) == (422, True)
    assert (await dialling.get(path, "agent")).status == 404
    async with dialling.database.sessions() as session:
        row = (await session.execute(text("select countries, most_per_hour from dialling_policy"))).one()
        changed = await session.execute(
            text("select field from change_log where record_kind = 'dialling_policy' order by field")
        )
    assert tuple(row) == (["BY", "RU"], 30)
    assert "countries" in list(changed.scalars())


async def test_a_number_is_tried_by_the_rules_of_the_form(dialling: Office) -> None:
    path, rules = "/admin/dialling/check", {"countries": "RU", "most_per_hour": "9", "most_per_day": "9"}
    rules |= {"most_of_all": "9"}
    good = await (await dialling.post(path, rules | {"trial": "8 916 123-45-67"})).text()
    assert "will be dialled" in good
    abroad = await (await dialling.post(path, rules | {"trial": "+375 17 123-45-67"})).text()
    assert "country BY" in abroad
    allowed = await (
        await dialling.post(path, rules | {"countries": "RU BY", "trial": "+375171234567"})
    ).text()
    assert "will be dialled" in allowed
    assert "Enter the digits alone" in await (await dialling.post(path, rules | {"trial": "abc1"})).text()


async def test_the_dialling_account_keeps_its_secret_for_its_user_only(dialling: Office) -> None:
    path = f"/admin/connections/{dialling.connection_id}/dialling"
    typed = {
        "user": "ringcard-dialler",
        "secret": "hush-hush",
        "technology": "PJSIP",
        "context": "ringcard-click-to-call",
        "transfer_context": "from-internal",
        "prefixes": "+7=8 +=810",
        "ring_seconds": "20",
    }
    assert (await dialling.post(path, typed, "telephony")).status == 303
    page = await (await dialling.get(path, "telephony")).text()
    assert "ringcard-dialler" in page
    assert "hush-hush" not in page
    assert await stored_secret(dialling) is not None
    again = typed | {"secret": "", "prefixes": ""}
    assert (await dialling.post(path, again, "telephony")).status == 303
    assert await stored_secret(dialling) is not None
    for field, value in {
        "context": "a,b",
        "prefixes": "8",
        "technology": "Local",
        "ring_seconds": "999",
    }.items():
        assert (await dialling.post(path, again | {field: value}, "telephony")).status == 422, field
    assert (await dialling.post(path, again | {"user": "other"}, "telephony")).status == 303
    assert await stored_secret(dialling) is None
    assert (await dialling.get(path, "agent")).status == 404


async def stored_secret(office: Office) -> object:
    async with office.database.sessions() as session:
        query = text("select dialling_secret from pbx_connection where id = :id")
        return await session.scalar(query, {"id": office.connection_id})
