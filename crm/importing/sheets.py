"""What a batch of decided rows is as rows of tables: built in one go, in a thread, before the first is written. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crm.importing.decisions import Decision, Slot
from crm.importing.plans import Phone, Policy, Side
from crm.importing.trail import Trail

New = tuple[Decision, Slot, Side]


@dataclass(frozen=True, slots=True)
class Held:
    """What the clients of a batch who are there have already: nothing of it may come twice."""

    phones: frozenset[int] = frozenset()  # the parties with a primary number
    emails: frozenset[int] = frozenset()
    contacts: frozenset[int] = frozenset()
    kinds: Mapping[int, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ties:
    """What hangs on the clients of a batch. `changed`: the rows that gave a client who was there another kind."""

    kinds: list[dict[str, Any]]
    phones: list[dict[str, Any]]
    emails: list[dict[str, Any]]
    contacts: list[dict[str, Any]]
    shared_numbers: list[str]
    shared_addresses: list[str]
    changed: set[int]


def new_clients(decisions: Iterable[Decision]) -> list[New]:
    """Everybody whom these rows make."""
    return [(each, slot, side) for each in decisions for slot, side in each.new_slots]


def made_rows(new: Sequence[New], policy: Policy, actor_id: int | None) -> list[dict[str, Any]]:
    """The new clients with all that is known of them; they have been given their ids and numbers."""
    return [_made_row(each, slot, side, policy.owner_id or actor_id) for each, slot, side in new]


def _made_row(decision: Decision, slot: Slot, side: Side, owner_id: int | None) -> dict[str, Any]:
    """`told` is stored, and what the journals tell: what is empty says nothing."""
    plan = decision.plan
    told = {name: value for values in (side.party, side.detail) for name, value in values.items() if value}
    sort_name = told.pop("sort_name")
    if owner_id := (plan and plan.owner_id) or owner_id:
        told["owner_id"] = owner_id
    if plan and plan.kinds and slot is decision.main:
        told["kinds"] = sorted(plan.kinds)
    return {
        "id": slot.party_id,
        "number": slot.number,
        "row": decision.row,
        "sort_name": sort_name,
        "told": told,
    }


def tied_rows(decisions: Sequence[Decision], held: Held, trail: Trail) -> Ties:
    """Kinds, numbers, addresses and contacts, each of them told in the trail. Every client of the rows has an id by now."""
    kinds, changed = _kind_rows(decisions, held, trail)
    return Ties(
        kinds=kinds,
        phones=_phone_rows(decisions, _First(held.phones), trail),
        emails=_email_rows(decisions, _First(held.emails), trail),
        contacts=_contact_rows(decisions, _First(held.contacts), trail),
        shared_numbers=sorted(
            {phone.e164 for each in decisions for _, phone, shares in each.phones if shares}
        ),
        shared_addresses=sorted(
            {address for each in decisions for _, address, shares in each.emails if shares}
        ),
        changed=changed,
    )


class _First:
    """The first of each client's becomes the primary one, if there is none."""

    def __init__(self, taken: Iterable[int]) -> None:
        self._taken = set(taken)

    def of(self, party_id: int) -> bool:
        is_first = party_id not in self._taken
        self._taken.add(party_id)
        return is_first


def _kind_rows(
    decisions: Sequence[Decision], held: Held, trail: Trail
) -> tuple[list[dict[str, Any]], set[int]]:
    """The kinds of new clients, and those that the file adds to known ones; and the rows that add some."""
    rows: list[dict[str, Any]] = []
    changed: set[int] = set()
    given: set[tuple[int, str]] = {
        (party_id, code) for party_id, codes in held.kinds.items() for code in codes
    }
    for each in decisions:
        if each.main is None or each.plan is None:
            continue
        is_new = each.makes(each.main)
        party_id = each.main.known_id
        for code in each.plan.kinds if is_new or (each.fills and each.plan.names_kinds) else ():
            if (party_id, code) in given:
                continue
            given.add((party_id, code))
            rows.append({"party_id": party_id, "code": code})
            if not is_new:
                trail.changed(party_id, "party.changed", {"kind": code})
                changed.add(each.row)
    return rows, changed


def _phone_rows(decisions: Sequence[Decision], first: _First, trail: Trail) -> list[dict[str, Any]]:
    rows = []
    for slot, phone, shares in (tie for each in decisions for tie in each.phones):
        row = _phone_row(slot, phone, shares, first.of(slot.known_id))
        told = {"number": phone.e164, "extension": phone.extension, "usage": row["usage"]}
        trail.changed(slot.known_id, "party.number_added", told)
        rows.append(row)
    return rows


def _phone_row(slot: Slot, phone: Phone, shares: bool, is_primary: bool) -> dict[str, Any]:
    return {
        "party_id": slot.party_id,
        "e164": phone.e164,
        "extension": phone.extension,
        "presented": phone.presented,
        "country": phone.country,
        "type": phone.type,
        "usage": "shared" if shares else "direct",
        "is_primary": is_primary,
    }


def _email_rows(decisions: Sequence[Decision], first: _First, trail: Trail) -> list[dict[str, Any]]:
    rows = []
    for slot, address, shares in (tie for each in decisions for tie in each.emails):
        usage = "shared" if shares else "direct"
        is_primary = first.of(slot.known_id)
        rows.append({"party_id": slot.party_id, "address": address, "usage": usage, "is_primary": is_primary})
        trail.changed(slot.known_id, "party.email_added", {"email": address})
    return rows


def _contact_rows(decisions: Sequence[Decision], first: _First, trail: Trail) -> list[dict[str, Any]]:
    rows = []
    for each in decisions:
        if not each.joins or each.person is None or each.organisation is None:
            continue
        person_id, organisation_id = each.person.known_id, each.organisation.known_id
        more = {
            "position": (each.plan.position if each.plan else "") or None,
            "is_primary": first.of(organisation_id),
        }
        rows.append({"person_id": person_id, "organisation_id": organisation_id, **more})
        trail.changed(organisation_id, "party.contact_added", {"contact": person_id, **more})
    return rows
