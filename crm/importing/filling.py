"""The columns of clients who were there before: filled in where they are empty, or replaced; set-based."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.importing.plans import Known, Policy, Side, own_column
from crm.importing.trail import Trail
from crm.names import normal_name, person_key, person_name

_PARTY: Final = ("display_name", "sort_name", "source", "city", "note", "custom")
_ORGANISATION: Final = ("form", "short_name", "full_name", "inn", "kpp", "ogrn", "website", "industry")
_PERSON: Final = ("last_name", "first_name", "middle_name", "birth_date", "inn")
_NAMES: Final = ("display_name", "sort_name", "short_name", "last_name", "first_name", "middle_name")

_STORED: Final = text(
    """
    select party.id, party.type, to_jsonb(party), coalesce(to_jsonb(organisation), to_jsonb(person))
    from party
    left join organisation on organisation.party_id = party.id
    left join person on person.party_id = party.id
    where party.id = any(cast(:ids as bigint[]))
    """
)


def _update(table: str, key: str, columns: tuple[str, ...], more: str = "") -> Any:
    changes = ", ".join(f"{column} = r.{column}" for column in columns)
    return text(
        f"update {table} set {changes}{more} from jsonb_populate_recordset(null::{table}, cast(:rows as jsonb)) as r "  # noqa: S608 - our own names
        f"where {table}.{key} = r.{key}"
    )


_UPDATES: Final = {
    "party": _update("party", "id", _PARTY, ", version = party.version + 1, updated_at = now()"),
    "organisation": _update("organisation", "party_id", _ORGANISATION),
    "person": _update("person", "party_id", _PERSON),
}


async def filled_columns(
    session: AsyncSession, policy: Policy, wanted: Mapping[int, Sequence[tuple[int, Side]]], trail: Trail
) -> set[int]:
    """Bring what the file says into these parties, which are locked: party → rows and what each of them says.

    Returns the rows that changed anything.
    """
    if not wanted:
        return set()
    rows: dict[str, list[dict[str, Any]]] = {"party": [], "organisation": [], "person": []}
    changed: set[int] = set()
    for party_id, kind, party, detail in await session.execute(_STORED, {"ids": sorted(wanted)}):
        stored = new = known_columns(kind, party, detail)
        for row, side in wanted[party_id]:
            before = new
            said = {**side.party, **side.detail}
            new = merged(kind, before, said, replaces=policy.known is Known.REPLACE)
            changed |= {row} if new != before else set()
        if new == stored:
            continue
        before, after = _told(stored), _told(new)
        told = {name: before.get(name) for name, value in after.items() if before.get(name) != value}
        trail.changed(party_id, "party.changed", {name: after[name] for name in told}, told)
        rows["party"].append({"id": party_id, **new})
        rows[kind].append({"party_id": party_id, **new})
    for table, several in rows.items():
        if several:
            await session.execute(_UPDATES[table], {"rows": msgspec.json.encode(several).decode()})
    return changed


def _told(columns: Mapping[str, Any]) -> dict[str, Any]:
    """As the change log names them: own fields each by itself."""
    plain = {name: value for name, value in columns.items() if name not in {"sort_name", "custom"}}
    return plain | {own_column(key): value for key, value in columns["custom"].items()}


def known_columns(kind: str, party: Mapping[str, Any], detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that an import can fill, of what is stored. Pure."""
    of_detail = _ORGANISATION if kind == "organisation" else _PERSON
    return {name: party[name] for name in _PARTY} | {name: detail[name] for name in of_detail}


def merged(
    kind: str, stored: Mapping[str, Any], said: Mapping[str, Any], *, replaces: bool
) -> dict[str, Any]:
    """What to store, given what is stored and what the file says; what the file leaves out stays. Pure.

    Without `replaces` names stay as they are, but a person who had a first name only gets the rest.
    """
    new = dict(stored)
    for name in stored:
        value = said.get(name)
        if name == "custom":
            new[name] = {**stored[name], **(value or {})} if replaces else {**(value or {}), **stored[name]}
        elif value is not None and name not in _NAMES and (replaces or not stored[name]):
            new[name] = value
    if kind == "person":
        _merge_person(new, said, replaces)
    elif replaces:
        new |= {name: said[name] for name in ("display_name", "sort_name", "short_name") if said.get(name)}
    if kind == "organisation":
        _keep_form(new, stored, said, replaces)
    return new


def _merge_person(new: dict[str, Any], said: Mapping[str, Any], replaces: bool) -> None:
    known = normal_name(new["display_name"]).split()
    for name in ("last_name", "first_name", "middle_name"):
        is_news = said.get(name) and normal_name(said[name]) not in known
        if said.get(name) and (replaces or (is_news and not new[name])):
            new[name] = said[name]
    names = (new["last_name"], new["first_name"], new["middle_name"])
    new["display_name"], new["sort_name"] = person_name(*names), person_key(*names)


def _keep_form(
    new: dict[str, Any], stored: Mapping[str, Any], said: Mapping[str, Any], replaces: bool
) -> None:
    """Form, INN and KPP fit one another: a sole trader has twelve digits and no KPP."""
    is_open = not stored["inn"] and not stored["kpp"]
    new["form"] = said["form"] if said.get("inn") and (replaces or is_open) else stored["form"]
    if len(new["inn"] or "") not in {0, 12 if new["form"] == "sole_trader" else 10}:
        new["inn"] = stored["inn"]
    if new["form"] == "sole_trader":
        new["kpp"] = None
