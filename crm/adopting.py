"""A new owner of a number adopts its earlier calls that are nobody's: a number at a time, soon after they were attached.

Which party and contact that is the look-up of callers says, as for a call that rings now: of several owners nobody is picked. What
people said of a call stays, also that it is nobody's. An owner who goes into the bin gives up what it adopted, with its numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import publish_many
from crm.lead_locks import lock_parties
from crm.matching import find_by_number
from crm.rights import Access
from cti.numbers import E164, Number, NumberKind

AT_ONCE: Final = 50  # numbers looked at; one of them adopts
CALLS_AT_ONCE: Final = 500
_CALLS: Final = """
    from call join communication c on c.id = call.id
    where call.customer_e164 = {number} and c.party_id is null and c.contact_id is null
        and c.link_source is distinct from 'agent' and not c.is_internal
    """
_CASES: Final = """
    e164 = {number} and party_id is null and contact_id is null and state in ('open', 'attempted')
    """
_NEXT: Final = text(
    f"""
    select phone.id, number.e164, exists (select {_CALLS.format(number="number.e164")})
        or exists (select from callback_case where {_CASES.format(number="number.e164")}) as is_waited_for
    from (select id, number_id from party_phone where is_adopting order by id limit :most) phone
    join phone_number number on number.id = phone.number_id
    order by phone.id
    """  # noqa: S608 - our own words
)
# Triggers on numbers touch their owners. Nobody is waited for: whoever holds one may change its numbers, which are looked at again.
_LOOKED_AT: Final = text(
    """
    with owners as materialized (
        select id from party where id in (select party_id from party_phone where id = any(:ids))
        order by id for no key update skip locked
    )
    update party_phone set is_adopting = false where id in (
        select id from party_phone where id = any(:ids) and party_id in (select id from owners)
        order by id for no key update skip locked
    )
    """
)
_ADOPT: Final = text(
    f"""
    with found as (
        select c.id, call.started_at, call.answered_at {_CALLS.format(number=":number")} limit :most
    ), adopted as (
        update communication c set party_id = :party, contact_id = cast(:contact as bigint), link_source = 'auto', updated_at = now()
        from found
        where found.id = c.id and c.party_id is null and c.contact_id is null and c.link_source is distinct from 'agent'
        returning c.id, found.started_at, found.answered_at
    ), latest as (
        select max(started_at) as started_at, max(answered_at) as answered_at from adopted
    ), touched as (
        update party set last_communication_at = greatest(last_communication_at, latest.started_at),
            last_talk_at = greatest(last_talk_at, latest.answered_at)
        from latest where id in (:party, cast(:contact as bigint)) and latest.started_at is not null
    )
    select id from adopted order by id
    """  # noqa: S608
)
_ADOPT_CASES: Final = text(
    f"""
    update callback_case set party_id = :party, contact_id = cast(:contact as bigint) where {_CASES.format(number=":number")}
    """  # noqa: S608
)
# Since when calls can be its own: it has the calls of those merged into it as well.
_THEIRS: Final = """
    theirs as materialized (
        select p.id, least(p.created_at, (select min(m.created_at) from party m where m.merged_into_id = p.id)) as since
        from party p where p.id = any(:ids)
    ), numbers as materialized (
        select number.e164 from party_phone phone join phone_number number on number.id = phone.number_id
        where phone.party_id = any(:ids) and phone.ended_at is null and number.e164 is not null
    )
    """


def _each_side(query: str) -> str:
    """Two steps in an index each, where a condition with "or" would read the whole table."""
    return " union ".join(query.format(side=side) for side in ("party_id", "contact_id"))


_ADOPTED_CALLS: Final = _each_side(
    "select c.id from theirs join communication c on c.{side} = theirs.id and c.started_at < theirs.since"
    " where c.link_source = 'auto' and c.lead_id is null"
)
_ADOPTED_CASES: Final = _each_side(
    "select k.id from theirs join callback_case k on k.{side} = theirs.id and k.first_missed_at < theirs.since"
    " where k.state in ('open', 'attempted')"
)
_GIVE_UP: Final = text(
    f"""
    with {_THEIRS}
    update communication c set party_id = null, contact_id = null, link_source = null, updated_at = now()
    from call
    where call.id = c.id and call.customer_e164 in (select e164 from numbers) and c.id in ({_ADOPTED_CALLS})
    returning c.id
    """  # noqa: S608
)
# A case follows its calls: where people said whose one of them is, it is theirs.
_GIVE_UP_CASES: Final = text(
    f"""
    with {_THEIRS}
    update callback_case k set party_id = null, contact_id = null
    where k.e164 in (select e164 from numbers) and k.id in ({_ADOPTED_CASES}) and not exists (
        select from callback_miss miss join communication c on c.id = miss.call_id
        where miss.case_id = k.id and c.link_source = 'agent'
    )
    """  # noqa: S608
)


async def adopt_piece(session: AsyncSession, access: Access) -> bool:
    """For some numbers that were attached since; False: there are none.

    Parties are locked for one number only: those of several would be locked in another order than by their ids.
    """
    found = (await session.execute(_NEXT, {"most": AT_ONCE})).all()
    waited = next((row.e164 for row in found if row.is_waited_for), None)
    if waited is None or await _adopt(session, access, waited):
        done = [row.id for row in found if waited in (None, row.e164)]
        await session.execute(_LOOKED_AT, {"ids": done})
    return bool(found)


async def _adopt(session: AsyncSession, access: Access, e164: str) -> bool:
    """Whether nothing is left to adopt."""
    number = Number(kind=NumberKind.E164, presented=e164, e164=E164(e164))
    party_id, contact_id = (await find_by_number(session, number)).link
    if party_id is None:
        return True
    await lock_parties(session, [party_id, contact_id])
    if (await find_by_number(session, number)).link != (party_id, contact_id):
        return False  # merged, or no longer theirs: whoever has it now adopts
    values = {"party": party_id, "contact": contact_id, "number": e164}
    adopted = (await session.scalars(_ADOPT, {**values, "most": CALLS_AT_ONCE})).all()
    await session.execute(_ADOPT_CASES, values)
    await publish_many(session, access, "communication.changed", "communication", adopted)
    return len(adopted) < CALLS_AT_ONCE


async def give_up_adopted(session: AsyncSession, access: Access, party_ids: Sequence[int]) -> None:
    """What parties, which are locked, adopted through the numbers they still have is nobody's again: another owner may adopt it."""
    ids = {"ids": list(party_ids)}
    given_up = (await session.scalars(_GIVE_UP, ids)).all()
    await session.execute(_GIVE_UP_CASES, ids)
    await publish_many(session, access, "communication.changed", "communication", sorted(given_up))
