"""Who has the numbers, addresses, INN and names of many rows: a fixed number of queries for any number of them.

Read-only. A run locks the keys first (`crm.importing.batches`), so that what is found stays true until it commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.importing.filling import known_columns
from crm.importing.plans import Plan
from crm.required_fields import required_fields
from crm.rights import Access, condition
from crm.schema.access import User
from crm.schema.parties import Party

Key = tuple[str, str]
MOST_NAMESAKES: Final = 5_000  # of all names of a batch together


@dataclass(slots=True, kw_only=True)
class Found:
    """A party that is there already."""

    id: int
    type: str
    name: str
    sort_name: str
    inn: str
    kpp: str
    owner_name: str
    is_deleted: bool
    may_edit: bool
    organisations: frozenset[int] = frozenset()  # where a person works now


@dataclass(slots=True, kw_only=True)
class Stored:
    """What a known party has, to tell whether it lacks what its kinds need."""

    kinds: frozenset[str]
    columns: dict[str, Any]  # those that an import fills
    has_phone: bool  # of its own or of a contact
    has_email: bool


@dataclass(slots=True, kw_only=True)
class Findings:
    """What the database knows of the keys of some rows; the ids are those of `parties`."""

    parties: dict[int, Found] = field(default_factory=dict)
    phones: dict[Key, list[int]] = field(default_factory=dict)  # (E.164, extension) → owners
    emails: dict[str, list[int]] = field(default_factory=dict)
    organisations: dict[str, list[int]] = field(default_factory=dict)  # by INN, whatever the KPP
    people: dict[str, int] = field(default_factory=dict)  # by INN
    names: dict[Key, list[int]] = field(default_factory=dict)  # (type, sort name) → active parties
    rows: dict[int, int] = field(default_factory=dict)  # party → the row of this very import that made it
    required: dict[str, frozenset[str]] = field(default_factory=dict)  # kind → fields it needs
    stored: dict[int, Stored] = field(default_factory=dict)  # of `parties`, where any kind needs a field


_PLAN_ANEW: Final = text("set local plan_cache_mode = force_custom_plan")
_PLAN_AS_USUAL: Final = text("set local plan_cache_mode = auto")
_PHONES = text(
    """
    select number.e164, tie.extension, coalesce(party.merged_into_id, party.id)
    from phone_number number
    join party_phone tie on tie.number_id = number.id and tie.ended_at is null
    join party on party.id = tie.party_id
    where number.e164 = any(cast(:asked as text[])) order by tie.id
    """
)
_EMAILS = text(
    """
    select email.address, coalesce(party.merged_into_id, party.id)
    from email_address email
    join party_email tie on tie.email_id = email.id and tie.ended_at is null
    join party on party.id = tie.party_id
    where email.address = any(cast(:asked as text[])) order by tie.id
    """
)
_ORGANISATIONS = text(
    """
    select organisation.inn, coalesce(party.merged_into_id, party.id)
    from organisation join party on party.id = organisation.party_id
    where organisation.inn = any(cast(:asked as text[])) order by party.id
    """
)
_PEOPLE = text(
    """
    select person.inn, coalesce(party.merged_into_id, party.id)
    from person join party on party.id = person.party_id where person.inn = any(cast(:asked as text[]))
    """
)
_NAMES = text(
    """
    select type, sort_name, id from party
    where sort_name = any(cast(:asked as text[]) collate "C") and lifecycle = 'active' and deleted_at is null
    limit :most
    """
)
_DETAILS = text(
    """
    select party.id, coalesce(organisation.inn, person.inn, ''), coalesce(organisation.kpp, ''),
        array(select organisation_id from affiliation where person_id = party.id and ended_at is null)
    from party
    left join organisation on organisation.party_id = party.id
    left join person on person.party_id = party.id
    where party.id = any(cast(:asked as bigint[]))
    """
)
_STORED = text(
    """
    select party.id, party.type, to_jsonb(party), coalesce(to_jsonb(organisation), to_jsonb(person)),
        array(
            select kind.code from party_kind_assignment given join party_kind kind on kind.id = given.kind_id
            where given.party_id = party.id and given.status <> 'ended'
        ),
        exists (select from party_phone where party_id = party.id and ended_at is null) or exists (
            select from affiliation tie join party_phone phone on phone.party_id = tie.person_id
            where tie.organisation_id = party.id and tie.ended_at is null and phone.ended_at is null
        ),
        exists (select from party_email where party_id = party.id and ended_at is null)
    from party
    left join organisation on organisation.party_id = party.id
    left join person on person.party_id = party.id
    where party.id = any(cast(:asked as bigint[]))
    """
)
_MADE = text(
    "select party_id, row from imported_party where job_id = :job and party_id = any(cast(:asked as bigint[]))"
)


async def look(session: AsyncSession, access: Access, plans: Sequence[Plan], job_id: int) -> Findings:
    """Everything that is known of these rows' clients, and whether this user may change them."""
    findings = Findings()
    # An import can multiply the tables: a plan made while they were small would read them whole.
    await session.execute(_PLAN_ANEW)
    await _look_by_keys(session, plans, findings)
    await _look_by_name(session, plans, findings)
    ids = {
        *_ids(findings.phones),
        *_ids(findings.emails),
        *_ids(findings.organisations),
        *_ids(findings.names),
    }
    ids |= set(findings.people.values())
    findings.parties = await _parties(session, access, ids)
    made = await session.execute(_MADE, {"job": job_id, "asked": sorted(ids)})
    findings.rows = dict(made.all())
    findings.required = await required_fields(session)
    if findings.required and ids:
        findings.stored = await _stored(session, ids)
    # Only for looking: the server would plan the check of every foreign key of every row anew as well.
    await session.execute(_PLAN_AS_USUAL)
    return findings


