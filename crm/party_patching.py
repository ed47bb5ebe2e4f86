"""Changing some fields of a party and leaving the others: what a program sends that knows only what it changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from crm.errors import Conflict, Invalid
from crm.parties import edit_party
from crm.party_cards import PartyCard, party_card
from crm.party_values import ORGANISATION_COLUMNS, PARTY_COLUMNS, PERSON, PERSON_COLUMNS, PartyValues
from crm.rights import Access

_OF_TYPE: Final[Mapping[bool, frozenset[str]]] = {
    True: frozenset({*PERSON_COLUMNS, *PARTY_COLUMNS}),
    False: frozenset({*ORGANISATION_COLUMNS, *PARTY_COLUMNS}),
}


async def patch_party(
    session: AsyncSession,
    access: Access,
    party_id: int,
    changes: Mapping[str, Any],
    *,
    kinds: Collection[str] | None = None,
    version: int | None = None,
    via: str = "api",
) -> tuple[int, int]:
    """Write the named fields, None empties one. Returns the party's id (of a merged one, the survivor's) and its version.

    Args:
        version: the one that the changes are based on; None: whatever is stored now, the last change wins.

    Raises:
        NotAllowed, NotFound, Invalid (also: a field that this type of party has not), AlreadyExists, Conflict.
    """
    access.require("party.edit")
    for is_last in (False, True):  # the first try takes the locks: nobody comes between it and the second
        card = await party_card(session, access, party_id)
        values = _patched(card, changes)
        based_on = card.version if version is None else version
        try:
            now = await edit_party(session, access, card.id, values, version=based_on, kinds=kinds, via=via)
        except Conflict:
            if version is not None or is_last:
                raise
        else:
            return card.id, now
    raise AssertionError("the second try returns or raises")


def _patched(card: PartyCard, changes: Mapping[str, Any]) -> PartyValues:
    known = _OF_TYPE[card.type == PERSON]
    for name, value in changes.items():
        if name not in known:
            what = (
                "A person has no such field." if card.type == PERSON else "An organisation has no such field."
            )
            raise Invalid(name, value, what)
    empty: dict[str, Any] = {each.name: each.default for each in fields(PartyValues)}
    said = {name: getattr(card, name) for name in known} | dict(changes)
    filled = {name: empty[name] if value is None else value for name, value in said.items()}
    return PartyValues(type=card.type, **filled)
