"""Why a party could not be saved: saved by somebody meanwhile, or its INN is somebody else's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import as_json, last_author
from crm.errors import AlreadyExists, Conflict
from crm.party_access import constraint_of
from crm.party_values import PartyColumns
from crm.schema.access import User
from crm.schema.parties import Organisation, Party, Person


async def conflict_of(
    session: AsyncSession, party: Party, stored: dict[str, Any], sent: dict[str, Any]
) -> Conflict:
    """Field by field, what is stored now and what was sent."""
    hidden = {"sort_name", "display_name"}
    fields = {
        name: (as_json(stored[name]), as_json(sent[name]))
        for name in stored
        if stored[name] != sent[name] and name not in hidden
    }
    return Conflict(fields, party.version, await last_author(session, "party", party.id))


async def meaning_of(session: AsyncSession, error: IntegrityError, columns: PartyColumns) -> Exception:
    """Whose the INN is; the error itself where it says something else."""
    inn, kpp = columns.detail["inn"], columns.detail.get("kpp")
    detail: Any = {"uq_person_inn": Person, "uq_organisation_inn_kpp": Organisation}.get(constraint_of(error))
    if detail is None or inn is None:
        return error
    author, responsible = User.__table__.alias("author"), User.__table__.alias("responsible")
    query = (
        select(
            Party.id, Party.display_name, Party.created_at, author.c.name, responsible.c.name, Party.version
        )
        .join(detail, detail.party_id == Party.id)
        .outerjoin(author, author.c.id == Party.created_by)
        .outerjoin(responsible, responsible.c.id == Party.owner_id)
        .where(detail.inn == inn)
    )
    if detail is Organisation:
        query = query.where(func.coalesce(Organisation.kpp, "") == (kpp or ""))
    party_id, name, created_at, created_by, owner, version = (await session.execute(query)).one()
    return AlreadyExists(
        "inn",
        inn,
        party_id=party_id,
        name=name,
        created_by=created_by or "",
        created_at=created_at,
        owner=owner or "",
        version=version,
    )
