"""The office of the long suite: six telephones and a provider at a real PBX, its AMI stream recorded, its calls judged."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from tests.pbx.ami_tap import AmiTap
from tests.pbx.asterisk_lab import DIALLER, OFFICE_PHONES, READER, AsteriskLab, LabError
from tests.pbx.judging import Expected, Inside, Run, differences
from tests.pbx.phones import habits
from tests.pbx.phones.line import Headers, Line
from tests.pbx.phones.phone import Phone
from tests.pbx.phones.sound import VOICES_HZ

SETTLE_SECONDS = 0.3
PROVIDER = "provider"
MOBILE = "89031112233"  # somebody outside whom nobody is


class Telephones:
    """Every telephone of the office, registered for as long as the block lasts."""

    def __init__(self, pbx: AsteriskLab) -> None:
        voices = list(VOICES_HZ)
        self.pbx = pbx
        self.desks = {
            extension: Phone(
                extension,
                pbx.phone(extension),
                pbx.host,
                password=pbx.password_of(extension),
                voices=voices[place],
            )
            for place, extension in enumerate(OFFICE_PHONES)
        }
        outside = itertools.cycle(voices[len(OFFICE_PHONES) + 1 :])
        self.provider = Phone(PROVIDER, pbx.provider, pbx.host, voices=outside)

    @property
    def all(self) -> list[Phone]:
        return [*self.desks.values(), self.provider]


@asynccontextmanager
async def telephones(pbx: AsteriskLab) -> AsyncIterator[Telephones]:
    them = Telephones(pbx)
    async with AsyncExitStack() as stack:
        for phone in them.all:
            await stack.enter_async_context(phone)
        await _until_reachable(pbx)
        yield them


class Floor:
    """One scenario: what the script has telephones do, and afterwards what the calls must say."""

    def __init__(self, them: Telephones, tap: AmiTap, recording: Path) -> None:
        self.pbx, self.provider = them.pbx, them.provider
        self._them, self._tap, self._recording = them, tap, recording
        for phone in them.all:
            phone.lines.clear()
            phone.habit = None

    def phone(self, extension: str) -> Phone:
        return self._them.desks[extension]

    @asynccontextmanager
    async def second_telephone(self, extension: str) -> AsyncIterator[Phone]:
        """One more telephone of this extension, which rings like the first and is answered by nobody."""
        phone = Phone(
            extension,
            self.pbx.second_phone(extension),
            self.pbx.host,
            password=self.pbx.password_of(extension),
            voices=VOICES_HZ[-1],
        )
        async with phone:
            phone.habit = habits.rings()
            try:
                yield phone
            finally:
                await phone.register(expires=0)

    # ---- habits -------------------------------------------------------------------------------------------------

    def rings(self, *extensions: str) -> None:
        for extension in extensions:
            self._at(extension).habit = habits.rings()

    def answers(self, extension: str, *, after: float = 1.0) -> None:
        """`extension`: a telephone, or PROVIDER for whoever is called outside."""
        self._at(extension).habit = habits.answers(after=after)

    def refuses(self, extension: str, code: int, *, after: float = 0.0) -> None:
        self._at(extension).habit = habits.refuses(code, after=after)

    def forwards(self, extension: str, target: str) -> None:
        self._at(extension).habit = habits.forwards(target)

    # ---- calls --------------------------------------------------------------------------------------------------

    async def customer(self, number: str, did: str, *, name: str = "", extra: Headers = ()) -> Line:
        """A customer begins to call us."""
        return await self.provider.dial(did, caller=number, name=name, extra=extra)

    async def talks(self, number: str, did: str, extension: str, *, after: float = 1.0) -> tuple[Line, Line]:
        """A customer who talks with the agent of this extension: both ends."""
        self.answers(extension, after=after)
        customer = await self.customer(number, did)
        agent = await self.answered_at(extension)
        await customer.until_answered()
        return customer, agent

    async def answered_at(self, extension: str, *, which: int = 0, seconds: float = 30) -> Line:
        """The call that came to this telephone (the first, the second, …), once it is answered."""
        line = await self._came_to(extension, which, seconds)
        await line.until_answered(seconds=seconds)
        return line

    async def first_to_answer(self, extensions: Sequence[str], *, seconds: float = 30) -> Line:
        """The line of whichever of these telephones answers first."""
        return await self._first(extensions, lambda line: line.answered.is_set(), seconds)

    async def second_to_ring(self, extensions: Sequence[str], *, seconds: float = 30) -> Line:
        """Of telephones that ring in turn the line that rings now, after another one has rung for nothing."""

        def is_second(line: Line) -> bool:
            rang = [
                one for extension in extensions for one in self.phone(extension).lines if one.notes.rang_at
            ]
            return _came_and_rang(line) and len(rang) > 1 and not line.ended.is_set()

        return await self._first(extensions, is_second, seconds)

    async def rang_at(self, extension: str, *, which: int = 0, seconds: float = 30) -> Line:
        return await self._came_to(extension, which, seconds)

    async def dials(self, extension: str, number: str) -> Line:
        return await self.phone(extension).dial(number)

    async def consults(self, agent: Line, target: str, *, after: float = 1.0) -> Line:
        """The agent puts the customer on hold and talks with the target: that second call."""
        await agent.hold()
        self.answers(target, after=after)
        second = await self.dials(agent.phone.name, target)
        await second.until_answered()
        return second

    async def click_to_call(self, extension: str, number: str) -> None:
        """As the program does it: the agent's telephone is called first."""
        async with AmiTap(self.pbx, DIALLER) as dialler:
            await dialler.ask(
                "Originate",
                Channel=f"PJSIP/{extension}",
                Context="ringcard-click-to-call",
                Exten=number,
                Priority="1",
                CallerID=f"<{number}>",
                Timeout="5000",
                Async="true",
            )

    async def parking_space(self) -> str:
        """Where the customer was parked last, as the PBX announces it."""
        async with asyncio.timeout(10):
            while not (
                spaces := [told["ParkingSpace"] for told in self._tap.messages() if "ParkingSpace" in told]
            ):
                await asyncio.sleep(0.1)
        return spaces[-1]

    # ---- afterwards -----------------------------------------------------------------------------------------------

    async def expect(self, *calls: Expected, inside: Sequence[Inside] = ()) -> None:
        """Hold what our core made of the AMI stream against the telephones: these calls with customers and these among
        colleagues, each told once, and no other."""
        await asyncio.sleep(SETTLE_SECONDS)  # whom the PBX hangs up shall not do so himself
        await self.hang_up()
        await asyncio.sleep(SETTLE_SECONDS)
        await self._tap.ask("Ping")  # whatever belongs to the calls has arrived before its answer
        self._tap.save(self._recording)
        run = Run.of(self._recording, self.lines())
        found = differences(run, calls, inside)
        assert not found, "\n".join(["", *found, "told:", *run.stories(), "seen:", *map(repr, self.lines())])

    @asynccontextmanager
    async def restarting(self, how: str, *, seconds: float = 30) -> AsyncIterator[None]:
        """`core restart …` is told at the start of the block; at its end the PBX has begun anew and takes calls."""
        before = await self._booted_at()
        order = await asyncio.create_subprocess_exec(
            *self.pbx.cli_command(how), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            yield
            async with asyncio.timeout(seconds):
                while await self._booted_at() < before + 2:
                    await asyncio.sleep(0.1)
        finally:
            if order.returncode is None:
                order.kill()
            await order.wait()

    async def _booted_at(self) -> float:
        """When the PBX that takes calls now was started, in seconds of the monotonic clock; 0 while none does."""
        with suppress(LabError):
            if "fully" in await self.cli("core waitfullybooted"):
                told = await self.cli("core show uptime seconds")
                uptime = re.search(r"System uptime: (\d+)", told)
                return time.monotonic() - int(uptime[1]) if uptime else 0.0
        return 0.0

    async def start_anew(self) -> None:
        """After a restart: what the PBX has forgotten the telephones forget too, and they register again."""
        for phone in self._them.all:
            for line in phone.open_lines:
                line.end(by="them", code=0)
        for phone in self._them.desks.values():
            await phone.register(expires=0)  # a place that the PBX kept on disk it would not ask for a minute
            await phone.register()
        await _until_reachable(self.pbx)

    async def hang_up(self) -> None:
        """Everybody goes; back once the PBX has no channel left."""
        for line in self.lines():
            await line.hang_up()
        async with asyncio.timeout(30):
            while "0 active channels" not in await self.cli("core show channels count"):
                await asyncio.sleep(0.1)

    def lines(self) -> list[Line]:
        return [line for phone in self._them.all for line in phone.lines]

    async def cli(self, command: str) -> str:
        return await asyncio.to_thread(self.pbx.cli, command)

    async def _first(self, extensions: Sequence[str], fits: Callable[[Line], bool], seconds: float) -> Line:
        async with asyncio.timeout(seconds):
            while True:
                for line in (line for extension in extensions for line in self.phone(extension).lines):
                    if fits(line):
                        return line
                await asyncio.sleep(0.02)

    def _at(self, extension: str) -> Phone:
        return self.provider if extension == PROVIDER else self.phone(extension)

    async def _came_to(self, extension: str, which: int, seconds: float) -> Line:
        phone = self._at(extension)
        async with asyncio.timeout(seconds):
            while len(came := [line for line in phone.lines if _came_and_rang(line)]) <= which:
                await asyncio.sleep(0.02)
        return came[which]


@asynccontextmanager
async def working(them: Telephones, recording: Path) -> AsyncIterator[Floor]:
    """A scenario's floor; whatever it leaves is hung up."""
    async with AmiTap(them.pbx, READER) as tap:
        floor = Floor(them, tap, recording)
        try:
            yield floor
        finally:
            await floor.hang_up()


def _came_and_rang(line: Line) -> bool:
    return not line.is_ours and line.notes.rang_at is not None


async def _until_reachable(pbx: AsteriskLab) -> None:
    """A queue offers calls only to telephones that answered the PBX's first OPTIONS."""
    async with asyncio.timeout(15):
        while (await asyncio.to_thread(pbx.cli, "pjsip show contacts")).count(" Avail ") < len(OFFICE_PHONES):
            await asyncio.sleep(0.1)
