"""A company for tests of the API: five roles with real tokens, records of one's own, of one's team, of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import UUID

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from crm import parties, telephony
from crm.accounts import sign_in
from crm.comments import add_comment
from crm.custom_fields import add_field
from crm.database import Database
from crm.directories import add_entry, list_entries
from crm.granted_rights import ROLE_CODES
from crm.importing import jobs
from crm.lead_intake import NewLead, create_lead
from crm.lead_subjects import SubjectValues
from crm.numbers import NumberValues
from crm.rights import Access
from crm.saved_views import ViewContent, save_view
from crm.schema.base import uuid7
from crm.schema.communications import CallKey, CallNote, Participation
from crm.scheme_editing import scheme_rows
from crm.sealing import open_seal
from crm.sign_in import SignedIn
from crm.stage_editing import stage_rows
from crm.task_values import TaskValues
from crm.tasks import NewTask, create_task
from crm.telephony import AsteriskSettings
from crm.tokens import create_token
from cti.desk import Agent, Desk
from tests.crm import planting
from tests.crm.people import COMMAND, make_team, make_user
from tests.web.frame import FakeDirectory, FakeNotes
from web.api.directories import KEPT
from web.app import create_app
from web.gate import CrmGate
from web.keys import Services

OTHERS = ("colleague", "stranger")  # an agent of the same team, one of another team
OWNERS = (*ROLE_CODES, *OTHERS)
PASSWORD = "correct horse battery"


@dataclass
class Company:
    """Everybody in `OWNERS` has one party, with a number, one answered call and one open lead."""

    database: Database
    desk: Desk
    people: dict[str, Access] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    parties: dict[str, int] = field(default_factory=dict)
    calls: dict[str, UUID] = field(default_factory=dict)
    leads: dict[str, int] = field(default_factory=dict)
    comments: dict[str, UUID] = field(default_factory=dict)  # of those who may read parties
    views: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    connection_id: int = 0
    line_id: int = 0
    import_id: int = 0
    entries: dict[str, int] = field(default_factory=dict)  # of directories, by what the API calls these
    scheme_id: int = 0
    stage_id: int = 0
    client: TestClient[web.Request, web.Application] | None = None

    async def ask(
        self,
        method: str,
        path: str,
        who: str | None = "admin",
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> ClientResponse:
        assert self.client is not None
        sent = {"Authorization": f"Bearer {self.tokens.get(who, who)}"} if who else {}
        return await self.client.request(
            method, path, headers={**sent, **(headers or {})}, allow_redirects=False, **more
        )

    async def get(self, path: str, who: str | None = "admin", **more: Any) -> ClientResponse:
        return await self.ask("GET", path, who, **more)

    async def post(self, path: str, body: Any, who: str | None = "admin", **more: Any) -> ClientResponse:
        return await self.ask("POST", path, who, json=body, **more)

    async def told(self, path: str, who: str = "admin") -> Any:
        """The body of an answer that must be good."""
        answer = await self.get(path, who)
        assert answer.status == 200, await answer.text()
        return await answer.json()

    async def session_of(self, who: str) -> str:
        """The cookie of a person who has signed in."""
        at = datetime.now(UTC)
        outcome = await sign_in(self.database.sessions, f"{who}.login", PASSWORD, "127.0.0.1", "test", at)
        assert isinstance(outcome, SignedIn)
        return f"ringcard={outcome.token}"

    async def rows(self) -> dict[str, int]:
        """How many rows stand in the tables that a request could write to."""
        tables = (
            "party", "phone_number", "party_phone", "change_log", "outbox_event", "idempotency_key", "lead",
            "stage_visit", "hold", "task", "reminder",
        )  # fmt: skip
        async with self.database.sessions() as session:
            return {
                table: (await session.execute(text(f"select count(*) from {table}"))).scalar_one()
                for table in tables
            }

    async def contents(self, party_id: int) -> list[str]:
        """Everything stored about a party, to see that nothing changed."""
        tables = {"party": "id", "organisation": "party_id", "party_phone": "party_id"}
        async with self.database.sessions() as session:
            return [
                str((await session.execute(text(query), {"id": party_id})).all())
                for query in [f"select t::text from {t} t where {key} = :id" for t, key in tables.items()]
            ]


@asynccontextmanager
async def open_company(database: Database, folder: Path) -> AsyncIterator[Company]:
    """The application on a free port over a planted database."""
    company = Company(database=database, desk=Desk(FakeDirectory(agents={}), epoch="test"))
    async with database.sessions.begin() as session:
        await _people(session, company)
        await _telephony(session, company, folder)
        company.import_id = await _import(session)
        await _directories(session, company)
        for number, who in enumerate(OWNERS):
            await _records(session, company, who, number)
    company.desk.set_directory(_seats(company))
    services = Services(
        sessions=database.sessions,
        gate=CrmGate(database.sessions, lambda: datetime.now(UTC)),
        notes=FakeNotes(),
        desk=company.desk,
        now=lambda: datetime.now(UTC),
        default_language="en",
        seal=open_seal(folder / "key"),
        subscriber_networks=[ip_network("127.0.0.0/8")],
    )
    async with TestClient(TestServer(create_app(services))) as company.client:
        yield company


async def _people(session: AsyncSession, company: Company) -> None:
    ours, theirs = await make_team(session, "Sales"), await make_team(session, "Service")
    for who in OWNERS:
        access = await make_user(
            session,
            ["agent" if who in OTHERS else who],
            login=f"{who}.login",
            password=PASSWORD if who in {"agent", "admin"} else None,
            team_id=theirs if who == "stranger" else ours,
            is_head=who == "head",
        )
        company.people[who] = access
        company.tokens[who] = await create_token(session, COMMAND, access.user_id, "tests")


async def _import(session: AsyncSession) -> int:
    """A file of one column, uploaded."""
    job_id = await jobs.begin(session, COMMAND, "clients.csv")
    await jobs.add_rows(session, job_id, [(2, ["Imported Ltd"])])
    await jobs.complete(session, COMMAND, job_id, ["Name"], {"format": "csv"}, None)
    return job_id


async def _directories(session: AsyncSession, company: Company) -> None:
    """An entry of each directory, a field of the company's own, and the scheme that every installation begins with."""
    for kept in KEPT:
        entries = await list_entries(session, kept.name)
        found = entries[0].id if entries else await add_entry(session, COMMAND, kept.name, "Planted")
        company.entries[kept.path.rpartition("/")[2]] = found
    field_ = await add_field(session, COMMAND, key="zone", name="Zone", type="text")
    company.entries["custom-fields"] = field_.id
    (scheme,) = await scheme_rows(session, COMMAND)
    company.scheme_id = scheme.id
    company.stage_id = (await stage_rows(session, COMMAND, scheme.id))[0].id


