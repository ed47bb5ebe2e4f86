"""Everything that pages ask of a large base: each list, searches, a card with its line of time, hints while typing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from bench.population import BUSIEST, number_of
from crm.calls_read import CallFilter, list_calls
from crm.communication_bin import list_communication_bin
from crm.communication_filters import CommunicationFilter
from crm.communication_search import search_communications
from crm.communications import count_communications, list_communications
from crm.duplicate_hints import Typed, hints
from crm.duplicates import list_pairs
from crm.journals_read import JournalFilter, list_accesses, list_changes
from crm.lead_lists import LeadFilter, lead_board
from crm.lead_lists import first_page as first_page_of_leads
from crm.party_bin import list_bin
from crm.party_cards import party_card
from crm.party_lists import PartyFilter, Sort, Which, first_page
from crm.party_search import search_parties
from crm.party_story import party_story
from crm.rights import Access
from crm.schemes import list_schemes

Ask = Callable[[AsyncSession, Access], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question and the page that asks it; wanted are milliseconds in the database and of the page in all."""

    ask: Ask
    path: str = ""
    wanted: float = 20.0
    wanted_page: float = 100.0


def _parties(wanted: PartyFilter, path: str, sort: Sort = Sort.NAME) -> Asked:
    async def ask(session: AsyncSession, access: Access) -> None:
        await first_page(session, access, wanted, sort=sort)

    return Asked(ask=ask, path=path)


def _leads(wanted: LeadFilter, path: str) -> Asked:
    async def ask(session: AsyncSession, access: Access) -> None:
        await first_page_of_leads(session, access, wanted)

    return Asked(ask=ask, path=path)


def _changes(kind: str) -> Asked:
    async def ask(session: AsyncSession, access: Access) -> None:
        await list_changes(session, access, JournalFilter(record_kind=kind))

    return Asked(ask=ask, path=f"/admin/changes?kind={kind}")


async def _board(session: AsyncSession, access: Access) -> None:
    for scheme in await list_schemes(session, access, "lead"):
        await lead_board(session, access, scheme)


def _calls(wanted: CallFilter, path: str) -> Asked:
    return Asked(ask=lambda session, access: list_calls(session, access, wanted), path=path)


def _communications(wanted: CommunicationFilter, path: str, *, is_oldest_first: bool = False) -> Asked:
    async def ask(session: AsyncSession, access: Access) -> None:
        await list_communications(session, access, wanted, is_oldest_first=is_oldest_first)

    return Asked(ask=ask, path=path)


def _found_communications(typed: str) -> Asked:
    return Asked(
        ask=lambda session, access: search_communications(session, access, typed),
        path=f"/communications?q={typed.replace('+', '%2B')}",
        wanted=50.0,
    )


def _search(typed: str) -> Asked:
    return Asked(
        ask=lambda session, access: search_parties(session, access, typed),
        path=f"/parties?q={typed.replace('+', '%2B')}",
        wanted=50.0,
    )


async def _card(session: AsyncSession, access: Access) -> None:
    await party_card(session, access, BUSIEST)
    await party_story(session, access, BUSIEST)


def _hints(typed: Typed) -> Asked:
    return Asked(ask=lambda session, access: hints(session, access, typed), wanted=50.0)


_SECTIONS: Final[Mapping[str, tuple[PartyFilter, str]]] = {
    "counterparties": (PartyFilter(), "/parties"),
    "clients": (PartyFilter(kind="client"), "/parties/clients"),
    "suppliers": (PartyFilter(kind="supplier"), "/parties/suppliers"),
    "sales agents": (PartyFilter(kind="agent"), "/parties/agents"),
    "prospects": (PartyFilter(kind="prospect"), "/parties/prospects"),
    "former clients": (PartyFilter(which=Which.FORMER_CLIENTS), "/parties/former-clients"),
    "contacts": (PartyFilter(which=Which.CONTACTS), "/parties/contacts"),
    "contacts alone": (PartyFilter(which=Which.CONTACTS_ALONE), "/parties/contacts-alone"),
    "without a number": (PartyFilter(has_phone=False), "/parties?phone=no"),
    "nobody's": (PartyFilter(owner_id=0), "/parties?owner=nobody"),
    "from a region": (PartyFilter(region="Московская обл."), "/parties?region=Московская обл."),
    "from a rare region": (PartyFilter(region="Псковская обл."), "/parties?region=Псковская обл."),
    "from a source": (PartyFilter(source="site"), "/parties?source=site"),
}
_WORDS: Final = {Sort.NAME: "name", Sort.LAST_COMMUNICATION: "last", Sort.CREATED: "created"}


