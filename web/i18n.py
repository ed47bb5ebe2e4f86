"""Russian and English: catalogues read from `translations/<language>/*.po` at the start, merged, never compiled.

The language of the running request is a context variable, so handlers and templates say `gettext("…")` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from gettext import c2py
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

LANGUAGES: Final = ("ru", "en")
FOLDER: Final = Path(__file__).parent / "translations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The messages of one language. Keys: (context or None, English text); values: one text per plural form."""

    language: str
    messages: Mapping[tuple[str | None, str], tuple[str, ...]]
    plural_form: Callable[[int], int] = field(repr=False)

    def gettext(self, message: str) -> str:
        return self._text(None, message) or message

    def pgettext(self, context: str, message: str) -> str:
        return self._text(context, message) or message

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        forms = self.messages.get((None, singular))
        if forms is None or len(forms) == 1:
            return singular if n == 1 else plural
        return forms[min(self.plural_form(n), len(forms) - 1)]

    def npgettext(self, context: str, singular: str, plural: str, n: int) -> str:
        forms = self.messages.get((context, singular))
        return forms[self.plural_form(n)] if forms else self.ngettext(singular, plural, n)

    def _text(self, context: str | None, message: str) -> str | None:
        forms = self.messages.get((context, message))
        return forms[0] if forms else None


def read_catalogues(folder: Path = FOLDER) -> dict[str, Catalogue]:
    """All languages, each merged from its areas. Areas should not disagree; if they do, the first by name holds."""
    return {language: _read_language(language, folder / language) for language in LANGUAGES}


def _read_language(language: str, folder: Path) -> Catalogue:
    messages: dict[tuple[str | None, str], tuple[str, ...]] = {}
    plural_form = "n != 1"
    for area in read_areas(language, folder).values():
        plural_form = area.plural_expr
        for key, forms in messages_of(area):
            messages.setdefault(key, forms)
    return Catalogue(language=language, messages=messages, plural_form=c2py(plural_form))


def read_areas(language: str, folder: Path) -> dict[str, Catalog]:
    """The files of one language by area, as Babel reads them."""
    return {path.stem: _read_area(path, language) for path in sorted(folder.glob("*.po"))}


def _read_area(path: Path, language: str) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def messages_of(area: Catalog) -> Iterator[tuple[tuple[str | None, str], tuple[str, ...]]]:
    """What an area translates: (context or None, English text) → one text per plural form."""
    for message in area:
        english = message.id if isinstance(message.id, str) else message.id[0]
        translated = (message.string,) if isinstance(message.string, str) else tuple(message.string)
        if english and not message.fuzzy and all(translated):
            yield (message.context, english), translated


_EMPTY: Final = Catalogue(language="en", messages={}, plural_form=lambda n: int(n != 1))
_current: ContextVar[Catalogue] = ContextVar("catalogue", default=_EMPTY)


@contextmanager
def speaking(catalogue: Catalogue) -> Iterator[None]:
    """Within the block, `gettext` and its kin answer from this catalogue."""
    token = _current.set(catalogue)
    try:
        yield
    finally:
        _current.reset(token)


def current_language() -> str:
    return _current.get().language


def gettext(message: str) -> str:
    """The message in the language of this request. Import it as `_`."""
    return _current.get().gettext(message)


def pgettext(context: str, message: str) -> str:
    return _current.get().pgettext(context, message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """The form of a message that fits the number: `ngettext("%(num)d call", "%(num)d calls", n) % {"num": n}`."""
    return _current.get().ngettext(singular, plural, n)


def npgettext(context: str, singular: str, plural: str, n: int) -> str:
    return _current.get().npgettext(context, singular, plural, n)


def marked(message: str) -> str:
    """Mark a message for the catalogues where it is defined; translate it where it is shown. Import it as `N_`."""
    return message


def choose_language(wanted: str | None, accepted: str, default: str) -> str:
    """The user's own language; before sign-in the first one of Accept-Language that we speak."""
    if wanted in LANGUAGES:
        return wanted
    for part in accepted.split(","):
        language = part.split(";")[0].strip().lower()[:2]
        if language in LANGUAGES:
            return language
    return default