def _ids(owners: Mapping[Any, Iterable[int]]) -> Iterable[int]:
    return (each for several in owners.values() for each in several)


async def _look_by_keys(session: AsyncSession, plans: Sequence[Plan], findings: Findings) -> None:
    sides = [side for plan in plans for side in plan.sides]
    numbers = sorted({phone.e164 for side in sides for phone in side.phones})
    for e164, extension, party_id in await _rows(session, _PHONES, numbers):
        findings.phones.setdefault((e164, extension), []).append(party_id)
    for address, party_id in await _rows(
        session, _EMAILS, sorted({each for side in sides for each in side.emails})
    ):
        findings.emails.setdefault(address, []).append(party_id)
    of_firms = sorted({side.inn for side in sides if side.inn and side.type == "organisation"})
    for inn, party_id in await _rows(session, _ORGANISATIONS, of_firms):
        findings.organisations.setdefault(inn, []).append(party_id)
    of_people = sorted({side.inn for side in sides if side.inn and side.type == "person"})
    findings.people = {row[0]: row[1] for row in await _rows(session, _PEOPLE, of_people)}


async def _rows(session: AsyncSession, query: Any, asked: Sequence[Any]) -> list[Any]:
    return list(await session.execute(query, {"asked": asked})) if asked else []


async def _look_by_name(session: AsyncSession, plans: Sequence[Plan], findings: Findings) -> None:
    wanted = {(side.type, side.sort_name) for plan in plans for side in plan.sides}
    asked = {"asked": sorted({name for _, name in wanted}), "most": MOST_NAMESAKES}
    for kind, name, party_id in sorted(await session.execute(_NAMES, asked), key=lambda row: row[2]):
        if (kind, name) in wanted:
            findings.names.setdefault((kind, name), []).append(party_id)


async def _stored(session: AsyncSession, ids: Iterable[int]) -> dict[int, Stored]:
    rows = await session.execute(_STORED, {"asked": sorted(ids)})
    return {
        party_id: Stored(
            kinds=frozenset(kinds),
            columns=known_columns(kind, party, detail),
            has_phone=has_phone,
            has_email=has_email,
        )
        for party_id, kind, party, detail, kinds, has_phone, has_email in rows
    }


async def _parties(session: AsyncSession, access: Access, ids: Iterable[int]) -> dict[int, Found]:
    asked = sorted(set(ids))
    if not asked:
        return {}
    details = {row[0]: row for row in await session.execute(_DETAILS, {"asked": asked})}
    may_edit = condition(access, "party.edit", Party).label("may_edit")
    rows = await session.execute(
        select(
            Party.id, Party.type, Party.display_name, Party.sort_name, Party.deleted_at, User.name, may_edit
        )
        .outerjoin(User, User.id == Party.owner_id)
        .where(Party.id.in_(asked))
    )
    return {
        party_id: Found(
            id=party_id,
            type=kind,
            name=name,
            sort_name=sort_name,
            inn=details[party_id][1],
            kpp=details[party_id][2],
            owner_name=owner or "—",
            is_deleted=deleted_at is not None,
            may_edit=bool(is_editable),
            organisations=frozenset(details[party_id][3]),
        )
        for party_id, kind, name, sort_name, deleted_at, owner, is_editable in rows
    }
