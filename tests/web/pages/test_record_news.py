"""`record.changed` over a real socket and a real database: who hears of whose change, and what refreshes a row."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientWebSocketResponse

from crm.parties import create_party, edit_party, organisation_values
from tests.web.pages.office import Office
from web.keys import LIVE
from web.live_records import MOST_FOLLOWED


async def connect(office: Office, who: str) -> ClientWebSocketResponse:
    assert office.client is not None
    assert office.server is not None
    origin = f"http://{office.server.host}:{office.server.port}"
    headers = {"Origin": origin, "Cookie": f"ringcard={who}"}
    ws = await office.client.ws_connect("/live", headers=headers)
    assert (await ws.receive_json(timeout=5))["type"] == "hello"
    return ws


async def firm(office: Office, name: str, who: str) -> int:
    async with office.database.sessions.begin() as session:
        values = organisation_values(name)
        return await create_party(session, office.people[who], values, kinds=["client"])


async def heard(ws: ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await ws.receive_json(timeout=5)
        if message["type"] == kind:
            return message


async def follow(office: Office, ws: ClientWebSocketResponse, **records: list[int]) -> None:
    """What is followed, from now on: the ping's answer tells that the server has it."""
    assert office.server is not None
    await ws.send_json({"type": "follow", **records})
    await ws.send_json({"type": "ping"})
    await heard(ws, "pong")
    await office.server.app[LIVE].records.read_on(office.database.sessions)


async def until_pong(ws: ClientWebSocketResponse) -> list[str]:
    """What came before the answer to a ping; one's own state is told by the clock."""
    await ws.send_json({"type": "ping"})
    kinds: list[str] = []
    while (kind := (await ws.receive_json(timeout=5))["type"]) != "pong":
        kinds.append(kind)
    return kinds


async def change(office: Office, party_id: int, name: str) -> None:
    async with office.database.sessions.begin() as session:
        await edit_party(
            session, office.people["admin"], party_id, organisation_values(name, city="Тверь"), version=1
        )


async def test_whoever_shows_a_record_and_may_see_it_hears_that_it_changed(office: Office) -> None:
    mine, foreign = (
        await firm(office, "ООО «Видимое»", "agent"),
        await firm(office, "ООО «Скрытое»", "stranger"),
    )
    ws, other = await connect(office, "agent"), await connect(office, "manager")
    await follow(office, ws, parties=[foreign, mine])
    await follow(office, other, parties=[])
    await change(office, foreign, "ООО «Скрытое-2»")
    await change(office, mine, "ООО «Видимое-2»")
    told = (await heard(ws, "record.changed"))["data"]
    assert (told["kind"], told["id"], told["version"], told["is_gone"]) == ("party", mine, 2, False)
    assert (told["by"], set(told["fields"])) == ("Admin Example", {"short_name", "display_name", "city"})
    for each in (ws, other):
        assert "record.changed" not in await until_pong(each)  # of the hidden one nothing came
    await ws.close()
    await other.close()


async def test_what_one_may_not_read_at_all_is_refused_and_much_is_cut(office: Office) -> None:
    ws = await connect(office, "telephony")
    await ws.send_json({"type": "follow", "parties": [1]})
    refused = await heard(ws, "refused")
    assert refused["data"] == {"topics": ["parties"], "right": "party.read"}
    await ws.close()
    assert office.server is not None
    records = office.server.app[LIVE].records
    ws = await connect(office, "agent")
    await follow(office, ws, parties=list(range(1, MOST_FOLLOWED + 2)))
    assert max(map(len, records._followed.values())) == MOST_FOLLOWED
    await ws.close()


async def test_a_changed_row_is_asked_for_alone(office: Office) -> None:
    mine = await firm(office, "ООО «Строка»", "agent")
    row = await office.get(f"/parties/clients?row={mine}", "agent")
    text = await row.text()
    assert row.status == 200
    assert f'data-record="party:{mine}"' in text
    assert text.count("<tr") == 1
    assert (await office.get(f"/parties/clients?row={office.foreign_id}", "agent")).status == 404
    assert (await office.get("/parties/clients?row=x", "agent")).status == 404
    card = await (await office.get(f"/parties/{mine}", "agent")).text()
    assert f'<record-watch data-record="party:{mine}"' in card
