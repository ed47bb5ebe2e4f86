"""Cells of the company's own fields, as people write them: 1 234,5 · 20.11.2026 · да · a choice in any letter form. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from crm.custom_fields import MAX_TEXT, Value
from crm.importing.dates import read_date
from crm.importing.plans import OwnField, RowProblem
from crm.names import normal_name

_YES: Final = frozenset({"да", "yes", "true", "истина", "есть", "1", "x", "х", "v", "y", "д"})
_NO: Final = frozenset({"нет", "no", "false", "ложь", "0", "n", "н"})
_UNKNOWN: Final = re.compile(r"[-–—_.\s]*|н/д|n/?a|none|null|#н/д|#n/a", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[\s\u00a0\u202f]")
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,10})?")


class Unread(ValueError):
    """A cell that is no value of its field; carries what to tell about it."""

    def __init__(self, field: OwnField, why: str, **values: Any) -> None:
        self.problem = RowProblem(why=why, field=field.column, label=field.name, values=values)
        super().__init__(why)


def read_own(field: OwnField, cell: str) -> Value:
    """The value to store; None if the cell says nothing. Unlike elsewhere, «нет» and 0 are values here.

    Raises:
        Unread: names the value and how to write it.
    """
    text = " ".join(cell.replace("\u200b", "").strip().lstrip("'").split())
    if _UNKNOWN.fullmatch(text):
        return None
    match field.type:
        case "number":
            return _number(field, text)
        case "date":
            return _date(field, text)
        case "flag":
            return _flag(field, text)
        case "choice":
            return _choice(field, text)
        case _:
            return _text(field, text)


def _text(field: OwnField, text: str) -> str:
    if len(text) > MAX_TEXT:
        raise Unread(field, "At most %(most)d characters fit here.", most=MAX_TEXT)
    return text


def _number(field: OwnField, text: str) -> float | int:
    bare = _BLANKS.sub("", text)
    if not _NUMBER.fullmatch(bare):
        raise Unread(field, "“%(value)s” is no number. Write digits alone, as 1234,5.", value=text[:50])
    number = float(bare.replace(",", "."))
    return int(number) if number.is_integer() else number


def _date(field: OwnField, text: str) -> str:
    found = read_date(text)
    if found is None:
        raise Unread(field, "“%(value)s” is no date. Write it as 20.11.2026.", value=text[:50])
    return found.isoformat()


def _flag(field: OwnField, text: str) -> bool:
    word = text.casefold()
    if word not in _YES | _NO:
        raise Unread(field, "“%(value)s” is neither yes nor no. Write one of the two.", value=text[:50])
    return word in _YES


def _choice(field: OwnField, text: str) -> str:
    options = {normal_name(each): each for each in field.options}
    found = options.get(normal_name(text))
    if found is None:
        why = "“%(value)s” is none of the choices. There are: %(options)s."
        raise Unread(field, why, value=text[:50], options=", ".join(field.options))
    return found
