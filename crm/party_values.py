"""What forms, programs and imports say about a party, checked and turned into columns. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Final

from crm.errors import Invalid
from crm.names import checked_name, organisation_key, person_key, person_name
from crm.requisites import checked_inn, checked_kpp, checked_ogrn

PERSON: Final = "person"
ORGANISATION: Final = "organisation"
MAX_NOTE: Final = 10_000
MAX_TEXT: Final = 300
PERSON_COLUMNS: Final = ("last_name", "first_name", "middle_name", "sex", "birth_date", "inn")
ORGANISATION_COLUMNS: Final = (
    "form",
    "short_name",
    "full_name",
    "inn",
    "kpp",
    "ogrn",
    "website",
    "industry",
)
PARTY_COLUMNS: Final = ("city", "note", "source", "language", "do_not_call")

_PATRONYMIC: Final = re.compile(r".+(?:вич|ична|вна|ыч)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyValues:
    """Everything a form asks about a party; "" means not known. Fields of the other type stay empty."""

    type: str  # person, organisation
    last_name: str = ""
    first_name: str = ""
    middle_name: str = ""
    sex: str = ""  # m, f
    birth_date: date | None = None
    form: str = "legal"  # legal, sole_trader
    short_name: str = ""
    full_name: str = ""
    inn: str = ""
    kpp: str = ""
    ogrn: str = ""
    website: str = ""
    industry: str = ""
    city: str = ""
    note: str = ""
    source: str = ""
    language: str = ""
    do_not_call: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyColumns:
    """The same as rows: `party` for the common one, `detail` for the person's or organisation's."""

    party: dict[str, Any]
    detail: dict[str, Any]

    @property
    def all(self) -> dict[str, Any]:
        return {**self.party, **self.detail}


def person_values(name: str, **more: Any) -> PartyValues:
    """A person from one text: "Имя", "Имя Отчество", "Фамилия Имя", "Фамилия Имя Отчество", "Имя Отчество Фамилия"."""
    match name.split():
        case [first]:
            parts = ("", first, "")
        case [first, middle] if _PATRONYMIC.fullmatch(middle):
            parts = ("", first, middle)
        case [last, first]:
            parts = (last, first, "")
        case [first, middle, last] if _PATRONYMIC.fullmatch(middle) and not _PATRONYMIC.fullmatch(last):
            parts = (last, first, middle)
        case [last, first, *middle]:
            parts = (last, first, " ".join(middle))
        case _:
            parts = ("", "", "")
    last_name, first_name, middle_name = parts
    return PartyValues(
        type=PERSON, last_name=last_name, first_name=first_name, middle_name=middle_name, **more
    )


def organisation_values(name: str, **more: Any) -> PartyValues:
    """An organisation from its name alone."""
    return PartyValues(type=ORGANISATION, short_name=name, **more)


def columns_of(values: PartyValues) -> PartyColumns:
    """The rows to store.

    Raises:
        Invalid: names the field, its value and what to do.
    """
    _check_lengths(values)
    if values.type == PERSON:
        return _person(values)
    if values.type == ORGANISATION:
        return _organisation(values)
    raise Invalid("type", values.type, "A party is a person or an organisation.")


def _person(values: PartyValues) -> PartyColumns:
    names = (values.last_name, values.first_name, values.middle_name)
    display_name = checked_name(person_name(*names), "last_name")
    detail: dict[str, Any] = {
        "last_name": _text(values.last_name),
        "first_name": _text(values.first_name),
        "middle_name": _text(values.middle_name),
        "sex": _one_of("sex", values.sex, "m", "f"),
        "birth_date": values.birth_date,
        "inn": checked_inn(values.inn, 12),
    }
    return PartyColumns(party=_common(values, display_name, person_key(*names)), detail=detail)


def _organisation(values: PartyValues) -> PartyColumns:
    name = checked_name(values.short_name or values.full_name, "short_name")
    is_legal = _one_of("form", values.form, "legal", "sole_trader") != "sole_trader"
    if values.kpp and not is_legal:
        raise Invalid("kpp", values.kpp, "A sole trader has no KPP.")
    detail: dict[str, Any] = {
        "form": "legal" if is_legal else "sole_trader",
        "short_name": _text(values.short_name),
        "full_name": _text(values.full_name),
        "inn": checked_inn(values.inn, 10 if is_legal else 12),
        "kpp": checked_kpp(values.kpp),
        "ogrn": checked_ogrn(values.ogrn, 13 if is_legal else 15),
        "website": _text(values.website),
        "industry": _text(values.industry),
    }
    return PartyColumns(party=_common(values, name, organisation_key(name)), detail=detail)


def _common(values: PartyValues, display_name: str, sort_name: str) -> dict[str, Any]:
    if not sort_name:
        raise Invalid("short_name", display_name, "A name has at least one letter or digit.")
    return {
        "type": values.type,
        "display_name": display_name,
        "sort_name": sort_name,
        "city": _text(values.city),
        "note": values.note.strip() or None,
        "source": _text(values.source),
        "language": _text(values.language),
        "do_not_call": values.do_not_call,
    }


def _text(value: str) -> str | None:
    return " ".join(value.split()) or None


def _one_of(field: str, value: str, *allowed: str) -> str | None:
    if value and value not in allowed:
        raise Invalid(field, value, "Choose one of: %(allowed)s.", allowed=", ".join(allowed))
    return value or None


def _check_lengths(values: PartyValues) -> None:
    for name, most in _LIMITS:
        value: str = getattr(values, name)
        if len(value) > most:
            raise Invalid(name, value[:50], "At most %(most)d characters fit here.", most=most)
        if "\0" in value:
            raise Invalid(name, "", "This text has characters that cannot be stored.")


_LIMITS: Final = tuple(
    (each.name, MAX_NOTE if each.name == "note" else MAX_TEXT)
    for each in fields(PartyValues)
    if each.type == "str"
)
