"""The child processes of an import, from our side: started, fed, waited for within limits, and ended whatever happens.

Nothing of a foreign file is parsed in this process, and nothing of it takes the interpreter from the calls.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from crm.errors import Invalid
from crm.importing.files import refused
from crm.importing.plans import Checked, RowProblem, Rules

log = structlog.get_logger(__name__)

MOST_LINE: Final = 256 * 1024 * 1024  # 500 rows of 200 cells are far less
READING_SECONDS: Final = 120.0  # for a whole file
CHECKING_SECONDS: Final = 30.0  # for one batch
MOST_CHILDREN: Final = 2  # at one time; others wait
_turns = asyncio.Semaphore(MOST_CHILDREN)


class _Said(msgspec.Struct):
    """A line of the reading child."""

    details: dict[str, str] | None = None
    rows: list[tuple[int, list[str]]] = []
    is_last: bool = False
    refused: RowProblem | None = None


class ChildFailed(RuntimeError):
    """A child ended without an answer; the work of this batch is not done."""


@asynccontextmanager
async def _child(*arguments: str) -> AsyncIterator[Process]:
    async with _turns:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "crm.importing.child",
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=MOST_LINE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def read_file(path: Path) -> AsyncIterator[dict[str, str] | list[tuple[int, list[str]]]]:
    """What the file is, then its rows in batches.

    Raises:
        Invalid: the file is refused, with the reason; also when reading it took more memory or time than any table needs.
    """
    async with _child("read", str(path)) as process:
        assert process.stdout is not None, "asked for"
        try:
            async with asyncio.timeout(READING_SECONDS):
                async for line in process.stdout:
                    said = msgspec.json.decode(line, type=_Said)
                    if said.refused is not None:
                        raise Invalid("file", "", said.refused.why, **_values(said.refused))
                    yield said.details if said.details is not None else said.rows
                    if said.is_last:
                        return
        except TimeoutError as error:
            raise _too_much() from error
    log.warning("import_file_ended_its_reader", status=process.returncode)
    raise _too_much()


def _values(problem: RowProblem) -> dict[str, Any]:
    return {name: value for name, value in problem.values.items() if name != "value"}


def _too_much() -> Invalid:
    return refused(
        "Reading this file takes more time or memory than any table needs. Copy its rows into a new workbook, or save it as CSV."
    )


class Checker:
    """A child that understands rows, for one job. It works on the rows it was asked for while others are written down."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def ask(self, rows: Sequence[msgspec.Raw]) -> None:
        """Let it begin with these rows, each a JSON array of texts; `answer` gives what became of them, batch after batch.

        Raises:
            ChildFailed
        """
        await self._send(rows)

    async def answer(self) -> list[Checked]:
        """The rows of the first batch that was not answered yet, in their order.

        Raises:
            ChildFailed
        """
        try:
            async with asyncio.timeout(CHECKING_SECONDS):
                assert self._process.stdout is not None, "asked for"
                line = await self._process.stdout.readline()
            return await asyncio.to_thread(_understood, line)
        except (TimeoutError, msgspec.DecodeError) as error:
            raise ChildFailed(f"The rows were not understood in {CHECKING_SECONDS:g} s.") from error

    async def _send(self, what: Any) -> None:
        assert self._process.stdin is not None, "asked for"
        self._process.stdin.write(msgspec.json.encode(what) + b"\n")
        try:
            await self._process.stdin.drain()
        except ConnectionError as error:
            raise ChildFailed("The process that understands rows has ended.") from error


def _understood(line: bytes) -> list[Checked]:
    """In a thread, a row at a time: the loop of the calls gets its turn between two rows."""
    return [
        msgspec.json.decode(row, type=Checked) for row in msgspec.json.decode(line, type=list[msgspec.Raw])
    ]


@asynccontextmanager
async def checking(rules: Rules) -> AsyncIterator[Checker]:
    """A checker by these rules, for as long as the block runs."""
    async with _child("check") as process:
        checker = Checker(process)
        await checker._send(rules)
        yield checker
