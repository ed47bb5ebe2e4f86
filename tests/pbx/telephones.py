"""SIPp as telephones, customers and the provider's far end: each a process that ends with its `async with` block."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.pbx.asterisk_lab import SIP_PORT, AsteriskLab

SCENARIOS = Path(__file__).parent / "sipp"
NEVER_SECONDS = 3600.0
_customer_ports = itertools.cycle(range(6000, 8000, 2))
_media_ports = itertools.cycle(range(30000, 50000, 100))


class SippFailed(Exception):
    """SIPp ended with an error; the text is what it wrote."""


@asynccontextmanager
async def agents(lab: AsteriskLab, **answer_after: float) -> AsyncIterator[None]:
    """Several telephones: `agents(lab, e101=2, e102=NEVER_SECONDS)`."""
    async with AsyncExitStack() as stack:
        for name, seconds in answer_after.items():
            await stack.enter_async_context(agent(lab, name.removeprefix("e"), answers_after=seconds))
        yield


@asynccontextmanager
async def agent(
    lab: AsteriskLab, extension: str, *, answers_after: float = NEVER_SECONDS, talks: float = NEVER_SECONDS
) -> AsyncIterator[None]:
    """A registered telephone; it answers each call after so many seconds of ringing, and hangs up after `talks`."""
    async with _sipp(lab, "telephone.xml", lab.phone(extension), SIP_PORT, _habits(answers_after, talks)):
        await _register(lab, extension, expires=3600)
        try:
            await _until_reachable(lab, extension)
            yield
        finally:
            await _register(lab, extension, expires=0)


@asynccontextmanager
async def far_end(
    lab: AsteriskLab, *, answers_after: float = NEVER_SECONDS, talks: float = NEVER_SECONDS
) -> AsyncIterator[None]:
    """Whoever our agents call outside: reached through the provider."""
    async with _sipp(lab, "telephone.xml", lab.provider, SIP_PORT, _habits(answers_after, talks)):
        yield


@asynccontextmanager
async def customer(
    lab: AsteriskLab,
    number: str,
    did: str,
    *,
    name: str = "",
    patience: float = 60,
    stays: float = 60,
    privacy: str = "",
) -> AsyncIterator[Process]:
    """A customer's call, begun now. Leaving the block waits for its end: `patience` and `stays` in seconds bound that.

    Args:
        patience: how long to wait for an answer; a queue or a menu that answers ends the wait too.
        stays: how long to stay after that.
        privacy: further header lines of the INVITE, e.g. P-Asserted-Identity and Privacy.

    Raises:
        SippFailed: the PBX answered what no telephone expects.
    """
    marks = {
        "FROM": f'"{name}" <sip:{number}@{lab.provider}>',
        "DID": did,
        "PATIENCE_MS": _milliseconds(patience),
        "STAY_MS": _milliseconds(stays),
        "PRIVACY": privacy or "User-Agent: customer",
    }
    async with _sipp(lab, "customer.xml", lab.provider, next(_customer_ports), marks, calls=1) as process:
        yield process
        await _finish(process, seconds=patience + stays + 5)


@asynccontextmanager
async def many_customers(lab: AsteriskLab, did: str, *, count: int, per_second: int) -> AsyncIterator[None]:
    """So many customers call one after another and stay; at the end of the block the PBX hangs up on all of them."""
    marks = {
        "FROM": f"<sip:8916[call_number]@{lab.provider}>",
        "DID": did,
        "PATIENCE_MS": _milliseconds(60),
        "STAY_MS": _milliseconds(NEVER_SECONDS),
        "PRIVACY": "User-Agent: customer",
    }
    rate = ("-r", str(per_second), "-l", str(count))
    port = next(_customer_ports)
    async with _sipp(lab, "customer.xml", lab.provider, port, marks, calls=count, more=rate):
        yield
        await asyncio.to_thread(lab.cli, "channel request hangup all")
        async with asyncio.timeout(30):
            while "0 active channels" not in await asyncio.to_thread(lab.cli, "core show channels count"):
                await asyncio.sleep(0.2)


async def _register(lab: AsteriskLab, extension: str, *, expires: int) -> None:
    marks = {
        "USER": extension,
        "PASSWORD": lab.password_of(extension),
        "PORT": str(SIP_PORT),
        "EXPIRES": str(expires),
    }
    async with _sipp(lab, "register.xml", lab.phone(extension), SIP_PORT + 1, marks, calls=1) as registration:
        await _finish(registration, seconds=10)


async def _until_reachable(lab: AsteriskLab, extension: str) -> None:
    """A queue offers calls only to telephones that answered the PBX's first OPTIONS."""
    async with asyncio.timeout(10):
        while not _is_reachable(lab.cli("pjsip show contacts"), extension):
            await asyncio.sleep(0.05)


def _is_reachable(contacts: str, extension: str) -> bool:
    return any(f" {extension}/sip:" in line and " Avail " in line for line in contacts.splitlines())


def _habits(answers_after: float, talks: float) -> dict[str, str]:
    return {"RING_MS": _milliseconds(answers_after), "TALK_MS": _milliseconds(talks)}


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


@asynccontextmanager
async def _sipp(
    lab: AsteriskLab,
    scenario: str,
    address: str,
    port: int,
    marks: dict[str, str],
    *,
    calls: int | None = None,
    more: tuple[str, ...] = (),
) -> AsyncIterator[Process]:
    text = (SCENARIOS / scenario).read_text(encoding="utf-8")
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    with tempfile.TemporaryDirectory(prefix="ringcard-sipp-") as folder:
        Path(folder, scenario).write_text(text, encoding="utf-8")
        options = [
            "-sf",
            scenario,
            "-i",
            address,
            "-p",
            str(port),
            "-mp",
            str(next(_media_ports)),
            "-nostdin",
        ]
        bound = [] if calls is None else ["-m", str(calls)]
        # It dies with us even if we are killed.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "sipp",
            f"{lab.host}:{SIP_PORT}",
            *options,
            *bound,
            *more,
        ]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            yield process
        finally:
            await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()  # on TERM SIPp would first finish its calls
        await process.wait()


async def _finish(process: Process, *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        if code := await process.wait():
            raise SippFailed(f"SIPp process {process.pid}: exit {code}")
