"""Failures that are nobody's bug: what a command says in one line instead of a traceback."""

from __future__ import annotations

from asyncpg import PostgresError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ami_adapter.errors import AmiError
from cti.daemon.settings import SettingsError


class CommandFailed(Exception):
    """A command cannot do what was asked; the text names the value and the remedy."""


def expected_failures() -> tuple[type[Exception], ...]:
    """Everything that is told in one line; the rest is a defect and shows its traceback."""
    from crm.database_errors import DatabaseError
    from crm.errors import CrmError

    return (
        CommandFailed,
        SettingsError,
        AmiError,
        CrmError,
        DatabaseError,
        PostgresError,
        SQLAlchemyError,
        OSError,
    )


def is_expected(error: BaseException) -> bool:
    """Also of a group: a server's tasks fail together."""
    if isinstance(error, ExceptionGroup):
        return all(map(is_expected, error.exceptions))
    return isinstance(error, expected_failures())


def told(error: Exception) -> str:
    """One line, without secrets: SQLAlchemy's own text would repeat statements and parameters."""
    if isinstance(error, ExceptionGroup):  # of a server's tasks
        return told(error.exceptions[0])
    if isinstance(error, DBAPIError):
        error = error.orig if isinstance(error.orig, Exception) else error
        return f"The database answered: {_first_line(error)}"
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
