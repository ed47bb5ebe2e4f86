"""A lead becomes a client: counterparty and contact, each existing, new or none, in one transaction (crm-model 9).

Whoever is known from the lead alone is qualified in place, or merged into the one that was picked, so that numbers and calls need no
copying. If any part fails nothing is there, and converting twice gives the first result again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.affiliations import ContactValues, affiliate
from crm.changes import publish, record_change
from crm.errors import Invalid
from crm.lead_errors import LeadIsOver
from crm.lead_locks import parties_then_lead
from crm.lead_subjects import UNQUALIFIED
from crm.lead_values import LEAD, OPEN_STATES
from crm.merging import unite
from crm.parties import create_party
from crm.party_access import editable_party
from crm.party_kinds import kinds_of, put_kinds
from crm.party_values import ORGANISATION, PERSON, columns_of, organisation_values, person_values
from crm.rights import Access
from crm.schema.leads import Lead
from crm.schema.parties import Party, Person
from crm.schema.tasks import Task
from crm.schemes import scheme_of
from crm.stages import Move, clock, locked, move


class Choice(StrEnum):
    """What a block of the dialog says."""

    EXISTING = "existing"
    NEW = "new"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterpartyBlock:
    """The client. NEW without a name: the lead's own organisation, else its person. NONE: the subject is a client already."""

    choice: Choice = Choice.NEW
    party_id: int | None = None
    organisation: str = ""
    inn: str = ""
    kind: str = "prospect"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactBlock:
    """The person to talk with. NEW: the lead's person, under `name` if one is given; NONE: the counterparty is the person."""

    choice: Choice = Choice.NEW
    party_id: int | None = None
    name: str = ""
    position: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    counterparty: CounterpartyBlock = field(default_factory=CounterpartyBlock)
    contact: ContactBlock = field(default_factory=ContactBlock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """What the lead became. `is_new` is false where it was converted before."""

    lead_id: int
    party_id: int
    person_id: int | None
    is_new: bool


async def convert_lead(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    wish: Conversion,
    *,
    base_version: int | None = None,
    via: str = "form",
) -> Converted:
    """Convert a lead, all or nothing.

    Raises:
        NotAllowed, NotFound (the lead, or what was picked), LeadIsOver (disqualified), Conflict, Invalid (a block),
        AlreadyExists (the INN), MoveNotAllowed, StageIncomplete.
    """
    picked = (wish.counterparty.party_id, wish.contact.party_id)
    lead = await parties_then_lead(session, access, lead_id, others=picked, is_merging=True)
    if lead.state == "converted":
        assert lead.converted_party_id is not None, "the database says so"
        return Converted(
            lead_id=lead.id,
            party_id=lead.converted_party_id,
            person_id=lead.converted_person_id,
            is_new=False,
        )
    if lead.state not in OPEN_STATES:
        raise LeadIsOver
    if base_version is not None and base_version != lead.version:
        await locked(session, access, LEAD, lead_id, base_version=base_version)
    async with session.begin_nested():
        work = _Work(session, access, lead, via)
        party_id, person_id = await work.carry_out(wish)
        await _finish(session, access, lead_id, party_id, person_id, via)
    return Converted(lead_id=lead_id, party_id=party_id, person_id=person_id, is_new=True)


async def _finish(
    session: AsyncSession, access: Access, lead_id: int, party_id: int, person_id: int | None, via: str
) -> None:
    scheme_id = (await session.execute(select(Lead.scheme_id).where(Lead.id == lead_id))).scalar_one()
    ends = {
        "converted_at": await clock(session),
        "converted_by_id": access.actor_id,
        "converted_party_id": party_id,
        "converted_person_id": person_id,
    }
    await session.execute(  # what is still to be done for the lead is so for the client
        update(Task)
        .where(Task.lead_id == lead_id, Task.party_id.is_(None), Task.state.in_(["new", "in_progress"]))
        .values(party_id=party_id, version=Task.version + 1)
    )
    success = (await scheme_of(session, scheme_id)).success
    await move(session, access, LEAD, lead_id, Move(to_stage_id=success.id, ends=ends, via=via))
    after = {"party_id": party_id, "person_id": person_id}
    await publish(session, access, "lead.converted", "lead", lead_id, after=after)


class _Work:
    """One conversion while it is carried out: who the lead is about, as it changes by merging."""

    def __init__(self, session: AsyncSession, access: Access, lead: Lead, via: str) -> None:
        self._session, self._access, self._via = session, access, via
        self._person_id, self._organisation_id = lead.person_id, lead.organisation_id
        self._owner_id, self._team_id = lead.owner_id, lead.team_id

    async def carry_out(self, wish: Conversion) -> tuple[int, int | None]:
        """The counterparty and the contact."""
        if self._person_id is not None and wish.contact.choice is not Choice.EXISTING:
            await self._rename(self._person_id, wish.contact.name)
        client = await self._counterparty(wish.counterparty)
        contact_id = await self._contact(wish.contact, client)
        if client.type == ORGANISATION and contact_id is not None:
            position = ContactValues(position=wish.contact.position)
            await affiliate(self._session, self._access, contact_id, client.id, position, via=self._via)
        return client.id, contact_id

    async def _counterparty(self, block: CounterpartyBlock) -> Party:
        match block.choice:
            case Choice.EXISTING:
                return await self._picked_client(block)
            case Choice.NEW:
                return await self._new_client(block)
            case Choice.NONE:
                return await self._client_already()

    async def _picked_client(self, block: CounterpartyBlock) -> Party:
        client = await self._picked("counterparty", block.party_id)
        if client.type == ORGANISATION:
            self._organisation_id = await self._unite(self._organisation_id, client.id)
        else:
            self._person_id = await self._unite(self._person_id, client.id)
        client = await self._qualified(client.id)
        if not await self._has_kind(client.id):
            await put_kinds(self._session, self._access, client, [block.kind], via=self._via)
        return client

    async def _new_client(self, block: CounterpartyBlock) -> Party:
        own = self._organisation_id
        if own is not None and await self._is_unqualified(own):
            client = await self._qualified(own)
        elif block.organisation.strip():
            values = organisation_values(block.organisation.strip(), inn=block.inn.strip())
            party_id = await create_party(
                self._session,
                self._access,
                values,
                kinds=[block.kind],
                owner_id=self._owner_id,
                via=self._via,
            )
            return await self._party(party_id)
        elif self._person_id is not None:
            client = await self._qualified(self._person_id)
        else:
            raise Invalid("counterparty", "", "Write the name of the new organisation.")
        await put_kinds(self._session, self._access, client, [block.kind], via=self._via)
        return client

    async def _client_already(self) -> Party:
        for party_id in (self._organisation_id, self._person_id):
            if (
                party_id is not None
                and not await self._is_unqualified(party_id)
                and await self._has_kind(party_id)
            ):
                return await self._party(party_id)
        raise Invalid(
            "counterparty", "none", "Whom this lead is about is no client yet: choose one, or make a new one."
        )

    async def _contact(self, block: ContactBlock, client: Party) -> int | None:
        if client.type == PERSON:
            if block.choice is Choice.EXISTING and block.party_id != client.id:
                raise Invalid("contact", block.party_id, "A private client is their own contact.")
            if self._person_id not in (None, client.id):
                raise Invalid(
                    "contact", "", "The lead's person is not this client. Choose an organisation instead."
                )
            return client.id
        match block.choice:
            case Choice.EXISTING:
                return await self._picked_contact(block)
            case Choice.NEW:
                return await self._new_contact(block)
            case Choice.NONE:
                return await self._no_contact()

    async def _picked_contact(self, block: ContactBlock) -> int:
        contact = await self._picked("contact", block.party_id)
        if contact.type != PERSON:
            raise Invalid("contact", block.party_id, "A contact is a person at an organisation.")
        self._person_id = await self._unite(self._person_id, contact.id)
        await self._qualified(contact.id)
        return contact.id

    async def _new_contact(self, block: ContactBlock) -> int:
        if self._person_id is not None:
            return (await self._qualified(self._person_id)).id
        values, owner = person_values(block.name), self._owner_id
        return await create_party(self._session, self._access, values, owner_id=owner, via=self._via)

    async def _no_contact(self) -> int | None:
        if self._person_id is not None and await self._is_unqualified(self._person_id):
            raise Invalid(
                "contact", "none", "The lead's person becomes the contact, or is one that you choose."
            )
        return None

    async def _picked(self, name: str, party_id: int | None) -> Party:
        """What was picked, if it is the lead's own or may be changed by whoever converts."""
        if party_id is None:
            raise Invalid(name, "", "Choose one of the existing records.")
        if party_id in (self._person_id, self._organisation_id) and await self._is_unqualified(party_id):
            return await self._party(party_id)
        return await editable_party(self._session, self._access, party_id)

    async def _unite(self, own_id: int | None, picked_id: int) -> int | None:
        """Whoever was known from the lead alone becomes the one that was picked, with number and calls."""
        if own_id is None or own_id == picked_id or not await self._is_unqualified(own_id):
            return own_id
        await unite(self._session, self._access, picked_id, [own_id], via=self._via)
        return picked_id

    async def _qualified(self, party_id: int) -> Party:
        party = await self._party(party_id)
        if party.lifecycle != UNQUALIFIED:
            return party
        before, after = {"lifecycle": UNQUALIFIED}, {"lifecycle": "active"}
        await record_change(
            self._session, self._access, "party", party_id, before=before, after=after, via=self._via
        )
        await self._write(party_id, after)
        return await self._party(party_id)

    async def _rename(self, party_id: int, name: str) -> None:
        """Who was «Без имени» has one now; somebody known before keeps theirs."""
        party = await self._party(party_id)
        if not name.strip() or party.lifecycle != UNQUALIFIED or name.strip() == party.display_name:
            return
        columns = columns_of(person_values(name))
        names = {key: columns.party[key] for key in ("display_name", "sort_name")}
        before, after = {"display_name": party.display_name}, {"display_name": names["display_name"]}
        await record_change(
            self._session, self._access, "party", party_id, before=before, after=after, via=self._via
        )
        await self._write(party_id, names)
        parts = {key: columns.detail[key] for key in ("last_name", "first_name", "middle_name")}
        await self._session.execute(update(Person).where(Person.party_id == party_id).values(parts))

    async def _write(self, party_id: int, values: dict[str, Any]) -> None:
        changed = {**values, "version": Party.version + 1, "updated_at": func.now()}
        await self._session.execute(update(Party).where(Party.id == party_id).values(changed))

    async def _party(self, party_id: int) -> Party:
        party = await self._session.get(Party, party_id, populate_existing=True)
        assert party is not None, "a foreign key or a lock keeps it"
        return party

    async def _is_unqualified(self, party_id: int) -> bool:
        return (await self._party(party_id)).lifecycle == UNQUALIFIED

    async def _has_kind(self, party_id: int) -> bool:
        kinds = await kinds_of(self._session, [party_id])
        return any(kind.until is None for kind in kinds.get(party_id, ()))
