"""A connection by the name that an administrator typed."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from crm.telephony import ConnectionInfo, find_connection
from cti.daemon.failures import CommandFailed


async def connection_named(session: AsyncSession, name: str) -> ConnectionInfo:
    """The connection with this name.

    Raises:
        CommandFailed: there is none.
    """
    found = await find_connection(session, name)
    if found is None:
        raise CommandFailed(f"There is no connection {name!r}; `ringcard connection list` shows them all.")
    return found
