"""From the party form to what `crm.parties` takes, and back."""

from __future__ import annotations

from datetime import date
from typing import Final

from crm.errors import Invalid
from crm.numbers import NumberValues
from crm.party_values import ORGANISATION, PERSON, PartyValues
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.pages.forms import Form, read_date

QUICK: Final = "quick"
MODES: Final = (QUICK, ORGANISATION, PERSON)
MOST_NUMBERS: Final = 3  # fields on the form of a new party; more are added on the card
# What the page calls the field "form": a form that holds a control of that name hides itself from scripts.
LEGAL_FORM: Final = "legal_form"
_TEXTS: Final = (
    "last_name",
    "first_name",
    "middle_name",
    "sex",
    "short_name",
    "full_name",
    "inn",
    "kpp",
    "ogrn",
    "website",
    "industry",
    "city",
    "source",
)


def mode_of(typed: str) -> str:
    """Which of the forms is shown; anything unknown is the quick one."""
    return typed if typed in MODES else QUICK


def values_of(form: Form, party_type: str) -> PartyValues:
    """What was typed about a person or an organisation.

    Raises:
        Invalid: the birth date is no date.
    """
    texts = {name: form.text(name) for name in _TEXTS if name in form.values}
    return PartyValues(
        type=party_type,
        birth_date=_birth_date(form),
        form=form.text(LEGAL_FORM) or "legal",
        note=form.prose("note"),
        do_not_call=form.flag("do_not_call"),
        **texts,
    )


def numbers_of(form: Form) -> list[NumberValues]:
    """The numbers typed on the form of a new party, the first one primary."""
    typed = [form.text(f"number{index}" if index else "number") for index in range(MOST_NUMBERS)]
    return [
        NumberValues(presented=number, is_shared=form.flag("is_shared"), is_primary=index == 0)
        for index, number in enumerate(typed)
        if number
    ]


def _birth_date(form: Form) -> date | None:
    typed = form.text("birth_date")
    if not typed:
        return None
    if (day := read_date(typed)) is None:
        raise Invalid("birth_date", typed, N_("This is not a date. Write it as 31.12.2027."))
    return day
