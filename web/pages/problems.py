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
from web.pages.forms import Form
from web.refusals import tell

__all__ = ["FORM_ERRORS", "note_on", "tell"]

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


def note_on(form: Form, error: CrmError) -> None:
    """Put the sentence beside the field it is about, or above the form."""
    is_shown = error.field in form.values or error.field in form.chosen
    form.refuse(error.field if is_shown else "", tell(error))
