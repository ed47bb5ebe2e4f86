"""An office for tests of pages: a seeded database, one user of each role, and the application around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from uuid import UUID

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.stories.shelf import StoryShelf
from crm import accounts, parties, telephony
from crm.by_hand import CommunicationValues, log_communication
from crm.callback_following import follow_calls
from crm.comments import add_comment, pin_comment
from crm.communication_kinds import add_kind
from crm.database import Database
from crm.gaps import begin_gap, end_gap
from crm.granted_rights import ROLE_CODES
from crm.lead_intake import NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.lead_values import LeadValues
from crm.leads import disqualify_lead
from crm.numbers import NumberValues
from crm.rights import Access
from crm.schema.base import uuid7
from crm.schema.communications import Call, CallNote, Communication, Leg, Participation, Transfer
from crm.schema.desk import CallbackCase
from crm.schema.parties import Party
from crm.schema.subscribers import SubscriberDelivery
from crm.sealing import open_seal
from crm.subscribers import SubscriberValues, add_subscriber
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task
from crm.telephony import AsteriskSettings
from crm.wrap_ups import begin_wrap_ups
from cti.desk import Desk
from tests.crm.people import COMMAND
from tests.cti.desk.calls import desk
from tests.web.frame import FakeGate, services_with
from web.app import create_app
from web.telephone import Telephone

PASSWORD = "correct horse battery"


@dataclass
class Office:
    """The ids of what was planted. Sessions are named after the roles."""

    database: Database
    gate: FakeGate
    desk: Desk
    shelf: StoryShelf
    people: dict[str, Access] = field(default_factory=dict)
    team_id: int = 0
    connection_id: int = 0
    line_id: int = 0
    firm_id: int = 0  # the agent's: an organisation with a contact
    contact_id: int = 0
    foreign_id: int = 0  # of somebody in another team
    call_id: UUID = field(default_factory=uuid7)
    missed_id: UUID = field(default_factory=uuid7)
    case_id: int = 0  # of the missed call's caller
    lead_id: int = 0  # the agent's, open
    ended_lead_id: int = 0  # the agent's, disqualified
    foreign_lead_id: int = 0  # the stranger's
    task_id: int = 0  # set by the agent for themselves, about the firm
    letter_id: UUID = field(default_factory=uuid7)  # a meeting, planned by the agent with the manager
    subscriber_id: int = 0  # on loopback, where nobody listens
    delivery_id: int = 0  # to it: given up
    client: TestClient[web.Request, web.Application] | None = None
    server: TestServer | None = None

    async def get(self, path: str, who: str = "admin", **headers: str) -> ClientResponse:
        assert self.client is not None
        return await self.client.get(path, headers=self._headers(who) | headers, allow_redirects=False)

    async def post(
        self, path: str, data: object = None, who: str = "admin", **headers: str
    ) -> ClientResponse:
        assert self.client is not None
        sent = self._headers(who) | {"Sec-Fetch-Site": "same-origin"} | headers
        return await self.client.post(path, data=data, headers=sent, allow_redirects=False)

    def _headers(self, who: str) -> dict[str, str]:
        return {"Cookie": f"ringcard={who}"} if who else {}


@asynccontextmanager
async def open_office(
    database: Database, folder: Path, *, language: str = "en", telephone: Telephone | None = None
) -> AsyncIterator[Office]:
    """The application on a free port, its database planted."""
    shelf = StoryShelf(folder / "story", days=14, megabytes=16)
    shelf.begin(datetime.now(UTC))
    office = Office(database=database, gate=FakeGate(people={}), desk=desk(), shelf=shelf)
    async with database.sessions.begin() as session:
        await _people(session, office, language)
        await _telephony(session, office, folder)
        await _parties(session, office)
        await _calls(session, office)
        await _leads(session, office)
        await _by_hand(session, office)
        await _tasks(session, office)
        await _subscriber(session, office, folder)
    office.gate.sessions |= office.people
    services = services_with(
        office.gate,
        office.desk,
        sessions=database.sessions,
        seal=open_seal(folder / "key"),
        default_language=language,
        stories=office.shelf,
        telephone=telephone,
        subscriber_networks=[ip_network("127.0.0.0/8")],
    )
    office.server = TestServer(create_app(services))
    async with TestClient(office.server) as office.client:
        yield office


async def _people(session: AsyncSession, office: Office, language: str) -> None:
    office.team_id = await accounts.create_team(session, COMMAND, "Sales")
    other_team = await accounts.create_team(session, COMMAND, "Service")
    for role in (*ROLE_CODES, "stranger"):
        user_id = await accounts.create_user(
            session,
            COMMAND,
            login=f"{role}.login",
            name=f"{role.title()} Example",
            role_codes=["agent" if role == "stranger" else role],
            password=PASSWORD if role == "admin" else None,
            language=language,
            team_id=other_team if role == "stranger" else office.team_id,
            is_head=role == "head",
        )
        access = await accounts.access_of(session, user_id)
        assert access is not None
        office.people[role] = access


async def _telephony(session: AsyncSession, office: Office, folder: Path) -> None:
    office.connection_id = await telephony.add_connection(
        session,
        COMMAND,
        name="Main office",
        settings=AsteriskSettings(host="127.0.0.1", port=9, user="ringcard"),
        secret="hush",
        seal=open_seal(folder / "key"),
    )
    gap = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
    await begin_gap(session, office.connection_id, gap, "link_lost")
    await end_gap(session, office.connection_id, gap + timedelta(minutes=3))
    office.line_id = await telephony.add_line(
        session, COMMAND, office.connection_id, "+7 495 000-00-01", "Sales line", colour="#2f6fed"
    )
    agent = office.people["agent"].user_id
    await telephony.assign_extension(session, COMMAND, office.connection_id, "101", agent)


async def _parties(session: AsyncSession, office: Office) -> None:
    agent, stranger = office.people["agent"], office.people["stranger"]
    made = await parties.quick_create(
        session,
        agent,
        organisation="ООО «Пример»",
        person="Контактное Лицо",
        number="+7 495 120-33-44",
        position="Бухгалтер",
        kind="client",
    )
    assert made.organisation_id is not None
    assert made.person_id is not None
    office.firm_id, office.contact_id = made.organisation_id, made.person_id
    office.foreign_id = await parties.create_party(
        session,
        stranger,
        parties.organisation_values("АО «Чужое»"),
        kinds=["supplier"],
        numbers=[NumberValues(presented="+7 812 309-20-10")],
    )


async def _leads(session: AsyncSession, office: Office) -> None:
    agent, stranger = office.people["agent"], office.people["stranger"]

    async def lead(access: Access, person: str, number: str) -> int:
        subject = SubjectValues(person=person, number=number)
        values = LeadValues(need="Десять окон", source="Сайт", campaign={"utm_source": "yandex"})
        return (await create_lead(session, access, NewLead(subject=subject, values=values))).id

    office.lead_id = await lead(agent, "Спросивший Первый", "+7 495 120-33-55")
    office.ended_lead_id = await lead(agent, "Спросивший Второй", "+7 495 120-33-56")
    office.foreign_lead_id = await lead(stranger, "Спросивший Чужой", "+7 495 120-33-57")
    await disqualify_lead(session, agent, office.ended_lead_id, "spam", note="Реклама")
    linked = update(Communication).where(Communication.id == office.missed_id)
    await session.execute(linked.values(lead_id=office.lead_id))


async def _calls(session: AsyncSession, office: Office) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    await _call(session, office, office.call_id, now - timedelta(hours=2), "answered")
    await _call(session, office, office.missed_id, now - timedelta(hours=1), "abandoned")
    agent = office.people["agent"].user_id
    await follow_calls(await session.connection(), [office.missed_id])
    await begin_wrap_ups(await session.connection(), [office.call_id])
    office.case_id = (await session.execute(select(CallbackCase.id))).scalar_one()
    note = {"id": uuid7(), "call_id": office.call_id, "user_id": agent, "text": "Просили прислать договор"}
    await session.execute(insert(CallNote).values(note))


async def _by_hand(session: AsyncSession, office: Office) -> None:
    agent, manager = office.people["agent"], office.people["manager"]
    planned = CommunicationValues(
        kind="meeting",
        direction="none",
        started_at=datetime.now(UTC).replace(microsecond=0) + timedelta(days=1),
        subject="Показ склада",
        party_id=office.firm_id,
        contact_id=office.contact_id,
        state="planned",
        place="Склад № 2",
        user_ids=(manager.user_id, office.people["admin"].user_id),
        person_ids=(office.contact_id,),
    )
    office.letter_id = await log_communication(session, agent, planned)
    comment = await add_comment(session, agent, office.firm_id, "@manager.login, посмотрите условия")
    await pin_comment(session, agent, comment, is_pinned=True)
    await add_kind(session, COMMAND, "Выставка")


async def _tasks(session: AsyncSession, office: Office) -> None:
    due_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    values = TaskValues(title="Отправить договор", kind="call", due_at=due_at, party_id=office.firm_id)
    office.task_id = await create_task(
        session, office.people["agent"], NewTask(values=values), home_zone="Europe/Moscow"
    )


async def _subscriber(session: AsyncSession, office: Office, folder: Path) -> None:
    """With an event of each state."""
    values = SubscriberValues(
        name="Пример: склад", url="http://127.0.0.1:9/hook", event_types=("call.ended",)
    )
    office.subscriber_id, _secret = await add_subscriber(session, COMMAND, values, open_seal(folder / "key"))
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    about = {"type": "call.ended", "record_kind": "call", "record_id": str(office.call_id), "event_at": at}
    tried = {"attempts": 1, "tried_at": at, "milliseconds": 41}
    for event_id, more in enumerate(
        (
            {"state": "delivered", **tried, "answer_status": 200, "answer_body": "ok"},
            {"state": "waiting", **tried, "trouble": "timed_out", "failures": 1},
            {"state": "failed", **tried, "trouble": "answer", "answer_status": 500, "answer_body": "Ошибка"},
        )
    ):
        row = {
            "subscriber_id": office.subscriber_id,
            "event_id": event_id,
            "body": '{"id": "1"}',
            **about,
            **more,
        }
        made = insert(SubscriberDelivery).values(row).returning(SubscriberDelivery.id)
        office.delivery_id = (await session.execute(made)).scalar_one()


async def _call(session: AsyncSession, office: Office, call_id: UUID, at: datetime, disposition: str) -> None:
    agent = office.people["agent"]
    is_answered = disposition == "answered"
    ended_at = at + timedelta(seconds=95)
    await session.execute(
        insert(Communication).values(
            id=call_id,
            kind="call",
            direction="in",
            started_at=at,
            ended_at=ended_at,
            user_id=agent.user_id if is_answered else None,
            team_id=office.team_id,
            party_id=office.firm_id,
            contact_id=office.contact_id,
            link_source="auto",
        )
    )
    await session.execute(
        insert(Call).values(
            id=call_id,
            connection_id=office.connection_id,
            external_id=str(call_id),
            direction="inbound",
            state="ended",
            presented_from="84951203344",
            customer_e164="+74951203344",
            did_e164="+74950000001",
            line_id=office.line_id,
            queue="sales",
            answered_by="101" if is_answered else None,
            final_agent="101" if is_answered else None,
            started_at=at,
            queued_at=at + timedelta(seconds=2),
            answered_at=at + timedelta(seconds=15) if is_answered else None,
            ended_at=ended_at,
            disposition=disposition,
            hung_up_by="customer",
            wait_seconds=13.0,
            talk_seconds=80.0 if is_answered else None,
            match_status="matched",
        )
    )
    part = uuid7()
    await session.execute(
        insert(Participation).values(
            id=part,
            call_id=call_id,
            user_id=agent.user_id,
            team_id=office.team_id,
            extension="101",
            attempt=1,
            came_by="queue",
            rang_at=at + timedelta(seconds=3),
            answered_at=at + timedelta(seconds=15) if is_answered else None,
            left_at=ended_at,
            result="answered" if is_answered else "not_answered",
            is_first_answer=is_answered,
        )
    )
    await session.execute(
        insert(Leg).values(
            id=uuid7(),
            call_id=call_id,
            participation_id=part,
            channel_id=f"leg-{call_id}",
            channel_name="PJSIP/101-00000001",
            extension="101",
            started_at=at,
            ended_at=ended_at,
            hangup_cause=16,
        )
    )
    if is_answered:
        await session.execute(
            insert(Transfer).values(
                id=uuid7(),
                call_id=call_id,
                position=1,
                from_extension="101",
                to_target="102",
                kind="blind",
                at=at + timedelta(seconds=60),
                outcome="not_answered",
            )
        )


async def party_version(database: Database, party_id: int) -> int:
    async with database.sessions() as session:
        found = await session.execute(select(Party.version).where(Party.id == party_id))
        version: int = found.scalar_one()
        return version
