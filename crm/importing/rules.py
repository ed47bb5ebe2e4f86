"""What understanding the cells of a file needs to know from the database: kinds, users, lines of our own."""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.custom_fields import list_fields
from crm.importing.plans import Faulty, OwnField, Policy, Rules
from crm.names import normal_name
from crm.numbering import home_profile
from crm.party_kinds import list_kinds
from crm.rights import Access
from crm.schema.access import User
from crm.schema.imports import ImportJob
from crm.schema.telephony import Line
from crm.sources import source_words

# The names of the system's kinds are message ids; files have the words of both languages.
_KIND_WORDS: Final = {
    "prospect": ("потенциальный клиент", "потенциальный", "prospect"),
    "client": ("клиент", "покупатель", "заказчик", "client", "customer"),
    "supplier": ("поставщик", "supplier", "vendor"),
    "agent": ("агент", "партнер", "agent"),
    "other": ("прочее", "прочие", "другое", "other"),
}


async def rules_for(session: AsyncSession, access: Access, job: ImportJob) -> Rules:
    """Everything that understanding a row needs from the database."""
    policy = msgspec.convert(job.policy, Policy)
    kinds = {}
    for kind in await list_kinds(session):
        for word in (kind.code, kind.name, *_KIND_WORDS.get(kind.code, ())):
            kinds[normal_name(word)] = kind.code
    owners, namesakes = await _owners(session, access)
    lines = await session.execute(select(Line.e164, Line.name).where(Line.deleted_at.is_(None)))
    return Rules(
        columns=list(job.columns),
        leaves_out=policy.faulty is Faulty.LEAVE_OUT,
        capitals=policy.capitals,
        region=home_profile(session).region,
        default_kind=policy.default_kind,
        kinds=kinds,
        owners=owners,
        namesakes=namesakes,
        own_lines={e164: name for e164, name in lines if e164},
        own_fields=[each for each in await own_fields(session) if each.column in job.columns],
        sources=await source_words(session),
    )


async def own_fields(session: AsyncSession) -> list[OwnField]:
    """The fields of the company's own that a column can mean: all but the archived."""
    return [
        OwnField(key=each.key, name=each.name, type=each.type, options=list(each.options))
        for each in await list_fields(session)
        if each.archived_at is None
    ]


async def _owners(session: AsyncSession, access: Access) -> tuple[dict[str, int], list[str]]:
    """Whom a row may name: everybody active, or oneself without the right to give clients to others."""
    query = select(User.id, User.login, User.name).where(User.status == "active")
    if not access.may("party.change_owner"):
        query = query.where(User.id == access.user_id)
    users = list(await session.execute(query))
    names = [normal_name(name) for _, _, name in users]
    namesakes = {name for name in names if names.count(name) > 1}
    owners = {name: user[0] for name, user in zip(names, users, strict=True) if name not in namesakes}
    owners |= {login.casefold(): user_id for user_id, login, _ in users}
    return owners, sorted(namesakes - set(owners))
