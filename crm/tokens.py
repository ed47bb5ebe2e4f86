"""Tokens of programs: shown once, kept as a hash, never stronger than their owner."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, log_access, notify
from crm.delegation import refuse_wider
from crm.errors import Invalid, NotFound
from crm.granted_rights import RIGHTS
from crm.readers import Reader
from crm.rights import Access, Scope, access_of
from crm.schema.access import ApiToken, User
from crm.sign_in import TOUCH_EVERY, token_hash

PREFIX: Final = "rc_"
MOST_TOKEN_CHARACTERS: Final = 128  # longer ones are not even hashed
SHOWN_CHARACTERS: Final = 8  # of a token, to tell tokens apart in lists
_TOKEN = text(
    """
    select id, user_id, cast(rights as text) as rights, last_used_at from api_token
    where token_hash = :token_hash and ended_at is null and (expires_at is null or expires_at > :at)
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInfo:
    """A token as the list shows it."""

    id: int
    user_id: int
    login: str
    name: str
    prefix: str
    rights: Mapping[str, str] | None  # right → scope; None: all of the owner's
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


async def create_token(
    session: AsyncSession,
    access: Access,
    user_id: int,
    name: str,
    *,
    rights: Mapping[str, str] | None = None,
    expires_at: datetime | None = None,
) -> str:
    """A new token of this user, in plain text: it is told here and never again.

    Args:
        rights: right → scope ("own", "team", "all"), a subset of the owner's; None: whatever the owner may.

    Raises:
        NotAllowed, NotFound, Invalid (the name is empty; a right is unknown, or more than the owner's or one's own).
    """
    access.require("token.manage")
    owner = await access_of(session, user_id)
    if owner is None:
        raise NotFound("user", user_id)
    if not name.strip():
        raise Invalid("name", name, "Name the program that will use the token.")
    _check_subset(owner, rights)
    refuse_wider(access, owner.restricted_to(rights).scopes, "rights")
    token = PREFIX + secrets.token_urlsafe(32)
    row = {
        "user_id": user_id,
        "name": name.strip(),
        "prefix": token[:SHOWN_CHARACTERS],
        "token_hash": token_hash(token),
        "rights": None if rights is None else dict(rights),
        "expires_at": expires_at,
    }
    token_id = await session.scalar(insert(ApiToken).values(row).returning(ApiToken.id))
    await log_access(
        session,
        "token_created",
        access,
        record_kind="token",
        record_id=token_id,
        detail={"owner": owner.login},
    )
    return token


def _check_subset(owner: Access, rights: Mapping[str, str] | None) -> None:
    for right, scope in (rights or {}).items():
        if right not in RIGHTS:
            raise Invalid("rights", right, "There is no right “%(right)s”.", right=right)
        if scope.upper() not in Scope.__members__:
            raise Invalid("rights", scope, "A scope is none, own, team or all.")
        if Scope.named(scope) > owner.scope(right):
            raise Invalid("rights", right, "The owner does not have “%(right)s” so far.", right=right)


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """What a token may do; `is_to_be_noted`: its use was not written down for a minute."""

    token_id: int
    access: Access
    is_to_be_noted: bool


async def read_token(reader: Reader, token: str, at: datetime) -> TokenAccess | None:
    """What this token may do now; None if it is unknown, ended, expired, or its owner is blocked."""
    if not token.startswith(PREFIX):
        return None
    row = (await reader.execute(_TOKEN, {"token_hash": token_hash(token), "at": at})).first()
    owner = None if row is None else await access_of(reader, row.user_id)
    if row is None or owner is None:
        return None
    return TokenAccess(
        row.id,
        owner.restricted_to(None if row.rights is None else json.loads(row.rights)),
        is_to_be_noted=row.last_used_at is None or at - row.last_used_at >= TOUCH_EVERY,
    )


async def note_use(session: AsyncSession, token_id: int, at: datetime) -> None:
    """This token is in use; commit the transaction."""
    await session.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=at))


async def token_access(session: AsyncSession, token: str, at: datetime | None = None) -> Access | None:
    """`read_token`, and notes the use, at most once a minute: commit the transaction."""
    now = at or datetime.now(UTC)
    found = await read_token(session, token, now)
    if found is None:
        return None
    if found.is_to_be_noted:
        await note_use(session, found.token_id, now)
    return found.access


async def list_tokens(session: AsyncSession, access: Access) -> list[TokenInfo]:
    """Every token that has not been ended, the newest first."""
    access.require("token.manage")
    rows = await session.execute(
        select(ApiToken, User.login)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.ended_at.is_(None))
        .order_by(ApiToken.id.desc())
    )
    return [
        TokenInfo(
            id=token.id,
            user_id=token.user_id,
            login=login,
            name=token.name,
            prefix=token.prefix,
            rights=token.rights,
            created_at=token.created_at,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
        )
        for token, login in rows
    ]


async def end_token(session: AsyncSession, access: Access, token_id: int) -> None:
    """The token works no more, its sockets close.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("token.manage")
    ending = (
        update(ApiToken)
        .where(ApiToken.id == token_id, ApiToken.ended_at.is_(None))
        .values(ended_at=datetime.now(UTC))
        .returning(ApiToken.user_id)
    )
    user_id = await session.scalar(ending)
    if user_id is None:
        raise NotFound("token", token_id)
    await log_access(session, "token_ended", access, record_kind="token", record_id=token_id)
    await notify(session, ACCESS_CHANNEL, user_id)


async def end_tokens_of(session: AsyncSession, user_id: int) -> None:
    """All tokens of a user, when the user is blocked."""
    ending = update(ApiToken).where(ApiToken.user_id == user_id, ApiToken.ended_at.is_(None))
    await session.execute(ending.values(ended_at=datetime.now(UTC)))
