"""The number policy: read, changed, and asked before every call that somebody places or passes on to outside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import phonenumbers
from sqlalchemy import Select, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import last_author, log_access, record_change
from crm.dial_rules import Dialled, DialRefused, DialVerdict, Policy, TargetFacts, judge, refusal
from crm.errors import Conflict, Invalid
from crm.rights import Access
from crm.schema.dialling import DiallingPolicy, DialRequest
from crm.schema.parties import Party, PartyPhone, PhoneNumber
from crm.schema.telephony import Extension, ExtensionAssignment, Line, NumberNote
from cti.numbers import Number, NumberKind

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_MOST: Final = 1_000_000
MOST_REASON: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the policy says of a number, and the error that tells it."""

    verdict: DialVerdict
    error: DialRefused | None = None


async def read_policy(session: AsyncSession, *, for_update: bool = False) -> Policy:
    """The policy as it stands; `for_update` makes clicks wait for one another, so that limits are kept exactly."""
    query = select(DiallingPolicy).execution_options(populate_existing=True)
    row = (await session.scalars(query.with_for_update() if for_update else query)).one()
    return Policy(
        is_stopped=row.is_stopped,
        countries=frozenset(row.countries),
        allows_premium=row.allows_premium,
        allows_short=row.allows_short,
        most_per_hour=row.most_per_hour,
        most_per_day=row.most_per_day,
        most_of_all=row.most_of_all,
        version=row.version,
    )


async def edit_policy(session: AsyncSession, access: Access, policy: Policy, *, via: str = "form") -> None:
    """Change it; the next click is judged by it.

    Raises:
        NotAllowed, Invalid, Conflict (`policy.version` is not the stored one).
    """
    access.require("dialling.manage")
    _check(policy)
    before, after = _columns(await read_policy(session, for_update=True)), _columns(policy)
    stored = await session.scalar(select(DiallingPolicy.version))
    if stored != policy.version:
        changed = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        raise Conflict(changed, stored or 0, await last_author(session, "dialling_policy", 1))
    await record_change(session, access, "dialling_policy", 1, before=before, after=after, via=via)
    await session.execute(update(DiallingPolicy).values(**after, version=policy.version + 1))


async def judge_number(
    session: AsyncSession,
    access: Access,
    number: Number,
    connection_id: int,
    at: datetime,
    *,
    policy: Policy | None = None,
    is_new_call: bool = True,
) -> Judged:
    """Whether this user may have this number called now; asks everything, writes nothing.

    Args:
        is_new_call: False for a call passed on, which no limit of clicks counts.
    """
    policy = policy or await read_policy(session)
    dialled = await _dialled(session, access.user_id, at) if is_new_call else Dialled()
    facts = await _facts(session, access.user_id, number, connection_id, at)
    verdict = judge(number, policy, dialled, facts)
    error = None if verdict is DialVerdict.ALLOWED else refusal(verdict, number, policy)
    return Judged(verdict=verdict, error=error)


async def require_callable(
    session: AsyncSession,
    access: Access,
    number: Number,
    connection_id: int,
    at: datetime,
    *,
    override_reason: str = "",
    is_new_call: bool = True,
) -> None:
    """Call before anything is sent. A stated reason overrides do-not-call, for those who have the right to it.

    Raises:
        DialRefused: by the rule it names.
        Invalid: the reason is too long.
    """
    if len(override_reason) > MOST_REASON:
        raise Invalid(
            "override_reason",
            override_reason[:50],
            "A reason has at most %(most)d characters.",
            most=MOST_REASON,
        )
    policy = await read_policy(session, for_update=True)
    judged = await judge_number(
        session, access, number, connection_id, at, policy=policy, is_new_call=is_new_call
    )
    if judged.error is None:
        return
    is_overridden = judged.verdict is DialVerdict.DO_NOT_CALL and override_reason.strip()
    if not is_overridden or not access.may("call.place_unwanted"):
        raise judged.error
    detail = {"number": number.e164 or number.digits, "reason": override_reason.strip()}
    await log_access(session, "do_not_call_overridden", access, detail=detail)


async def _dialled(session: AsyncSession, user_id: int, at: datetime) -> Dialled:
    """Clicks that were refused by the PBX count as well: whoever tries a thousand numbers is stopped."""

    def since(moment: datetime) -> Select[int]:
        return select(func.count()).select_from(DialRequest).where(DialRequest.created_at > moment)

    mine = DialRequest.user_id == user_id
    counts = select(
        since(at - _HOUR).where(mine).scalar_subquery(),
        since(at - _DAY).where(mine).scalar_subquery(),
        since(at - _DAY).scalar_subquery(),
    )
    last_hour, last_day, of_all = (await session.execute(counts)).one()
    return Dialled(last_hour=last_hour, last_day=last_day, of_all=of_all)


async def _facts(
    session: AsyncSession, user_id: int, number: Number, connection_id: int, at: datetime
) -> TargetFacts:
    if number.e164 is not None:
        return await _facts_of_e164(session, number.e164, at)
    if number.kind is not NumberKind.INTERNAL:
        return TargetFacts()
    own = exists().where(
        ExtensionAssignment.extension_id == Extension.id,
        ExtensionAssignment.user_id == user_id,
        or_(ExtensionAssignment.valid_to.is_(None), ExtensionAssignment.valid_to > at),
    )
    found = select(own).where(Extension.connection_id == connection_id, Extension.digits == number.digits)
    row = (await session.execute(found)).first()
    return TargetFacts(is_colleague=row is not None, is_own_extension=bool(row and row[0]))


async def _facts_of_e164(session: AsyncSession, e164: str, at: datetime) -> TargetFacts:
    noted = select(NumberNote.kind).where(
        or_(NumberNote.e164 == e164, NumberNote.pattern.is_not(None) & func.like(e164, NumberNote.pattern)),
        or_(NumberNote.until.is_(None), NumberNote.until > at),
    )
    kinds = set(await session.scalars(noted))
    line = exists().where(Line.e164 == e164, Line.deleted_at.is_(None))
    unwanted = (
        select(PartyPhone.id)
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .join(Party, Party.id == PartyPhone.party_id)
        .where(PhoneNumber.e164 == e164, PartyPhone.ended_at.is_(None))
        .where(Party.merged_into_id.is_(None), Party.deleted_at.is_(None))
        .where(or_(PartyPhone.do_not_call, Party.do_not_call))
        .exists()
    )
    is_line, do_not_call = (await session.execute(select(line, unwanted))).one()
    return TargetFacts(
        is_ours=is_line or "own" in kinds, is_emergency="emergency" in kinds, do_not_call=do_not_call
    )


def _columns(policy: Policy) -> dict[str, Any]:
    return {
        "is_stopped": policy.is_stopped,
        "countries": sorted(policy.countries),
        "allows_premium": policy.allows_premium,
        "allows_short": policy.allows_short,
        "most_per_hour": policy.most_per_hour,
        "most_per_day": policy.most_per_day,
        "most_of_all": policy.most_of_all,
    }


def _check(policy: Policy) -> None:
    for code in sorted(policy.countries):
        if code not in phonenumbers.SUPPORTED_REGIONS:
            why = "“%(code)s” is not a country. Write two letters: RU, KZ, BY."
            raise Invalid("countries", code, why, code=code[:20])
    for name in ("most_per_hour", "most_per_day", "most_of_all"):
        if not 0 <= getattr(policy, name) <= _MOST:
            raise Invalid(name, getattr(policy, name), "Enter a whole number from 0 to 1000000.")
