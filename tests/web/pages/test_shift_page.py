"""The shift monitor for each role: what one sees of agents, queues, waiting lines and the day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from crm.granted_rights import ROLE_CODES
from cti.calls.presence_events import CallerWaits, DeviceChanged, DeviceState, MemberSeen, QueueMember
from cti.desk import Agent, ConnectionView, OwnLine
from cti.numbers import to_e164
from tests.cti.desk.calls import CALL, rings
from tests.web.frame import FakeDirectory
from tests.web.pages.office import Office

PARTS = ("/live-calls/figures", "/live-calls/agents", "/live-calls/queues", "/live-calls/lines")
WATCHERS = {"head", "telephony", "admin"}


def seat(queue: str, extension: str, **more: object) -> MemberSeen:
    device = f"PJSIP/{extension}"
    values = {"queue": queue, "interface": device, "device": device, "extension": extension} | more
    return MemberSeen(member=QueueMember(**values), at=datetime.now(UTC))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def shift(office: Office) -> Iterator[None]:
    """101 rings for a caller of "sales"; 102 is on a pause; 103 sits in another team, in another queue."""
    people = {"101": "agent", "102": "manager", "103": "stranger"}
    agents = {
        extension: Agent(
            user_id=office.people[who].user_id,
            name=office.people[who].name,
            team_id=office.people[who].team_id,
            team="Service" if who == "stranger" else "Sales",
        )
        for extension, who in people.items()
    }
    now = datetime.now(UTC)
    line = OwnLine(id=1, name="Sales line", colour="#1665d8", team_id=office.team_id)
    office.desk.set_directory(FakeDirectory(agents, {"84950000001": line}), now)
    office.desk.set_connection(ConnectionView(id=1, name="PBX", state="up"), now)
    office.desk.apply(1, CALL, rings("101", queue="sales"), to_e164("+74951203344"))
    office.desk.shift.hear(
        1,
        [
            seat("sales", "101", state=DeviceState.RINGING),
            seat("sales", "102", is_paused=True, pause_reason="Обед"),
            seat("service", "103"),
            CallerWaits(queue="sales", channel_id="1.1", linked_id="", position=1, since=now, at=now),
            DeviceChanged(device="PJSIP/103", state=DeviceState.UNAVAILABLE, at=now),
        ],
    )
    yield
    office.desk.forget_connection(1, now)


def words(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


async def page(office: Office, path: str, who: str) -> str:
    answer = await office.get(path, who)
    assert answer.status == 200
    return words(await answer.text())


async def test_a_head_sees_their_team(office: Office) -> None:
    text = await page(office, "/live-calls", "head")
    assert "Agent Example ext. 101 · Sales Ringing" in text
    assert "Manager Example ext. 102 · Sales On a pause Обед" in text
    assert "Stranger" not in text
    assert "sales 1 waits" in text
    assert "+7 495 120-33-44" in text
    assert "service" not in text
    assert "Sales line 1 waits" in text


async def test_the_administrator_sees_everybody_and_may_choose_a_team(office: Office) -> None:
    text = await page(office, "/live-calls", "admin")
    assert "Stranger Example ext. 103 · Service Offline the telephone does not answer" in text
    assert "service nobody waits" in text
    chosen = await page(office, f"/live-calls/agents?team={office.team_id}", "admin")
    assert "Agent Example" in chosen
    assert "Stranger" not in chosen
    assert "Stranger" in await page(office, "/live-calls/agents?team=nonsense", "admin")


async def test_the_days_figures_are_those_of_ones_rights(office: Office) -> None:
    text = await page(office, "/live-calls/figures", "head")
    assert re.search(r"Incoming today \d Answered calls \d Missed calls \d Average wait", text)


async def test_without_a_link_the_board_says_so(office: Office) -> None:
    office.desk.set_connection(ConnectionView(id=1, name="PBX", state="down"), datetime.now(UTC))
    text = await page(office, "/live-calls", "admin")
    assert "sales no link to the PBX" in text
    assert "Agent Example ext. 101 · Sales Offline no link to the PBX" in text


@pytest.mark.parametrize("role", ROLE_CODES)
@pytest.mark.parametrize("path", PARTS)
async def test_t11_the_parts_are_for_those_with_the_right(office: Office, path: str, role: str) -> None:
    assert (await office.get(path, role)).status == (200 if role in WATCHERS else 404)


async def test_what_a_pbx_says_is_text(office: Office) -> None:
    hostile = '<img src=x onerror="alert(1)">\u202e'
    office.desk.shift.hear(1, [seat("sales", "102", is_paused=True, pause_reason=hostile)])
    html = await (await office.get("/live-calls", "admin")).text()
    assert "<img" not in html
    assert "\u202e" not in html
