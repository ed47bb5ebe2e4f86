"""How a connection places calls: the second account of its PBX, and how its dialplan wants to be asked. Nobody's number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import DIRECTORY_CHANNEL, log_access, notify, record_change
from crm.errors import Invalid, NotFound
from crm.rights import Access
from crm.schema.telephony import PbxConnection
from crm.sealing import Seal

TECHNOLOGIES: Final = ("PJSIP", "SIP", "Local")
USUAL_CONTEXT: Final = "ringcard-click-to-call"
_CONTEXT: Final = re.compile(r"[0-9A-Za-z_-]{1,79}")
_PREFIX: Final = re.compile(r"(\+[0-9]{0,6})=([0-9]{0,8})")
_SECONDS: Final = (5, 120)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiallingAccount:
    """Without a user nobody dials over this connection."""

    user: str = ""
    technology: str = "PJSIP"  # what rings the agent: the telephone itself, or Local: the extension
    extension_context: str = ""  # of Local
    context: str = USUAL_CONTEXT  # where the customer's number is dialled
    transfer_context: str = "from-internal"  # where the target of a transfer is dialled
    prefixes: str = ""  # "+7=8 +=810": how a number of the world is dialled there
    ring_seconds: int = 25
    accepts_excessive_rights: bool = False

    @classmethod
    def stored(cls, settings: Mapping[str, Any]) -> DiallingAccount:
        """From the row of a connection; what a newer version wrote is left aside."""
        usual = cls()
        texts = {
            name: str(settings.get(name, getattr(usual, name)))
            for name in ("user", "technology", "extension_context", "context", "transfer_context", "prefixes")
        }
        return cls(
            **texts,
            ring_seconds=int(settings.get("ring_seconds", usual.ring_seconds)),
            accepts_excessive_rights=bool(settings.get("accepts_excessive_rights", False)),
        )

    def to_store(self) -> dict[str, Any]:
        if not self.user:
            return {}
        return {
            "user": self.user,
            "technology": self.technology,
            "extension_context": self.extension_context,
            "context": self.context,
            "transfer_context": self.transfer_context,
            "prefixes": self.prefixes,
            "ring_seconds": self.ring_seconds,
            "accepts_excessive_rights": self.accepts_excessive_rights,
        }

    @property
    def prefix_pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple((old, new) for old, new in _PREFIX.findall(self.prefixes))


async def dialling_account(session: AsyncSession, access: Access, connection_id: int) -> DiallingAccount:
    """The account of one connection.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("connection.read")
    return DiallingAccount.stored((await _row(session, connection_id)).dialling)


async def dialling_accounts(
    session: AsyncSession,
) -> Mapping[int, tuple[DiallingAccount, bytes | None]]:
    """Of every connection in use that has one, with its secret as it is sealed; for the program alone."""
    rows = await session.execute(
        select(PbxConnection.id, PbxConnection.dialling, PbxConnection.dialling_secret).where(
            PbxConnection.deleted_at.is_(None), PbxConnection.is_enabled
        )
    )
    found = {id_: (DiallingAccount.stored(settings), secret) for id_, settings, secret in rows}
    return {id_: account for id_, account in found.items() if account[0].user}


async def set_dialling_account(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    account: DiallingAccount,
    *,
    seal: Seal,
    secret: str | None = None,
    via: str = "form",
) -> None:
    """Enter, change or (without a user) forget it. `secret=None` keeps the stored one; another user needs its own.

    Raises:
        NotAllowed, NotFound, Invalid.
    """
    access.require("connection.manage")
    if account.user:
        _check(account)
    row = await _row(session, connection_id, for_update=True)
    before = DiallingAccount.stored(row.dialling)
    kept = row.dialling_secret if account.user == before.user else None
    sealed = (seal.close(secret) if secret else kept) if account.user else None
    if secret:
        await log_access(session, "secret_changed", access, record_kind="connection", record_id=connection_id)
    told = ({"dialling": before.to_store()}, {"dialling": account.to_store()})
    await record_change(session, access, "connection", connection_id, before=told[0], after=told[1], via=via)
    new = {"dialling": account.to_store(), "dialling_secret": sealed}
    await session.execute(update(PbxConnection).where(PbxConnection.id == connection_id).values(new))
    await notify(session, DIRECTORY_CHANNEL, "connection")


async def _row(session: AsyncSession, connection_id: int, *, for_update: bool = False) -> PbxConnection:
    query = select(PbxConnection).where(PbxConnection.id == connection_id, PbxConnection.deleted_at.is_(None))
    query = query.execution_options(populate_existing=True)
    row: PbxConnection | None = await session.scalar(query.with_for_update() if for_update else query)
    if row is None:
        raise NotFound("connection", connection_id)
    return row


def _check(account: DiallingAccount) -> None:
    if any(char.isspace() or not char.isprintable() for char in account.user):
        raise Invalid("user", account.user, "Enter it without spaces, as manager.conf knows it.")
    if account.technology not in TECHNOLOGIES:
        raise Invalid("technology", account.technology, "Choose PJSIP, SIP or Local.")
    contexts = [
        "context",
        "transfer_context",
        *(["extension_context"] if account.technology == "Local" else []),
    ]
    for name in contexts:
        if not _CONTEXT.fullmatch(getattr(account, name)):
            why = "A context of the dialplan has letters, digits, - and _, as from-internal."
            raise Invalid(name, getattr(account, name), why)
    if any(not _PREFIX.fullmatch(each) for each in account.prefixes.split()):
        why = "Write each prefix and what takes its place, as +7=8 +=810."
        raise Invalid("prefixes", account.prefixes, why)
    if not _SECONDS[0] <= account.ring_seconds <= _SECONDS[1]:
        raise Invalid("ring_seconds", account.ring_seconds, "Enter 5 to 120 seconds.")