async def _telephony(session: AsyncSession, company: Company, folder: Path) -> None:
    company.connection_id = await telephony.add_connection(
        session,
        COMMAND,
        name="Main office",
        settings=AsteriskSettings(host="127.0.0.1", port=9, user="ringcard"),
        secret="hush-hush",
        seal=open_seal(folder / "key"),
    )
    company.line_id = await telephony.add_line(
        session, COMMAND, company.connection_id, "+7 495 000-00-01", "Sales line"
    )


def _seats(company: Company) -> FakeDirectory:
    people = [company.people[who] for who in OWNERS]
    return FakeDirectory(
        agents={
            f"10{number}": Agent(user_id=person.user_id, name=person.name, team_id=person.team_id)
            for number, person in enumerate(people)
        }
    )


async def _records(session: AsyncSession, company: Company, who: str, number: int) -> None:
    access = company.people[who]
    phone = f"+7495120334{number}"
    values = parties.organisation_values(f"Example Company {who}")
    party_id = await parties.create_party(
        session, COMMAND, values, kinds=["client"], numbers=[NumberValues(presented=phone)]
    )
    await parties.change_owner(session, COMMAND, party_id, access.user_id)
    company.parties[who] = party_id
    if access.may("party.read"):
        company.comments[who] = await add_comment(session, access, party_id, "Call after lunch")
    company.views[who] = await save_view(session, access, "suppliers", "Planted", ViewContent())
    at = planting.NOON + timedelta(minutes=number)
    more: dict[str, Any] = {"user_id": access.user_id, "team_id": access.team_id, "party_id": party_id}
    call_id = await planting.past_call(session, company.connection_id, phone, at, **more)
    company.calls[who] = call_id
    part = {"id": uuid7(), "call_id": call_id, "user_id": access.user_id, "team_id": access.team_id}
    told = {
        "extension": f"10{number}",
        "attempt": 1,
        "came_by": "ring",
        "rang_at": at,
        "is_first_answer": True,
    }
    await session.execute(insert(Participation).values(part | told))
    await session.execute(
        insert(CallNote).values(id=uuid7(), call_id=call_id, user_id=access.user_id, text="Call back")
    )
    lead = NewLead(subject=SubjectValues(person=f"Asking {who}"), owner_id=access.user_id)
    company.leads[who] = (await create_lead(session, COMMAND, lead)).id
    task = NewTask(values=TaskValues(title=f"Task of {who}"))
    company.tasks[who] = await create_task(session, access, task, home_zone="UTC")
    key = {"connection_id": company.connection_id, "linked_id": str(call_id), "call_id": call_id}
    await session.execute(insert(CallKey).values(key))
