"""Subscribers over the API: made, tried, changed, paused, removed; what was sent to them is read and sent once more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, text

from crm.schema.subscribers import SubscriberDelivery
from tests.web.api.company import Company
from tests.webhooks.receiver import is_signed, receiving

PATH = "/api/v1/subscribers"


async def test_made_tried_changed_and_removed(company: Company) -> None:
    async with receiving() as receiver:
        new = {"name": "Warehouse", "url": receiver.url, "event_types": ["call.ended", "party.created"]}
        made = await company.post(PATH, new)
        told = await made.json()
        assert made.status == 201, told
        one = f"{PATH}/{told['id']}"
        tried = await (await company.post(f"{one}/ping", {})).json()
        assert (tried["trouble"], tried["status"], tried["answer"]) == (None, 200, "noted")
        assert is_signed(receiver.headers[0], receiver.bodies[0], told["secret"])
        assert receiver.events[0]["type"] == "ping"
    assert (await (await company.post(f"{one}/ping", {})).json())["trouble"] == "unreachable"
    again = await company.post(PATH, new)
    assert (again.status, (await again.json())["code"]) == (409, "Taken")
    read = await company.get(one)
    assert told["secret"] not in await read.text()
    stale = {"If-Match": '"999"'}
    changed = new | {"name": "Store"}
    assert (await company.ask("PUT", one, json=changed, headers=stale)).status == 409
    kept = {"If-Match": read.headers["ETag"]}
    assert (await (await company.ask("PUT", one, json=changed, headers=kept)).json())["name"] == "Store"
    assert (await (await company.post(f"{one}/pause", {})).json())["state"] == "paused"
    assert (await (await company.post(f"{one}/resume", {})).json())["state"] == "active"
    assert (await (await company.post(f"{one}/secret", {})).json())["secret"] != told["secret"]
    assert (await company.ask("DELETE", one, headers=stale)).status == 409
    assert (await company.ask("DELETE", one)).status == 200
    assert (await company.get(one)).status == 404
    assert (await company.get(f"{one}/deliveries")).status == 404


async def test_what_cannot_be_is_refused(company: Company) -> None:
    good: dict[str, Any] = {"name": "Wrong", "url": "https://crm.example/in", "event_types": ["call.ended"]}
    wrongs: list[dict[str, Any]] = [
        {"url": "https://10.0.0.1/"},
        {"url": "http://[::1]/"},
        {"url": "file:///etc/passwd"},
        {"event_types": []},
        {"event_types": ["user.changed"]},
        {"name": "\u200b\x07"},
    ]
    for wrong in wrongs:
        refused = await company.post(PATH, good | wrong)
        assert refused.status == 422, await refused.text()
        assert (await refused.json())["field"] in {*wrong, ""}


async def test_t11_nobody_is_told_more_than_who_says_so_may_read(company: Company) -> None:
    """A role that keeps subscribers without reading everything."""
    grant = text(
        "insert into permission (role_id, area, action, scope) "
        "select id, 'subscriber', 'manage', 'all' from role where code = 'head'"
    )
    async with company.database.sessions.begin() as session:
        await session.execute(grant)
    new = {"name": "Heads", "url": "https://crm.example/in", "event_types": ["party.created"]}
    refused = await company.post(PATH, new, "head")
    assert (refused.status, (await refused.json())["field"]) == (422, "event_types")
    made = await (await company.post(PATH, new)).json()
    row = {
        "subscriber_id": made["id"], "event_id": 1, "type": "party.created", "record_kind": "party", "record_id": "1",
        "event_at": datetime(2026, 1, 1, tzinfo=UTC), "body": "{}", "state": "failed",
    }  # fmt: skip
    async with company.database.sessions.begin() as session:
        await session.execute(insert(SubscriberDelivery).values(row))
        delivery = await session.scalar(
            select(SubscriberDelivery.id).where(SubscriberDelivery.subscriber_id == made["id"])
        )
    one = f"/api/v1/deliveries/{delivery}"
    assert (await company.told(one, "head"))["body"] is None
    assert (await company.told(one))["body"] == "{}"
    listed = await company.told(f"{PATH}/{made['id']}/deliveries?state=failed")
    assert [each["id"] for each in listed["items"]] == [delivery]
    assert (await (await company.post(f"{one}/repeat", {})).json())["state"] == "waiting"
    again = await company.post(f"{PATH}/{made['id']}/repeat-failed", {"since": "2026-01-01T00:00:00Z"})
    assert await again.json() == {"count": 0}
    async with company.database.sessions.begin() as session:
        await session.execute(
            text(
                "delete from permission where area = 'subscriber' and role_id in (select id from role where code = 'head')"
            )
        )
