"""The pages of roles, teams and of what a user sees."""

from __future__ import annotations

import re

from crm.granted_rights import DEFAULT_PERMISSIONS, RIGHTS
from tests.web.pages.office import Office
from web.pages.admin.right_words import WORDS, groups


def test_every_right_has_a_word() -> None:
    assert {right for words in WORDS.values() for right in words} >= set(RIGHTS)
    assert {each.right for group in groups() for each in group.rights} == set(RIGHTS)


async def address_of(office: Office, path: str, name: str) -> str:
    found = re.search(rf'href="({path}/\d+)">{name}<', await (await office.get(path)).text())
    assert found is not None
    return found[1]


async def version_at(office: Office, address: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', await (await office.get(address)).text())
    assert found is not None
    return found[1]


async def test_a_role_is_copied_changed_given_and_removed(office: Office) -> None:
    agent = await address_of(office, "/admin/roles", "Agent")
    assert (await office.post(f"{agent}/copy", {"copy_name": " "})).status == 422
    made = await office.post(f"{agent}/copy", {"copy_name": "Night <shift>"})
    assert made.status == 303
    address = made.headers["Location"]
    typed = {"name": "Night <shift>", "version": "1", "party.read": "all", "export": "all"}
    assert (await office.post(address, typed)).status == 303
    stale = await office.post(address, typed | {"party.read": "own"})
    assert (stale.status, "changed this record meanwhile" in await stale.text()) == (409, True)
    wrong = await office.post(address, typed | {"version": "2", "export": "team"})
    assert (wrong.status, "plain yes or no" in await wrong.text()) == (422, True)
    user = f"/admin/users/{office.people['stranger'].user_id}"
    text = await (await office.get(user)).text()
    assert "Night &lt;shift&gt;" in text
    version = await version_at(office, user)
    given = [("name", "S"), ("language", "en"), ("version", version), ("roles", "agent"), ("roles", "own1")]
    assert (await office.post(user, given)).status == 303
    sight = await (await office.get(f"{user}/sight")).text()
    assert "Night &lt;shift&gt;" in sight
    held = await office.post(f"{address}/remove")
    assert (held.status, "Users still hold" in await held.text()) == (422, True)
    back = [("name", "S"), ("language", "en"), ("version", str(int(version) + 1)), ("roles", "agent")]
    assert (await office.post(user, back)).status == 303
    assert (await office.post(f"{address}/remove")).status == 303
    assert (await office.get(address)).status == 404


async def test_a_system_role_is_restored_and_the_administrators_stays(office: Office) -> None:
    head = await address_of(office, "/admin/roles", "Head of team")
    assert (await office.post(head, {"version": await version_at(office, head)})).status == 303
    assert 'value="team" selected' not in await (await office.get(head)).text()
    assert (await office.post(f"{head}/restore")).status == 303
    text = await (await office.get(head)).text()
    scoped = [scope for scope in DEFAULT_PERMISSIONS["head"].values() if scope == "team"]
    assert text.count('value="team" selected') == len(scoped)
    admin = await address_of(office, "/admin/roles", "Administrator")
    refused = await office.post(admin, {"version": "1"})
    assert (refused.status, "stays so" in await refused.text()) == (422, True)


async def test_a_team_is_made_moved_filled_and_archived(office: Office) -> None:
    assert (await office.post("/admin/teams", {"name": ""})).status == 422
    assert (await office.post("/admin/teams", {"name": "Night", "parent_id": "999999"})).status == 404
    assert (
        await office.post("/admin/teams", {"name": "Night", "parent_id": str(office.team_id)})
    ).status == 303
    night = await address_of(office, "/admin/teams", "Night")
    sales = f"/admin/teams/{office.team_id}"
    ring = {
        "name": "Sales",
        "version": await version_at(office, sales),
        "parent_id": night.rpartition("/")[2],
    }
    looped = await office.post(sales, ring)
    assert (looped.status, "below itself" in await looped.text()) == (422, True)
    agent = str(office.people["agent"].user_id)
    assert (await office.post(f"{night}/members", {"user_id": agent})).status == 303
    text = await (await office.get(night)).text()
    assert "Agent Example" in text
    assert "besides the primary team" in text
    full = await office.post(f"{night}/archive")
    assert (full.status, "still belong" in await full.text()) == (422, True)
    head = re.search(rf"{night}/members/\d+/head", text)
    assert head is not None
    assert (await office.post(head[0])).status == 303
    ending = re.search(rf"{night}/members/\d+/end", await (await office.get(night)).text())
    assert ending is not None
    assert (await office.post(ending[0])).status == 303
    assert (await office.post(f"{night}/archive")).status == 303
    assert (await office.get(night)).status == 404


async def test_what_a_user_sees_is_counted(office: Office) -> None:
    agent = office.people["agent"].user_id
    text = await (await office.get(f"/admin/users/{agent}/sight")).text()
    counts = re.findall(r"<dd>([^<]*)</dd>", text)
    assert counts[:3] == ["2", "2", "2"]  # the firm and its contact; the answered and the missed call
    assert counts[3:7] == [
        "2",
        "2",
        "1",
        "3",
    ]  # leads open and ended; the task; the two calls and the meeting
    assert (await office.get("/admin/users/999999/sight")).status == 404
