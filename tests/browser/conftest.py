"""Real Chromium against the real application on a real database. Every test fails on what a browser complains about.

`office` is the running application with a desk that tests feed with calls; `office.enter("agent")` opens a signed-in
browser of its own. Console errors, page errors and violations of the Content-Security-Policy fail the test that caused them.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from crm import accounts
from crm.database import Database
from crm.numbers import NumberValues
from crm.parties import create_party, organisation_values
from crm.rights import command_access
from crm.schema.base import uuid7
from cti.calls.call_events import CallEvent
from cti.desk import Agent, ConnectionView, Desk, Match, MatchParty, OwnLine
from cti.numbers import to_e164
from tests.web.frame import FakeDirectory
from web.app import create_app
from web.crm_notes import CrmNotes
from web.gate import CrmGate
from web.keys import LIVE, Services
from web.live import LiveHub

CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1440, "height": 900}}
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}
AXE: Final = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
PASSWORD: Final = "correct horse battery"
REPORT_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Company:
    """Who works here and whom they know; the same for all tests of a module."""

    database: Database
    users: dict[str, int]
    client_id: int

    @property
    def directory(self) -> FakeDirectory:
        agents = {
            "101": ("agent", "Анна Белова"),
            "102": ("colleague", "Олег Крылов"),
            "103": ("head", "Ирина"),
        }
        return FakeDirectory(
            {digits: Agent(user_id=self.users[login], name=name) for digits, (login, name) in agents.items()},
            {"84950000001": OwnLine(id=1, name="Продажи", colour="#1665d8")},
        )


@dataclass
class Office:
    """The running application. `restart` is what happens when the program is started anew."""

    company: Company
    chromium: Browser
    complaints: list[str] = field(default_factory=list)
    expected: list[re.Pattern[str]] = field(default_factory=list)
    port: int = 0
    _contexts: list[BrowserContext] = field(default_factory=list)
    _runner: web.AppRunner | None = None
    _notes: CrmNotes = field(default_factory=CrmNotes)

    async def start(self) -> None:
        self.desk = Desk(self.company.directory, epoch=uuid7().hex)
        self.desk.set_connection(ConnectionView(id=1, name="АТС", state="up"))
        sessions = self.company.database.sessions
        services = Services(
            sessions=sessions, gate=CrmGate(sessions, now), notes=self._notes, desk=self.desk, now=now
        )
        self._runner = web.AppRunner(create_app(services))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hub(self) -> LiveHub:
        assert self._runner is not None
        return self._runner.app[LIVE]

    # Telephones

    def happen(self, call_id: UUID, *events: CallEvent) -> None:
        """Feed the desk, and the sockets, with what a PBX told."""
        for event in events:
            number = to_e164(getattr(event, "call").customer_number or "")  # noqa: B009 - not of SnapshotApplied
            self.hub.deliver(self.desk.apply(1, call_id, event, number))

    def recognise(self, call_id: UUID, *parties: tuple[int, str], outcome: str = "matched") -> None:
        match = Match(outcome=outcome, parties=tuple(MatchParty(id=id_, name=name) for id_, name in parties))
        self.hub.deliver(self.desk.set_match(call_id, match, now()))

    # Browsers

    async def browser(self, login: str | None = "agent", **options: Any) -> BrowserContext:
        """A browser of its own, signed in as this user."""
        context = await self.chromium.new_context(locale="ru-RU", **(DESKTOP | options))
        self._contexts.append(context)
        await context.add_init_script(REPORT_VIOLATIONS)
        context.on("page", self._listen)
        if login is not None:
            token = await self._token(login)
            await context.add_cookies([{"name": "ringcard", "value": token, "url": self.url}])
        return context

    async def enter(self, login: str = "agent", path: str = "/me", **options: Any) -> Page:
        """A signed-in page, with the live channel open."""
        context = await self.browser(login, **options)
        return await self.open(context, path)

    async def open(self, context: BrowserContext, path: str = "/me") -> Page:
        page = await context.new_page()
        await page.goto(self.url + path)
        await page.locator("line-state:not([data-state=connecting])[data-state]").wait_for(state="attached")
        return page

    async def _token(self, login: str) -> str:
        came = await CrmGate(self.company.database.sessions, now).sign_in(
            login, PASSWORD, address="127.0.0.1", user_agent="test"
        )
        token: str = getattr(came, "token", "")
        assert token, came
        return token

    def _listen(self, page: Page) -> None:
        page.on(
            "console",
            lambda said: (
                self._complain(f"{said.text} ({said.location['url']})") if said.type == "error" else None
            ),
        )
        page.on("pageerror", lambda error: self._complain(f"page error: {error}"))

    def _complain(self, text: str) -> None:
        if not any(pattern.search(text) for pattern in self.expected):
            self.complaints.append(text)

    def expect(self, pattern: str) -> None:
        """This complaint belongs to the test: a refused connection while the server is down."""
        self.expected.append(re.compile(pattern))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is missing; tools/system_packages.sh installs it")
    async with async_playwright() as playwright:
        expect.set_options(
            timeout=15_000
        )  # a build machine does much at once; what must be quick is measured apart
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(database: Database) -> Company:
    people = {
        "agent": "Анна Белова",
        "colleague": "Олег Крылов",
        "head": "Ирина Гусева",
        "admin": "Администратор",
    }
    roles = {"colleague": "agent"}
    access = command_access()
    async with database.sessions.begin() as session:
        users = {
            login: await accounts.create_user(
                session,
                access,
                login=login,
                name=name,
                role_codes=[roles.get(login, login)],
                password=PASSWORD,
            )
            for login, name in people.items()
        }
        client_id = await create_party(
            session,
            access,
            organisation_values(name="ООО «Пример»"),
            kinds=["client"],
            numbers=[NumberValues(presented="+7 495 120-33-44")],
            owner_id=users["agent"],
        )
    return Company(database, users, client_id)


@pytest_asyncio.fixture(loop_scope="session")
async def office(company: Company, chromium: Browser) -> AsyncIterator[Office]:
    office = Office(company, chromium)
    await office.start()
    yield office
    await office.close()
    assert office.complaints == []


ALL_RULES = '{runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"]}'
RULES_OF_COLOUR = (
    '{runOnly: {type: "rule", values: ["color-contrast", "link-in-text-block"]}, resultTypes: ["violations"]}'
)


async def axe_in_both_themes(page: Page) -> list[str]:
    """Everything in light; in dark what colours can break, nothing else differs."""
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    wrong = await axe(page)
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    await expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    return wrong + [f"dark: {line}" for line in await axe(page, RULES_OF_COLOUR)]


async def axe(page: Page, rules: str = ALL_RULES) -> list[str]:
    """What breaks WCAG 2.2 A or AA on this page, a line each. The script runs in an isolated world beside our policy."""
    session = await page.context.new_cdp_session(page)
    frame = (await session.send("Page.getFrameTree"))["frameTree"]["frame"]["id"]
    world = await session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})
    context_id = world["executionContextId"]
    await session.send("Runtime.evaluate", {"expression": AXE.read_text("utf-8"), "contextId": context_id})
    told = await session.send(
        "Runtime.evaluate",
        {
            "expression": f"axe.run(document, {rules}).then((found) => JSON.stringify(found.violations))",
            "contextId": context_id,
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    await session.detach()
    return _lines(told["result"]["value"])


def _lines(violations: str) -> list[str]:
    return [
        f"{found['id']}: {node['html'][:200]} ({node['failureSummary'][:300]})"
        for found in json.loads(violations)
        for node in found["nodes"]
    ]
