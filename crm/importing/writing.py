"""A batch of decided rows written at once: what they come to (`crm.importing.sheets`), then a fixed number of statements.

Whoever calls has locked the keys of the rows and decided them (`crm.importing.batches`). Ids are drawn before anything is
stored, so that clients, their ties and what the journals tell of both are built together, in a thread beside the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from crm.importing import storing
from crm.importing.decisions import Decision
from crm.importing.filling import filled_columns
from crm.importing.plans import Known, Policy, Side
from crm.importing.sheets import Held, New, Ties, made_rows, new_clients, tied_rows
from crm.importing.trail import Trail, request_of
from crm.rights import Access, Scope


class Stale(Exception):
    """A client was merged or deleted between looking and locking: decide the batch anew."""


async def write(
    session: AsyncSession, access: Access, job_id: int, policy: Policy, decisions: Sequence[Decision]
) -> set[int]:
    """Store what was decided. Returns the rows that changed a client who was there.

    Raises:
        Stale, IntegrityError: somebody else was faster; nothing of the batch may be kept.
    """
    trail = Trail(access.actor_id, job_id)
    touched, held = await _lock(session, decisions)
    await session.execute(storing.LACKS_LATER)
    changed = await _fill(session, access, policy, decisions, trail)
    new = new_clients(decisions)
    await _number(session, new)
    made, ties = await asyncio.to_thread(_built, access, policy, decisions, new, held, trail)
    if new:
        whose = {"actor": access.actor_id, "job": job_id, "request": request_of(job_id)}
        await session.execute(storing.MAKE, {"rows": made, **whose})
    await _tie(session, access, ties, trail)
    ids = [slot.party_id for _, slot, _ in new]
    await session.execute(storing.LACKS, {"made": ids, "touched": touched})
    await trail.write(session)
    return changed | ties.changed | {each.row for each in decisions if each.changes_anything}


async def _lock(session: AsyncSession, decisions: Sequence[Decision]) -> tuple[list[int], Held]:
    """The clients that are there, kept from others, and what they have. Raises Stale."""
    slots = [slot for each in decisions for slot in (each.organisation, each.person) if slot is not None]
    ids = sorted({slot.party_id for slot in slots if slot.party_id is not None})
    if not ids:
        return [], Held()
    if set(await session.scalars(storing.LOCK, {"ids": ids})) != set(ids):
        raise Stale
    # Asked by a statement of its own: it sees what those had stored for whom the lock had to wait.
    rows = (await session.execute(storing.HELD, {"ids": ids})).all()
    phones, emails, contacts = (frozenset(row[0] for row in rows if row[place]) for place in (1, 2, 3))
    return ids, Held(phones, emails, contacts, {row[0]: frozenset(row[4]) for row in rows})


async def _number(session: AsyncSession, new: Sequence[New]) -> None:
    """Give the new clients their ids and numbers, in the order of the rows."""
    if new:
        given = await session.execute(storing.NUMBERED, {"count": len(new)})
        for (_, slot, _), (party_id, number) in zip(new, given, strict=True):
            slot.party_id, slot.number = party_id, number


def _built(
    access: Access,
    policy: Policy,
    decisions: Sequence[Decision],
    new: Sequence[New],
    held: Held,
    trail: Trail,
) -> tuple[str, Ties]:
    """In a thread: some hundred rows are more than the loop of the calls should wait for."""
    made = _json(made_rows(new, policy, access.actor_id))
    return made, tied_rows(decisions, held, trail)


async def _tie(session: AsyncSession, access: Access, ties: Ties, trail: Trail) -> None:
    phones, emails = _json(ties.phones), _json(ties.emails)
    if ties.phones or ties.emails:
        await session.execute(storing.NAME_POINTS, {"phones": phones, "emails": emails})
    if ties.shared_numbers:
        for number_id in await session.scalars(storing.SHARE_NUMBERS, {"shared": ties.shared_numbers}):
            trail.number_shared(number_id)
    if ties.shared_addresses:
        await session.execute(storing.SHARE_ADDRESSES, {"shared": ties.shared_addresses})
    if ties.phones or ties.emails or ties.kinds or ties.contacts:
        more = {"kinds": _json(ties.kinds), "contacts": _json(ties.contacts)}
        await session.execute(
            storing.TIE, {"phones": phones, "emails": emails, "actor": access.actor_id, **more}
        )


async def _fill(
    session: AsyncSession, access: Access, policy: Policy, decisions: Sequence[Decision], trail: Trail
) -> set[int]:
    """The columns, kinds and responsible users of clients who were there. Returns the rows that changed any."""
    wanted: dict[int, list[tuple[int, Side]]] = {}
    for each in decisions:
        if each.plan is None or not each.fills:
            continue
        for slot, side in ((each.organisation, each.plan.organisation), (each.person, each.plan.person)):
            if slot is not None and side is not None and slot.party_id is not None:
                wanted.setdefault(slot.party_id, []).append((each.row, side))
    changed = await filled_columns(session, policy, wanted, trail)
    return changed | await _change_owners(session, access, policy, decisions, trail)


async def _change_owners(
    session: AsyncSession, access: Access, policy: Policy, decisions: Sequence[Decision], trail: Trail
) -> set[int]:
    if policy.known is not Known.REPLACE or access.scope("party.change_owner") is not Scope.ALL:
        return set()
    rows = {
        each.main.party_id: (each.row, each.plan.owner_id)
        for each in decisions
        if each.fills and each.main is not None and each.plan is not None and each.plan.owner_id
    }
    if not rows:
        return set()
    asked = [{"party_id": party_id, "owner_id": owner_id} for party_id, (_, owner_id) in rows.items()]
    changed = set()
    for party_id, before, after in await session.execute(storing.OWNERS, {"rows": _json(asked)}):
        trail.changed(party_id, "party.changed", {"owner_id": after}, {"owner_id": before})
        changed.add(rows[party_id][0])
    return changed


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()
