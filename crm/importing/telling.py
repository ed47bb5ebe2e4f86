"""Whoever began an import is told how it ended: they may have left its page long ago."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from crm.notifications import tell_users
from crm.rights import command_access
from crm.schema.imports import ImportJob
from crm.schema.views import Notification

NOTICE: Final = "import"


async def tell_end(session: AsyncSession, job: ImportJob, state: str, counts: Mapping[str, int]) -> None:
    """Notify them of `state`: finished, stopped (by the program itself), undone."""
    user_id = job.acting_id or job.created_by
    if user_id is None:
        return
    numbers = {
        name: counts.get(name, 0) for name in ("created", "updated", "refused", "skipped", "undone", "kept")
    }
    detail = {"name": job.file_name, "state": state, **numbers}
    await tell_users(
        session, command_access(), [user_id], NOTICE, record_kind="import", record_id=job.id, detail=detail
    )


async def forget(session: AsyncSession, job_id: int) -> None:
    """The import is no longer there: what was told of it would lead nowhere."""
    of_job = (Notification.record_kind == "import", Notification.record_id == str(job_id))
    await session.execute(delete(Notification).where(*of_job))
