"""What is to be done in the demo: something late, something due now, something for tomorrow; nobody here exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.rights import Access
from crm.schema.parties import Affiliation, PartyPhone, PhoneNumber
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTask:
    """`number`: whose client it concerns; `due` counts from the demo's first start."""

    title: str
    due: timedelta
    kind: str = "call"
    number: str = ""
    owner: str = "101"
    priority: str = "normal"
    remind_minutes: int | None = None  # before the term


TASKS: Final = (
    DemoTask(title="Перезвонить по договору поставки", due=timedelta(minutes=15), number="+79161234501", remind_minutes=10),
    DemoTask(title="Уточнить реквизиты для счёта", due=timedelta(hours=-26), number="+79161234541", priority="high"),
    DemoTask(title="Отправить коммерческое предложение", due=timedelta(hours=2), kind="letter", number="+79161234502"),
    DemoTask(title="Согласовать дату замера", due=timedelta(days=1), number="+79165550008"),
    DemoTask(title="Подготовить акт сверки", due=timedelta(days=3), kind="document", number="+79161234541"),
    DemoTask(title="Разобрать обращения за неделю", due=timedelta(hours=-3), kind="errand", owner="102"),
    DemoTask(title="Позвонить новым клиентам", due=timedelta(hours=3), number="+79161234562", owner="102"),
)  # fmt: skip


async def add_tasks(session: AsyncSession, access: Access, users: Mapping[str, int], at: datetime) -> None:
    """Tasks of the people who sign in, tied to clients of the recordings."""
    for task in TASKS:
        party_id, contact_id = await _client(session, task.number)
        values = TaskValues(
            title=task.title,
            kind=task.kind,
            priority=task.priority,
            due_at=at + task.due,
            party_id=party_id,
            contact_id=contact_id,
        )
        new = NewTask(values=values, owner_id=users[task.owner], remind_minutes=task.remind_minutes)
        await create_task(session, access, new, home_zone="UTC", via="command")


async def _client(session: AsyncSession, number: str) -> tuple[int | None, int | None]:
    """The organisation and its contact, or whoever has the number."""
    query = (
        select(PartyPhone.party_id, Affiliation.organisation_id)
        .join(PhoneNumber, PhoneNumber.id == PartyPhone.number_id)
        .outerjoin(Affiliation, Affiliation.person_id == PartyPhone.party_id)
        .where(PhoneNumber.e164 == number)
        .limit(1)
    )
    row = (await session.execute(query)).first()
    if row is None:
        return None, None
    return (row.organisation_id, row.party_id) if row.organisation_id else (row.party_id, None)
