"""Communications of every kind, in the order of time, as far as one may see them. Writing them by hand: `crm.by_hand`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from crm.communication_filters import EVERYTHING, CommunicationFilter
from crm.communication_keys import allowed, cursor_after, ordered, page_keys, some, ways_to
from crm.errors import NotFound
from crm.lead_access import readable_lead
from crm.paging import Page, page_size
from crm.party_access import readable
from crm.party_lists import MOST_COUNTED, Count
from crm.planning import plan_for_page
from crm.rights import Access, Scope, condition
from crm.schema.access import User
from crm.schema.communications import Call, Communication
from crm.schema.leads import Lead
from crm.schema.meetings import CommunicationKind, Meeting, MeetingParticipant
from crm.schema.parties import Party


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationInfo:
    """A communication as lists show it; the fields of calls and meetings are None for other kinds."""

    id: UUID
    kind: str
    own_kind_id: int | None
    own_kind: str | None  # the company's own name of it
    direction: str
    started_at: datetime
    ended_at: datetime | None
    subject: str | None
    summary: str | None
    user_id: int | None
    user_name: str | None
    team_id: int | None
    party_id: int | None
    party_name: str | None
    contact_id: int | None
    contact_name: str | None
    lead_id: int | None  # None also where one may not read the lead
    lead_number: int | None
    is_by_hand: bool  # not a call that the PBX told
    call_state: str | None
    disposition: str | None
    talk_seconds: float | None
    customer_e164: str | None
    meeting_state: str | None
    place: str | None
    result: str | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Somebody at a meeting: one of ours, or a person we know."""

    user_id: int | None
    person_id: int | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationCard:
    """One communication with the people of its meeting."""

    communication: CommunicationInfo
    participants: tuple[Participant, ...]
    may_edit: bool


_contact = aliased(Party)
_COLUMNS: Final[tuple[Any, ...]] = (
    Communication.id, Communication.kind, Communication.own_kind_id, CommunicationKind.name.label("own_kind"),
    Communication.direction, Communication.started_at, Communication.ended_at, Communication.subject,
    Communication.summary, Communication.user_id, User.name.label("user_name"), Communication.team_id,
    Communication.party_id, Party.display_name.label("party_name"), Communication.contact_id,
    _contact.display_name.label("contact_name"), Communication.lead_id, Call.id.is_(None).label("is_by_hand"),
    Call.state.label("call_state"), Call.disposition, Call.talk_seconds, Call.customer_e164,
    Meeting.state.label("meeting_state"), Meeting.place, Meeting.result, Communication.version,
)  # fmt: skip


