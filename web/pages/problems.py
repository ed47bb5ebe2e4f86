"""What went wrong below, in the reader's language."""

from __future__ import annotations

from typing import Final

from crm.errors import (
    AlreadyExists,
    Conflict,
    CrmError,
    Invalid,
    LastAdministrator,
    NumberHasSeveralOwners,
    SecretUnreadable,
    Taken,
)
from web.i18n import gettext as _
from web.pages.forms import Form

# What a person can mend in the form they filled; anything else is no matter of the form.
FORM_ERRORS: Final = (
    AlreadyExists,
    Conflict,
    Invalid,
    LastAdministrator,
    NumberHasSeveralOwners,
    SecretUnreadable,
    Taken,
)


def tell(error: CrmError) -> str:
    """The error's sentence: the value, what is wrong, what to try."""
    if isinstance(error, Invalid):
        return _(error.why) % error.values
    return _(error.template) % error.values


def note_on(form: Form, error: CrmError) -> None:
    """Put the sentence beside the field it is about, or above the form."""
    is_shown = error.field in form.values or error.field in form.chosen
    form.refuse(error.field if is_shown else "", tell(error))
