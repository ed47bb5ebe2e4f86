"""One running ringcard: everything wired together, started in order, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from ami_adapter.link import LinkState, LinkStatus
from ami_adapter.moments import Moments, wall_clock
from ami_adapter.stories.keeper import StoryKeeper
from ami_adapter.stories.shelf import FOLDER, StoryShelf
from crm.agent_wishes import WISH_CHANNEL
from crm.call_actions import cards_of
from crm.call_store import StoredCall
from crm.callback_states import CALLBACK_CHANNEL
from crm.changes import ACCESS_CHANNEL, DIRECTORY_CHANNEL, PARTIES_CHANNEL
from crm.database import Database
from crm.delivery_queue import SUBSCRIBER_CHANNEL
from crm.dialling_policy import read_policy
from crm.direct_reading import DirectReaders
from crm.directory import Directory, directory
from crm.duplicates import SEARCH_CHANNEL
from crm.errors import SecretUnreadable
from crm.handling_rules import ACTION_CHANNEL
from crm.importing.jobs import IMPORT_CHANNEL
from crm.journal import Journal
from crm.notifications import NOTICE_CHANNEL
from crm.open_calls import open_calls
from crm.rights import command_access
from crm.routing import warm_up_routing
from crm.schema.base import uuid7
from crm.sealing import Seal, open_seal
from crm.spool import Spool
from crm.task_news import TASK_CHANNEL, read_news
from crm.telephony import connection_secret, list_connections
from crm.wrap_ups import WRAP_UP_CHANNEL
from cti.calls.call_events import CallEvent
from cti.calls.presence_events import PresenceEvent
from cti.daemon.agent_book import AgentBook
from cti.daemon.agi import RouteAgi
from cti.daemon.back_fill import BackFill
from cti.daemon.call_ids import CallIds
from cti.daemon.controlling import as_desk_card
from cti.daemon.delay_book import DelayBook
from cti.daemon.diallers import dial_plans
from cti.daemon.figures import publish_figures
from cti.daemon.follow_ups import FollowUps
from cti.daemon.garbage import collect_in_pauses, keep_what_stays
from cti.daemon.housekeeping import Housekeeping, kept_by
from cti.daemon.imports import Imports
from cti.daemon.link_book import HEARD_SECONDS, LinkBook
from cti.daemon.links import Links, Wiring, ami_settings, wiring
from cti.daemon.listening import Listener, Renewal
from cti.daemon.pausing import Pausing
from cti.daemon.recognition import Recognition
from cti.daemon.reminders import Reminders
from cti.daemon.sender_name import SenderName
from cti.daemon.settings import Settings, address_of
from cti.daemon.shifts import Shifts
from cti.daemon.story_book import StoryBook
from cti.daemon.subscribers import Subscribers
from cti.daemon.switchboard import Switchboard
from cti.daemon.telephone import OfficeTelephone, open_telephone
from cti.daemon.troubles import Troubles
from cti.desk import ConnectionView, Desk, EmptyDirectory, Message
from cti.numbers import NumberingProfile, warm_up
from web.app import create_app
from web.crm_notes import CrmNotes
from web.gate import CrmGate
from web.keys import LIVE, Services
from web.live import LiveHub
from web.proxies import networks
from web.status import FIND_TROUBLES

log = structlog.get_logger(__name__)

DIRECTORY_SECONDS = 5.0  # a change is taken up at once; this is for when hearing of it fails
FLUSH_SECONDS = 3.0
ROUTE_READERS = 4  # connections on which dialplans are answered
THREAD_TURN_SECONDS = 0.0005  # how long a thread that packs stories may hold up the loop; 5 ms by default


def let_the_loop_go_first() -> None:
    """Threads that work on the side give way to a ringing call within half a millisecond."""
    sys.setswitchinterval(THREAD_TURN_SECONDS)


class Program:
    """The parts of a running server; `run` holds them together until it is cancelled."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self._seal: Seal = open_seal(settings.key_file)
        self._clock = Moments.anchored_now()
        self._ids = CallIds()
        self._agent_book = AgentBook(database.sessions)
        self.desk = Desk(EmptyDirectory(), epoch=uuid7().hex, on_agent_state=self._agent_book.note)
        self.journal = Journal(database, Spool(settings.data / "spool"), on_stored=self._stored)
        self._shelf = StoryShelf(
            settings.data / FOLDER, days=settings.story_days, megabytes=settings.story_megabytes
        )
        self._keeper = StoryKeeper(self._shelf, wall_clock) if settings.story_days else None
        self._readers = DirectReaders(database, ROUTE_READERS)
        self._gate = CrmGate(database.sessions, wall_clock, self._readers)
        self._sender = SenderName(settings.data)
        self.telephone = self._make_telephone()
        self._pausing = self._make_pausing()
        self.app = self._make_app()
        self._hub: LiveHub = self.app[LIVE]
        self._delay_book = DelayBook(database.sessions, now=wall_clock)
        self._hub.on_measured = self._delay_book.note
        self.recognition = Recognition(
            database,
            tell=lambda asked, result: self.switchboard.recognised(asked, result),
            give_up=lambda asked: self.switchboard.not_recognised(asked),
        )
        self.switchboard = self._make_switchboard()
        self._book = LinkBook(database.sessions)
        self._links = self._make_links()
        self._make_workers()
        self._directory = Directory()
        self._names: dict[int, str] = {}
        self._heard_at = 0.0  # of calls, by the monotonic clock
        self._renewal = Renewal(self.renew, DIRECTORY_SECONDS)
        self._troubles = Troubles(
            database, self.journal, self._links.states, self.telephone.dialler_states, self._name_of
        )

    async def run(self, started: asyncio.Event) -> None:
        """Serve until cancelled; `started` is set once the address answers."""
        # The names of regions: half a second that no first caller should wait.
        await asyncio.to_thread(warm_up)
        await self._readers.warm_up(warm_up_routing)
        await self.recognition.warm_up()
        try:
            async with self._serving(), asyncio.TaskGroup() as tasks:
                await self._begin()
                self._start_workers(tasks)
                keep_what_stays()
                let_the_loop_go_first()
                started.set()
                try:
                    await asyncio.Event().wait()
                finally:  # no more events; what was told is stored
                    await self.telephone.close()
                    await self._links.close()
                    await self._flush()
        finally:
            await self._book.flush()
            await self._agent_book.flush()
            await self._flush_delays()
            await self._gate.close()
            self._readers.close()
            self._sender.close()

    async def _begin(self) -> None:
        """Take up what an earlier run left, then connect."""
        await self._go_on_with_open_calls()
        at = wall_clock()
        for part in (self.telephone, self._book, self._agent_book):
            await part.begin(at)
        await self.renew()

    def _start_workers(self, tasks: asyncio.TaskGroup) -> None:
        for work in (
            self.journal.run,
            self.recognition.run,
            self._book.run,
            self._agent_book.run,
            self._delay_book.run,
            self.telephone.run,
            self._back_fill.run,
            self._imports.run,
            self._follow_ups.run,
            self._shifts.run,
            self._pausing.run,
            self._renewal.run,
            self._housekeeping.run,
            self._reminders.run,
            self._subscribers.run,
            self._listener().run,
            self._note_heard,
            lambda: self._readers.stay_awake(warm_up_routing),
            self._answer_dialplans,
            self._keep_stories,
        ):
            tasks.create_task(work())
        tasks.create_task(collect_in_pauses(lambda: self._heard_at))

    async def renew(self) -> None:
        """Take up what the administrator changed: lines, extensions, connections."""
        async with self.database.sessions() as session:
            found = await directory(session, wall_clock())
            wanted = await self._wanted(found)
            plans = await dial_plans(session, self._seal)
            self.telephone.set_policy(await read_policy(session))
        if found != self._directory:
            self._directory = found
            self.switchboard.set_directory(found)
            self.telephone.set_directory(found)
        self._names = {one.id: one.name for one in found.connections.values()}
        for gone in await self._links.equal(wanted):
            self._deliver(self.desk.forget_connection(gone, self._clock.now()))
        await self.telephone.equal(plans)

    def _make_workers(self) -> None:
        """Those who work beside the calls, each in a loop of its own that `run` starts."""
        settings, sessions = self.settings, self.database.sessions
        self._back_fill = BackFill(self.database, self._seal, now=wall_clock, time_zone=settings.time_zone)
        self._housekeeping = Housekeeping(
            sessions, now=wall_clock, time_zone=settings.time_zone, kept=kept_by(settings)
        )
        self._subscribers = Subscribers(
            sessions,
            self._seal,
            networks=settings.subscriber_networks,
            now=wall_clock,
            me=self._sender.id,
        )
        self._imports = Imports(self.database)
        self._reminders = Reminders(sessions, now=wall_clock)
        self._follow_ups = FollowUps(sessions)
        self._shifts = Shifts(
            sessions,
            self.desk,
            now=self._clock.now,
            deliver=self._deliver,
            tell=self._hub.tell,
            on_wishes=self._pausing.wished,
            on_wrap_up=lambda one: self.switchboard.bring_back(one),
        )

    def _make_telephone(self) -> OfficeTelephone:
        return open_telephone(
            sessions=self.database.sessions,
            desk=self.desk,
            ids=self._ids,
            ask=lambda question: self.recognition.ask(question),
            deliver=self._deliver,
            tell=lambda user_id, kind, data: self._hub.tell(user_id, kind, data),
            now=self._clock.now,
            on_account=lambda connection_id: self._pausing.look_at(connection_id),
        )

    def _make_pausing(self) -> Pausing:
        return Pausing(
            self.database.sessions,
            self.desk.shift,
            pause=self.telephone.pause,
            tell=lambda user_id, kind, data: self._hub.tell(user_id, kind, data),
        )

    def _make_app(self) -> web.Application:
        settings = self.settings
        app = create_app(
            Services(
                sessions=self.database.sessions,
                gate=self._gate,
                notes=CrmNotes(),
                desk=self.desk,
                now=self._clock.now,
                secure_cookies=any(origin.startswith("https:") for origin in settings.public_origins),
                public_origins=frozenset(settings.public_origins),
                trusted_proxies=networks(settings.trusted_proxies),
                time_zone=settings.time_zone,
                seal=self._seal,
                telephone=self.telephone,
                stories=self._shelf,
                subscriber_networks=networks(settings.subscriber_networks),
                region=settings.region,
                readers=self._readers,
            )
        )
        app[FIND_TROUBLES] = lambda: self._troubles.find()
        return app

    def _make_switchboard(self) -> Switchboard:
        return Switchboard(
            desk=self.desk,
            journal=self.journal,
            ask=self.recognition.ask,
            deliver=self._deliver,
            now=self._clock.now,
            ids=self._ids,
            story=self._story_book(),
        )

    def _make_links(self) -> Links:
        return Links(
            emit=self._receive,
            on_presence=self._presence,
            on_state=self._link_changed,
            on_gap=lambda *_gap: None,
            ear=lambda connection_id: self._keeper.ear(connection_id) if self._keeper else None,
        )

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        runner = web.AppRunner(self.app, handle_signals=False, access_log=None, shutdown_timeout=5.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self.settings.host, self.settings.port, backlog=1024).start()
            publish_figures(self.journal, self._hub, self._links, self.switchboard)
            yield
        finally:
            await runner.cleanup()

    async def _go_on_with_open_calls(self) -> None:
        """A call that was going on when an earlier run ended keeps its id."""
        async with self.database.sessions() as session:
            calls = await open_calls(session)
            cards = await cards_of(session, [call.id for call in calls])
        for call in calls:
            self._ids.learn(call.connection_id, call.id, call.linked_ids)
        self.desk.learn_cards((card.call_id, as_desk_card(card)) for card in cards)

    async def _wanted(self, found: Directory) -> dict[int, Wiring]:
        async with self.database.sessions() as session:
            stored = await list_connections(session, command_access())
            wanted: dict[int, Wiring] = {}
            for one in stored:
                connection = found.connections.get(one.id)
                if connection is None or not one.is_enabled:
                    continue
                try:
                    secret = await connection_secret(session, one.id, self._seal)
                except SecretUnreadable as error:
                    log.error("connection_secret_unreadable", connection=one.name, why=str(error))
                    continue
                wanted[one.id] = wiring(connection, ami_settings(one.settings, secret))
        return wanted

    def _listener(self) -> Listener:
        return Listener(
            self.database,
            {
                DIRECTORY_CHANNEL: lambda _what: self._renewal.ask(),
                ACCESS_CHANNEL: lambda user_id: self._hub.rechecks.changed(int(user_id)),
                PARTIES_CHANNEL: lambda _nothing: self.switchboard.ask_again(),
                SEARCH_CHANNEL: lambda _nothing: self._housekeeping.ask(),
                NOTICE_CHANNEL: lambda told: self._hub.notice(*map(int, told.split(" "))),
                IMPORT_CHANNEL: lambda _job: self._imports.look(),
                TASK_CHANNEL: self._tell_task,
                ACTION_CHANNEL: lambda _nothing: self._follow_ups.look(),
                CALLBACK_CHANNEL: self._hub.callbacks.note,
                WRAP_UP_CHANNEL: self._shifts.wrap_up_told,
                SUBSCRIBER_CHANNEL: lambda told: self._subscribers.look(int(told)),
                WISH_CHANNEL: lambda _user: self._shifts.ask(),
            },
            catch_up=self._catch_up,
            on_away=self._hub.set_database_away,
        )

    def _tell_task(self, payload: str) -> None:
        user_id, word, task_id = read_news(payload)
        self._hub.tell(user_id, f"task.{word}", {"id": task_id})
        self._reminders.look()

    def _catch_up(self) -> None:
        self._renewal.ask()
        self._shifts.ask()
        self._hub.rechecks.everybody_changed()

    def _receive(self, connection_id: int, events: Sequence[CallEvent]) -> None:
        self._heard_at = time.monotonic()
        self.switchboard.receive(connection_id, events)

    def _presence(self, connection_id: int, events: Sequence[PresenceEvent]) -> None:
        self._deliver(self.desk.shift.hear(connection_id, events))

    def _deliver(self, messages: Iterable[Message]) -> None:
        self._hub.deliver(messages)

    def _stored(self, stored: StoredCall) -> None:
        self.switchboard.stored_as(stored.told_id, stored.id)

    def _link_changed(self, connection_id: int, state: LinkState) -> None:
        at = self._clock.now()
        self._book.note_state(connection_id, state, at)
        if state.status is LinkStatus.UP:
            self._back_fill.gap_ended()
        view = ConnectionView(
            id=connection_id, name=self._name_of(connection_id), state=state.status.value, since=state.since
        )
        self._deliver(self.desk.set_connection(view, at))

    def _name_of(self, connection_id: int) -> str:
        return self._names.get(connection_id, str(connection_id))

    def _story_book(self) -> StoryBook | None:
        if self._keeper is None:
            return None
        book = StoryBook(self._keeper, pages_of=self._hub.pages_of, now=self._clock.now)
        self._hub.on_drawn = book.drawn
        return book

    async def _keep_stories(self) -> None:
        """Write them for ever; with the setting off, what an earlier run kept goes."""
        if self._keeper is not None:
            await self._keeper.run()
        else:
            await asyncio.to_thread(self._shelf.begin, wall_clock())

    async def _answer_dialplans(self) -> None:
        """Over FastAGI; over HTTP the web part answers. An address that is taken costs this service alone."""
        if self.settings.agi_listen is None:
            return
        host, port = address_of(self.settings.agi_listen)
        asked = RouteAgi(
            host,
            port,
            readers=self._readers,
            gate=self._gate,
            now=wall_clock,
            home=NumberingProfile(region=self.settings.region),
        )
        try:
            await asked.server.run()
        except OSError as error:
            log.error("agi_not_listening", address=self.settings.agi_listen, why=error.strerror)

    async def _note_heard(self) -> None:
        while True:
            await asyncio.sleep(HEARD_SECONDS)
            for connection_id, state in self._links.states().items():
                if state.status is LinkStatus.UP and state.heard_at is not None:
                    self._book.note_heard(connection_id, state.heard_at)

    async def _flush_delays(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._delay_book.write()

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.journal.idle()
        except TimeoutError:
            log.warning("journal_not_stored_at_stop", waiting=self.journal.waiting)
