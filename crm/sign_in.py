"""Signing in, and the sessions that come of it.

Guessing is slowed down by a delay that grows with the failures of one account from one network, and of a network as a
whole; nobody elsewhere can lock an account out. An attempt is written down before its password is checked, so that a
hundred at once are a hundred, not one.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from crm.changes import ACCESS_CHANNEL, log_access, notify, storable
from crm.passwords import hash_password, needs_new_hash, verify_password
from crm.rights import Access, access_of
from crm.schema.access import SignInFailure, User, UserSession

SESSION_LIFE: Final = timedelta(hours=12)
SESSION_IDLE: Final = timedelta(minutes=30)  # an open live socket is not idle: it calls `touch`
TOUCH_EVERY: Final = timedelta(seconds=60)  # a session's last use is written at most this often
FAILURES_KEPT: Final = timedelta(minutes=15)
FREE_FAILURES: Final = 3  # of one account from one network, before the first delay
FREE_NETWORK_FAILURES: Final = 20  # of a whole network: an office shares one address
MAX_DELAY_SECONDS: Final = 300
MAX_LOGIN_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """`token` goes into the cookie; only its hash is stored."""

    token: str
    user_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused:
    """reason: "wrong" (login or password, never which), "blocked" (the password was right), "wait"."""

    reason: str
    wait_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """One session of a user, for the list from which they can be ended."""

    id: int
    from_address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    is_present: bool  # the one that asks


async def sign_in(
    sessions: async_sessionmaker[AsyncSession],
    login: str,
    password: str,
    address: str,
    user_agent: str,
    at: datetime,
) -> SignedIn | SignInRefused:
    """Check a password and open a session; each step in a transaction of its own, none held while hashing.

    Raises:
        TooManySignIns: too many passwords are being checked at this moment.
    """
    # Nobody has come in yet: whatever bytes arrive are looked at as text that can be stored.
    login, network = storable(login.strip().lower()[:MAX_LOGIN_CHARACTERS]), network_of(address)
    user_agent = storable(user_agent[:300])
    async with sessions.begin() as session:
        wait_seconds = await _delay(session, login, network, at)
        if wait_seconds:
            return SignInRefused(reason="wait", wait_seconds=wait_seconds)
        await session.execute(insert(SignInFailure).values(login=login, network=network, at=at))
        user = await session.scalar(select(User).where(func.lower(User.login) == login))
    is_right = await verify_password(user.password_hash if user else None, password)
    if user is None or not is_right or user.status != "active":
        reason = "blocked" if user is not None and is_right else "wrong"
        async with sessions.begin() as session:
            await log_access(
                session, "sign_in_refused", None, login=login, from_address=address, detail={"reason": reason}
            )
        return SignInRefused(reason=reason)
    new_hash = await hash_password(password) if needs_new_hash(user.password_hash or "") else None
    async with sessions.begin() as session:
        await _forget_failures(session, login, network)
        await _forget_old_failures(session, at)
        if new_hash:
            await session.execute(update(User).where(User.id == user.id).values(password_hash=new_hash))
        return await _open_session(session, user, address, user_agent, at)


async def _open_session(
    session: AsyncSession, user: User, address: str, user_agent: str, at: datetime
) -> SignedIn | SignInRefused:
    access = await access_of(session, user.id)
    if access is None:  # blocked while the password was being checked
        return SignInRefused(reason="blocked")
    token = secrets.token_urlsafe(16)
    row = {
        "user_id": user.id,
        "token_hash": token_hash(token),
        "from_address": address,
        "user_agent": user_agent,
        "created_at": at,
        "last_used_at": at,
    }
    await session.execute(insert(UserSession).values(row))
    await log_access(session, "sign_in", access, from_address=address)
    return SignedIn(token=token, user_id=user.id)


async def _delay(session: AsyncSession, login: str, network: str, at: datetime) -> int:
    """Whole seconds to wait before the next attempt; one attempt of an account and network at a time is counted."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended('sign-in:' || :key, 0))"), {"key": network}
    )
    since = at - FAILURES_KEPT
    await session.execute(
        delete(SignInFailure).where(SignInFailure.network == network, SignInFailure.at <= since)
    )
    of_network = SignInFailure.network == network
    counted = select(func.count(), func.max(SignInFailure.at)).where(of_network)
    pair_count, pair_last = (await session.execute(counted.where(SignInFailure.login == login))).one()
    count, last = (await session.execute(counted)).one()
    waits = [
        _wait(pair_count - FREE_FAILURES, pair_last, at),
        _wait(count - FREE_NETWORK_FAILURES, last, at),
    ]
    return max(waits)


