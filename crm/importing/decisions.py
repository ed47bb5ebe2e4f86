"""What a row of a file comes to: who is meant, what is new of it, what is to be told. Values of the resolver. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from crm.importing.plans import Phone, Plan, RowProblem, Side


class Verdict(StrEnum):
    """What will become of a row."""

    NEW = "new"
    KNOWN = "known"  # the client is there; something may be added
    REPEAT = "repeat"  # an earlier row of this file made it
    SAME_NAME = "same_name"  # left alone: only the name is the same
    SKIPPED = "skipped"  # by the policy
    REFUSED = "refused"


@dataclass(slots=True, eq=False)
class Slot:
    """A party that exists, or will when the batch is written."""

    type: str
    name: str
    sort_name: str
    inn: str = ""
    kpp: str = ""
    party_id: int | None = None
    made_by_row: int | None = None  # the row of this file that makes or made it
    organisations: set[int] = field(default_factory=set)  # where the person works: the slots' identities
    is_new: bool = False
    number: int | None = None  # of a new one, when it is given its id

    @property
    def known_id(self) -> int:
        """The id of a party that is there, or was given one."""
        assert self.party_id is not None, f"{self.name} has no id yet"
        return self.party_id


@dataclass(slots=True, kw_only=True)
class Decision:
    """What a row comes to. Ties name what is new only: what is there already is no work."""

    row: int
    verdict: Verdict
    problems: list[RowProblem] = field(default_factory=list)
    organisation: Slot | None = None
    person: Slot | None = None
    plan: Plan | None = None
    phones: list[tuple[Slot, Phone, bool]] = field(
        default_factory=list
    )  # whose, which, and whether it is shared now
    emails: list[tuple[Slot, str, bool]] = field(default_factory=list)
    joins: bool = False  # the person becomes a contact of the organisation
    fills: bool = False  # columns of a known party may change

    @property
    def main(self) -> Slot | None:
        return self.organisation or self.person

    @property
    def new_slots(self) -> list[tuple[Slot, Side]]:
        """The parties that this row makes."""
        assert self.plan is not None
        pairs = ((self.organisation, self.plan.organisation), (self.person, self.plan.person))
        return [(slot, side) for slot, side in pairs if slot and side and self.makes(slot)]

    def makes(self, slot: Slot | None) -> bool:
        """Whether this row makes the party."""
        return slot is not None and slot.is_new and slot.made_by_row == self.row

    @property
    def changes_anything(self) -> bool:
        return bool(self.new_slots or self.phones or self.emails or self.joins)
