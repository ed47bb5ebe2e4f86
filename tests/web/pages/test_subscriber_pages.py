"""«Подписчики»: made with a secret shown once, tried in plain words, paused, and what was sent looked through and repeated."""

from __future__ import annotations

import re

from tests.web.pages.office import Office
from tests.webhooks.receiver import is_signed, receiving

PATH = "/admin/subscribers"


async def test_made_with_its_secret_shown_once_and_tried(office: Office) -> None:
    async with receiving() as receiver:
        new = {"name": "Пример: учёт", "url": receiver.url, "event_types": "call.ended"}
        made = await office.post(f"{PATH}/new", new)
        page = await made.text()
        assert made.status == 200, page
        found = re.search(r"whsec_[\w+/=]+", page)
        assert found is not None
        one = re.search(r'action="(/admin/subscribers/\d+)"', page)
        assert one is not None
        good = await (await office.post(f"{one[1]}/check")).text()
        assert "The receiver took the trial: 200" in good
        assert is_signed(receiver.headers[0], receiver.bodies[0], found[0])
    shown = await (await office.get(one[1])).text()
    assert found[0] not in shown
    bad = await (await office.post(f"{one[1]}/check")).text()
    assert "Nobody answers at the address." in bad
    rotated = await (await office.post(f"{one[1]}/secret")).text()
    assert "whsec_" in rotated
    assert "The secret before this one signs until" in rotated
    assert (await office.post(f"{one[1]}/pause")).status == 303
    assert "Paused" in await (await office.get(one[1])).text()
    assert (await office.post(f"{one[1]}/resume")).status == 303
    assert (await office.post(f"{one[1]}/remove")).status == 303
    assert (await office.get(one[1])).status == 404


async def test_what_was_typed_wrong_is_named_and_kept(office: Office) -> None:
    for typed, said in (
        ({"name": "А", "url": "", "event_types": "call.ended"}, "Enter the address"),
        (
            {"name": "А", "url": "https://10.0.0.1/", "event_types": "call.ended"},
            "10.0.0.1 is not a public address",
        ),
        ({"name": "А", "url": "https://crm.example/"}, "Choose at least one event"),
        (
            {"name": "Пример: склад", "url": "https://crm.example/", "event_types": "call.ended"},
            "already taken",
        ),
    ):
        answer = await office.post(f"{PATH}/new", typed)
        page = await answer.text()
        assert (answer.status, said in page) == (422, True), said
        assert typed["name"] in page
    stale = {"name": "Б", "url": "https://crm.example/", "event_types": "call.ended", "version": "999"}
    assert (await office.post(f"{PATH}/{office.subscriber_id}", stale)).status == 409


async def test_deliveries_are_looked_through_and_repeated(office: Office) -> None:
    one = f"{PATH}/{office.subscriber_id}/deliveries"
    page = await (await office.get(one)).text()
    assert "The receiver did not answer within 15 seconds." in page
    failed = await (await office.get(f"{one}?state=failed")).text()
    assert "The receiver answered 500, not 2xx." in failed
    assert "did not answer within" not in failed
    single = await (await office.get(f"{one}/{office.delivery_id}")).text()
    assert "Ошибка" in single
    wrong = await office.post(f"{one}/repeat", {"since": "вчера"})
    assert (wrong.status, "This is not a date" in await wrong.text()) == (422, True)
    again = await office.post(f"{one}/repeat", {"since": "01.01.2020"})
    assert again.headers["Location"].endswith("?repeated=1")
    assert "1 event is sent once more." in await (await office.get(again.headers["Location"])).text()
    assert (await office.post(f"{one}/{office.delivery_id}/repeat")).status == 303
    assert (await office.get(f"{one}/999999")).status == 404
    assert (await office.get(f"{one}?after=nonsense")).status == 400