def _wait(failures_too_many: int, last: datetime | None, at: datetime) -> int:
    if failures_too_many < 0 or last is None:
        return 0
    delay = min(MAX_DELAY_SECONDS, 2 ** min(failures_too_many, 10))
    remaining = (last + timedelta(seconds=delay) - at).total_seconds()
    return max(0, -int(-remaining // 1))


async def _forget_failures(session: AsyncSession, login: str, network: str) -> None:
    await session.execute(
        delete(SignInFailure).where(SignInFailure.login == login, SignInFailure.network == network)
    )


async def _forget_old_failures(session: AsyncSession, at: datetime) -> None:
    """Of networks that never come back, too: there are more of them than a table should hold."""
    some = select(SignInFailure.id).where(SignInFailure.at <= at - FAILURES_KEPT).limit(1000)
    await session.execute(delete(SignInFailure).where(SignInFailure.id.in_(some)))


def network_of(address: str) -> str:
    """The network that shares a delay: /24 of IPv4, /64 of IPv6; the text itself if it is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))


def token_hash(token: str) -> bytes:
    """What is stored of a session's or program's token: 128 random bits and more need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


async def session_access(session: AsyncSession, token: str, at: datetime | None = None) -> Access | None:
    """What the owner of this session may do now; None once it ended, ran out, or its user was blocked.

    Notes the use, at most once a minute: commit the transaction.
    """
    now = at or datetime.now(UTC)
    row = await session.scalar(
        select(UserSession).where(UserSession.token_hash == token_hash(token), _works_at(now))
    )
    if row is None:
        return None
    if now - row.last_used_at >= TOUCH_EVERY:
        await touch(session, token, now)
    return await access_of(session, row.user_id)


async def touch(session: AsyncSession, token: str, at: datetime) -> bool:
    """Note that the session is in use (an open live socket does it every minute); False once it is over."""
    is_this_one = and_(UserSession.token_hash == token_hash(token), _works_at(at))
    used = update(UserSession).where(is_this_one).values(last_used_at=at).returning(UserSession.id)
    return await session.scalar(used) is not None


def _works_at(now: datetime) -> ColumnElement[bool]:
    return and_(
        UserSession.ended_at.is_(None),
        UserSession.created_at > now - SESSION_LIFE,
        UserSession.last_used_at > now - SESSION_IDLE,
    )


async def end_session(session: AsyncSession, token: str, at: datetime | None = None) -> None:
    """Sign out: this session and the sockets opened with it."""
    ended = (
        update(UserSession)
        .where(UserSession.token_hash == token_hash(token), UserSession.ended_at.is_(None))
        .values(ended_at=at or datetime.now(UTC))
        .returning(UserSession.user_id)
    )
    user_id = await session.scalar(ended)
    if user_id is not None:
        await notify(session, ACCESS_CHANNEL, user_id)


async def end_sessions_of(
    session: AsyncSession, user_id: int, *, keep_token: str | None = None, session_id: int | None = None
) -> int:
    """End all sessions of a user, or all but one, or a single one by its id. Returns how many ended."""
    ending = update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
    if keep_token is not None:
        ending = ending.where(UserSession.token_hash != token_hash(keep_token))
    if session_id is not None:
        ending = ending.where(UserSession.id == session_id)
    ended = await session.scalars(ending.values(ended_at=func.now()).returning(UserSession.id))
    await notify(session, ACCESS_CHANNEL, user_id)
    return len(ended.all())


async def list_sessions(
    session: AsyncSession, user_id: int, *, present_token: str = "", at: datetime | None = None
) -> list[SessionInfo]:
    """The sessions that still work, the latest used first."""
    now = at or datetime.now(UTC)
    rows = await session.scalars(
        select(UserSession)
        .where(UserSession.user_id == user_id, _works_at(now))
        .order_by(UserSession.last_used_at.desc())
    )
    return [
        SessionInfo(
            id=row.id,
            from_address=row.from_address,
            user_agent=row.user_agent,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            is_present=row.token_hash == token_hash(present_token),
        )
        for row in rows
    ]
