"""`ringcard export calls` and `ringcard call`: the journal for other programs, and the story of one call."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from crm.calls_read import CallFilter, export_calls, told_call
from crm.rights import command_access
from cti.daemon.commands.users import in_session
from cti.daemon.failures import CommandFailed
from cti.daemon.logs import escaped
from cti.daemon.settings import load_settings


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
    if options.json:
        print(json.dumps(call, ensure_ascii=False, default=str))
        return
    for line in (_head(call), *call["story"]):
        print(escaped(line))  # callers choose their names: none of them may move the cursor


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
