"""What users set for themselves: language and time zone."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, notify, record_change
from crm.errors import Invalid
from crm.rights import Access
from crm.schema.access import User
from crm.user_lists import locked_user

LANGUAGES: Final = ("ru", "en")


async def change_own_settings(
    session: AsyncSession, access: Access, *, language: str, time_zone: str | None, via: str = "form"
) -> None:
    """Change one's own language and time zone; None is the installation's zone.

    Raises:
        Invalid: a language we do not speak, a time zone nobody knows.
    """
    if language not in LANGUAGES:
        raise Invalid("language", language, "The languages are ru and en.")
    if time_zone is not None:
        _check_zone(time_zone)
    found = await locked_user(session, access.user_id)
    before = {"language": found.language, "time_zone": found.time_zone}
    after = {"language": language, "time_zone": time_zone}
    if await record_change(session, access, "user", found.id, before=before, after=after, via=via):
        await session.execute(
            update(User).where(User.id == found.id).values(**after, version=User.version + 1)
        )
        await notify(session, ACCESS_CHANNEL, found.id)


def _check_zone(time_zone: str) -> None:
    try:
        ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            "time_zone", time_zone, "There is no such time zone. Write it as Europe/Moscow."
        ) from error
