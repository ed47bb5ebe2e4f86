"""One value for each field of the party that a merge leaves: as chosen, else the survivor's, else whoever has one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from crm.errors import Invalid
from crm.party_values import PERSON, PartyColumns, PartyValues, columns_of

Choices = Mapping[str, int | None]  # field → the party whose value stands; None: nobody's

NAME: Final = ("last_name", "first_name", "middle_name")  # one choice: half a name of each is nobody's name
# With an INN come the form and the KPP that belong to it.
PERSON_FIELDS: Final = ("name", "sex", "birth_date", "inn")
ORGANISATION_FIELDS: Final = ("short_name", "full_name", "inn", "ogrn", "website", "industry")
COMMON_FIELDS: Final = ("city", "source", "language", "note", "do_not_call", "owner_id")
_LIFECYCLES: Final = ("active", "archived", "unqualified")  # the best of them stays


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A party as it is stored: the columns of `party`, and those of `person` or `organisation`."""

    party: Mapping[str, Any]
    detail: Mapping[str, Any]

    @property
    def id(self) -> int:
        return int(self.party["id"])

    @property
    def type(self) -> str:
        return str(self.party["type"])

    def value(self, field: str) -> Any:
        """Of a field as the dialog shows it; a person's name is a triple."""
        if field == "name":
            names = tuple(self.detail[part] for part in NAME)
            return names if any(names) else None
        value = self.detail[field] if field in self.detail else self.party[field]
        return value or None


def fields_of(party_type: str) -> tuple[str, ...]:
    """What is chosen for a person, or for an organisation."""
    return (PERSON_FIELDS if party_type == PERSON else ORGANISATION_FIELDS) + COMMON_FIELDS


def differing_fields(records: Sequence[Record]) -> list[str]:
    """The fields in which some value differs from another: what a person has to look at."""
    return [
        field
        for field in fields_of(records[0].type)
        if len({each.value(field) for each in records} - {None}) > 1
    ]


def united(records: Sequence[Record], choices: Choices) -> PartyColumns:
    """What is to be stored of the survivor, who is the first of the records.

    Raises:
        Invalid: an unknown field or party among the choices, two different INN and none chosen, or values that do not fit.
    """
    _check(records, choices)
    of_fields = {
        field: _value(field, records, choices)
        for field in fields_of(records[0].type)
        if field not in {"name", "inn", "owner_id"}
    }
    values = {**of_fields, **_name(records, choices), **_requisites(records, choices)}
    said = {name: value for name, value in values.items() if value is not None}
    columns = columns_of(PartyValues(type=records[0].type, **said))
    columns.party.update(_owner(records, choices), **_together(records))
    return columns


def _check(records: Sequence[Record], choices: Choices) -> None:
    ids = {each.id for each in records}
    for field, party_id in choices.items():
        if field not in fields_of(records[0].type):
            raise Invalid("choices", field, "There is no field “%(name)s” to choose here.", name=field[:50])
        if party_id is not None and party_id not in ids:
            raise Invalid(
                "choices",
                party_id,
                "The record %(id)s is not among those that are merged.",
                id=party_id,
            )
    inns = dict.fromkeys(each.detail["inn"] for each in records if each.detail["inn"])
    if len(inns) > 1 and "inn" not in choices:
        raise Invalid(
            "inn",
            ", ".join(inns),
            "These records have different INN: %(inns)s. Choose the right one; if both are right, they are two, not one.",
            inns=", ".join(inns),
        )


def _value(field: str, records: Sequence[Record], choices: Choices) -> Any:
    if field in choices:
        return _chosen(field, records, choices)
    found = [value for each in records if (value := each.value(field)) is not None]
    if field == "note":  # nothing that somebody typed is lost
        return "\n\n".join(dict.fromkeys(found))
    if field == "do_not_call":
        return any(found)
    return found[0] if found else None


def _chosen(field: str, records: Sequence[Record], choices: Choices) -> Any:
    wanted = choices[field]
    return next((each.value(field) for each in records if each.id == wanted), None)


def _name(records: Sequence[Record], choices: Choices) -> dict[str, Any]:
    if records[0].type != PERSON:
        return {}
    return dict(zip(NAME, _value("name", records, choices) or (None,) * len(NAME), strict=True))


def _requisites(records: Sequence[Record], choices: Choices) -> dict[str, Any]:
    """The INN with the form and the KPP of whoever brought it; a missing KPP from another record of the same firm."""
    inn = _value("inn", records, choices)
    if records[0].type == PERSON:
        return {"inn": inn}
    source = next((each for each in records if inn and each.detail["inn"] == inn), records[0])
    if "inn" in choices:
        source = next((each for each in records if each.id == choices["inn"]), source)
    form = source.detail["form"]
    kin = [source, *(each for each in records if each.detail["inn"] in {inn, None})]
    kpps = [each.detail["kpp"] for each in kin if each.detail["form"] == form and each.detail["kpp"]]
    return {"inn": inn, "form": form, "kpp": kpps[0] if kpps and inn else None}


def _owner(records: Sequence[Record], choices: Choices) -> dict[str, Any]:
    """Who is responsible, and with them the team."""
    wanted = choices.get("owner_id", records[0].id)
    if wanted is None:
        return {"owner_id": None, "team_id": None}
    by_wish = sorted(records, key=lambda each: each.id != wanted)
    source = next((each for each in by_wish if each.party["owner_id"] is not None), by_wish[0])
    return {"owner_id": source.party["owner_id"], "team_id": source.party["team_id"]}


def _together(records: Sequence[Record]) -> dict[str, Any]:
    """What nobody chooses: it follows from all of them."""
    custom: dict[str, Any] = {}
    for each in reversed(records):
        custom |= each.party["custom"]
    lifecycles = {each.party["lifecycle"] for each in records}
    return {
        "lifecycle": next(word for word in _LIFECYCLES if word in lifecycles),
        "custom": custom,
        "last_talk_at": _latest(each.party["last_talk_at"] for each in records),
        "last_communication_at": _latest(each.party["last_communication_at"] for each in records),
    }


def _latest(moments: Any) -> datetime | None:
    return max((moment for moment in moments if moment is not None), default=None)


def completeness(record: Record) -> int:
    """How many fields are filled: of equally old records the fuller one survives."""
    return sum(
        isinstance(value, date) or bool(value) for value in (*record.detail.values(), record.party["city"])
    )
