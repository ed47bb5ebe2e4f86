"""Communications that people write down themselves: kind and direction chosen, meetings planned, held or called off."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.communication_filters import DIRECTIONS, KINDS, MEETING_STATES
from crm.communications import CommunicationCard, CommunicationInfo, communication_card
from crm.errors import Conflict, Invalid, NotFound
from crm.lead_access import readable_lead
from crm.lead_links import note_response
from crm.lead_locks import lock_parties
from crm.lead_values import OPEN_STATES
from crm.notifications import tell_users
from crm.party_access import readable, readable_party
from crm.rights import Access
from crm.schema.access import User
from crm.schema.base import uuid7
from crm.schema.communications import Communication
from crm.schema.leads import Lead
from crm.schema.meetings import CommunicationKind, Meeting, MeetingParticipant
from crm.schema.parties import Party, Person

MOST_PARTICIPANTS: Final = 50
_COLUMNS: Final = (
    "kind", "own_kind_id", "direction", "started_at", "ended_at", "subject", "summary", "party_id", "contact_id",
)  # fmt: skip
_MESSAGES: Final = ("email", "sms", "chat")
_MEETING: Final = ("state", "place", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationValues:
    """What a form says. `kind` and `direction` have no default: somebody chose them."""

    kind: str
    direction: str
    started_at: datetime
    ended_at: datetime | None = None
    own_kind_id: int | None = None  # with the kind "other"
    subject: str | None = None
    summary: str | None = None
    party_id: int | None = None
    contact_id: int | None = None  # a person
    state: str | None = None  # of a meeting
    place: str | None = None
    result: str | None = None
    user_ids: tuple[int, ...] = ()  # who takes part in a meeting
    person_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Tie:
    """The lead that a communication is to belong to from now on; None: to none."""

    lead_id: int | None


async def log_communication(
    session: AsyncSession,
    access: Access,
    values: CommunicationValues,
    *,
    lead_id: int | None = None,
    via: str = "form",
) -> UUID:
    """A new one, of whoever writes it. Colleagues who are to take part in a meeting are notified.

    Args:
        lead_id: what it belongs to; it is then with whom the lead is about, and our first message to them answers the lead.

    Raises:
        NotAllowed, NotFound (a party or a lead one may not read), Invalid.
    """
    access.require("party.read")
    _check(values)
    lead = None if lead_id is None else await _lead_to_tie(session, access, lead_id)
    if lead is not None:
        values = _about(values, lead)
    known = () if lead is None else (lead.person_id, lead.organisation_id)
    values = await _linked(session, access, values, known=known)
    communication_id = uuid7()
    row = {name: getattr(values, name) for name in _COLUMNS} | {"lead_id": lead.id if lead else None}
    mine = {"user_id": access.actor_id, "team_id": access.team_id, "created_by": access.actor_id}
    link = {"link_source": "agent"} if values.party_id else {}
    await session.execute(insert(Communication).values(id=communication_id, **row, **mine, **link))
    await _put_meeting(session, access, communication_id, values, already=())
    after = {name: value for name, value in _stored(values).items() if value not in (None, [])}
    await record_change(session, access, "communication", communication_id, after=after, via=via)
    await touch_parties(session, values)
    if lead is not None and _answers(values, lead):
        await note_response(session, lead.id, values.started_at, by_id=access.actor_id)
    return communication_id


async def _lead_to_tie(session: AsyncSession, access: Access, lead_id: int) -> Lead:
    """The lead, or the one that it went into, behind the parties it is about: they are locked first.

    Raises:
        NotAllowed, NotFound.
    """
    access.require("lead.read")
    lead = await readable_lead(session, access, lead_id)
    if lead.merged_into_id is not None:
        lead = await readable_lead(session, access, lead.merged_into_id)
    await lock_parties(session, [lead.person_id, lead.organisation_id])
    return lead


def _about(values: CommunicationValues, lead: Lead) -> CommunicationValues:
    """With whom the lead is about. Raises Invalid: somebody else was named."""
    if values.party_id not in (None, lead.person_id, lead.organisation_id):
        raise Invalid("party_id", values.party_id, "This lead is about somebody else. Leave the party out.")
    person = lead.person_id if lead.organisation_id else None
    return replace(
        values,
        party_id=values.party_id or lead.organisation_id or lead.person_id,
        contact_id=values.contact_id or person,
    )


def _answers(values: CommunicationValues, lead: Lead) -> bool:
    """Whether it is a message of ours that came after the enquiry."""
    is_message = values.kind in _MESSAGES and values.direction == "out"
    return (
        is_message and lead.state in OPEN_STATES and lead.created_at <= values.started_at <= datetime.now(UTC)
    )


async def edit_communication(
    session: AsyncSession,
    access: Access,
    communication_id: UUID,
    values: CommunicationValues,
    *,
    version: int,
    tie: Tie | None = None,
    via: str = "form",
) -> int:
    """Everything a form says about one that was written by hand. Returns its new version.

    Args:
        tie: the lead it is to belong to; None leaves that as it is.

    Raises:
        NotFound (unknown, not seen, or not one's to change; the lead), Invalid,
        Conflict (somebody saved it meanwhile).
    """
    _check(values)
    lead = None if tie is None or tie.lead_id is None else await _lead_to_tie(session, access, tie.lead_id)
    await lock_behind_parties(session, communication_id, values.party_id, values.contact_id)
    card = await communication_card(session, access, communication_id)
    if not card.may_edit:
        raise NotFound("communication", communication_id)
    info = card.communication
    known = {info.party_id, info.contact_id}
    if lead is not None:
        values, known = _about(values, lead), known | {lead.person_id, lead.organisation_id}
    values = await _linked(session, access, values, known=known, card=card)
    before, after = _stored(values_of(card)), _stored(values)
    tied = {} if tie is None else await _retied(session, info, lead)
    if tied:
        before, after = before | {"lead_id": info.lead_id}, after | tied
    if info.version != version and before != after:
        differing = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        raise Conflict(differing, info.version, info.user_name or "—")
    if not await record_change(
        session, access, "communication", communication_id, before=before, after=after, via=via
    ):
        return info.version
    row = {name: getattr(values, name) for name in _COLUMNS} | tied
    await session.execute(
        update(Communication)
        .where(Communication.id == communication_id)
        .values(**row, version=Communication.version + 1, updated_at=func.now())
    )
    already = [each.user_id for each in card.participants if each.user_id is not None]
    await _put_meeting(session, access, communication_id, values, already=already)
    await touch_parties(session, values)
    if lead is not None and _answers(values, lead):
        await note_response(session, lead.id, values.started_at, by_id=info.user_id)
    return info.version + 1


async def lock_behind_parties(session: AsyncSession, communication_id: UUID, *others: int | None) -> None:
    """As whoever merges does: first the parties that it is about, or is to be about, then the communication."""
    about = select(Communication.party_id, Communication.contact_id)
    row = (await session.execute(about.where(Communication.id == communication_id))).first()
    await lock_parties(session, {*(row or ()), *others} - {None})
    locked = select(Communication.id).where(Communication.id == communication_id)
    await session.execute(locked.with_for_update())


async def _retied(session: AsyncSession, info: CommunicationInfo, lead: Lead | None) -> dict[str, int | None]:
    """The column to write. Raises Invalid: it belongs to a lead that whoever asks may not see."""
    stored = await session.scalar(select(Communication.lead_id).where(Communication.id == info.id))
    wanted = None if lead is None else lead.id
    if stored is not None and info.lead_id is None and wanted != stored:
        raise Invalid("lead_id", wanted, "This belongs to a lead that you may not see, and stays there.")
    return {"lead_id": wanted}


def values_of(card: CommunicationCard) -> CommunicationValues:
    """What is stored, as the form takes it."""
    info = card.communication
    return CommunicationValues(
        **{name: getattr(info, name) for name in _COLUMNS},
        state=info.meeting_state,
        place=info.place,
        result=info.result,
        user_ids=tuple(each.user_id for each in card.participants if each.user_id is not None),
        person_ids=tuple(each.person_id for each in card.participants if each.person_id is not None),
    )


def _stored(values: CommunicationValues) -> dict[str, Any]:
    row = {name: getattr(values, name) for name in (*_COLUMNS, *_MEETING)}
    return row | {"user_ids": sorted(values.user_ids), "person_ids": sorted(values.person_ids)}


def _check(values: CommunicationValues) -> None:
    """What the values must be among themselves. Raises Invalid."""
    if values.kind not in KINDS:
        raise Invalid("kind", values.kind[:50], "Choose what kind of communication it was.")
    if values.direction not in DIRECTIONS:
        raise Invalid("direction", values.direction[:50], "Choose who began: them, us, or neither.")
    if values.ended_at is not None and values.ended_at < values.started_at:
        raise Invalid("ended_at", values.ended_at, "The end is before the beginning.")
    if values.own_kind_id is not None and values.kind != "other":
        raise Invalid("own_kind_id", values.own_kind_id, "A kind of your own goes with the kind “other”.")
    is_meeting = values.kind == "meeting"
    if is_meeting and values.state not in MEETING_STATES:
        raise Invalid("state", values.state, "A meeting is planned, held or cancelled.")
    if not is_meeting and (values.state or values.place or values.result or values.user_ids):
        raise Invalid("kind", values.kind, "Only a meeting has a place, people and a result.")
    if len(values.user_ids) + len(values.person_ids) > MOST_PARTICIPANTS:
        why = "A meeting has at most %(most)d participants here."
        raise Invalid("user_ids", "", why, most=MOST_PARTICIPANTS)


async def _linked(
    session: AsyncSession,
    access: Access,
    values: CommunicationValues,
    *,
    known: Collection[int | None] = (),
    card: CommunicationCard | None = None,
) -> CommunicationValues:
    """The values, of a merged party with the one that lives on. What stood there already may stay.

    Raises:
        NotFound, Invalid: somebody or something that is not there, or that one may not see.
    """
    if values.party_id is not None and values.party_id not in known:
        party = await readable_party(session, access, values.party_id)
        values = replace(values, party_id=party.id)
    before = values_of(card) if card else None
    people = {*values.person_ids, *([values.contact_id] if values.contact_id else [])}
    await _check_persons(session, access, people - {*known, *(before.person_ids if before else ())})
    new_users = set(values.user_ids) - set(before.user_ids if before else ())
    active = select(User.id).where(User.id.in_(new_users), User.status == "active")
    if missing := new_users - set(await session.scalars(active)):
        raise Invalid("user_ids", min(missing), "There is no such active user.")
    if values.own_kind_id is not None:
        query = select(CommunicationKind.id).where(CommunicationKind.id == values.own_kind_id)
        if await session.scalar(query) is None:
            raise Invalid("own_kind_id", values.own_kind_id, "There is no such kind of communication.")
    return values


async def _check_persons(session: AsyncSession, access: Access, ids: Collection[int]) -> None:
    if not ids:
        return
    found = await session.scalars(
        select(Party.id)
        .join(Person, Person.party_id == Party.id)
        .where(Party.id.in_(ids), Party.deleted_at.is_(None), readable(access))
    )
    if missing := set(ids) - set(found):
        raise NotFound("party", min(missing))


async def _put_meeting(
    session: AsyncSession,
    access: Access,
    meeting_id: UUID,
    values: CommunicationValues,
    *,
    already: Sequence[int],
) -> None:
    await session.execute(delete(MeetingParticipant).where(MeetingParticipant.meeting_id == meeting_id))
    if values.kind != "meeting":
        await session.execute(delete(Meeting).where(Meeting.id == meeting_id))
        return
    row = {name: getattr(values, name) for name in _MEETING}
    new = upsert(Meeting).values(id=meeting_id, **row)
    await session.execute(new.on_conflict_do_update(index_elements=["id"], set_=row))
    people = [
        {"meeting_id": meeting_id, "user_id": user_id, "person_id": None}
        for user_id in dict.fromkeys(values.user_ids)
    ]
    people += [
        {"meeting_id": meeting_id, "user_id": None, "person_id": person_id}
        for person_id in dict.fromkeys(values.person_ids)
    ]
    if people:
        await session.execute(insert(MeetingParticipant), people)
    detail = {"subject": values.subject or "", "at": values.started_at}
    told: dict[str, Any] = {"record_kind": "communication", "record_id": str(meeting_id)}
    invited = set(values.user_ids) - set(already)
    await tell_users(session, access, invited, "meeting", detail=detail, **told)


async def touch_parties(session: AsyncSession, values: CommunicationValues) -> None:
    """What has happened is the party's last communication, if nothing came after it."""
    now = datetime.now(UTC)
    if values.party_id is None or values.started_at > now or values.state in {"planned", "cancelled"}:
        return
    ids = [id_ for id_ in (values.party_id, values.contact_id) if id_ is not None]
    last = Party.last_communication_at
    await session.execute(
        update(Party)
        .where(Party.id.in_(ids), or_(last.is_(None), last < values.started_at))
        .values(last_communication_at=values.started_at)
        .execution_options(synchronize_session=False)
    )
