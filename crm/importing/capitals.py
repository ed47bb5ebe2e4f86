"""Names in capitals, as old programs keep them, written as people are addressed: «ИВАНОВ ИВАН» → «Иванов Иван». Pure.

Only words that are all capitals are touched, and initials never. Of an organisation that is more of a guess («ООО СМУ ДОМ»), so
abbreviations stay as they are, and it is done only for whoever asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from crm.names import is_legal_form

_WORD: Final = re.compile(
    r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*"
)  # some files write «Й» as «И» and its breve
_GOES_ON: Final = re.compile(r"\s+[«„“\"]?[^\W\d_]{2}")
_VOWELS: Final = frozenset("АЕЁИОУЫЭЮЯAEIOUY")
_SHORT_FIRST_NAMES: Final = frozenset(
    {"ЯН", "ИЯ"}
)  # two letters elsewhere are more often initials: «ИВАНОВ ИИ»
_PARTICLES: Final = frozenset(
    ["ОГЛЫ", "КЫЗЫ", "УЛЫ", "ГЫЗЫ", "ФОН", "ДЕ", "ЛА", "ДЕР", "VON", "VAN", "DE", "LA", "DER"]
)
_LITTLE: Final = frozenset(
    [
        "И",
        "В",
        "С",
        "К",
        "О",
        "У",
        "НА",
        "ПО",
        "ИЗ",
        "ОТ",
        "ДО",
        "ЗА",
        "ДЛЯ",
        "ПРИ",
        "ПОД",
        "НАД",
        "БЕЗ",
        "AND",
        "OF",
        "FOR",
        "THE",
        "ОБЩЕСТВО",
        "ОГРАНИЧЕННОЙ",
        "ДОПОЛНИТЕЛЬНОЙ",
        "ОТВЕТСТВЕННОСТЬЮ",
        "АКЦИОНЕРНОЕ",
        "ПРЕДПРИНИМАТЕЛЬ",
        "ПРЕДПРИЯТИЕ",
        "УЧРЕЖДЕНИЕ",
    ]
)
_ABBREVIATIONS: Final = frozenset(
    [
        "ГУП",
        "МУП",
        "ГЭС",
        "ТЭС",
        "АЭС",
        "ТЭЦ",
        "ЖЭК",
        "ТЭК",
        "ЖЭУ",
        "РЭУ",
        "РЭС",
        "ПАТП",
        "ФГУП",
        "ФГБУ",
        "ФГАУ",
        "ГБУЗ",
        "ГБОУ",
        "МБОУ",
        "МБДОУ",
        "МАОУ",
        "МАДОУ",
        "ГАУ",
        "МАУ",
        "НИИ",
        "ОКБ",
        "ПМК",
        "ДСУ",
        "СМУ",
        "РСУ",
        "МЧС",
        "УФК",
        "УМВД",
        "ГИБДД",
        "ОРЦ",
        "ТОЦ",
        "МОУ",
        "ГОУ",
        "ДОУ",
        "ЧОП",
        "ЧОО",
        "СОТ",
        "КЭЧ",
        "ВУЗ",
    ]
)


def person_from_capitals(names: Mapping[str, str]) -> dict[str, str]:
    """Last, first and middle name; «ИВАНОВ И.И.» keeps its initials."""
    return {field: _written_name(field, name) for field, name in names.items()}


def _written_name(field: str, name: str) -> str:
    return _WORD.sub(lambda found: _of_person(found.group(), field), name)


def _of_person(word: str, field: str) -> str:
    if not word.isupper() or len(word) < 2:
        return word
    if field == "middle_name" and word in _PARTICLES:
        return word.lower()
    may_be_initials = len(word) == 2 and field != "last_name" and word not in _SHORT_FIRST_NAMES
    return word if may_be_initials else word.capitalize()


def organisation_from_capitals(name: str) -> str:
    """A name without a small letter but in its legal form; what looks like an abbreviation stays."""
    words = [word for word in _WORD.findall(name) if not is_legal_form(word)]
    if not words or not all(map(str.isupper, words)):
        return name
    is_first = True

    def written(found: re.Match[str]) -> str:
        nonlocal is_first
        word = found.group()
        if is_legal_form(word):
            return word
        begins, is_first = is_first, False
        is_little = word in _LITTLE and not begins and (len(word) > 1 or _joins(name, found))
        return word.lower() if is_little else _of_organisation(word)

    return _WORD.sub(written, name)


def _joins(name: str, letter: re.Match[str]) -> bool:
    """«МАТЬ И ДИТЯ», and no initial: «ИП ИВАНОВ И.И.», «ИВАНОВ С В», «БЛОК-С»."""
    return name[letter.start() - 1].isspace() and _GOES_ON.match(name, letter.end()) is not None


def _of_organisation(word: str) -> str:
    is_short = len(word) < 3 or (len(word) == 3 and not _is_syllable(word))
    if is_short or word in _ABBREVIATIONS or not _VOWELS & set(word):
        return word
    return word.capitalize()


def _is_syllable(word: str) -> bool:
    """«ДОМ», «МИР»: a vowel between two consonants."""
    return [letter in _VOWELS for letter in word] == [False, True, False]
