"""Leads in work: giving them to people, moving, pausing and ending them. They come in by `crm.lead_intake`, become clients by
`crm.lead_conversion`, and are read by `crm.lead_lists` and `crm.lead_cards`.

Stages change through `crm.stages.move` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import differing, last_author
from crm.errors import Conflict, Invalid, NotFound
from crm.lead_errors import AnotherLeadOpen, LeadIsOver, NeedsConversion
from crm.lead_intake import open_automatic
from crm.lead_locks import parties_then_lead
from crm.lead_values import LEAD, OPEN_STATES, REQUIRABLE, read_fields
from crm.notifications import tell_users
from crm.rights import Access
from crm.schema.access import User
from crm.schema.leads import Lead
from crm.schema.parties import Party
from crm.schemes import scheme_of
from crm.sources import as_stored
from crm.stage_rules import Outcome, SchemeInfo, StageIncomplete
from crm.stages import Move, Moved, hold, lacks, locked, move, resume, write

_ONE_AUTOMATIC: Final = "uq_lead_open_automatic"


async def edit_lead(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    fields: Mapping[str, str],
    *,
    base_version: int | None = None,
    via: str = "form",
) -> int:
    """What a person writes about a lead: title, need, source. Returns the version.

    Raises:
        NotAllowed, NotFound, Conflict (naming the fields that differ), Invalid, LeadIsOver, StageIncomplete (its stage
        needs what is emptied).
    """
    lead = await _open_lead(session, access, lead_id)
    columns = await as_stored(session, read_fields(fields))
    await _refuse_stale(session, lead, columns, base_version)
    await _keep_required(session, lead, columns)
    return await write(session, access, LEAD, lead, columns, via=via)


async def _refuse_stale(
    session: AsyncSession, lead: Lead, columns: Mapping[str, Any], base_version: int | None
) -> None:
    """Whoever wrote on an old page is told what stands there now, field by field."""
    if base_version in (None, lead.version):
        return
    stored = {name: getattr(lead, name) for name in columns}
    raise Conflict(differing(stored, columns), lead.version, await last_author(session, LEAD.name, lead.id))


async def _keep_required(session: AsyncSession, lead: Lead, columns: Mapping[str, Any]) -> None:
    """What was empty before its stage asked for it may stay so; what is there is not taken away."""
    emptied = [name for name, value in columns.items() if value is None and getattr(lead, name) is not None]
    stage = (await scheme_of(session, lead.scheme_id)).stage(lead.stage_id)
    if not emptied or stage is None:
        return
    lacking = await lacks(session, LEAD, lead, None, stage, columns)
    if missing := {name: REQUIRABLE[name] for name in lacking if name in emptied}:
        raise StageIncomplete(stage.name, missing)


async def take_lead(session: AsyncSession, access: Access, lead_id: int, *, via: str = "form") -> None:
    """Whoever asks becomes responsible for a lead that is nobody's. Of several at once one gets it.

    Raises:
        NotAllowed, NotFound, Invalid (somebody has it already), LeadIsOver, Conflict (merged at this very moment).
    """
    access.require("lead.edit")
    lead = _going(await parties_then_lead(session, access, lead_id, right="lead.read"))
    if lead.owner_id == access.actor_id:
        return
    if lead.owner_id is not None:
        name = await session.scalar(select(User.name).where(User.id == lead.owner_id))
        raise Invalid("owner_id", lead.owner_id, "%(name)s has taken this lead already.", name=name)
    await _give(session, access, lead, access.actor_id, via)


async def assign_lead(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    owner_id: int | None,
    *,
    is_told: bool = True,
    base_version: int | None = None,
    via: str = "form",
) -> None:
    """Another responsible user, and with them their team, notified if `is_told`; None: nobody.

    Raises:
        NotAllowed, NotFound (the lead, or no such active user), LeadIsOver, Conflict (changed meanwhile, or merged at this
        very moment).
    """
    lead = _going(await parties_then_lead(session, access, lead_id, right="lead.change_owner"))
    await _refuse_stale(session, lead, {"owner_id": owner_id}, base_version)
    before = lead.owner_id
    await _give(session, access, lead, owner_id, via)
    if is_told and owner_id is not None and owner_id != before:
        told: dict[str, Any] = {"record_id": lead_id, "detail": {"name": f"№ {lead.number}"}}
        await tell_users(session, access, [owner_id], "assigned", record_kind="lead", **told)


async def move_lead(session: AsyncSession, access: Access, lead_id: int, asked: Move) -> Moved:
    """Move a lead, also to disqualify or to reopen it; everything but its conversion.

    Raises:
        as `crm.stages.move`; NeedsConversion, AnotherLeadOpen.
    """
    scheme = await _scheme_of_lead(session, lead_id)
    wanted = scheme.stage(asked.to_stage_id) if scheme else None
    if wanted is not None and wanted.outcome is Outcome.SUCCESS:
        await locked(session, access, LEAD, lead_id)
        raise NeedsConversion(wanted.name)
    try:
        async with session.begin_nested():
            return await move(session, access, LEAD, lead_id, asked)
    except IntegrityError as error:
        if _ONE_AUTOMATIC not in str(error.orig):
            raise
        raise await _another_open(session, lead_id) from error


async def disqualify_lead(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    reason: int | str | None,
    *,
    note: str = "",
    base_version: int | None = None,
    via: str = "form",
) -> Moved:
    """End a lead without a client. `reason`: its id, or the code of a system one (spam, duplicate).

    Raises:
        as `move_lead`.
    """
    scheme = await _scheme_of_lead(session, lead_id)
    if scheme is None:
        access.require("lead.edit")
        raise NotFound("lead", lead_id)
    asked = Move(
        to_stage_id=scheme.failure.id, reason=reason, comment=note, base_version=base_version, via=via
    )
    return await move_lead(session, access, lead_id, asked)


async def reopen_lead(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    *,
    stage_id: int | None = None,
    base_version: int | None = None,
    via: str = "form",
) -> Moved:
    """Open a converted or disqualified lead again, in a stage of choice, by default its first; what it became stays.

    Raises:
        as `move_lead`; Invalid (it is open).
    """
    access.require("lead.reopen")
    scheme = await _scheme_of_lead(session, lead_id)
    lead = await locked(session, access, LEAD, lead_id, right="lead.reopen", base_version=base_version)
    if lead.state in OPEN_STATES:
        raise Invalid("state", lead.state, "This lead is open.")
    assert scheme is not None, "a lead has its scheme"
    return await move_lead(session, access, lead_id, Move(to_stage_id=stage_id or scheme.first.id, via=via))


async def hold_lead(
    session: AsyncSession,
    access: Access,
    lead_id: int,
    *,
    reason: str = "",
    resume_on: date | None = None,
    base_version: int | None = None,
    via: str = "form",
) -> int:
    """As `crm.stages.hold`."""
    more: dict[str, Any] = {
        "reason": reason,
        "resume_on": resume_on,
        "base_version": base_version,
        "via": via,
    }
    return await hold(session, access, LEAD, lead_id, **more)


async def resume_lead(
    session: AsyncSession, access: Access, lead_id: int, *, base_version: int | None = None, via: str = "form"
) -> int:
    """As `crm.stages.resume`."""
    return await resume(session, access, LEAD, lead_id, base_version=base_version, via=via)


async def stand_of(session: AsyncSession, lead_id: int) -> Lead:
    """Where a lead stands, for whoever has just changed it; no right is asked again."""
    lead = await session.get(Lead, lead_id, populate_existing=True)
    if lead is None:
        raise NotFound("lead", lead_id)
    return lead


async def _open_lead(session: AsyncSession, access: Access, lead_id: int) -> Lead:
    return _going(await locked(session, access, LEAD, lead_id))


def _going(lead: Lead) -> Lead:
    if lead.state not in OPEN_STATES:
        raise LeadIsOver
    return lead


async def _scheme_of_lead(session: AsyncSession, lead_id: int) -> SchemeInfo | None:
    """None: there is no such lead. What it holds is the company's, not the lead's: no right is asked."""
    scheme_id = await session.scalar(select(Lead.scheme_id).where(Lead.id == lead_id))
    return None if scheme_id is None else await scheme_of(session, scheme_id)


async def _give(session: AsyncSession, access: Access, lead: Lead, owner_id: int | None, via: str) -> None:
    """The lead changes hands, and with it whoever is known from it alone."""
    subjects = [each for each in (lead.person_id, lead.organisation_id) if each is not None]
    team_id = lead.team_id
    if owner_id is not None:
        user = await session.scalar(select(User).where(User.id == owner_id, User.status == "active"))
        if user is None:
            raise NotFound("user", owner_id)
        team_id = user.team_id
    after = {"owner_id": owner_id, "team_id": team_id}
    await write(session, access, LEAD, lead, after, event="lead.assigned", via=via)
    await session.execute(
        update(Party).where(Party.id.in_(subjects), Party.lifecycle == "unqualified").values(after)
    )


async def _another_open(session: AsyncSession, lead_id: int) -> AnotherLeadOpen:
    subject = select(Lead.subject_party_id, Lead.scheme_id).where(Lead.id == lead_id)
    party_id, scheme_id = (await session.execute(subject)).one()
    found = await open_automatic(session, party_id, scheme_id)
    assert found is not None, "the index that refused keeps it"
    return AnotherLeadOpen(*found)
