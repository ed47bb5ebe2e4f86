"""Every page is there for whoever may see it, whole and as a part, in both languages."""

from __future__ import annotations

import pytest

from tests.web.pages.office import Office

PAGES = (
    "/parties",
    "/parties/clients",
    "/parties/suppliers",
    "/parties/contacts",
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
    "/parties/bin",
    "/calls",
    "/calls?outcome=missed&period=week&direction=inbound&number=3344",
    "/calls/{call}",
    "/calls/{missed}",
    "/leads",
    "/leads?state=all&whose=mine",
    "/leads/board",
    "/leads/new",
    "/leads/new?party_id={firm}",
    "/leads/{lead}",
    "/leads/{ended_lead}",
    "/leads/{lead}/convert",
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
        agent=office.people["agent"].user_id,
        call=office.call_id,
        missed=office.missed_id,
        lead=office.lead_id,
        ended_lead=office.ended_lead_id,
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
