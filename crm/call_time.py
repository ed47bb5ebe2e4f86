"""Call-time access: whose cards an agent may read because they ring or rang here (crm-model 11).

While a call rings at an agent or is talked, the right follows from the call itself: nothing is written, so nothing has
to be taken back when the ringing stops. After an answered call a grant keeps it for a day; the journal writes it, in
`crm.call_store`.
"""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from sqlalchemy import CompoundSelect, Select, func, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from crm.schema.access import AccessGrant
from crm.schema.communications import Call, Communication, Participation
from crm.schema.parties import Affiliation, PartyPhone, PhoneNumber


@lru_cache(maxsize=1024)  # to make it costs more than to ask with it
def call_time_parties(user_id: int) -> CompoundSelect[int | None]:
    """Ids of the parties readable by a call of now, or by a grant that has not run out; some may be null."""
    granted = select(AccessGrant.party_id).where(
        AccessGrant.user_id == user_id, AccessGrant.until > func.statement_timestamp()
    )
    calls = _present_calls(user_id).cte()
    linked = select(Communication).join(calls, calls.c.id == Communication.id).subquery()
    callers = (
        select(PartyPhone.party_id)
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .join(calls, calls.c.customer_e164 == PhoneNumber.e164)
        .where(PartyPhone.ended_at.is_(None))
        .cte()
    )
    firms = (
        select(Affiliation.organisation_id)
        .join(callers, callers.c.party_id == Affiliation.person_id)
        .where(Affiliation.ended_at.is_(None))
    )
    return union(
        granted, select(linked.c.party_id), select(linked.c.contact_id), select(callers.c.party_id), firms
    )


async def called_parties(session: AsyncSession, user_id: int) -> list[int]:
    """The same, as of now: for a list that would ask for them in every part."""
    return [
        party_id for party_id in await session.scalars(call_time_parties(user_id)) if party_id is not None
    ]


def _present_calls(user_id: int) -> Select[UUID, str | None]:
    return (
        select(Call.id, Call.customer_e164)
        .join(Participation, Participation.call_id == Call.id)
        .where(Call.ended_at.is_(None), Participation.user_id == user_id, Participation.left_at.is_(None))
    )
