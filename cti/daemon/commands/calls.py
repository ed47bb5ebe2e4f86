"""`ringcard export calls` and `ringcard call`: the journal for other programs, and the story of one call."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.stories.entries import Entry
from ami_adapter.stories.export import anonymous_capture
from ami_adapter.stories.shelf import FOLDER, StoryShelf
from ami_adapter.stories.steps import Step, tell_steps
from crm.calls_read import CallFilter, export_calls, told_call
from crm.changes import log_access
from crm.rights import command_access
from cti.daemon.commands.users import in_session
from cti.daemon.failures import CommandFailed
from cti.daemon.logs import escaped
from cti.daemon.settings import load_settings

KINDS = {"heard": "heard", "set_aside": "set aside", "concluded": "so", "told": "told", "why": "why"}


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    exports = commands.add_parser("export", help="write out the journal").add_subparsers(
        metavar="WHAT", required=True
    )
    calls = exports.add_parser("calls", help="every call of the journal, oldest first")
    calls.add_argument("--json", action="store_true", required=True, help="one JSON object a line")
    calls.add_argument(
        "--since", type=_moment, help="only calls that started then or later (2026-11-20 or with a time)"
    )
    calls.add_argument("--until", type=_moment, help="only calls that started before")
    calls.set_defaults(run=in_session(_export))
    one = commands.add_parser("call", help="the story of one call: what arrived, what we concluded")
    one.add_argument("id", help="the call's id")
    one.add_argument("--json", action="store_true")
    one.add_argument(
        "--export",
        type=Path,
        metavar="FOLDER",
        help="write the call as an anonymous capture into this folder: a stream, its timing, what we concluded",
    )
    one.set_defaults(run=in_session(_tell_call))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date; write 2026-11-20 or 2026-11-20T14:30"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(load_settings().time_zone))


async def _export(session: AsyncSession, options: argparse.Namespace) -> None:
    wanted = CallFilter(since=options.since, until=options.until)
    async for call in export_calls(session, command_access(), wanted):
        print(json.dumps(call, ensure_ascii=False, default=str))


async def _tell_call(session: AsyncSession, options: argparse.Namespace) -> None:
    call = await told_call(session, command_access(), _call_id(options.id))
    entries = _kept(UUID(call["id"]))
    if options.export is not None:
        await _export_capture(session, options.export, call["id"], entries)
        return
    steps = tell_steps(entries)
    if options.json:
        told = {**call, "steps": [step.as_json() for step in steps]}
        print(json.dumps(told, ensure_ascii=False, default=str))
        return
    for line in (_head(call), *(_lines(steps) or call["story"])):
        print(escaped(line))  # callers choose their names: none of them may move the cursor


def _kept(call_id: UUID) -> list[Entry]:
    settings = load_settings()
    shelf = StoryShelf(settings.data / FOLDER, days=settings.story_days, megabytes=settings.story_megabytes)
    return shelf.read(call_id)


def _lines(steps: Sequence[Step]) -> list[str]:
    """Each step with the installation's clock and what kind of step it is."""
    zone = ZoneInfo(load_settings().time_zone)
    return [
        f"{step.at.astimezone(zone):%H:%M:%S}.{step.at.microsecond // 1000:03}  {KINDS[step.kind]:10}{step.text}"
        for step in steps
    ]


async def _export_capture(
    session: AsyncSession, folder: Path, call_id: str, entries: Sequence[Entry]
) -> None:
    capture = anonymous_capture(entries, region=load_settings().region)
    for path in capture.write(folder, f"call-{call_id}"):
        print(path)
    await log_access(session, "call_exported", command_access(), record_kind="call", record_id=call_id)


def _call_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise CommandFailed(
            f"{text!r} is no id of a call; `ringcard export calls --json` shows them."
        ) from error


def _head(call: Mapping[str, Any]) -> str:
    who = call["customer_e164"] or call["customer_number_raw"] or "number withheld"
    return f"{call['direction']} call {call['id']}, {who}, {call['disposition'] or 'no disposition'}"
