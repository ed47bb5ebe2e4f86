"""The call's page tells what is kept of it, to each as far as it concerns them; and gives it away without people."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from ami_adapter.stories.entries import Entry, Heard, Noted
from ami_adapter.stories.steps import SENTENCES, Step
from crm.schema.journals import AccessLog
from tests.web.pages.office import Office
from web.i18n import read_catalogues, speaking
from web.pages.calls.story_words import STEP_SENTENCES, told_steps

AT = datetime(2026, 11, 20, 9, 0, 1, 250_000, tzinfo=UTC)
RECORD = {
    "key": "1795293978.0", "direction": "inbound", "customer_number_raw": "89161234501", "customer_e164": "+79161234501",
    "customer_name": "Ромашка", "did": "+74951234501", "did_raw": "74951234501", "queue": None, "rang": [],
    "answered": False, "answered_by": None, "placed_by": None, "dialled": None, "disposition": "abandoned",
    "transfers": [], "final_agent": None, "hung_up_by": "customer", "ended_unseen": False, "ring_s": 1.0,
    "talk_s": 0.0, "hold_s": 0.0, "recording_file": None, "started_at": AT.isoformat(),
    "story": ["+0.0 s: 89161234501 (Ромашка) calls 74951234501"],
}  # fmt: skip
CHANNEL = (
    "Channel: PJSIP/trunk-00000001\r\nChannelState: 4\r\nChannelStateDesc: Ring\r\nCallerIDNum: 89161234501\r\n"
    "CallerIDName: Ромашка <script>\r\nExten: 74951234501\r\nContext: from-trunk\r\nUniqueid: 1795293978.0\r\n"
    "Linkedid: 1795293978.0"
)


@pytest.fixture
def kept(office: Office) -> Office:
    """The office with a story of its call on the shelf."""
    plant_story(office)
    return office


def plant_story(office: Office) -> None:
    entries: list[Entry] = [
        Heard(1000, AT, f"Event: Newchannel\r\n{CHANNEL}".encode()),
        Noted(1001, AT, "named", {"id": str(office.call_id)}),
        Noted(1002, AT, "rings", {"why": "nobody", "extension": "105"}),
        Heard(1003, AT, f"Event: Hangup\r\nCause: 16\r\nCause-txt: Normal Clearing\r\n{CHANNEL}".encode()),
        Noted(1004, AT, "concluded", RECORD),
    ]
    office.shelf.append(1, entries)
    office.shelf.finish(1, office.call_id, datetime.now(UTC))


async def test_the_page_tells_the_steps_with_what_the_pbx_said_for_its_administrators(kept: Office) -> None:
    page = await (await kept.get(f"/calls/{kept.call_id}", "telephony")).text()
    assert "PJSIP/trunk-00000001: a channel is made" in page
    assert "nobody is assigned to extension 105: no window" in page
    assert f"/calls/{kept.call_id}/capture" in page
    page = await (await kept.get(f"/calls/{kept.call_id}", "agent")).text()
    assert "a channel is made" not in page
    assert "nobody is assigned to extension 105: no window" in page
    assert "/capture" not in page


async def test_the_export_is_a_capture_without_people_and_is_written_down(kept: Office) -> None:
    answer = await kept.get(f"/calls/{kept.call_id}/capture", "telephony")
    assert (answer.status, answer.content_type) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(await answer.read())) as archive:
        name = f"call-{kept.call_id}"
        assert archive.namelist() == [f"{name}.ami.xz", f"{name}.timing.json", f"{name}.truth.json"]
        truth = json.loads(archive.read(f"{name}.truth.json"))
    assert truth["calls"][0]["disposition"] == "abandoned"
    assert "9161234501" not in json.dumps(truth)
    assert "Ромашка" not in json.dumps(truth, ensure_ascii=False)
    async with kept.database.sessions() as session:
        rows = list(await session.scalars(select(AccessLog).where(AccessLog.event == "call_exported")))
    assert [(row.record_id, row.actor_id) for row in rows] == [
        (str(kept.call_id), kept.people["telephony"].user_id)
    ]


async def test_g02_the_export_is_for_those_who_look_after_the_pbx(kept: Office) -> None:
    for who in ("agent", "manager", "head", "stranger"):
        assert (await kept.get(f"/calls/{kept.call_id}/capture", who)).status in {403, 404}, who


async def test_of_a_call_without_a_story_nothing_is_exported(office: Office) -> None:
    answer = await office.get(f"/calls/{office.missed_id}/capture", "admin")
    assert answer.status == 404
    assert "nothing is kept" in await answer.text()
    assert "Step by step" not in await (await office.get(f"/calls/{office.missed_id}")).text()


def test_every_step_is_told_in_russian() -> None:
    assert set(STEP_SENTENCES) == set(SENTENCES)
    step = Step(
        at=AT,
        kind="why",
        sentence="nobody is assigned to extension %(extension)s: no window",
        values={"extension": "105"},
    )
    with speaking(read_catalogues()["ru"]):
        (told,) = told_steps([step], UTC)
    assert (told.clock, told.kind, told.text) == (
        "09:00:01.250",
        "причина",
        "внутренний 105 никому не назначен: окна нет",
    )
