"""What the kinds of a client need, and a row leaves out: the rules of `crm.required_fields` for files. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from crm.importing.filling import merged
from crm.importing.looking import Stored
from crm.importing.plans import Plan, RowProblem, Side
from crm.required_fields import EMAIL, PHONE, missing_fields

WHY: Final = "The kinds of this client need this field. Fill it in, or give the client another kind."
Required = Mapping[str, frozenset[str]]


def lacks_of_new(required: Required, plan: Plan, side: Side) -> list[RowProblem]:
    """What a client that the row makes would lack; a number may be the contact's."""
    values = {**side.party, **side.detail}
    points = {PHONE: any(each.phones for each in plan.sides), EMAIL: bool(side.emails)}
    return _told(_needed(required, plan.kinds), {**values, **points})


def lacks_of_known(
    required: Required, stored: Stored, plan: Plan, side: Side, *, is_main: bool, replaces: bool
) -> list[RowProblem]:
    """What a known client would still lack; nothing is asked of one in whom the row changes neither columns nor kinds."""
    new = merged(side.type, stored.columns, {**side.party, **side.detail}, replaces=replaces)
    named = set(plan.kinds) if is_main and plan.names_kinds else set()
    if new == stored.columns and named <= stored.kinds:
        return []
    points = {
        PHONE: stored.has_phone or any(each.phones for each in plan.sides),
        EMAIL: stored.has_email or bool(side.emails),
    }
    return _told(_needed(required, named | stored.kinds), {**new, **points, "type": side.type})


def _needed(required: Required, kinds: Collection[str]) -> frozenset[str]:
    return frozenset().union(*(required.get(kind, frozenset()) for kind in kinds))


def _told(needed: frozenset[str], values: Mapping[str, object]) -> list[RowProblem]:
    return [RowProblem(why=WHY, field=field) for field in missing_fields(needed, values)]
