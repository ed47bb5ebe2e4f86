"""The administration: connections and their check, lines, extensions, users, tokens, numbers; one's own settings."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from crm import accounts
from crm.connection_gaps import latest_gaps
from crm.gaps import begin_gap, end_gap, note_filled
from crm.pop_delays import DrawnWindow, add_delays, forget_old_delays
from crm.rights import access_of
from crm.schema.base import uuid7
from crm.shortcuts import change_keys
from crm.telephony import set_connection_state
from tests.web.pages.office import PASSWORD, Office


async def test_a_connection_is_made_changed_and_its_secret_never_shown(office: Office) -> None:
    typed = {"name": "Branch", "host": "10.0.0.7", "port": "5038", "user": "ringcard", "secret": "very hush"}
    made = await office.post("/admin/connections/new", typed)
    assert made.status == 303
    address = made.headers["Location"].partition("?")[0]
    text = await (await office.get(address)).text()
    assert 'value="10.0.0.7"' in text
    assert "very hush" not in text
    version = re.search(r'name="version" value="(\d+)"', text)
    assert version is not None
    changed = typed | {"port": "5039", "secret": "", "version": version[1], "is_enabled": "1"}
    assert (await office.post(address, changed)).status == 303
    stale = await office.post(address, changed | {"port": "5040"})
    assert stale.status == 409
    wrong = await office.post("/admin/connections/new", typed | {"name": "X", "port": "99999"})
    assert (wrong.status, "from 1 to 65535" in await wrong.text()) == (422, True)
    taken = await office.post("/admin/connections/new", typed)
    assert (taken.status, "already taken" in await taken.text()) == (422, True)
    assert (await office.post(f"{address}/remove")).status == 303
    assert (await office.get(address)).status == 404


async def test_the_check_says_in_plain_words_why_nothing_pops(office: Office) -> None:
    answer = await office.post(f"/admin/connections/{office.connection_id}/check", {}, "telephony")
    text = await answer.text()
    assert answer.status == 200
    assert "127.0.0.1:9 cannot be reached" in text
    assert "Look at enabled=yes" in text
    assert "<html" not in text


async def test_gaps_are_told_with_their_reason(office: Office) -> None:
    began = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    async with office.database.sessions.begin() as session:
        await begin_gap(session, office.connection_id, began, "ringcard_stopped")
        await end_gap(session, office.connection_id, began + timedelta(seconds=75))
        await begin_gap(session, office.connection_id, began + timedelta(hours=1), "login_refused")
    text = await (await office.get(f"/admin/connections/{office.connection_id}")).text()
    for told in ("ringcard did not run", "1:15", "The login was refused", "still going on"):
        assert told in text, told


async def test_a_line_is_understood_in_any_spelling(office: Office) -> None:
    typed = {
        "connection_id": str(office.connection_id),
        "number": "8 (495) 000-00-77",
        "name": "Support",
        "colour": "#00aa00",
    }
    assert (await office.post("/admin/lines/new", typed, "telephony")).status == 303
    assert "+7 495 000-00-77" in await (await office.get("/admin/lines")).text()
    assert (await office.post("/admin/lines/new", typed)).status == 422
    wrong = await office.post("/admin/lines/new", typed | {"number": "abc"})
    assert (wrong.status, "not a telephone number" in await wrong.text()) == (422, True)
    colour = await office.post("/admin/lines/new", typed | {"number": "84950000078", "colour": "red"})
    assert (colour.status, "#2f6fed" in await colour.text()) == (422, True)


async def test_an_extension_is_assigned_from_a_moment_on(office: Office) -> None:
    manager = office.people["manager"].user_id
    typed = {"connection_id": str(office.connection_id), "digits": "150", "user_id": str(manager)}
    assert (await office.post("/admin/extensions/assign", typed, "telephony")).status == 303
    assert "Manager Example" in await (await office.get("/admin/extensions")).text()
    future = await office.post("/admin/extensions/assign", typed | {"since": "01.01.2999"})
    assert (future.status, "still to come" in await future.text()) == (422, True)
    unreadable = await office.post("/admin/extensions/assign", typed | {"since": "завтра"})
    assert (unreadable.status, "20.11.2026 14:32" in await unreadable.text()) == (422, True)
    assert (await office.post("/admin/extensions/assign", typed | {"user_id": ""})).status == 303


async def test_a_user_is_made_edited_blocked_and_the_last_administrator_stays(office: Office) -> None:
    typed = {
        "login": "new.user",
        "name": "New User",
        "roles": "agent",
        "password": "long enough",
        "language": "en",
        "new_team": "Night shift",
    }
    made = await office.post("/admin/users/new", typed)
    assert made.status == 303
    address = made.headers["Location"].partition("?")[0]
    assert "Night shift" in await (await office.get("/admin/users")).text()
    short = await office.post("/admin/users/new", typed | {"login": "other.user", "password": "short"})
    assert (short.status, "at least 8 characters" in await short.text()) == (422, True)
    assert (await office.post(f"{address}/password", {"password": "short"})).status == 422
    assert (await office.post(f"{address}/password", {"password": "a longer one"})).status == 303
    assert (await office.post(f"{address}/block")).status == 303
    assert "Unblock" in await (await office.get(address)).text()
    admin = f"/admin/users/{office.people['admin'].user_id}"
    last = await office.post(f"{admin}/block")
    assert (last.status, "last active administrator" in await last.text()) == (422, True)


async def test_a_token_is_shown_once_and_ends(office: Office) -> None:
    agent = office.people["agent"].user_id
    made = await office.post("/admin/tokens", {"name": "Shop", "user_id": str(agent), "reach": "read"})
    shown = re.search(r"rc_[\w-]{20,}", await made.text())
    assert shown is not None
    async with office.database.sessions.begin() as session:
        access = await accounts.token_access(session, shown[0])
    assert access is not None
    assert (access.may("party.read"), access.may("party.create")) == (True, False)
    text = await (await office.get("/admin/tokens")).text()
    assert shown[0] not in text
    ending = re.search(r"/admin/tokens/\d+/end", text)
    assert ending is not None
    assert (await office.post(ending[0])).status == 303
    async with office.database.sessions.begin() as session:
        assert await accounts.token_access(session, shown[0]) is None
    wrong = await office.post("/admin/tokens", {"name": "Shop", "user_id": str(agent), "expires_on": "x"})
    assert wrong.status == 422


async def test_the_tester_shows_each_step(office: Office) -> None:
    text = await (await office.get("/admin/numbers?numbers=123-45-67&area_code=495")).text()
    assert "+7 495 123-45-67" in text
    assert "valid with the area code" in text


async def test_ones_own_password_and_language(office: Office) -> None:
    wrong = await office.post("/me/password", {"old_password": "x", "password": "quite long enough"})
    assert (wrong.status, "not your present password" in await wrong.text()) == (422, True)
    right = await office.post("/me/password", {"old_password": PASSWORD, "password": "quite long enough"})
    assert right.status == 303
    assert (
        await office.post("/me/settings", {"language": "en", "time_zone": "Europe/Nowhere"})
    ).status == 422
    assert (await office.post("/me/settings", {"language": "xx"})).status == 422
    assert (await office.post("/me/settings", {"language": "en", "time_zone": "Asia/Omsk"})).status == 303


async def test_ones_own_keys(office: Office) -> None:
    clash = await office.post("/me/keys", {"comment": "Alt+KeyQ"})
    assert (clash.status, "taken by another action" in await clash.text()) == (422, True)
    for key in ("Alt+KeyF", "F5", "KeyC", "Ctrl+KeyC"):
        refused = await office.post("/me/keys", {"comment": key})
        assert (refused.status, "cannot be taken" in await refused.text()) == (422, True), key
    swapped = {"comment": "Alt+KeyQ", "shrink": "Alt+KeyC"}
    async with office.database.sessions.begin() as session:
        await change_keys(session, office.people["admin"], swapped)
        access = await access_of(session, office.people["admin"].user_id)
    assert access is not None
    assert access.keys == swapped
    assert (await office.post("/me/keys", {"as_usual": "1"})).status == 303
    async with office.database.sessions() as session:
        access = await access_of(session, office.people["admin"].user_id)
    assert access is not None
    assert access.keys == {}


async def test_calls_are_filtered_and_their_address_can_be_shared(office: Office) -> None:
    answered, missed = str(office.call_id), str(office.missed_id)
    text = await (await office.get("/calls?outcome=missed")).text()
    assert (answered in text, missed in text) == (False, True)
    text = await (await office.get("/calls?period=dates&first=01.01.2020&last=02.01.2020")).text()
    assert "No call fits" in text
    assert (await office.get("/calls?outcome=drop+table&direction=sideways")).status == 200
    assert (await office.get("/calls?after=rubbish")).status == 400
    rows = await (await office.get("/calls", **{"HX-Target": "tbody#call-rows"})).text()
    assert "<html" not in rows
    card = await (await office.get(f"/calls/{answered}")).text()
    for told in ("Blind transfer", "without asking", "from the queue", "Sales line", "PJSIP/101-00000001"):
        assert told in card, told


async def test_a_numbering_profile_is_made_and_changed(office: Office) -> None:
    typed = {"name": "Branch rules", "region": "ru", "area_code": "495", "outside_prefixes": "9, 0"}
    assert (await office.post("/admin/profiles/new", typed, "telephony")).status == 303
    listed = await (await office.get("/admin/numbers")).text()
    address = re.search(r'href="(/admin/profiles/\d+)">Branch rules', listed)
    assert address is not None
    assert "outside by 9, 0" in listed
    version = re.search(r'name="version" value="(\d+)"', await (await office.get(address[1])).text())
    assert version is not None
    changed = typed | {"area_code": "812", "version": version[1]}
    assert (await office.post(address[1], changed)).status == 303
    assert (await office.post(address[1], changed | {"area_code": "343"})).status == 409
    wrong = await office.post("/admin/profiles/new", typed | {"name": "X", "region": "XX"})
    assert (wrong.status, "two letters" in await wrong.text()) == (422, True)
    assert (await office.post("/admin/profiles/new", typed, "head")).status == 404


async def test_a_link_is_told_in_the_readers_words_and_a_newer_code_as_it_came(office: Office) -> None:
    values = {"user": "ringcard", "answer": "Authentication failed", "host": "pbx", "port": "5038"}
    since = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    for code, told in (("login_refused", "Asterisk refused the user ringcard"), ("newer", "As it came.")):
        async with office.database.sessions.begin() as session:
            await set_connection_state(
                session,
                office.connection_id,
                "refused",
                since,
                detail="As it came.",
                code=code,
                code_values=values,
            )
        for path in ("/admin/connections", f"/admin/connections/{office.connection_id}"):
            assert told in await (await office.get(path)).text()


async def test_how_quickly_windows_come_up_is_told(office: Office) -> None:
    assert "No window was measured" in await (await office.get("/admin/connections")).text()
    now = datetime.now(UTC)
    agent = office.people["agent"].user_id
    drawn = [
        DrawnWindow(
            call_id=uuid7(), user_id=agent, connection_id=office.connection_id, at=now, milliseconds=each
        )
        for each in (*range(1, 100), 900)
    ]
    old = replace(drawn[-1], call_id=uuid7(), at=now - timedelta(days=1, hours=1), milliseconds=50_000)
    async with office.database.sessions.begin() as session:
        await add_delays(session, [*drawn, old, replace(drawn[0], milliseconds=9_000)])
    text = await (await office.get("/admin/connections")).text()
    for told in ("50 ms", "99 ms", ">100<"):
        assert told in text, told
    async with office.database.sessions.begin() as session:
        await forget_old_delays(session, now + timedelta(days=8))
    assert "No window was measured" in await (await office.get("/admin/connections")).text()


async def test_gaps_stand_between_the_calls_and_say_what_filled_them(office: Office) -> None:
    began = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
    async with office.database.sessions.begin() as session:
        await end_gap(session, office.connection_id, datetime(2026, 3, 2, 14, 0, tzinfo=UTC))
        await begin_gap(session, office.connection_id, datetime(2026, 3, 3, tzinfo=UTC), "unreachable")
        gap_id = (await latest_gaps(session, office.connection_id, 1))[0].id
        await note_filled(session, gap_id, "cel_mysql", began, 3)
    days = "/calls?period=dates&first=01.03.2026&last=04.03.2026"
    text = await (await office.get(days)).text()
    for told in (
        "No events",
        "table cel in MySQL or MariaDB",
        "3 calls restored",
        "Calls of this time are missing.",
    ):
        assert told in text, told
    assert "No events" not in await (await office.get("/calls?period=dates&last=01.01.2020")).text()
    assert "No events" not in await (await office.get("/calls?number=79161234567")).text()
    stranger = await (await office.get(days, "manager")).text()
    assert "No events" not in stranger  # sits at no extension of this connection
    assert (await office.get("/calls?after=nonsense")).status == 400


async def test_where_gaps_are_filled_from_is_chosen_and_the_password_never_shown(office: Office) -> None:
    address = f"/admin/connections/{office.connection_id}/truth"
    typed = {
        "kind": "cdr_mysql",
        "host": "192.0.2.5",
        "database": "asteriskcdrdb",
        "user": "reader",
        "secret": "hush hush",
    }
    assert (await office.post(address, typed, "telephony")).status == 303
    text = await (await office.get(address)).text()
    assert 'value="192.0.2.5"' in text
    assert 'value="3306"' in text
    assert "hush hush" not in text
    assert (
        "table cdr in MySQL" in await (await office.get(f"/admin/connections/{office.connection_id}")).text()
    )
    for wrong in (
        {"kind": "cdr_csv", "path": "../../etc/passwd"},
        {"kind": "cdr_csv", "path": "/etc/passwd"},
        {"kind": "cel_postgresql", "host": "a b", "database": "x", "user": "y"},
        {"kind": "cdr_csv", "path": "/var/log/asterisk/cdr-csv/Master.csv", "time_zone": "Moon/Sea"},
    ):
        assert (await office.post(address, wrong)).status == 422, wrong
    for who in ("agent", "manager", "head"):
        assert (await office.get(address, who)).status == 404
        assert (await office.post(address, typed, who)).status == 404
    assert (await office.post(address, {"kind": "none"})).status == 303
    assert "192.0.2.5" not in await (await office.get(address)).text()
