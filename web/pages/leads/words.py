"""Words of leads that the database keeps as message ids: schemes, stages and reasons of every installation."""

from __future__ import annotations

from typing import Final

from crm.errors import Conflict
from crm.lead_errors import AnotherLeadOpen, LeadIsOver, LeadMerged, NeedsConversion, OpenLeads
from crm.merge_log import CannotMerge
from crm.stage_rules import MoveNotAllowed, SchemeOfOthers, StageIncomplete
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.pages.problems import FORM_ERRORS

OF_EVERY_INSTALLATION: Final = (
    N_("Leads"),
    N_("New"),
    N_("In progress"),
    N_("Qualified"),
    N_("Converted"),
    N_("Disqualified"),
    N_("Spam"),
    N_("Duplicate"),
    N_("No need"),
    N_("Wrong number"),
    N_("Could not be reached"),
    N_("Too expensive"),
    N_("Chose another supplier"),
)
FIELDS: Final = {
    "title": N_("Title"),
    "need": N_("Need"),
    "source": N_("Source"),
    "owner_id": N_("Responsible"),
    "phone": N_("Phone"),
    "email": N_("E-mail"),
}
# What a person can mend where they stand.
LEAD_ERRORS: Final = (
    *FORM_ERRORS,
    AnotherLeadOpen,
    CannotMerge,
    Conflict,
    LeadIsOver,
    LeadMerged,
    MoveNotAllowed,
    NeedsConversion,
    OpenLeads,
    SchemeOfOthers,
    StageIncomplete,
)
