"""Enquiries in the demo: nobody here exists, and none of these numbers calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.directories import add_entry
from crm.lead_intake import NewLead, create_automatic_lead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.leads import disqualify_lead, move_lead
from crm.rights import Access
from crm.schema.telephony import Line
from crm.schemes import list_schemes
from crm.sources import SOURCE
from crm.stages import Move


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoLead:
    """`owner` is the extension of the responsible user, "" for a lead that came by itself and is nobody's."""

    number: str
    need: str
    organisation: str = ""
    person: str = ""
    source: str = "Сайт"
    owner: str = "101"
    stage: int = 0  # of the open ones, from the first
    reason: str = ""  # of a disqualified one


LEADS: Final = (
    DemoLead(number="+79167000001", need="Хотят сорок окон к весне, просили смету.", organisation="ООО «Примерные теплицы»",
             person="Закупщик", stage=2),
    DemoLead(number="+79167000002", need="Спрашивали о доставке в Тверь.", person="Посетитель сайта", owner=""),
    DemoLead(number="+79167000003", need="Нужен замер в новом офисе.", organisation="АО «Вымысел-Офис»", source="Выставка",
             owner="102", stage=1),
    DemoLead(number="+79167000004", need="Перезвонить после обеда.", source="Реклама", owner=""),
    DemoLead(number="+79167000005", need="Предлагали продвижение сайта.", person="Рекламный звонок", source="Звонок",
             owner="104", reason="spam"),
)  # fmt: skip


async def add_leads(session: AsyncSession, access: Access, users: Mapping[str, int]) -> None:
    """A board with something in every column, and one lead that came to nothing."""
    line_id = await session.scalar(select(Line.id).order_by(Line.id).limit(1))
    (scheme, *_) = await list_schemes(session, access, "lead")
    for source in dict.fromkeys(lead.source for lead in LEADS):
        await add_entry(session, access, SOURCE, source, via="command")
    for lead in LEADS:
        new = NewLead(
            subject=SubjectValues(number=lead.number, organisation=lead.organisation, person=lead.person),
            values=LeadValues(need=lead.need, source=lead.source),
            owner_id=users.get(lead.owner),
            line_id=line_id,
        )
        if lead.owner:
            made = await create_lead(session, access, new, via="command")
        else:
            made = await create_automatic_lead(session, access, new, request_text=lead.need, via="command")
        if lead.stage:
            to = scheme.open_stages[lead.stage].id
            await move_lead(session, access, made.id, Move(to_stage_id=to, via="command"))
        if lead.reason:
            await disqualify_lead(session, access, made.id, lead.reason, via="command")
