"""Where the second truth of a PBX lies, and what can go wrong on the way to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from pathlib import Path

from ami_adapter.errors import AmiError


class Records(StrEnum):
    """What Asterisk writes: one record for each connection of channels, or one for each event of a channel."""

    CDR = "cdr"
    CEL = "cel"


class Server(StrEnum):
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSource:
    """cdr_csv's Master.csv."""

    path: Path
    zone: tzinfo = UTC  # of the times in it


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSource:
    """The table `cdr` or `cel` of a database. `repr` hides the secret."""

    server: Server
    records: Records
    host: str
    port: int
    database: str
    user: str
    secret: str = field(repr=False)
    zone: tzinfo = UTC


Source = CsvSource | TableSource


class SecondTruthError(AmiError):
    """The second truth cannot be read; what was to be filled stays a gap."""


class FileUnreadable(SecondTruthError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} cannot be read: {why}. It must be a file on this machine that ringcard's user may read."
        )


class ServerUnreachable(SecondTruthError):
    def __init__(self, source: TableSource, why: str) -> None:
        super().__init__(
            f"The database {source.database!r} at {source.host}:{source.port} cannot be read as {source.user!r}: {why}. "
            "Compare address, user and password, and look at the firewall and at the user's right to select."
        )


class ColumnsMissing(SecondTruthError):
    def __init__(self, source: TableSource, missing: frozenset[str]) -> None:
        super().__init__(
            f"The database {source.database!r} has no table {source.records.value!r} with the columns "
            f"{', '.join(sorted(missing))} that {source.user!r} may read."
        )


class TooMuch(SecondTruthError):
    def __init__(self, most: int) -> None:
        super().__init__(
            f"There are more than {most} records in one stretch of time; it was given up. Ask for a shorter time."
        )
