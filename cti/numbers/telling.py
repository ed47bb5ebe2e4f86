"""Numbers, problems and steps told to a person, in Russian and English."""

from __future__ import annotations

from typing import Final

from cti.numbers.display import format_number
from cti.numbers.reading import explain, shown_safely, to_e164
from cti.numbers.values import (
    DEFAULT_PROFILE,
    Number,
    NumberingProfile,
    NumberKind,
    Problem,
    Step,
    StepOutcome,
)

_STEP_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "ru": (
        "Единое написание",
        "Внутренний номер этого подключения",
        "Служебный или экстренный номер",
        "Префикс выхода и коды функций",
        "Добавочный",
        "Разбор по правилам страны",
        "Потерянный плюс или код города",
        "Решение",
    ),
    "en": (
        "One spelling",
        "Extension of this connection",
        "Service or emergency number",
        "Outside prefix and feature codes",
        "Extension behind the number",
        "Parse by the country's rules",
        "Lost plus or area code",
        "Decision",
    ),
}

_OUTCOMES: Final[dict[str, dict[StepOutcome, str]]] = {
    "ru": {
        StepOutcome.UNCHANGED: "без изменений",
        StepOutcome.CLEANED: "приведено к единому виду",
        StepOutcome.HIDDEN: "номер скрыт",
        StepOutcome.INTERNAL: "внутренний номер",
        StepOutcome.SERVICE: "служебный номер",
        StepOutcome.PREFIX_STRIPPED: "префикс снят",
        StepOutcome.EXTENSION_SPLIT: "добавочный отделён",
        StepOutcome.VALID: "действительный номер",
        StepOutcome.NOT_YET_VALID: "такого номера нет",
        StepOutcome.VALID_WITH_PLUS: "действителен с плюсом впереди",
        StepOutcome.VALID_WITH_AREA_CODE: "действителен с кодом города",
        StepOutcome.VALID_IN_TEXT: "действительный номер среди слов",
        StepOutcome.ACCEPTED: "номер принят",
        StepOutcome.LOCAL: "местные цифры: сравниваются только в пределах профиля",
        StepOutcome.REFUSED: "это не номер",
    },
    "en": {
        StepOutcome.UNCHANGED: "unchanged",
        StepOutcome.CLEANED: "brought to one spelling",
        StepOutcome.HIDDEN: "the number is withheld",
        StepOutcome.INTERNAL: "an internal number",
        StepOutcome.SERVICE: "a service number",
        StepOutcome.PREFIX_STRIPPED: "prefix stripped",
        StepOutcome.EXTENSION_SPLIT: "extension split off",
        StepOutcome.VALID: "a valid number",
        StepOutcome.NOT_YET_VALID: "no such number",
        StepOutcome.VALID_WITH_PLUS: "valid with a plus in front",
        StepOutcome.VALID_WITH_AREA_CODE: "valid with the area code",
        StepOutcome.VALID_IN_TEXT: "a valid number between words",
        StepOutcome.ACCEPTED: "accepted",
        StepOutcome.LOCAL: "local digits: compared within the profile only",
        StepOutcome.REFUSED: "not a number",
    },
}

_PROBLEMS_RU: Final[dict[Problem, str]] = {
    Problem.FEATURE_CODE: "«{value}» начинается или кончается на «*» или «#»: это код функции. "
    "Введите только номер или внесите код в профиль нумерации.",
    Problem.LETTERS: "В «{value}» буквы или знаки стоят там, где нужны цифры. Введите только цифры.",
    Problem.SEVERAL: "В «{value}» несколько номеров. Введите каждый в своё поле.",
    Problem.TOO_LONG: "В «{value}» больше 15 цифр, таких номеров нет. Введите один номер; остальные — в свои поля.",
    Problem.NO_DIGITS: "В «{value}» нет цифр. Введите телефонный номер.",
}

_KINDS: Final[dict[str, dict[NumberKind, str]]] = {
    "ru": {
        NumberKind.HIDDEN: "Номер скрыт",
        NumberKind.INTERNAL: "Внутренний {digits}",
        NumberKind.SERVICE: "Служебный {digits}",
        NumberKind.LOCAL: "Местный {digits}",
        NumberKind.NOT_A_NUMBER: "Не номер",
    },
    "en": {
        NumberKind.HIDDEN: "Number withheld",
        NumberKind.INTERNAL: "Internal {digits}",
        NumberKind.SERVICE: "Service {digits}",
        NumberKind.LOCAL: "Local {digits}",
        NumberKind.NOT_A_NUMBER: "Not a number",
    },
}


def tell_number(number: Number, language: str) -> str:
    """One short line: "+7 495 123-45-67 ext. 12", "Number withheld", "Internal 101"."""
    spoken = _known(language)
    if number.e164 is None:
        told = _KINDS[spoken][number.kind].format(digits=number.digits)
    else:
        told = format_number(number.e164)
    if number.extension is None:
        return told
    return f"{told} {'доб.' if spoken == 'ru' else 'ext.'} {number.extension}"


def tell_problem(number: Number, language: str) -> str:
    """Why a text is not a number and what to try; "" for everything that is one."""
    if number.problem is None or number.reason is None:
        return ""
    if _known(language) == "ru":
        return _PROBLEMS_RU[number.reason].format(value=shown_safely(number.presented))
    return number.problem


def tell_step(step: Step, language: str) -> str:
    """One step as one line: its number and name, what it did, the text as it became."""
    spoken = _known(language)
    name, outcome = _STEP_NAMES[spoken][step.number - 1], _OUTCOMES[spoken][step.outcome]
    change = (
        f": {shown_safely(step.before)} → {shown_safely(step.after)}" if step.before != step.after else ""
    )
    return f"{step.number}. {name}: {outcome}{change}"


def tell_steps(
    presented: str, profile: NumberingProfile = DEFAULT_PROFILE, language: str = "en"
) -> list[str]:
    """What happens to a presented number, step by step, and what it is in the end."""
    number = to_e164(presented, profile)
    lines = [tell_step(step, language) for step in explain(presented, profile)]
    return [*lines, tell_problem(number, language) or tell_number(number, language)]


def _known(language: str) -> str:
    return "ru" if language.lower().startswith("ru") else "en"
