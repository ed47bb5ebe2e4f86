"""Every page is there for whoever may see it, whole and as a part, in both languages."""

from __future__ import annotations

import pytest

from tests.web.pages.office import Office

PAGES = (
    "/parties",
    "/parties/clients",
    "/parties/suppliers",
    "/parties/contacts",
    "/parties/agents",
    "/parties/prospects",
    "/parties/former-clients",
    "/parties/contacts-alone",
    "/parties?owner=nobody&phone=yes&silent=90&spoken=dates&first=01.01.2026&sort=created&done=3.1.0.1",
    "/parties?q=пример",
    "/parties?q=1203344",
    "/parties?kind=client&sort=last",
    "/parties/new",
    "/parties/new?mode=person",
    "/parties/new?mode=organisation",
    "/parties/{firm}",
    "/parties/{contact}",
    "/parties/{firm}/edit",
    "/parties/{contact}/edit",
    "/parties/duplicates",
    "/parties/merge",
    "/parties/merge?id={firm}&q=чужое",
    "/parties/merge?id={firm}&id={foreign}",
    "/parties/merges",
    "/parties/duplicates/dismissed",
    "/parties/access-requests",
    "/parties/bin",
    "/parties/{firm}/history",
    "/parties/{firm}?show=changes",
    "/parties/{firm}?show=comments",
    "/communications",
    "/communications?kind=meeting&state=planned&direction=none&period=dates&first=01.01.2026",
    "/communications/new",
    "/communications/new?party={firm}&kind=meeting",
    "/communications/{letter}",
    "/communications/{letter}/edit",
    "/notifications",
    "/admin/communication-kinds",
    "/parties/imports",
    "/calls",
    "/calls?outcome=missed&period=week&direction=inbound&number=3344",
    "/calls/{call}",
    "/calls/{missed}",
    "/search",
    "/search?q=спросивший",
    "/leads",
    "/leads?state=all&whose=mine",
    "/leads/board",
    "/leads/new",
    "/leads/new?party_id={firm}",
    "/leads/{lead}",
    "/leads/{ended_lead}",
    "/leads/{lead}/convert",
    "/parties/{contact}/leads",
    "/live-calls",
    "/desk",
    "/admin/connections",
    "/admin/connections/new",
    "/admin/connections/{connection}",
    "/admin/connections/{connection}/truth",
    "/admin/lines",
    "/admin/lines/new",
    "/admin/lines/{line}",
    "/admin/extensions",
    "/admin/users",
    "/admin/users/new",
    "/admin/users/{agent}",
    "/admin/users/{agent}/sight",
    "/admin/teams",
    "/admin/teams/{team}",
    "/admin/roles",
    "/admin/roles/1",
    "/admin/roles/5",
    "/admin/directories/kind",
    "/admin/directories/kind/1",
    "/admin/directories/tag",
    "/admin/required",
    "/admin/directories/lead_reason",
    "/admin/directories/lead_reason/1",
    "/admin/schemes",
    "/admin/schemes/1",
    "/admin/schemes/1/stages/1",
    "/admin/changes",
    "/admin/changes?kind=party&id={firm}&period=week",
    "/admin/access",
    "/admin/access?event=sign_in&period=dates&first=01.01.2026",
    "/parties/{firm}/turn",
    "/parties/{contact}/turn",
    "/admin/tokens",
    "/admin/profiles/new",
    "/admin/numbers?numbers=8+(495)+123-45-67+доб.+12%0Aabc",
    "/me",
)


def filled_in(path: str, office: Office) -> str:
    return path.format(
        firm=office.firm_id,
        contact=office.contact_id,
        foreign=office.foreign_id,
        connection=office.connection_id,
        line=office.line_id,
        team=office.team_id,
        agent=office.people["agent"].user_id,
        call=office.call_id,
        missed=office.missed_id,
        lead=office.lead_id,
        ended_lead=office.ended_lead_id,
        letter=office.letter_id,
    )


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_by_itself_and_a_part_for_htmx(office: Office, path: str) -> None:
    whole = await office.get(filled_in(path, office))
    part = await office.get(filled_in(path, office), **{"HX-Request": "true", "HX-Request-Type": "partial"})
    assert (whole.status, part.status) == (200, 200), await whole.text()
    assert "<!doctype html>" in await whole.text()
    text = await part.text()
    assert "<html" not in text
    assert text.lstrip().startswith("<title>")
    assert "<h1" in text
