"""What can go wrong with leads: what happened, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from crm.errors import CrmError


class OpenLeads(CrmError):
    """A warning before a further lead is opened by hand; saying it again opens it."""

    template = "“%(name)s” has open leads already: %(numbers)s. Open one of them, or confirm that this is another matter."

    def __init__(self, name: str, leads: Mapping[int, int]) -> None:
        self.leads = dict(leads)  # id → number
        self.numbers = ", ".join(f"№ {number}" for number in leads.values())
        super().__init__(name=name, numbers=self.numbers)


class NeedsConversion(CrmError):
    """A lead ends well only by its conversion."""

    template = "A lead comes to “%(stage)s” by its conversion: say which client and contact it becomes."
    field = "stage_id"

    def __init__(self, stage: str) -> None:
        self.messages = {"stage": [stage]}
        super().__init__(stage=stage)


class AnotherLeadOpen(CrmError):
    """The database keeps one open automatic lead for each subject and scheme."""

    template = "Meanwhile another lead of the same client is open: № %(number)s. Go on with that one."

    def __init__(self, lead_id: int, number: int) -> None:
        self.lead_id = lead_id
        super().__init__(number=number)


class LeadIsOver(CrmError):
    """Converted and disqualified leads are read-only."""

    template = "This lead is over: it can be read, and reopened by whoever has the right."


class LeadMerged(CrmError):
    """It went into another lead, which answers for it."""

    template = "This lead was merged into another one. Undo the merge to have it apart again."
