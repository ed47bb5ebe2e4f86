"""One value for each field of the lead that a merge leaves: as chosen, else the survivor's, else whoever has one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm.errors import Invalid
from crm.lead_values import MAX_NEED

Row = Mapping[str, Any]  # the columns of a lead
Choices = Mapping[str, int | None]  # field → the lead whose value stands; None: nobody's

FIELDS: Final = ("title", "need", "source", "line_id", "owner_id")
_FROM_ANY: Final = (
    "person_id",
    "organisation_id",
    "first_communication_id",
)  # the survivor's, else another's


def differing_fields(rows: Sequence[Row]) -> list[str]:
    """The fields in which some value differs from another: what a person has to look at."""
    return [field for field in FIELDS if len({row[field] for row in rows} - {None}) > 1]


def united(rows: Sequence[Row], choices: Choices) -> dict[str, Any]:
    """What is to be stored of the survivor, who is the first of the rows.

    Raises:
        Invalid: an unknown field or lead among the choices, or needs that are too long together.
    """
    _check(rows, choices)
    survivor, *others = rows
    columns = {field: _value(field, rows, choices) for field in FIELDS}
    columns |= {field: _first(row[field] for row in rows) for field in _FROM_ANY}
    campaign: dict[str, str] = {}
    for row in reversed(rows):
        campaign |= row["campaign"]
    same = [
        row
        for row in others
        if (row["subject_party_id"], row["scheme_id"])
        == (survivor["subject_party_id"], survivor["scheme_id"])
    ]
    return columns | {
        "team_id": _team(rows, columns["owner_id"]),
        "campaign": campaign,
        "first_response_at": _response(rows),
        # what comes again is added to it, as it was added to the one that went in
        "auto_created": survivor["auto_created"] or any(row["auto_created"] for row in same),
        "is_repeat": all(row["is_repeat"] for row in rows),
    }


def _check(rows: Sequence[Row], choices: Choices) -> None:
    ids = {row["id"] for row in rows}
    for field, lead_id in choices.items():
        if field not in FIELDS:
            raise Invalid("choices", field, "There is no field “%(name)s” to choose here.", name=field[:50])
        if lead_id is not None and lead_id not in ids:
            why = "The record %(id)s is not among those that are merged."
            raise Invalid("choices", lead_id, why, id=lead_id)


def _value(field: str, rows: Sequence[Row], choices: Choices) -> Any:
    if field in choices:
        return _first(row[field] for row in rows if row["id"] == choices[field])
    if field != "need":
        return _first(row[field] for row in rows)
    texts = list(
        dict.fromkeys(row["need"] for row in rows if row["need"])
    )  # nothing that somebody typed is lost
    whole = "\n\n".join(texts)
    if len(whole) > MAX_NEED:
        raise Invalid("need", whole[:50], "At most %(most)d characters fit here.", most=MAX_NEED)
    return whole or None


def _team(rows: Sequence[Row], owner_id: int | None) -> int | None:
    """That of whoever is responsible; of what is nobody's, the survivor's."""
    mine = [row["team_id"] for row in rows if row["owner_id"] == owner_id]
    team_id: int | None = _first([*mine, rows[0]["team_id"]])
    return team_id


def _response(rows: Sequence[Row]) -> Any:
    """The first of all; it is never before the lead itself."""
    responses = [row["first_response_at"] for row in rows if row["first_response_at"] is not None]
    return max(min(responses), rows[0]["created_at"]) if responses else None


def _first(values: Any) -> Any:
    return next((value for value in values if value is not None), None)
