"""Names: how they are compared, sorted and shown (crm-model 7). Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from crm.errors import Invalid

MAX_CHARACTERS: Final = 200

# Legal forms say nothing about who a company is, and everybody writes them in another way.
_LEGAL_FORMS: Final = frozenset(
    re.findall(
        r"\w+",
        "ооо оао зао пао нао ао ип тоо одо чп чуп уп нко ано гуп муп фгуп фгбу фбу гбу мбу гку мку тсж тсн снт жск пк "
        "кфх llc ltd limited inc corp corporation gmbh ag plc llp co sarl srl oy ab",
    )
)
_LEGAL_PHRASES: Final = re.compile(
    r"\b(?:обществ[оа] с (?:ограниченной|дополнительной) ответственностью"
    r"|(?:публичн(?:ое|ого)|непубличн(?:ое|ого)|открыт(?:ое|ого)|закрыт(?:ое|ого))? ?акционерн(?:ое|ого) обществ[оа]"
    r"|индивидуальн(?:ый|ого) предпринимател[ья]"
    r"|товариществ[оа] с ограниченной ответственностью"
    r"|автономн(?:ая|ой) некоммерческ(?:ая|ой) организаци[яи])\b"
)
_INITIALS: Final = re.compile(r"\b(?:\w\.\s?){2,}")  # «О.О.О.» is written like initials
_NOT_WORDS: Final = re.compile(r"[\W_]+")


def normal_name(name: str) -> str:
    """Lower case, ё→е, one kind of letter form, punctuation and quotes out, spaces collapsed; idempotent."""
    text = unicodedata.normalize("NFKC", name).casefold().replace("ё", "е")
    return _NOT_WORDS.sub(" ", text).strip()


def organisation_key(name: str) -> str:
    """A company's name for comparing and sorting: normal, without its legal form.

    A name that is nothing but a legal form keeps it.
    """
    joined = _INITIALS.sub(
        lambda match: re.sub(r"[.\s]", "", match.group()) + " ", unicodedata.normalize("NFKC", name)
    )
    whole = normal_name(joined)
    bare = " ".join(word for word in _LEGAL_PHRASES.sub(" ", whole).split() if word not in _LEGAL_FORMS)
    return bare or whole


def is_legal_form(word: str) -> bool:
    """«ООО», «ИП», «GmbH», in any case."""
    return word.casefold() in _LEGAL_FORMS


def person_key(last: str | None, first: str | None, middle: str | None) -> str:
    """A person's name for sorting: last, first, middle. (`pg_trgm` compares words in any order by itself.)"""
    return normal_name(person_name(last, first, middle))


def person_name(last: str | None, first: str | None, middle: str | None) -> str:
    """«Фамилия Имя Отчество», whichever of them are known."""
    return " ".join(" ".join((part or "").split()) for part in (last, first, middle) if part and part.strip())


def same_words(one: str, other: str) -> bool:
    """Whether two names are the same words in any order."""
    return sorted(normal_name(one).split()) == sorted(normal_name(other).split())


def checked_name(name: str, field: str = "name") -> str:
    """A name as it is stored: spaces collapsed, control characters refused.

    Raises:
        Invalid: empty, longer than 200 characters, or with characters nobody can see.
    """
    cleaned = " ".join(name.split())
    if not cleaned or len(cleaned) > MAX_CHARACTERS:
        raise Invalid(field, cleaned[:MAX_CHARACTERS], "A name has 1 to 200 characters.")
    if any(unicodedata.category(char) in {"Cc", "Cs", "Cn"} for char in cleaned):
        raise Invalid(field, "", "A name has letters, digits and signs only.")
    return cleaned
