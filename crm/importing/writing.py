"""A batch of decided rows written at once: a fixed number of statements for any number of rows.

Every statement takes its rows as one JSON array (as in `crm.call_statements`). Whoever calls has locked the keys of the
rows and decided them (`crm.importing.batches`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.importing.decisions import Decision, Slot
from crm.importing.filling import filled_columns
from crm.importing.plans import Known, Phone, Policy, Side
from crm.importing.trail import Trail
from crm.rights import Access, Scope

_LOCK: Final = text(
    """
    select id from party where id = any(cast(:ids as bigint[])) and merged_into_id is null and deleted_at is null
    order by id for no key update
    """
)
_NUMBERS: Final = text(
    """
    insert into number_counter (kind, value) values ('party', :count)
    on conflict (kind) do update set value = number_counter.value + number_counter.step * :count
    returning value, step
    """
)
_PARTIES: Final = text(
    """
    insert into party (number, type, display_name, sort_name, source, city, note, owner_id, team_id, created_by,
        custom)
    select r.number, r.type, r.display_name, r.sort_name, r.source, r.city, r.note, r.owner_id,
        (select team_id from app_user where id = r.owner_id), :actor, coalesce(r.custom, '{}')
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (number bigint, type text, display_name text, sort_name text,
        source text, city text, note text, owner_id bigint, custom jsonb)
    order by r.number returning number, id
    """
)
_ORGANISATIONS: Final = text(
    """
    insert into organisation (party_id, form, short_name, full_name, inn, kpp, ogrn, website, industry)
    select r.party_id, r.form, r.short_name, r.full_name, r.inn, r.kpp, r.ogrn, r.website, r.industry
    from jsonb_populate_recordset(null::organisation, cast(:rows as jsonb)) as r
    """
)
_PEOPLE: Final = text(
    """
    insert into person (party_id, last_name, first_name, middle_name, birth_date, inn)
    select r.party_id, r.last_name, r.first_name, r.middle_name, r.birth_date, r.inn
    from jsonb_populate_recordset(null::person, cast(:rows as jsonb)) as r
    """
)
_KINDS: Final = text(
    """
    insert into party_kind_assignment (party_id, kind_id, assigned_by, assigned_by_id)
    select r.party_id, kind.id, 'import', :actor
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (party_id bigint, code text)
    join party_kind kind on kind.code = r.code
    on conflict do nothing returning party_id, (select code from party_kind where id = kind_id)
    """
)
_PHONE_NUMBERS: Final = text(
    """
    insert into phone_number (e164, country, type, usage)
    select distinct on (r.e164) r.e164, r.country, r.type, r.usage
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (e164 text, country text, type text, usage text)
    order by r.e164 on conflict do nothing
    """
)
_SHARE_NUMBERS: Final = text(
    """
    update phone_number set usage = 'shared' where usage = 'direct' and e164 = any(cast(:shared as text[]))
    returning id
    """
)
_PHONES: Final = text(
    """
    insert into party_phone (party_id, number_id, usage, extension, presented, is_primary, created_by)
    select r.party_id, number.id, number.usage, r.extension, r.presented, r.is_first and (
        select count(*) from party_phone other
        where other.party_id = r.party_id and other.is_primary and other.ended_at is null
    ) = 0, :actor
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (party_id bigint, e164 text, extension text, presented text,
        is_first boolean)
    join phone_number number on number.e164 = r.e164
    """
)
_ADDRESSES: Final = text(
    """
    insert into email_address (address, usage)
    select distinct on (r.address) r.address, r.usage
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (address text, usage text)
    order by r.address on conflict do nothing
    """
)
_SHARE_ADDRESSES: Final = text(
    """
    update email_address set usage = 'shared' where usage = 'direct' and address = any(cast(:shared as text[]))
    """
)
_EMAILS: Final = text(
    """
    insert into party_email (party_id, email_id, usage, is_primary, created_by)
    select r.party_id, email.id, email.usage, r.is_first and (
        select count(*) from party_email other
        where other.party_id = r.party_id and other.is_primary and other.ended_at is null
    ) = 0, :actor
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (party_id bigint, address text, is_first boolean)
    join email_address email on email.address = r.address
    """
)
_CONTACTS: Final = text(
    """
    insert into affiliation (person_id, organisation_id, position, is_primary, created_by)
    select r.person_id, r.organisation_id, r.position, r.is_first and (
        select count(*) from affiliation other
        where other.organisation_id = r.organisation_id and other.is_primary and other.ended_at is null
    ) = 0, :actor
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (person_id bigint, organisation_id bigint, position text,
        is_first boolean)
    returning person_id, organisation_id, position, is_primary
    """
)
_MADE: Final = text(
    """
    insert into imported_party (party_id, job_id, row)
    select r.party_id, :job, r.row from jsonb_to_recordset(cast(:rows as jsonb)) as r (party_id bigint, row int)
    """
)
_OWNERS: Final = text(
    """
    update party set owner_id = r.owner_id, team_id = (select team_id from app_user where id = r.owner_id),
        version = party.version + 1
    from jsonb_to_recordset(cast(:rows as jsonb)) as r (party_id bigint, owner_id bigint),
        lateral (select owner_id from party before where before.id = r.party_id) as before
    where party.id = r.party_id and party.owner_id is distinct from r.owner_id
    returning party.id, before.owner_id, party.owner_id
    """
)


# What clients lack is told once, when all of a batch is there (revision 0041): at every statement it would come and go again.
_LACKS_LATER: Final = text("select set_config('ringcard.lacks', 'later', true)")
_LACKS: Final = text(
    """
    select set_config('ringcard.lacks', '', true),
        settle_lacks(cast(:made as bigint[]), cast(:touched as bigint[]))
    """
)

# Whether there is a primary one is counted and not asked by `exists`: the server would read the whole table for that.


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
    touched = await _lock(session, decisions)
    await session.execute(_LACKS_LATER)
    changed = await _fill(session, access, policy, decisions, trail)
    made = await _make_parties(session, access, job_id, policy, decisions, trail)
    changed |= await _make_kinds(session, access, decisions, trail)
    await _make_phones(session, access, decisions, trail)
    await _make_emails(session, access, decisions, trail)
    await _make_contacts(session, access, decisions, trail)
    await session.execute(_LACKS, {"made": made, "touched": touched})
    await trail.write(session)
    return changed | {each.row for each in decisions if each.changes_anything}


async def _lock(session: AsyncSession, decisions: Sequence[Decision]) -> list[int]:
    """The clients that are there, kept from others. Raises Stale."""
    slots = [slot for each in decisions for slot in (each.organisation, each.person) if slot is not None]
    ids = sorted({slot.party_id for slot in slots if slot.party_id is not None})
    locked = set(await session.scalars(_LOCK, {"ids": ids})) if ids else set()
    if locked != set(ids):
        raise Stale
    return ids


async def _make_parties(
    session: AsyncSession,
    access: Access,
    job_id: int,
    policy: Policy,
    decisions: Sequence[Decision],
    trail: Trail,
) -> list[int]:
    """The new clients, and their ids."""
    made = [(each, slot, side) for each in decisions for slot, side in each.new_slots]
    if not made:
        return []
    last, step = (await session.execute(_NUMBERS, {"count": len(made)})).one()
    first = last - step * (len(made) - 1)
    rows = []
    for index, (each, _slot, side) in enumerate(made):
        owner_id = (each.plan and each.plan.owner_id) or policy.owner_id or access.actor_id
        rows.append({**side.party, "number": first + step * index, "owner_id": owner_id})
    made_as = await session.execute(_PARTIES, _with(rows, actor=access.actor_id))
    ids: dict[int, int] = dict(made_as.all())
    for row, (each, slot, side) in zip(rows, made, strict=True):
        slot.party_id = ids[row["number"]]
        kinds = each.plan.kinds if each.plan and slot is each.main else []
        told = {**side.party, **side.detail, "owner_id": row["owner_id"], "kinds": sorted(kinds)}
        trail.created(slot.party_id, told)
    for kind, statement in (("organisation", _ORGANISATIONS), ("person", _PEOPLE)):
        await _insert(
            session,
            statement,
            [{"party_id": slot.party_id, **side.detail} for _, slot, side in made if slot.type == kind],
        )
    await _insert(
        session, _MADE, [{"party_id": slot.party_id, "row": each.row} for each, slot, _ in made], job=job_id
    )
    return list(ids.values())


async def _make_kinds(
    session: AsyncSession, access: Access, decisions: Sequence[Decision], trail: Trail
) -> set[int]:
    """The kinds of new clients, and those that the file adds to known ones. Returns the rows that added some."""
    rows = [
        {"party_id": each.main.party_id, "code": code}
        for each in decisions
        if each.main is not None and each.plan is not None
        for code in each.plan.kinds
        if each.makes(each.main) or (each.fills and each.plan.names_kinds)
    ]
    new = {id(slot) for each in decisions for slot, _ in each.new_slots}
    row_of = {each.main.party_id: each.row for each in decisions if each.main and id(each.main) not in new}
    added = await _returning(session, _KINDS, rows, actor=access.actor_id)
    known = [(party_id, code) for party_id, code in added if party_id in row_of]
    for party_id, code in known:
        trail.changed(party_id, "party.changed", {"kind": code})
    return {row_of[party_id] for party_id, _ in known}


async def _make_phones(
    session: AsyncSession, access: Access, decisions: Sequence[Decision], trail: Trail
) -> None:
    ties = [tie for each in decisions for tie in each.phones]
    rows = [_phone_row(slot, phone, shares) for slot, phone, shares in ties]
    _mark_first(rows, "party_id")
    await _insert(session, _PHONE_NUMBERS, rows)
    shared = sorted({phone.e164 for _, phone, shares in ties if shares})
    if shared:
        for number_id in await session.scalars(_SHARE_NUMBERS, {"shared": shared}):
            trail.number_shared(number_id)
    await _insert(session, _PHONES, rows, actor=access.actor_id)
    for row in rows:
        trail.changed(
            row["party_id"],
            "party.number_added",
            {"number": row["e164"], "extension": row["extension"], "usage": row["usage"]},
        )


def _phone_row(slot: Slot, phone: Phone, shares: bool) -> dict[str, Any]:
    return {
        "party_id": slot.party_id,
        "e164": phone.e164,
        "extension": phone.extension,
        "presented": phone.presented,
        "country": phone.country,
        "type": phone.type,
        "usage": "shared" if shares else "direct",
    }


async def _make_emails(
    session: AsyncSession, access: Access, decisions: Sequence[Decision], trail: Trail
) -> None:
    ties = [tie for each in decisions for tie in each.emails]
    rows: list[dict[str, Any]] = [
        {"party_id": slot.party_id, "address": address, "usage": "shared" if shares else "direct"}
        for slot, address, shares in ties
    ]
    _mark_first(rows, "party_id")
    await _insert(session, _ADDRESSES, rows)
    shared = sorted({address for _, address, shares in ties if shares})
    if shared:
        await session.execute(_SHARE_ADDRESSES, {"shared": shared})
    await _insert(session, _EMAILS, rows, actor=access.actor_id)
    for row in rows:
        trail.changed(row["party_id"], "party.email_added", {"email": row["address"]})


async def _make_contacts(
    session: AsyncSession, access: Access, decisions: Sequence[Decision], trail: Trail
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "person_id": each.person.party_id,
            "organisation_id": each.organisation.party_id,
            "position": (each.plan.position if each.plan else "") or None,
        }
        for each in decisions
        if each.joins and each.person is not None and each.organisation is not None
    ]
    _mark_first(rows, "organisation_id")
    made = await _returning(session, _CONTACTS, rows, actor=access.actor_id)
    for person_id, organisation_id, position, is_primary in made:
        after = {"contact": person_id, "position": position, "is_primary": is_primary}
        trail.changed(organisation_id, "party.contact_added", after)


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
    asked = [{"party_id": party_id, "owner_id": owner_id} for party_id, (_, owner_id) in rows.items()]
    changed = set()
    for party_id, before, after in await _returning(session, _OWNERS, asked):
        trail.changed(party_id, "party.changed", {"owner_id": after}, {"owner_id": before})
        changed.add(rows[party_id][0])
    return changed


def _mark_first(rows: Iterable[dict[str, Any]], key: str) -> None:
    """The first of each party's rows becomes its primary one, if it has none."""
    seen: set[Any] = set()
    for row in rows:
        row["is_first"] = row[key] not in seen
        seen.add(row[key])


async def _insert(
    session: AsyncSession, statement: Any, rows: Sequence[Mapping[str, Any]], **more: Any
) -> None:
    if rows:
        await session.execute(statement, _with(rows, **more))


async def _returning(
    session: AsyncSession, statement: Any, rows: Sequence[Mapping[str, Any]], **more: Any
) -> list[Any]:
    return list(await session.execute(statement, _with(rows, **more))) if rows else []


def _with(rows: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    return {"rows": msgspec.json.encode(rows).decode(), **more}
