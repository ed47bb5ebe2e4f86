"""Where else a PBX writes its calls down: what an administrator chose to fill gaps from. Reading it is adapter work.

There is one for each connection at most. Tables are always called `cdr` and `cel`, as Asterisk and FreePBX call them;
nothing typed ever becomes a name in a statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import log_access, record_change
from crm.errors import Invalid, NotFound
from crm.rights import Access
from crm.schema.telephony import PbxConnection
from crm.sealing import Seal


class TruthKind(StrEnum):
    """What records, kept where."""

    NONE = "none"
    CDR_CSV = "cdr_csv"
    CDR_POSTGRESQL = "cdr_postgresql"
    CEL_POSTGRESQL = "cel_postgresql"
    CDR_MYSQL = "cdr_mysql"
    CEL_MYSQL = "cel_mysql"

    @property
    def is_table(self) -> bool:
        return self not in (TruthKind.NONE, TruthKind.CDR_CSV)

    @property
    def usual_port(self) -> int:
        return 5432 if self in (TruthKind.CDR_POSTGRESQL, TruthKind.CEL_POSTGRESQL) else 3306


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondTruth:
    """How to reach it; the secret is kept apart, sealed."""

    kind: TruthKind = TruthKind.NONE
    path: str = ""  # of the CSV file, on the machine of ringcard
    host: str = ""
    port: int = 0
    database: str = ""
    user: str = ""
    time_zone: str = ""  # of the times in it; "" is the connection's

    @classmethod
    def stored(cls, settings: Mapping[str, Any]) -> SecondTruth:
        """From the row of a connection; a kind of a newer version counts as none."""
        kind = str(settings.get("kind", TruthKind.NONE))
        if kind not in {*TruthKind}:
            return cls()
        texts = {
            name: str(settings.get(name, "")) for name in ("path", "host", "database", "user", "time_zone")
        }
        return cls(kind=TruthKind(kind), port=int(settings.get("port", 0)), **texts)

    def to_store(self) -> dict[str, Any]:
        if self.kind is TruthKind.NONE:
            return {}
        where: dict[str, Any] = {"path": self.path}
        if self.kind.is_table:
            where = {"host": self.host, "port": self.port, "database": self.database, "user": self.user}
        return {"kind": self.kind.value, **where, "time_zone": self.time_zone}


async def second_truth(session: AsyncSession, access: Access, connection_id: int) -> SecondTruth:
    """The second truth of a connection.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("connection.read")
    stored = await session.scalar(
        select(PbxConnection.second_truth).where(
            PbxConnection.id == connection_id, PbxConnection.deleted_at.is_(None)
        )
    )
    if stored is None:
        raise NotFound("connection", connection_id)
    return SecondTruth.stored(stored)


async def second_truth_secret(session: AsyncSession, connection_id: int, seal: Seal) -> str:
    """The opened secret, for the adapter only; "" where none was entered.

    Raises:
        SecretUnreadable: sealed with another key.
    """
    query = select(PbxConnection.second_truth_secret).where(PbxConnection.id == connection_id)
    sealed = await session.scalar(query)
    return seal.open(sealed) if sealed else ""


async def set_second_truth(
    session: AsyncSession,
    access: Access,
    connection_id: int,
    truth: SecondTruth,
    *,
    seal: Seal,
    secret: str | None = None,
    via: str = "form",
) -> None:
    """Choose, change or (kind "none") forget it. `secret=None` keeps the stored one; another host or user needs its own.

    Raises:
        NotAllowed, NotFound, Invalid.
    """
    access.require("connection.manage")
    _check(truth)
    query = select(PbxConnection).where(PbxConnection.id == connection_id, PbxConnection.deleted_at.is_(None))
    row = await session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise NotFound("connection", connection_id)
    before = SecondTruth.stored(row.second_truth)
    sealed = (
        seal.close(secret) if secret else row.second_truth_secret if _is_same_account(before, truth) else None
    )
    if truth.kind.is_table and secret:
        await log_access(session, "secret_changed", access, record_kind="connection", record_id=connection_id)
    new = {
        "second_truth": truth.to_store(),
        "second_truth_secret": sealed if truth.kind.is_table else None,
    }
    told = ({"second_truth": before.to_store()}, {"second_truth": new["second_truth"]})
    await record_change(session, access, "connection", connection_id, before=told[0], after=told[1], via=via)
    await session.execute(update(PbxConnection).where(PbxConnection.id == connection_id).values(new))


def _is_same_account(before: SecondTruth, after: SecondTruth) -> bool:
    """A stored secret is never sent to another machine than the one it was entered for."""
    return (before.host, before.port, before.user) == (after.host, after.port, after.user)


def _check(truth: SecondTruth) -> None:
    if truth.time_zone:
        _check_zone(truth.time_zone)
    if truth.kind is TruthKind.CDR_CSV:
        path = PurePosixPath(truth.path)
        if not path.is_absolute() or path.suffix != ".csv" or not truth.path.isprintable():
            raise Invalid(
                "path",
                truth.path,
                "Enter the whole path of a .csv file, as /var/log/asterisk/cdr-csv/Master.csv.",
            )
    if truth.kind.is_table:
        for name in ("host", "database", "user"):
            value = getattr(truth, name)
            if not value or any(char.isspace() or not char.isprintable() for char in value):
                raise Invalid(name, value, "Enter it without spaces, as the database server knows it.")
        if not 1 <= truth.port <= 65535:
            raise Invalid("port", truth.port, "A port is a number from 1 to 65535.")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid("time_zone", name, "There is no such time zone. Write it as Europe/Moscow.") from error
