"""Russian and English are complete at all times: whatever a person may read stands in both catalogues."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract
from jinja2.ext import babel_extract

from web.i18n import (
    FOLDER,
    LANGUAGES,
    choose_language,
    gettext,
    messages_of,
    ngettext,
    read_areas,
    read_catalogues,
    speaking,
)
from web.messages import message_tables, script_messages

WEB = FOLDER.parent
CATALOGUES = read_catalogues()
# Words of one's own for the marker, and the calls that templates and handlers make.
KEYWORDS: dict[str, Any] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "marked": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|\{(\w+)\}")


def written_in(path: Path) -> Iterator[str]:
    """The message ids in a template or a module; of plural ones the singular."""
    method: Any = "python" if path.suffix == ".py" else babel_extract
    with path.open("rb") as file:
        for _, message, _, _ in extract(method, file, keywords=KEYWORDS):
            parts = message if isinstance(message, list | tuple) else (message,)
            text = parts[-2] if len(parts) > 1 else parts[0]
            if text:
                yield text


def sources() -> list[Path]:
    return sorted(path for suffix in ("*.py", "*.html") for path in WEB.rglob(suffix))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_of_pages_is_translated(language: str) -> None:
    known = {text for _, text in CATALOGUES[language].messages}
    missing = [
        f"{path.relative_to(WEB)}: {text!r}"
        for path in sources()
        for text in dict.fromkeys(written_in(path))
        if text not in known
    ]
    assert missing == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_of_scripts_is_translated(language: str) -> None:
    singles, pairs = script_messages()
    known = {text for _, text in CATALOGUES[language].messages}
    assert sorted((singles | {singular for singular, _ in pairs}) - known) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_areas_agree(language: str) -> None:
    seen: dict[tuple[str | None, str], tuple[tuple[str, ...], str]] = {}
    clashes = []
    for area, catalogue in read_areas(language, FOLDER / language).items():
        for key, forms in messages_of(catalogue):
            first, where = seen.setdefault(key, (forms, area))
            if first != forms:
                clashes.append(f"{key[1]!r}: {where} says {first}, {area} says {forms}")
    assert clashes == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_their_values(language: str) -> None:
    """A lost %(num)d is an error when the text is shown, a lost {name} a hole in it."""
    wrong = []
    for (_, english), forms in CATALOGUES[language].messages.items():
        wanted = set(PLACEHOLDER.findall(english))
        wrong += [(english, form) for form in forms if set(PLACEHOLDER.findall(form)) - wanted]
        if len(forms) == 1 and set(PLACEHOLDER.findall(forms[0])) != wanted:
            wrong.append((english, forms[0]))
    assert wrong == []


def test_english_is_what_the_sources_say() -> None:
    differing = [
        (english, forms[0])
        for (_, english), forms in CATALOGUES["en"].messages.items()
        if len(forms) == 1 and forms[0] != english
    ]
    assert differing == []


@pytest.mark.parametrize(
    ("n", "text"),
    [(1, "1 секунду"), (2, "2 секунды"), (5, "5 секунд"), (11, "11 секунд"), (21, "21 секунду")],
)
def test_russian_plurals(n: int, text: str) -> None:
    singular = "Too many wrong passwords. Try again in %(num)d second."
    with speaking(CATALOGUES["ru"]):
        assert text in ngettext(singular, singular, n) % {"num": n}


def test_the_language_holds_within_its_block_only() -> None:
    with speaking(CATALOGUES["ru"]):
        assert gettext("Password") == "Пароль"
    assert gettext("Password") == "Password"


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        ("en", "ru", "en"),
        (None, "en-GB,en;q=0.9", "en"),
        (None, "de,ru;q=0.5", "ru"),
        (None, "", "ru"),
        ("xx", "de", "ru"),
    ],
)
def test_choosing_a_language(wanted: str | None, accepted: str, language: str) -> None:
    assert choose_language(wanted, accepted, "ru") == language


def test_scripts_get_a_table_in_each_language() -> None:
    tables = message_tables(CATALOGUES)
    assert set(tables) == {"messages/ru.js", "messages/en.js"}
    assert '"Close":"Закрыть"' in tables["messages/ru.js"]
