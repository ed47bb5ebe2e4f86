"""A new owner of a number adopts its earlier calls that are nobody's: a few numbers at a time, soon after they were attached.

Which party and contact that is the look-up of callers says, as for a call that rings now: of several owners nobody is picked. What
people said of a call stays, also that it is nobody's.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import publish
from crm.lead_locks import lock_parties
from crm.matching import find_by_number
from crm.rights import Access
from crm.schema.parties import PartyPhone, PhoneNumber
from cti.numbers import E164, Number, NumberKind

AT_ONCE: Final = 20  # numbers
_ADOPT: Final = text(
    """
    with adopted as (
        update communication c set party_id = :party, contact_id = cast(:contact as bigint), link_source = 'auto', updated_at = now()
        from call
        where call.id = c.id and call.customer_e164 = :number and c.party_id is null and c.contact_id is null
            and c.link_source is distinct from 'agent' and not c.is_internal
        returning c.id, call.started_at, call.answered_at
    ), latest as (
        select max(started_at) as started_at, max(answered_at) as answered_at from adopted
    ), touched as (
        update party set last_communication_at = greatest(last_communication_at, latest.started_at),
            last_talk_at = greatest(last_talk_at, latest.answered_at)
        from latest where id in (:party, cast(:contact as bigint)) and latest.started_at is not null
    )
    select id from adopted order by id
    """
)
_CASES: Final = text(
    """
    update callback_case set party_id = :party, contact_id = cast(:contact as bigint)
    where e164 = :number and party_id is null and contact_id is null and state in ('open', 'attempted')
    """
)


async def adopt_piece(session: AsyncSession, access: Access) -> bool:
    """For some numbers that were attached since; False: there are none."""
    rows = await session.execute(
        select(PartyPhone.id, PhoneNumber.e164)
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .where(PartyPhone.is_adopting)
        .order_by(PartyPhone.id)
        .limit(AT_ONCE)
    )
    found = rows.all()
    for e164 in dict.fromkeys(e164 for _, e164 in found if e164 is not None):
        await _adopt(session, access, e164)
    done = [phone_id for phone_id, _ in found]
    await session.execute(update(PartyPhone).where(PartyPhone.id.in_(done)).values(is_adopting=False))
    return bool(found)


async def _adopt(session: AsyncSession, access: Access, e164: str) -> None:
    number = Number(kind=NumberKind.E164, presented=e164, e164=E164(e164))
    party_id, contact_id = (await find_by_number(session, number)).link
    if party_id is None:
        return
    await lock_parties(session, [party_id, contact_id])
    if (await find_by_number(session, number)).link != (party_id, contact_id):
        return  # merged, or no longer theirs: whoever has it now adopts
    values = {"party": party_id, "contact": contact_id, "number": e164}
    adopted = (await session.scalars(_ADOPT, values)).all()
    await session.execute(_CASES, values)
    for call_id in adopted:
        await publish(session, access, "communication.changed", "communication", call_id)
