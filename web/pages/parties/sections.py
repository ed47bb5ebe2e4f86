"""The lists of parties: which there are, their columns, and the filters that an address can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from crm.party_filters import ACTIVE, PartyFilter, Which
from crm.party_lists import Sort
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.pages.lists.frame import Column, ListFrame, named
from web.pages.periods import PeriodName, period_of

SILENT_DAYS: Final = (30, 90, 180, 365)
NOBODY: Final = "nobody"
SORTS: Final = {"name": Sort.NAME, "last": Sort.LAST_COMMUNICATION, "created": Sort.CREATED}
_SORT_WORDS: Final = {
    "name": N_("By name"),
    "last": N_("By last communication"),
    "created": N_("Newest first"),
}
_COLUMNS: Final = (
    Column(name="name", title=N_("Name"), css="cell-main", is_fixed=True),
    Column(name="kinds", title=N_("Kind"), css="cell-kinds"),
    Column(name="contact", title=N_("Primary contact")),
    Column(name="organisation", title=N_("Organisation")),
    Column(name="phone", title=N_("Phone")),
    Column(name="owner", title=N_("Responsible")),
    Column(name="city", title=N_("City")),
    Column(name="source", title=N_("Source")),
    Column(name="inn", title=N_("INN")),
    Column(name="number", title=N_("Number of the card"), css="cell-number"),
    Column(name="created", title=N_("Created"), css="cell-number"),
    Column(name="last", title=N_("Last communication"), css="cell-number"),
)
_FIRMS: Final = ("name", "kinds", "contact", "phone", "owner", "last")
_PEOPLE: Final = ("name", "kinds", "organisation", "phone", "owner", "last")
_FILTERS: Final = (
    "q",
    "owner",
    "source",
    "city",
    "region",
    "tag",
    "phone",
    "spoken",
    "first",
    "last",
    "silent",
)
KIND_STATES: Final = {"paused": N_("Kind on pause"), "ended": N_("Kind ended")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSection:
    """One of the lists; its condition is fixed, so that nobody needs a filter for it."""

    frame: ListFrame
    which: Which
    kind: str | None = None
    offers_kinds: bool = False
    offers_states: bool = False  # of the kinds

    @property
    def path(self) -> str:
        return self.frame.path

    @property
    def title(self) -> str:
        return self.frame.title

    def wanted(self, values: Mapping[str, str], now: datetime, zone: ZoneInfo) -> PartyFilter:
        """What the filters of an address mean here; unreadable ones narrow nothing."""
        period = _spoken(values, now, zone)
        return PartyFilter(
            which=self.which,
            kind=self.kind or values.get("kind") or None,
            kind_status=state if (state := values.get("state", "")) in KIND_STATES else ACTIVE,
            owner_id=_owner(values.get("owner", "")),
            source=values.get("source") or None,
            city=values.get("city") or None,
            region=values.get("region") or None,
            tag_id=_id(values.get("tag", "")),
            has_phone={"yes": True, "no": False}.get(values.get("phone", "")),
            spoken_since=period[0],
            spoken_until=period[1],
            silent_since=_silent(values.get("silent", ""), now),
        )

    def searched(self, wanted: PartyFilter) -> PartyFilter:
        """Where a search looks: the first list finds everybody, archived ones with their mark."""
        is_first = self.which is Which.COUNTERPARTIES and self.kind is None
        return replace(wanted, which=Which.EVERYBODY) if is_first else wanted


def _spoken(
    values: Mapping[str, str], now: datetime, zone: ZoneInfo
) -> tuple[datetime | None, datetime | None]:
    first, last = values.get("first", ""), values.get("last", "")
    name = values.get("spoken") or (PeriodName.DATES if first or last else "")
    period = period_of(name, first, last, now, zone)
    return period.start, period.end


def _silent(typed: str, now: datetime) -> datetime | None:
    days = int(typed) if typed in {str(each) for each in SILENT_DAYS} else None
    return None if days is None else now - timedelta(days=days)


def _owner(typed: str) -> int | None:
    return 0 if typed == NOBODY else _id(typed)


def _id(typed: str) -> int | None:
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else None


def _section(
    area: str,
    path: str,
    title: str,
    which: Which = Which.COUNTERPARTIES,
    *,
    kind: str | None = None,
    offers_kinds: bool = False,
) -> ListSection:
    is_of_people = which in {Which.CONTACTS, Which.CONTACTS_ALONE}
    has_states = which is Which.COUNTERPARTIES or offers_kinds
    filters = (*_FILTERS, *(["kind"] if offers_kinds else []), *(["state"] if has_states else []))
    frame = ListFrame(
        area=area,
        path=path,
        title=title,
        right="party.read",
        columns=_COLUMNS,
        usual=_PEOPLE if is_of_people else _FIRMS,
        sorts=_SORT_WORDS,
        filters=filters,
    )
    return ListSection(
        frame=named(frame), which=which, kind=kind, offers_kinds=offers_kinds, offers_states=has_states
    )


SECTIONS: Final = (
    _section("counterparties", "/parties", N_("Counterparties"), offers_kinds=True),
    _section("clients", "/parties/clients", N_("Clients"), kind="client"),
    _section("suppliers", "/parties/suppliers", N_("Suppliers"), kind="supplier"),
    _section("agents", "/parties/agents", N_("Sales agents"), kind="agent"),
    _section("prospects", "/parties/prospects", N_("Potential clients"), kind="prospect"),
    _section("former_clients", "/parties/former-clients", N_("Former clients"), Which.FORMER_CLIENTS),
    _section("contacts", "/parties/contacts", N_("Contacts"), Which.CONTACTS, offers_kinds=True),
    _section(
        "contacts_alone",
        "/parties/contacts-alone",
        N_("Contacts without a counterparty"),
        Which.CONTACTS_ALONE,
    ),
)
