"""What a column can mean, and a first guess from its heading or, where there is none, from what stands in it. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from crm.emails import is_address
from crm.names import normal_name
from crm.requisites import digits_only, is_inn

# Field → the headings that name it, as `normal_name` writes them; the first that fits a heading wins.
HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "organisation": (
        "название", "наименование", "организация", "компания", "контрагент", "клиент", "поставщик", "фирма", "юрлицо",
        "юридическое лицо", "название организации", "название компании", "краткое название", "краткое наименование",
        "наименование организации", "наименование контрагента", "наименование клиента", "покупатель", "заказчик",
        "company", "company name", "organisation", "organization", "account", "customer", "client", "supplier",
    ),
    "full_name": ("полное наименование", "полное название", "full name of company", "legal name"),
    "inn": ("инн", "инн организации", "инн контрагента", "inn", "tax number", "tax id", "tin"),
    "kpp": ("кпп", "kpp"),
    "ogrn": ("огрн", "огрнип", "огрн огрнип", "ogrn"),
    "person": (
        "фио", "ф и о", "контакт", "контактное лицо", "имя контакта", "фио контакта", "контактное лицо фио", "представитель",
        "человек", "сотрудник", "кому", "контакты фио", "contact", "contact person", "contact name", "person", "full name",
        "name",
    ),
    "last_name": ("фамилия", "last name", "surname"),
    "first_name": ("имя", "first name", "given name"),
    "middle_name": ("отчество", "middle name", "patronymic"),
    "birth_date": ("дата рождения", "день рождения", "др", "birth date", "birthday", "date of birth"),
    "position": ("должность", "должность контакта", "position", "job title", "title"),
    "phone": (
        "телефон", "тел", "телефоны", "номер", "номер телефона", "мобильный", "мобильный телефон", "сотовый", "моб",
        "моб телефон", "рабочий телефон", "контактный телефон", "телефон контакта", "доп телефон", "второй телефон",
        "phone", "phones", "phone number", "mobile", "mobile phone", "telephone", "tel", "cell", "work phone",
    ),
    "office_phone": (
        "телефон организации", "общий телефон", "городской", "городской телефон", "телефон офиса", "телефон компании",
        "company phone", "office phone", "main phone",
    ),
    "email": (
        "e mail", "email", "почта", "эл почта", "электронная почта", "эл адрес", "электронный адрес", "мейл", "имейл", "mail",
        "e mail контакта", "адрес электронной почты",
    ),
    "kind": ("вид", "тип", "вид контрагента", "тип контрагента", "категория", "статус", "kind", "type"),
    "owner": (
        "ответственный", "менеджер", "ответственный менеджер", "куратор", "owner", "responsible", "manager", "assigned to",
    ),
    "source": ("источник", "откуда", "источник лида", "source", "lead source"),
    "city": ("город", "населенный пункт", "city", "town"),
    "website": ("сайт", "веб сайт", "www", "url", "website", "web site", "site"),
    "industry": ("отрасль", "сфера деятельности", "industry"),
    "note": (
        "примечание", "примечания", "комментарий", "комментарии", "заметка", "заметки", "описание", "дополнительно", "note",
        "notes", "comment", "comments", "description", "remark",
    ),
}  # fmt: skip
FIELDS: Final = tuple(HEADINGS)
SEVERAL: Final = frozenset({"phone", "office_phone", "email", "note"})  # may stand in several columns
_MOST_LINES_BEFORE: Final = 15  # a title, an address and an empty line may stand above the heading
_ENOUGH: Final = 0.6  # of the filled cells of a column must look alike
_PHONE: Final = re.compile(r"\+?\d[\d\s()\-]{8,18}\d")
_NUMBERED: Final = re.compile(r"(?: (?:№ )?\d{1,2}| основной| рабочий| личный| main| work)$")


def guess_field(heading: str) -> str:
    """The field that a heading names, "" for none."""
    words = normal_name(heading)
    bare = _NUMBERED.sub("", words)
    for field, known in HEADINGS.items():
        if words in known or bare in known:
            return field
    # «Телефон (с кодом города)», «ИНН/КПП плательщика»: the first word decides, if it is a plain one.
    first = words.partition(" ")[0]
    return next((field for field, known in HEADINGS.items() if first in known), "") if len(words) < 60 else ""


def heading_row(rows: Sequence[Sequence[str]]) -> int | None:
    """Which of the first rows is the heading; None if the file begins with its data."""
    counted = [
        len({guess_field(cell) for cell in row if cell.strip()} - {""}) for row in rows[:_MOST_LINES_BEFORE]
    ]
    best = max(counted, default=0)
    if best >= 2 or (best == 1 and counted.index(1) == 0):
        return counted.index(best)
    return None if not rows or any(guess_content([cell]) for cell in rows[0]) else 0


def guess_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], own: Mapping[str, str] | None = None
) -> list[str]:
    """A field for each column, "" where nobody can tell; what may stand once only is guessed once.

    Args:
        own: names of the company's own fields, as `normal_name` writes them → what their columns are called.
    """
    columns: list[str] = []
    for index, heading in enumerate(header):
        field = (own or {}).get(normal_name(heading)) or guess_field(heading)
        if field in {"", "person"}:  # «Контакты» may well be numbers
            field = guess_content([row[index] for row in rows if index < len(row)]) or field
        is_free = field in SEVERAL or field not in columns
        columns.append(field if is_free else "")
    return _sensible(columns)


def _sensible(columns: list[str]) -> list[str]:
    """«Имя» alone is the whole name; a first name without a last one, too."""
    if "person" not in columns and "last_name" not in columns and "first_name" in columns:
        columns[columns.index("first_name")] = "person"
    return columns


def guess_content(cells: Sequence[str]) -> str:
    """The field that most of these cells look like: a number, an address, an INN."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    for field, fits in (("email", is_address), ("inn", _is_inn), ("phone", _is_phone)):
        if filled and sum(map(fits, filled)) >= _ENOUGH * len(filled):
            return field
    return ""


def _is_inn(cell: str) -> bool:
    return is_inn(digits_only(cell))


def _is_phone(cell: str) -> bool:
    return _PHONE.match(cell) is not None


def header_key(header: Sequence[str]) -> str:
    """The same for files with the same columns, whatever their case and punctuation."""
    return hashlib.sha256("\n".join(map(normal_name, header)).encode()).hexdigest()[:32]
