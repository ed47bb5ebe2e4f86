"""«Запросить доступ»: whoever learned that a record exists asks to read it; its responsible or their head grants that in one press.

Asking tells nothing: the answer is the same whether there is such a record or not. What is granted is reading, for 30 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, func, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.notifications import settle_notices, tell_users
from crm.paging import Page, decode_cursor, encode_cursor, page_size
from crm.party_access import readable
from crm.rights import Access, condition
from crm.schema.access import AccessGrant, Role, RoleAssignment, Team, TeamMembership, User
from crm.schema.parties import Party
from crm.schema.requests import AccessRequest

GRANTED_FOR: Final = timedelta(days=30)
MOST_A_DAY: Final = 30  # of one user: a colleague's bell is no place for a list of everything
MOST_TOLD: Final = 20
RIGHT: Final = "party.edit"  # whoever may change the record says who else reads it


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """A request that waits for an answer."""

    id: int
    user_id: int
    user_name: str
    team_name: str | None
    party_id: int
    party_name: str
    owner_name: str | None
    asked_at: datetime


async def ask_access(session: AsyncSession, access: Access, party_id: int, *, via: str = "form") -> None:
    """Ask to read a party. Of what is not there, and of what one may read already, nothing comes.

    Raises:
        NotAllowed, Invalid (too many of one's requests today).
    """
    access.require("party.read")
    await _refuse_flood(session, access)
    party = await _hidden(session, access, party_id)
    if party is None:
        return
    new = upsert(AccessRequest).values(user_id=access.user_id, party_id=party.id)
    new = new.on_conflict_do_nothing(
        index_elements=["user_id", "party_id"], index_where=AccessRequest.answered_at.is_(None)
    )
    asked = await session.scalar(new.returning(AccessRequest.id))
    if asked is None:
        return  # it waits already
    await _note(session, access, party.id, "access_asked", access.user_id, via)
    detail = {"name": party.display_name}
    told: dict[str, Any] = {"record_kind": "access_request", "record_id": asked, "detail": detail}
    await tell_users(session, access, await _who_answers(session, party), "access_wanted", **told)


async def list_requests(
    session: AsyncSession, access: Access, *, cursor: str | None = None, limit: int | None = None
) -> Page[RequestInfo]:
    """What waits for this user's answer, the latest first.

    Raises:
        NotAllowed, Invalid (the cursor).
    """
    access.require(RIGHT)
    size = page_size(limit)
    query = _open(access)
    if cursor:
        (before,) = decode_cursor(cursor, int)
        query = query.where(AccessRequest.id < (before or 0))
    rows = (await session.execute(query.order_by(AccessRequest.id.desc()).limit(size + 1))).all()
    more = encode_cursor(rows[size - 1][0]) if len(rows) > size else None
    return Page(items=tuple(_told(row) for row in rows[:size]), next=more)


async def answer_request(
    session: AsyncSession, access: Access, request_id: int, *, is_granted: bool, via: str = "form"
) -> RequestInfo:
    """Grant it for 30 days, or not; whoever asked is told.

    Raises:
        NotAllowed, NotFound (unknown, answered already, or of a party that this user may not change).
    """
    access.require(RIGHT)
    locked = select(AccessRequest.id).where(AccessRequest.id == request_id).with_for_update()
    await session.execute(locked)
    row = (await session.execute(_open(access).where(AccessRequest.id == request_id))).first()
    if row is None:
        raise NotFound("request", request_id)
    request = _told(row)
    answer = {"answered_at": datetime.now(UTC), "answered_by_id": access.actor_id, "is_granted": is_granted}
    await session.execute(update(AccessRequest).where(AccessRequest.id == request_id).values(answer))
    if is_granted:
        await _grant(session, request)
    party = (await session.execute(select(Party).where(Party.id == request.party_id))).scalar_one()
    asked = await _who_answers(session, party)
    await settle_notices(session, {*asked, access.user_id}, "access_request", request_id)
    word = "access_granted" if is_granted else "access_refused"
    await _note(session, access, request.party_id, word, request.user_id, via)
    told: dict[str, Any] = {"record_kind": "party", "record_id": request.party_id}
    await tell_users(session, access, [request.user_id], word, detail={"name": request.party_name}, **told)
    return request


async def _refuse_flood(session: AsyncSession, access: Access) -> None:
    since = datetime.now(UTC) - timedelta(days=1)
    mine = (AccessRequest.user_id == access.user_id, AccessRequest.asked_at > since)
    asked = (await session.execute(select(func.count()).select_from(AccessRequest).where(*mine))).scalar_one()
    if asked >= MOST_A_DAY:
        why = "You have asked for %(most)d records today. Wait for the answers, or speak to your head."
        raise Invalid("party_id", "", why, most=MOST_A_DAY)


async def _hidden(session: AsyncSession, access: Access, party_id: int) -> Party | None:
    """The party (or the one it went into) that this user may not read."""
    for _link in range(2):  # a chain of merges has one link
        is_hidden = readable(access).is_not(true())  # of what is nobody's, the rule knows neither yes nor no
        query = select(Party).where(Party.id == party_id, Party.deleted_at.is_(None), is_hidden)
        party = await session.scalar(query)
        if party is None or party.merged_into_id is None:
            return party
        party_id = party.merged_into_id
    return None


async def _who_answers(session: AsyncSession, party: Party) -> set[int]:
    """The responsible and the heads above them; where there is nobody, the administrators."""
    active = User.status == "active"
    owner = await session.scalars(select(User.id).where(User.id == party.owner_id, active))
    told = {*owner.all(), *await _heads(session, party.team_id)}
    if told:
        return told
    admins = (
        select(User.id)
        .join(RoleAssignment, RoleAssignment.user_id == User.id)
        .join(Role, Role.id == RoleAssignment.role_id)
        .where(Role.code == "admin", active)
    )
    return set(await session.scalars(admins.order_by(User.id).limit(MOST_TOLD)))


async def _heads(session: AsyncSession, team_id: int | None) -> set[int]:
    """Whoever is head of the team; of one without a head, those of the nearest team above that has one."""
    while team_id is not None:
        heads = select(TeamMembership.user_id).join(User, User.id == TeamMembership.user_id)
        here = (TeamMembership.team_id == team_id, TeamMembership.is_head, TeamMembership.valid_to.is_(None))
        found = set(await session.scalars(heads.where(*here, User.status == "active").limit(MOST_TOLD)))
        if found:
            return found
        team_id = await session.scalar(select(Team.parent_id).where(Team.id == team_id))
    return set()


def _open(access: Access) -> Select[*tuple[Any, ...]]:
    owner = User.__table__.alias("owner")
    return (
        select(
            AccessRequest.id,
            AccessRequest.user_id,
            User.name,
            Team.name,
            AccessRequest.party_id,
            Party.display_name,
            owner.c.name,
            AccessRequest.asked_at,
        )
        .join(Party, Party.id == AccessRequest.party_id)
        .join(User, User.id == AccessRequest.user_id)
        .outerjoin(Team, Team.id == User.team_id)
        .outerjoin(owner, owner.c.id == Party.owner_id)
        .where(AccessRequest.answered_at.is_(None), Party.deleted_at.is_(None), User.status == "active")
        .where(condition(access, RIGHT, Party))
    )


def _told(row: Any) -> RequestInfo:
    request_id, user_id, user, team, party_id, party, owner, asked_at = row
    return RequestInfo(
        id=request_id,
        user_id=user_id,
        user_name=user,
        team_name=team,
        party_id=party_id,
        party_name=party,
        owner_name=owner,
        asked_at=asked_at,
    )


async def _grant(session: AsyncSession, request: RequestInfo) -> None:
    until = datetime.now(UTC) + GRANTED_FOR
    row = {"user_id": request.user_id, "party_id": request.party_id, "reason": "request", "until": until}
    key = ["user_id", "party_id", "reason", "call_id"]
    new = upsert(AccessGrant).values(row)
    await session.execute(new.on_conflict_do_update(index_elements=key, set_={"until": until}))


async def _note(
    session: AsyncSession, access: Access, party_id: int, word: str, user_id: int, via: str
) -> None:
    """In the party's history: who asked, and who let them in."""
    event = f"party.{word}"
    await record_change(
        session, access, "party", party_id, before={}, after={word: user_id}, event=event, via=via
    )
