"""The cells of a row understood: names cleaned, numbers read, INN checked, every problem named. Pure; runs in a child process.

Files of this world are dirty: dashes where nothing is known, two numbers in a cell, an INN without its leading zero because
Excel took it for a number. What can be mended without guessing is mended; the rest is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any, Final

from crm.emails import read_address
from crm.errors import Invalid
from crm.importing.capitals import organisation_from_capitals, person_from_capitals
from crm.importing.dates import read_date
from crm.importing.own_values import Unread, read_own
from crm.importing.plans import Capitals, Checked, Phone, Plan, RowProblem, Rules, Side, as_stored
from crm.names import normal_name
from crm.numbers import read_number
from crm.party_values import MAX_NOTE, PartyValues, columns_of, person_values
from crm.requisites import digits_only, is_inn
from cti.numbers import NumberingProfile, find_numbers

MOST_CONTACT_POINTS: Final = 10  # numbers or addresses of one cell, which is plenty
_LOST_DIGITS: Final = 5  # so many digits that no number was made of are worth a word
_EMPTY: Final = re.compile(r"[-–—_.\s]*|0+|н/д|нет|нету|n/?a|none|null|#н/д|#n/a", re.IGNORECASE)
_SPLIT: Final = re.compile(r"[;,\s]+")
_SCIENTIFIC: Final = re.compile(r"\d[.,]?\d*E\+\d+", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"\s*[/\\|;,]\s*|\s+(?=кпп)", re.IGNORECASE)
_LABEL: Final = re.compile(r"\b(?:инн|кпп)\b[:.\s№]*", re.IGNORECASE)
_SOLE_TRADER: Final = re.compile(r"(?:ип|индивидуальный предприниматель)\b", re.IGNORECASE)
_FILE_FIELD: Final = {"short_name": "organisation"}  # what a value of `PartyValues` is called in a file
_ORGANISATION: Final = ("full_name", "inn", "kpp", "ogrn", "website", "industry")
_COMMON: Final = ("city", "source")


class RowReader:
    """Understands the rows of one file."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._profile = NumberingProfile(region=rules.region)
        self._own = {each.column: each for each in rules.own_fields}
        self._sources = frozenset(rules.sources.values())

    def read(self, cells: Sequence[str]) -> Checked:
        """One row; a value that cannot be stored refuses it, or is left out if that was chosen."""
        row = _Row(self._by_field(cells))
        plan = self._plan(row)
        self._read_own(row, plan, cells)
        faults = [each for each in row.problems if not each.is_note]
        if plan is None or (faults and not self._rules.leaves_out):
            return Checked(problems=row.problems)
        plan.notes = row.problems
        source = row.text("source")
        unknown = "" if source in self._sources else source
        return Checked(
            plan=plan, problems=row.problems, unknown_source=unknown, is_in_capitals=row.is_in_capitals
        )

    def _by_field(self, cells: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for field, cell in zip(self._rules.columns, cells, strict=False):
            if field and field not in self._own and (text := clean(cell)):
                text = self._rules.sources.get(text.lower(), text) if field == "source" else text
                found.setdefault(field, []).append(text)
        return found

    def _read_own(self, row: _Row, plan: Plan | None, cells: Sequence[str]) -> None:
        """The fields of the company's own are the organisation's, else the person's."""
        values: dict[str, Any] = {}
        for column, cell in zip(self._rules.columns, cells, strict=False):
            if (field := self._own.get(column)) is None:
                continue
            try:
                value = read_own(field, cell)
            except Unread as error:
                row.problems.append(error.problem)
            else:
                values |= {} if value is None else {field.key: value}
        if values and plan is not None:
            plan.sides[0].party["custom"] = values

    def _plan(self, row: _Row) -> Plan | None:
        if not (row.has("organisation", "full_name") or row.has("person", "last_name", "first_name")):
            row.refuse("There is neither an organisation nor a person in this row.")
            return None
        organisation = self._organisation(row) if row.has("organisation", "full_name") else None
        is_alone = organisation is None
        person = self._person(row, is_alone) if row.has("person", "last_name", "first_name") else None
        main = organisation or person
        if main is None:
            return None
        self._contact_points(row, main if person is None else person, organisation)
        return Plan(
            organisation=organisation,
            person=person,
            position=row.text("position")[:200],
            kinds=self._kinds(row, organisation is not None),
            names_kinds=row.has("kind"),
            owner_id=self._owner(row),
        )

    def _organisation(self, row: _Row) -> Side | None:
        name = row.text("organisation") or row.text("full_name")
        inn, kpp = _inn_and_kpp(row.text("inn"))
        is_sole = len(inn) == 12 or (len(inn) != 10 and _SOLE_TRADER.match(name) is not None)
        values = {field: row.text(field) for field in (*_ORGANISATION, *_COMMON)}
        values |= {
            "short_name": clean_name(name),
            "inn": inn,
            "kpp": "" if is_sole else _kpp(values["kpp"]) or kpp,
        }
        values["full_name"] = clean_name(values["full_name"])
        if self._rules.capitals is Capitals.ALL:
            values |= {name: organisation_from_capitals(values[name]) for name in ("short_name", "full_name")}
        more = {
            "type": "organisation",
            "form": "sole_trader" if is_sole else "legal",
            "note": row.prose("note"),
        }
        return self._side(row, values | more)

    def _person(self, row: _Row, is_alone: bool) -> Side | None:
        if row.has("last_name", "first_name"):
            names = {field: row.text(field) for field in ("last_name", "first_name", "middle_name")}
        else:
            whole = person_values(row.text("person").strip(" ,;"))
            names = {
                "last_name": whole.last_name,
                "first_name": whole.first_name,
                "middle_name": whole.middle_name,
            }
        spoken = person_from_capitals(names)
        row.is_in_capitals = spoken != names
        if self._rules.capitals is not Capitals.KEEP:
            names = spoken
        values: dict[str, Any] = {**names, "type": "person", "birth_date": self._birth_date(row)}
        if is_alone:  # what else stands in the row is the organisation's, if there is one
            values |= {field: row.text(field) for field in _COMMON}
            values |= {"note": row.prose("note"), "inn": _inn_and_kpp(row.text("inn"))[0]}
        return self._side(row, values)

    def _side(self, row: _Row, values: Mapping[str, Any]) -> Side | None:
        """The columns; of several bad values each is told, and with `leaves_out` the others are kept."""
        kept = dict(values)
        for _attempt in fields(PartyValues):
            try:
                columns = columns_of(PartyValues(**kept))
            except Invalid as error:
                field = error.field
                row.problems.append(RowProblem.of(error, field=_FILE_FIELD.get(field, field)))
                if not kept.get(field) or field in {"short_name", "last_name"}:
                    return None  # without its name nothing is left of it
                kept[field] = ""
            else:
                break
        stored = {name: as_stored(value) for name, value in columns.detail.items() if value is not None}
        return Side(
            party={name: value for name, value in columns.party.items() if value is not None}, detail=stored
        )

    def _birth_date(self, row: _Row) -> date | None:
        text = row.text("birth_date")
        found = read_date(text)
        if text and found is None:
            row.refuse("“%(value)s” is no date. Write it as 20.11.2026.", "birth_date", value=text[:50])
        return found

    def _contact_points(self, row: _Row, main: Side, organisation: Side | None) -> None:
        main.phones = self._phones(row, "phone")
        main.emails = self._emails(row)
        if office := self._phones(row, "office_phone"):
            (organisation or main).phones = [*(organisation or main).phones, *office]
            (organisation or main).phones = _each_once((organisation or main).phones)
        if organisation is not None and organisation is not main:
            of_organisation = {phone.key for phone in organisation.phones}
            main.phones = [phone for phone in main.phones if phone.key not in of_organisation]

    def _phones(self, row: _Row, field: str) -> list[Phone]:
        found: list[Phone] = []
        for cell in row.all(field):
            found += self._phones_of(row, field, cell)
        if len(found) > MOST_CONTACT_POINTS:
            row.refuse("There are more than %(most)d numbers in this row.", field, most=MOST_CONTACT_POINTS)
        return _each_once(found)[:MOST_CONTACT_POINTS]

    def _phones_of(self, row: _Row, field: str, cell: str) -> list[Phone]:
        if _SCIENTIFIC.fullmatch(cell):
            why = (
                "Excel has cut the number “%(value)s”. Give the column the format “Text” and enter it again."
            )
            row.refuse(why, field, value=cell[:50])
            return []
        numbers = find_numbers(cell, self._profile)
        if not numbers:
            try:
                numbers = [read_number(cell, self._profile)]
            except Invalid as error:
                row.problems.append(RowProblem.of(error, field=field))
                return []
        understood = sum(_digits(number.presented) for number in numbers)
        if _digits(cell) - understood >= _LOST_DIGITS:
            why = "Not everything in “%(value)s” is a complete number; the rest is left out."
            row.note(why, field, value=cell[:100])
        return [phone for number in numbers if (phone := self._phone(row, field, number)) is not None]

    def _phone(self, row: _Row, field: str, number: Any) -> Phone | None:
        if line := self._rules.own_lines.get(number.e164):
            why = "This is our own line “%(line)s”; calls from it are not a client's."
            row.refuse(why, field, value=number.presented, line=line)
            return None
        return Phone(
            e164=number.e164,
            presented=number.presented.strip(),
            extension=number.extension or "",
            country=number.country,
            type=number.type and number.type.value,
        )

    def _emails(self, row: _Row) -> list[str]:
        found: dict[str, None] = {}
        for cell in row.all("email"):
            for word in [word for word in _SPLIT.split(cell) if "@" in word] or [cell]:
                try:
                    found[read_address(word.strip("<>()\"'.").removeprefix("mailto:"))] = None
                except Invalid as error:
                    row.problems.append(RowProblem.of(error))
        return list(found)[:MOST_CONTACT_POINTS]

    def _kinds(self, row: _Row, is_organisation: bool) -> list[str]:
        codes: dict[str, None] = {}
        for word in re.split(r"[,;/]", ",".join(row.all("kind"))):
            if not word.strip():
                continue
            code = self._rules.kinds.get(normal_name(word))
            if code is None:
                why = "There is no kind “%(kind)s”. Write one that there is, or let the administrator add it."
                row.refuse(why, "kind", kind=word.strip()[:50])
            else:
                codes[code] = None
        if not codes and (self._rules.default_kind or is_organisation):
            codes[self._rules.default_kind or "other"] = None
        return list(codes)

    def _owner(self, row: _Row) -> int | None:
        text = row.text("owner")
        if not text:
            return None
        name = normal_name(text)
        if name in self._rules.namesakes:
            row.refuse(
                "Several users are called “%(name)s”. Write the login instead.", "owner", name=text[:50]
            )
        elif (found := self._rules.owners.get(text.casefold()) or self._rules.owners.get(name)) is not None:
            return found
        else:
            row.refuse(
                "There is no active user “%(name)s”. Write a login or a whole name.", "owner", name=text[:50]
            )
        return None


class _Row:
    """The cells by field, and what is wrong with them."""

    def __init__(self, cells: dict[str, list[str]]) -> None:
        self._cells = cells
        self.problems: list[RowProblem] = []
        self.is_in_capitals = False  # the person's name

    def has(self, *names: str) -> bool:
        return any(self._cells.get(name) for name in names)

    def all(self, field: str) -> list[str]:
        return self._cells.get(field, [])

    def text(self, field: str) -> str:
        """On one line."""
        return " ".join(" ".join(self.all(field)).split())

    def prose(self, field: str) -> str:
        return "\n".join(self.all(field))[:MAX_NOTE]

    def refuse(self, why: str, field: str = "", **values: Any) -> None:
        self.problems.append(RowProblem(why=why, field=field, values=values))

    def note(self, why: str, field: str, **values: Any) -> None:
        self.problems.append(RowProblem(why=why, field=field, values=values, is_note=True))


def clean(cell: str) -> str:
    """A cell without the blanks around it; a dash, a zero, «нет» mean that nothing is known."""
    text = cell.replace("\u00a0", " ").replace("\u200b", "").strip().lstrip("'").strip()
    return "" if _EMPTY.fullmatch(text) else text


def clean_name(name: str) -> str:
    """Without the doubled and the outer quotation marks that exports put into and around names."""
    text = name.strip()
    is_wrapped = len(text) > 1 and text.startswith('"') and text.endswith('"')
    if is_wrapped and ('""' in text or text.count('"') == 2):
        text = text[1:-1]
    text = text.replace('""', '"')
    if text.count('"') % 2 and text.startswith('"'):
        text = text[1:]
    return " ".join(text.split())


def _inn_and_kpp(text: str) -> tuple[str, str]:
    """«7707083893», «ИНН 7707 083893», «7707083893 / 770101001», «ИНН 7707083893, КПП 770101001»."""
    inn, kpp = ([*_BETWEEN.split(text, maxsplit=1), ""])[:2]
    return _inn(_LABEL.sub("", inn)), _kpp(_LABEL.sub("", kpp))


def _inn(text: str) -> str:
    """The INN; a leading zero that Excel dropped comes back if the check digits then fit."""
    inn = digits_only(text)
    return f"0{inn}" if len(inn) in {9, 11} and is_inn(f"0{inn}") else inn


def _kpp(text: str) -> str:
    kpp = digits_only(text)
    return f"0{kpp}" if len(kpp) == 8 and kpp.isdigit() else kpp


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)


def _each_once(phones: Sequence[Phone]) -> list[Phone]:
    return list({phone.key: phone for phone in phones}.values())
