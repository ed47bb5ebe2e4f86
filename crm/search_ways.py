"""What somebody may mean who types into a search: a name, any part of a number or an e-mail address, an INN, a record's number."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal, or_, select
from sqlalchemy.orm import aliased

from crm.names import organisation_key
from crm.schema.parties import EmailAddress, Organisation, Party, PartyEmail, PartyPhone, Person, PhoneNumber
from cti.numbers import NumberingProfile, NumberKind, to_e164

_gone = aliased(Party)
FEWEST_CHARACTERS: Final = 3
MOST_CHARACTERS: Final = 100


class FoundBy(StrEnum):
    """What of a party matched, the strongest reason first."""

    RECORD = "record"  # its own number
    NUMBER = "number"
    EMAIL = "email"
    INN = "inn"
    NAME = "name"
    MERGED = "merged"  # the name of a record that went into this party


class Way(NamedTuple):
    """One meaning: a query of parties, with id, found_by, shown, rank."""

    query: Select[Any]
    has_many: bool  # in a large base, as often as not: part of a name, three digits of a number


def ways_of(typed: str, profile: NumberingProfile, party: Any = Party) -> list[Way]:
    """Every way in which the text may be meant. None: it is too short.

    Args:
        party: `Party`, or an alias of it with its columns id, number, sort_name: whom to look for it among.
    """
    digits = re.sub(r"\D", "", typed)
    ways: list[Way] = []
    if (number := record_number_in(typed)) is not None:
        ways.append(Way(_hit(party, FoundBy.RECORD, literal(""), 0).where(party.number == number), False))
    if "@" in typed and len(typed.strip()) >= FEWEST_CHARACTERS:
        ways.append(Way(_by_email(party, typed.strip().lower()), False))
    if is_number_like(typed) and len(digits) >= FEWEST_CHARACTERS:
        ways.append(Way(_by_number(party, typed, digits, profile), len(digits) == FEWEST_CHARACTERS))
        ways.append(Way(_by_inn(party, digits, Organisation), False))
        ways.append(Way(_by_inn(party, digits, Person), False))
    words = [word for word in organisation_key(typed).split() if word]
    if len("".join(words)) >= FEWEST_CHARACTERS:
        ways.append(Way(_by_name(party, words), True))
        ways.append(Way(_by_merged_name(party, words), False))
    return ways


def _by_number(party: Any, typed: str, digits: str, profile: NumberingProfile) -> Select[Any]:
    number = to_e164(typed, profile)
    if number.kind is NumberKind.E164:
        matches: ColumnElement[bool] = PhoneNumber.e164 == number.e164  # a whole number, in any spelling
    else:
        parts = {digits, digits.lstrip("0") or digits}
        if len(digits) > FEWEST_CHARACTERS and digits[0] in "78":
            parts.add(digits[1:])  # 8 916 … is +7 916 …
        matches = or_(*[PhoneNumber.e164.like(f"%{part}%") for part in sorted(parts)])
    return (
        _hit(party, FoundBy.NUMBER, PhoneNumber.e164, 1)
        .join(PartyPhone, PartyPhone.party_id == party.id)
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .where(PartyPhone.ended_at.is_(None), matches)
    )


def is_number_like(typed: str) -> bool:
    return bool(re.fullmatch(r"[\d\s()+.\-–—/]+", typed.strip()))


def record_number_in(typed: str) -> int | None:
    """«№ 17», «#17»; without a sign from three digits on, as everything that is searched."""
    found = re.fullmatch(r"(№|#)?\s*([0-9]{1,18})", typed.strip())
    if found is None or (found[1] is None and len(found[2]) < FEWEST_CHARACTERS):
        return None
    return int(found[2])


def _by_email(party: Any, typed: str) -> Select[Any]:
    return (
        _hit(party, FoundBy.EMAIL, EmailAddress.address, 1)
        .join(PartyEmail, PartyEmail.party_id == party.id)
        .join(EmailAddress, EmailAddress.id == PartyEmail.email_id)
        .where(PartyEmail.ended_at.is_(None), EmailAddress.address.contains(typed, autoescape=True))
    )


def _by_inn(party: Any, digits: str, detail: Any) -> Select[Any]:
    return (
        _hit(party, FoundBy.INN, detail.inn, 2)
        .join(detail, detail.party_id == party.id)
        .where(detail.inn.like(f"{digits}%"))
    )


def _by_name(party: Any, words: list[str]) -> Select[Any]:
    # Normalised words have letters and digits only: nothing in them means something to LIKE.
    return _hit(party, FoundBy.NAME, literal(""), 3).where(
        *[party.sort_name.like(f"%{word}%") for word in words]
    )


def _by_merged_name(party: Any, words: list[str]) -> Select[Any]:
    """Who was merged is found as the one who lives on."""
    return (
        _hit(party, FoundBy.MERGED, _gone.display_name, 4)
        .join(_gone, _gone.merged_into_id == party.id)
        .where(_gone.merged_into_id.is_not(None), *[_gone.sort_name.like(f"%{word}%") for word in words])
    )


def _hit(party: Any, found_by: FoundBy, shown: Any, rank: int) -> Select[Any]:
    return select(
        party.id.label("id"),
        literal(found_by.value).label("found_by"),
        func.coalesce(shown, "").label("shown"),
        literal(rank).label("rank"),
    ).select_from(party)
