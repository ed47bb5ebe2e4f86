"""The texts that scripts show: one module per language, made at the start from the area `live`.

`static/messages.js` imports `./messages/ru.js` beside it, so the table is cached like any static file and no inline script
is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from web.assets import FOLDER
from web.i18n import Catalogue

# The first argument of t("…") and the two of tn("…", "…"), as our scripts write them: plain literals in double quotes.
_LITERAL: Final = r'"((?:[^"\\]|\\.)*)"'
_ONE: Final = re.compile(rf"\bt\(\s*{_LITERAL}")
_MANY: Final = re.compile(rf"\btn\(\s*{_LITERAL},\s*{_LITERAL}")


def script_messages() -> tuple[set[str], set[tuple[str, str]]]:
    """What our scripts may show: (single messages, (singular, plural) pairs)."""
    singles: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for path in sorted(FOLDER.rglob("*.js")):
        if "vendor" not in path.relative_to(FOLDER).parts:
            text = path.read_text("utf-8")
            singles |= set(_ONE.findall(text))
            pairs |= set(_MANY.findall(text))
    return singles, pairs


def message_tables(catalogues: Mapping[str, Catalogue]) -> dict[str, str]:
    """Path below `static/` → module text, for every language."""
    singles, pairs = script_messages()
    return {
        f"messages/{language}.js": _module(catalogue, singles, pairs)
        for language, catalogue in catalogues.items()
    }


def _module(catalogue: Catalogue, singles: set[str], pairs: set[tuple[str, str]]) -> str:
    table: dict[str, str | tuple[str, ...]] = {text: catalogue.gettext(text) for text in sorted(singles)}
    for singular, plural in sorted(pairs):
        table[singular] = catalogue.messages.get((None, singular), (singular, plural))
    return f"export default {msgspec.json.encode(table).decode()};\n"
