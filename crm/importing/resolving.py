"""Whose a row is: an existing client, one that an earlier row of the same file makes, or a new one. Pure.

A `Resolver` goes through rows in order and remembers what they will make, so that the rows of a batch, and in the preview
those of the whole file, are checked against each other as strictly as against the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crm.importing.decisions import Decision, Slot, Verdict
from crm.importing.likeness import differ, names_fit
from crm.importing.looking import Findings, Found, Key, Stored
from crm.importing.needs import Required, lacks_of_known, lacks_of_new
from crm.importing.plans import Clash, Known, New, Plan, Policy, RowProblem, SameName, Side


class _Refused(Exception):
    """The row cannot be stored; carries the reason."""

    def __init__(self, why: str, field: str = "", **values: object) -> None:
        self.problem = RowProblem(why=why, field=field, values=dict(values))
        super().__init__(why)


class Resolver:
    """Decides rows in their order; call `learn` with what the database knows of them before."""

    def __init__(self, policy: Policy, *, may_share: bool = True) -> None:
        self._policy = policy
        self._may_share = may_share
        self._slots: dict[int, Slot] = {}  # by the id of a party that exists
        self._phones: dict[Key, list[Slot]] = {}
        self._emails: dict[str, list[Slot]] = {}
        self._firms: dict[str, list[Slot]] = {}
        self._people: dict[str, Slot] = {}
        self._names: dict[Key, list[Slot]] = {}
        self._found: dict[int, Found] = {}
        self._stored: dict[int, Stored] = {}
        self._required: Required = {}

    def learn(self, findings: Findings) -> None:
        """What the database knows; what was decided before stays."""
        self._required = findings.required
        self._stored |= findings.stored
        for party_id, found in findings.parties.items():
            if party_id not in self._slots:
                self._slots[party_id] = _slot_of(found, findings.rows.get(party_id))
                self._found[party_id] = found
        for person, found in findings.parties.items():
            self._slots[person].organisations |= {
                id(self._slot(each)) for each in found.organisations if each in self._slots
            }
        for key, ids in findings.phones.items():
            self._add(self._phones, key, ids)
        for address, ids in findings.emails.items():
            self._add(self._emails, address, ids)
        for inn, ids in findings.organisations.items():
            self._add(self._firms, inn, ids)
        for name, ids in findings.names.items():
            self._add(self._names, name, ids)
        for inn, party_id in findings.people.items():
            self._people.setdefault(inn, self._slot(party_id))

    def decide(self, row: int, plan: Plan) -> Decision:
        """What to do with a row; the slots it makes are known to the rows after it."""
        decision = Decision(row=row, verdict=Verdict.NEW, plan=plan)
        try:
            self._resolve(decision, plan)
        except _Refused as refused:
            return Decision(
                row=row, verdict=Verdict.REFUSED, problems=[*decision.problems, refused.problem], plan=plan
            )
        return decision

    def _resolve(self, decision: Decision, plan: Plan) -> None:
        organisation = self._organisation(decision, plan.organisation) if plan.organisation else None
        person = self._person(decision, plan.person, organisation) if plan.person else None
        main = organisation if plan.organisation else person
        if decision.verdict is Verdict.SAME_NAME:
            return
        if main is None and self._policy.new is New.SKIP:
            decision.verdict = Verdict.SKIPPED
            note = "This client is new, and by the rules it is left out."
            decision.problems.append(RowProblem(why=note, is_note=True))
            return
        if main is not None and not self._goes_on(decision, main):
            return
        self._check_editable(organisation, person)
        decision.organisation = organisation or self._new(decision.row, plan.organisation)
        decision.person = person or self._new(decision.row, plan.person)
        self._check_required(decision, plan)
        self._join(decision)
        self._tie(decision, plan)
        self._register(decision, plan)

    def _goes_on(self, decision: Decision, main: Slot) -> bool:
        """Whether a known client is worked on; what this file made itself always is."""
        decision.verdict = Verdict.KNOWN if main.made_by_row is None else Verdict.REPEAT
        if main.made_by_row is not None:
            note = "The same client as in row %(row)d."
            decision.problems.append(RowProblem(why=note, values={"row": main.made_by_row}, is_note=True))
        elif self._policy.known is not Known.SKIP:
            self._name_known(decision, main)
        else:
            decision.verdict = Verdict.SKIPPED
            note = "“%(name)s” is there already, and by the rules it is left alone."
            decision.problems.append(RowProblem(why=note, values={"name": main.name}, is_note=True))
            decision.organisation = main if main.type == "organisation" else None
            decision.person = main if main.type == "person" else None
            return False
        decision.fills = main.party_id is not None
        return True

    def _name_known(self, decision: Decision, main: Slot) -> None:
        """Say whom a row was taken for, where the names do not say so themselves."""
        said = decision.plan.sides[0] if decision.plan else None
        if said is not None and said.sort_name != main.sort_name:
            note = "This client is there already: “%(name)s”."
            decision.problems.append(RowProblem(why=note, values={"name": main.name}, is_note=True))

    def _check_editable(self, *slots: Slot | None) -> None:
        for slot in slots:
            if slot is None or slot.party_id is None:
                continue
            found = self._found[slot.party_id]
            if found.is_deleted:
                raise _Refused("“%(name)s” is in the bin. Restore it first.", name=found.name)
            if not found.may_edit and slot.made_by_row is None:
                why = "This is “%(name)s” (responsible: %(owner)s), which you may not change."
                raise _Refused(why, name=found.name, owner=found.owner_name)

    def _check_required(self, decision: Decision, plan: Plan) -> None:
        """Refuse a row that leaves out what the kinds of its clients need, naming every such field."""
        if not self._required:
            return
        for slot, side in ((decision.organisation, plan.organisation), (decision.person, plan.person)):
            lacks = self._lacks(decision, plan, slot, side) if slot is not None and side is not None else []
            if lacks:
                decision.problems += lacks[:-1]
                raise _Refused(lacks[-1].why, lacks[-1].field)

    def _lacks(self, decision: Decision, plan: Plan, slot: Slot, side: Side) -> list[RowProblem]:
        is_main = slot is decision.main
        if decision.makes(slot):
            return lacks_of_new(self._required, plan, side) if is_main else []
        stored = self._stored.get(slot.party_id or 0)
        if stored is None or not decision.fills:
            return []
        replaces = self._policy.known is Known.REPLACE
        return lacks_of_known(self._required, stored, plan, side, is_main=is_main, replaces=replaces)

    # Organisations ------------------------------------------------------------------------------------------------

    def _organisation(self, decision: Decision, side: Side) -> Slot | None:
        known = self._by_inn(decision, side) or self._firm_by_contact(side)
        if known is not None:
            return known
        namesakes = [slot for slot in self._namesakes(side) if not differ(slot.inn, side.inn)]
        if (of_contact := self._firm_of_contact(decision, namesakes)) is not None:
            return of_contact
        return self._by_name(decision, side, namesakes)

    def _firm_of_contact(self, decision: Decision, namesakes: list[Slot]) -> Slot | None:
        """The organisation of this name at which somebody with these numbers and addresses works."""
        sides = decision.plan.sides if decision.plan else []
        people = [slot for side in sides for slot in self._owners(side) if slot.type == "person"]
        return next(
            (each for each in namesakes if any(id(each) in one.organisations for one in people)), None
        )

    def _by_inn(self, decision: Decision, side: Side) -> Slot | None:
        """INN and KPP tell for certain; an INN alone does if there is one such organisation."""
        firms = self._firms.get(side.inn, []) if side.inn else []
        same = [slot for slot in firms if slot.kpp == side.kpp]
        alone = [slot for slot in firms if not slot.kpp or not side.kpp]
        if same:
            return same[0]
        if len(alone) == 1 and len(firms) == 1:
            return alone[0]
        if len(alone) > 1:
            raise _Refused("Several organisations have the INN %(inn)s. Add the KPP.", "inn", inn=side.inn)
        if firms:
            note = "“%(name)s” has the same INN and another KPP: this becomes a branch of its own."
            decision.problems.append(
                RowProblem(why=note, field="kpp", values={"name": firms[0].name}, is_note=True)
            )
        return None

    def _firm_by_contact(self, side: Side) -> Slot | None:
        """Who has these numbers and addresses, if it is the same organisation by its name too."""
        owners = [slot for slot in self._owners(side) if slot.type == "organisation"]
        fitting = [
            slot
            for slot in owners
            if not differ(slot.inn, side.inn) and names_fit(slot.sort_name, side.sort_name)
        ]
        return self._one_of(fitting)

    # People -------------------------------------------------------------------------------------------------------

    def _person(self, decision: Decision, side: Side, organisation: Slot | None) -> Slot | None:
        if side.inn and (known := self._people.get(side.inn)) is not None:
            return known
        owners = [slot for slot in self._owners(side) if slot.type == "person"]
        fitting = [
            slot
            for slot in owners
            if not differ(slot.inn, side.inn) and names_fit(slot.sort_name, side.sort_name)
        ]
        if (known := self._one_of(fitting)) is not None:
            return known
        namesakes = self._namesakes(side)
        if organisation is not None:
            colleagues = [slot for slot in namesakes if id(organisation) in slot.organisations]
            return colleagues[0] if colleagues else None
        if decision.plan is not None and decision.plan.organisation is not None:
            return None  # of a new organisation: a namesake elsewhere is somebody else
        return self._by_name(decision, side, [slot for slot in namesakes if not differ(slot.inn, side.inn)])

    # Both ---------------------------------------------------------------------------------------------------------

    def _by_name(self, decision: Decision, side: Side, namesakes: list[Slot]) -> Slot | None:
        """The same name and nothing else: what the policy says. Rows of this file that tell nothing more are one client."""
        if not namesakes:
            return None
        own = [slot for slot in namesakes if slot.made_by_row is not None]
        if own and not self._tells_apart(side):
            return own[0]
        strangers = [slot for slot in namesakes if slot.made_by_row is None]
        if not strangers or self._policy.same_name is SameName.CREATE:
            return own[0] if own and side.type == "organisation" else None
        if self._policy.same_name is SameName.KNOWN and len(strangers) == 1:
            return strangers[0]
        decision.verdict = Verdict.SAME_NAME
        note = "There is a client of this name already: “%(name)s”. Whether it is the same, nothing tells."
        decision.problems.append(RowProblem(why=note, values={"name": strangers[0].name}, is_note=True))
        return None

    def _tells_apart(self, side: Side) -> bool:
        return side.type == "person" and bool(side.phones or side.emails or side.inn)

    def _namesakes(self, side: Side) -> list[Slot]:
        return self._names.get((side.type, side.sort_name), [])

    def _owners(self, side: Side) -> list[Slot]:
        owners: dict[int, Slot] = {}
        for phone in side.phones:
            owners |= {id(slot): slot for slot in self._phones.get(phone.key, ())}
        for address in side.emails:
            owners |= {id(slot): slot for slot in self._emails.get(address, ())}
        return list(owners.values())

    def _one_of(self, slots: list[Slot]) -> Slot | None:
        if len(slots) > 1:
            names = ", ".join(sorted({f"“{slot.name}”" for slot in slots}))
            raise _Refused(
                "The numbers and addresses of this row belong to several clients: %(names)s.", names=names
            )
        return slots[0] if slots else None

    def _new(self, row: int, side: Side | None) -> Slot | None:
        if side is None:
            return None
        return Slot(
            type=side.type,
            name=side.name,
            sort_name=side.sort_name,
            inn=side.inn,
            kpp=side.kpp,
            made_by_row=row,
            is_new=True,
        )

    def _join(self, decision: Decision) -> None:
        firm, person = decision.organisation, decision.person
        if firm is None or person is None or id(firm) in person.organisations:
            return
        decision.joins = True

    def _tie(self, decision: Decision, plan: Plan) -> None:
        """The numbers and addresses that are not yet where they belong."""
        for slot, side in ((decision.organisation, plan.organisation), (decision.person, plan.person)):
            if slot is None or side is None:
                continue
            within = {id(each) for each in (decision.organisation, decision.person) if each is not None}
            for phone in side.phones:
                shares = self._takes(slot, self._phones.get(phone.key, ()), within, phone.e164)
                if shares is not None:
                    decision.phones.append((slot, phone, shares))
            for address in side.emails:
                if (shares := self._takes(slot, self._emails.get(address, ()), within, address)) is not None:
                    decision.emails.append((slot, address, shares))

    def _takes(self, slot: Slot, owners: Iterable[Slot], within: set[int], shown: str) -> bool | None:
        """Whether the slot gets it: None if it (or its organisation) has it, True if it then is shared."""
        owners = list(owners)
        others = [each for each in owners if each is not slot]
        is_there = len(others) < len(owners) or any(id(each) in within for each in others)
        if is_there or any(id(slot) in each.organisations for each in others):  # a contact of it has it
            return None
        if not others:
            return False
        if self._policy.clash is Clash.REFUSE or not self._may_share:
            why = "%(value)s belongs to “%(name)s”, who has another name. Correct the row, or let such numbers be shared."
            raise _Refused(why, "email" if "@" in shown else "phone", value=shown, name=others[0].name)
        return True

    def _register(self, decision: Decision, plan: Plan) -> None:
        """What this row makes is known to the rows after it."""
        for slot, side in decision.new_slots:
            self._names.setdefault((slot.type, slot.sort_name), []).append(slot)
            if side.inn and slot.type == "organisation":
                self._firms.setdefault(side.inn, []).append(slot)
            elif side.inn:
                self._people[side.inn] = slot
        for slot, phone, _ in decision.phones:
            self._phones.setdefault(phone.key, []).append(slot)
        for slot, address, _ in decision.emails:
            self._emails.setdefault(address, []).append(slot)
        if decision.joins and decision.person is not None:
            decision.person.organisations.add(id(decision.organisation))

    def _slot(self, party_id: int) -> Slot:
        return self._slots[party_id]

    def _add(self, index: dict[Any, list[Slot]], key: Any, ids: Iterable[int]) -> None:
        slots = index.setdefault(key, [])
        slots += [slot for party_id in ids if (slot := self._slot(party_id)) not in slots]


def _slot_of(found: Found, made_by_row: int | None) -> Slot:
    return Slot(
        type=found.type,
        name=found.name,
        sort_name=found.sort_name,
        inn=found.inn,
        kpp=found.kpp,
        party_id=found.id,
        made_by_row=made_by_row,
    )