async def list_communications(
    session: AsyncSession,
    access: Access,
    wanted: CommunicationFilter = EVERYTHING,
    *,
    is_oldest_first: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[CommunicationInfo]:
    """A page, newest first unless asked otherwise: one's own, those one took part in, and with the wider scope those of one's teams.

    What happened with a client of mine while a colleague served them stands on the client's card.

    Raises:
        NotAllowed, Invalid (the cursor), NotFound (the lead).
    """
    access.require("party.read")
    wanted = await of_the_survivor(session, access, wanted)
    size = page_size(limit)
    await plan_for_page(session)
    found_by = ways_to(access, wanted)
    keys = await page_keys(session, found_by, cursor, size + 1, is_oldest_first=is_oldest_first)
    items = await communication_infos(session, access, [key.id for key in keys[:size]])
    return Page(items=tuple(items), next=cursor_after(keys[size - 1]) if len(keys) > size else None)


async def count_communications(
    session: AsyncSession, access: Access, wanted: CommunicationFilter = EVERYTHING
) -> Count:
    """How many the list has, up to 1,000. Raises NotAllowed, NotFound (the lead)."""
    access.require("party.read")
    wanted = await of_the_survivor(session, access, wanted)
    await plan_for_page(session)
    found = some(ways_to(access, wanted), MOST_COUNTED + 1)
    counted = (await session.execute(select(func.count()).select_from(found))).scalar_one()
    return Count(value=min(counted, MOST_COUNTED), is_more=counted > MOST_COUNTED)


async def communication_ids(
    session: AsyncSession,
    access: Access,
    wanted: CommunicationFilter,
    most: int,
    *,
    is_oldest_first: bool = False,
) -> list[UUID]:
    """The ids of what the list holds, in its order, `most` of them at most: for an action on all that was found.

    Raises:
        NotAllowed, NotFound (the lead).
    """
    access.require("party.read")
    wanted = await of_the_survivor(session, access, wanted)
    await plan_for_page(session)
    keys = await page_keys(session, ways_to(access, wanted), None, most, is_oldest_first=is_oldest_first)
    return [key.id for key in keys]


async def of_the_survivor(
    session: AsyncSession, access: Access, wanted: CommunicationFilter
) -> CommunicationFilter:
    """What was said with a lead that was merged stands at the one that goes on."""
    if wanted.lead_id is None:
        return wanted
    lead = await readable_lead(session, access, wanted.lead_id)
    return replace(wanted, lead_id=lead.merged_into_id or lead.id)


async def communication_infos(
    session: AsyncSession, access: Access, ids: Sequence[UUID]
) -> list[CommunicationInfo]:
    """These in this order, for whoever has looked at the rights to them."""
    if not ids:
        return []
    rows = (await session.execute(_all().where(Communication.id.in_(ids)))).all()
    found = {info.id: info for info in await _infos(session, access, rows)}
    return [found[each] for each in ids if each in found]


async def communications_of(
    session: AsyncSession, access: Access, ids: Sequence[UUID]
) -> list[CommunicationInfo]:
    """Those of these that stand in the user's lists; also what is told under another one's id, or is in the bin."""
    mine = _all().where(Communication.id.in_(ids), or_(*allowed(access)))
    query = mine.order_by(*ordered(Communication.started_at, Communication.id, is_oldest_first=False))
    return await _infos(session, access, (await session.execute(query)).all())


async def communication_card(
    session: AsyncSession, access: Access, communication_id: UUID
) -> CommunicationCard:
    """One communication: in one's own scope, of a party whose card or a lead that one may read, or a meeting one takes part in.

    Raises:
        NotFound
    """
    info = await _one(session, access, communication_id)
    people = await session.execute(
        select(MeetingParticipant.user_id, MeetingParticipant.person_id, User.name, Party.display_name)
        .outerjoin(User, User.id == MeetingParticipant.user_id)
        .outerjoin(Party, Party.id == MeetingParticipant.person_id)
        .where(MeetingParticipant.meeting_id == communication_id)
        .order_by(MeetingParticipant.id)
    )
    return CommunicationCard(
        communication=info,
        participants=tuple(
            Participant(user_id=user_id, person_id=person_id, name=user_name or person_name or "—")
            for user_id, person_id, user_name, person_name in people
        ),
        may_edit=await may_edit(session, access, info),
    )


async def may_edit(session: AsyncSession, access: Access, info: CommunicationInfo) -> bool:
    """Its author, or whoever may edit the party it is about; what the PBX told is never edited."""
    if not info.is_by_hand:
        return False
    if info.user_id == access.user_id:
        return True
    if info.party_id is None:
        return access.scope("party.edit") is Scope.ALL
    party = (
        await session.execute(select(Party.owner_id, Party.team_id).where(Party.id == info.party_id))
    ).one()
    return access.covers("party.edit", users=[party.owner_id], teams=[party.team_id])


async def _one(session: AsyncSession, access: Access, communication_id: UUID) -> CommunicationInfo:
    access.require("party.read")
    query = _all().where(Communication.id == communication_id, Communication.deleted_at.is_(None))
    row = (await session.execute(query)).first()
    if row is None:
        raise NotFound("communication", communication_id)
    (info,) = await _infos(session, access, [row])
    if info.lead_id is None and not await _is_seen(
        session, access, communication_id, row.party_id, row.contact_id
    ):
        raise NotFound("communication", communication_id)
    return info


async def _is_seen(
    session: AsyncSession, access: Access, communication_id: UUID, *parties: int | None
) -> bool:
    for way in allowed(access):
        query = select(Communication.id).where(Communication.id == communication_id, way)
        if await session.scalar(query) is not None:
            return True
    card = select(Party.id).where(Party.id.in_([id_ for id_ in parties if id_]), Party.deleted_at.is_(None))
    return await session.scalar(card.where(readable(access)).limit(1)) is not None


def _all() -> Select[*tuple[Any, ...]]:
    return (
        select(*_COLUMNS)
        .select_from(Communication)
        .outerjoin(Call, Call.id == Communication.id)
        .outerjoin(Meeting, Meeting.id == Communication.id)
        .outerjoin(CommunicationKind, CommunicationKind.id == Communication.own_kind_id)
        .outerjoin(Party, Party.id == Communication.party_id)
        .outerjoin(_contact, _contact.id == Communication.contact_id)
        .outerjoin(User, User.id == Communication.user_id)
    )


async def _infos(session: AsyncSession, access: Access, rows: Sequence[Any]) -> list[CommunicationInfo]:
    """The rows; a lead that one may not read is not named."""
    ids = {row.lead_id for row in rows} - {None}
    numbers: dict[int, int] = {}
    if ids and access.may("lead.read"):
        seen = select(Lead.id, Lead.number).where(
            Lead.id.in_(ids), Lead.deleted_at.is_(None), condition(access, "lead.read", Lead)
        )
        numbers = dict((await session.execute(seen)).all())
    leads = {lead_id: {"lead_id": lead_id, "lead_number": number} for lead_id, number in numbers.items()}
    hidden: dict[str, int | None] = {"lead_id": None, "lead_number": None}
    return [CommunicationInfo(**row._asdict() | leads.get(row.lead_id, hidden)) for row in rows]