def asked(parties: int) -> dict[str, Asked]:
    """By name. `parties`: how many there are, so that digits and names that are looked for exist."""
    middle = parties // 2
    return _lists_of_parties() | _other_lists(middle) | _look_ups(middle)


def _lists_of_parties() -> dict[str, Asked]:
    found: dict[str, Asked] = {}
    for name, (wanted, path) in _SECTIONS.items():
        for sort, word in _WORDS.items():
            address = f"{path}{'&' if '?' in path else '?'}sort={word}"
            found[f"{name} by {word}"] = _parties(wanted, address, sort)
    return found


def _other_lists(middle: int) -> dict[str, Asked]:
    return {
        "leads": _leads(LeadFilter(), "/leads"),
        "leads, all": _leads(LeadFilter(state="all"), "/leads?state=all"),
        "leads, converted": _leads(LeadFilter(state="converted"), "/leads?state=converted"),
        "leads, nobody's": _leads(LeadFilter(is_unassigned=True), "/leads?whose=nobodys"),
        "board of leads": Asked(ask=_board, path="/leads/board"),
        "communications": _communications(CommunicationFilter(), "/communications"),
        "communications, oldest first": _communications(
            CommunicationFilter(), "/communications?sort=oldest", is_oldest_first=True
        ),
        "communications counted": Asked(ask=count_communications),
        "communications: a word of all": _found_communications("итог"),
        "communications: words": _found_communications(f"тема {middle}"),
        "communications: a name of a tenth": _found_communications("ромашка"),
        "communications: last four digits": _found_communications(number_of(middle)[-4:]),
        "communications: a number": _found_communications(number_of(middle)),
        "bin of communications": Asked(ask=list_communication_bin, path="/communications/bin"),
        "meetings": _communications(CommunicationFilter(kind="meeting"), "/communications?kind=meeting"),
        "planned meetings, the next first": _communications(
            CommunicationFilter(kind="meeting", meeting_state="planned"),
            "/communications?kind=meeting&state=planned&sort=oldest",
            is_oldest_first=True,
        ),
        "planned meetings": _communications(
            CommunicationFilter(kind="meeting", meeting_state="planned"),
            "/communications?kind=meeting&state=planned",
        ),
        "calls": _calls(CallFilter(), "/calls"),
        "calls, missed": _calls(CallFilter(disposition="missed"), "/calls?outcome=missed"),
        "calls, internal": _calls(CallFilter(direction="internal"), "/calls?direction=internal"),
        "calls, busy": _calls(CallFilter(disposition="busy"), "/calls?outcome=busy"),
        "calls of a number": _calls(
            CallFilter(number=number_of(middle)[-7:]), f"/calls?number={number_of(middle)[-7:]}"
        ),
        "calls of a party": _calls(CallFilter(party_id=BUSIEST), ""),
        "possible duplicates": Asked(ask=list_pairs, path="/parties/duplicates"),
        "bin": Asked(ask=list_bin, path="/parties/bin"),
        "changes": Asked(
            ask=lambda session, access: list_changes(session, access, JournalFilter()),
            path="/admin/changes",
        ),
        "changes of clients": _changes("party"),
        "changes of users": _changes("user"),
        "accesses": Asked(
            ask=lambda session, access: list_accesses(session, access, JournalFilter()),
            path="/admin/access",
        ),
    }


def _look_ups(middle: int) -> dict[str, Asked]:
    return {
        "search: a name of a tenth": _search("ромашка"),
        "search: part of a name": _search("омаш"),
        "search: two words": _search("вектор баба"),
        "search: digits of a tenth": _search("791"),
        "search: last four digits": _search(number_of(middle)[-4:]),
        "search: seven digits": _search(number_of(middle)[-7:]),
        "search: a number": _search(number_of(middle)),
        "search: an INN": _search(f"7{middle:09d}"),
        "card and timeline": Asked(ask=_card, path=f"/parties/{BUSIEST}", wanted=60.0),
        "hints: an organisation": _hints(
            Typed(type="organisation", short_name=f"Вектор Базаки {middle}", number=number_of(middle))
        ),
        "hints: a word of a tenth": _hints(Typed(type="organisation", short_name="Ромашка")),
        "hints: a word of a tenth and another": _hints(
            Typed(type="organisation", short_name="Ромашка Восход")
        ),
        "hints: a name of a tenth": _hints(
            Typed(type="organisation", short_name=f"Ромашка Базаки {middle + 1}")
        ),
        "hints: a person": _hints(Typed(type="person", last_name="Бавегинов", first_name="Анна")),
    }
