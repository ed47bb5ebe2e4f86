"""`ringcard connection …`, `ringcard line …` and `ringcard extension …`."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.diagnose import Verdict, check
from ami_adapter.link import AmiSettings
from crm.extensions import assign_extension, list_extensions, set_endpoints
from crm.lines import add_line, list_lines
from crm.rights import command_access
from crm.sealing import open_seal
from crm.telephony import (
    KINDS,
    AsteriskSettings,
    add_connection,
    connection_secret,
    list_connections,
)
from cti.daemon.commands.connections_named import connection_named
from cti.daemon.commands.second_truth import add_second_truth_commands
from cti.daemon.commands.secrets_in import read_secret
from cti.daemon.commands.users import in_session, user_named
from cti.daemon.links import ami_settings
from cti.daemon.settings import load_settings
from cti.daemon.storage import command_session


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add_connection_commands(commands.add_parser("connection", help="add, list and test connections to PBXs"))
    _add_line_commands(commands.add_parser("line", help="add and list our outside numbers"))
    _add_extension_commands(commands.add_parser("extension", help="say who sits at which extension"))


def _add_connection_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add a connection; a running server connects within 5 s")
    add.add_argument("name")
    add.add_argument("--kind", choices=KINDS, default="asterisk")
    add.add_argument("--host", required=True)
    add.add_argument("--port", type=int, default=5038)
    add.add_argument("--user", required=True, help="the section of manager.conf")
    add.add_argument("--secret-stdin", action="store_true", help="read the secret from standard input")
    add.add_argument(
        "--accept-excessive-rights",
        action="store_true",
        help="use an account that may do more than it should",
    )
    add.set_defaults(run=_add_connection)
    shown = actions.add_parser("list", help="list connections and how they stand")
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=in_session(_list_connections))
    add_second_truth_commands(actions)
    test = actions.add_parser("test", help="check a connection and say in plain words what is wrong")
    test.add_argument("name")
    test.set_defaults(run=lambda options: asyncio.run(_test_connection(options)))


def _add_line_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add an outside number of ours")
    add.add_argument("connection")
    add.add_argument("number")
    add.add_argument("--name", required=True)
    add.add_argument("--colour", help="as #2f6fed")
    add.set_defaults(run=in_session(_add_line))
    shown = actions.add_parser("list", help="list lines")
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=in_session(_list_lines))


def _add_extension_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    assign = actions.add_parser("assign", help="from now on this user sits at this extension")
    assign.add_argument("connection")
    assign.add_argument("extension")
    assign.add_argument("login")
    assign.add_argument(
        "--endpoint", action="append", default=[], help="a telephone not named by the digits: PJSIP/ivanov"
    )
    assign.set_defaults(run=in_session(_assign))
    shown = actions.add_parser("list", help="list extensions")
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=in_session(_list_extensions))


def _add_connection(options: argparse.Namespace) -> int:
    secret = read_secret("Secret", from_stdin=options.secret_stdin)

    async def add(session: AsyncSession, options: argparse.Namespace) -> None:
        settings = AsteriskSettings(
            host=options.host,
            port=options.port,
            user=options.user,
            accepts_excessive_rights=options.accept_excessive_rights,
        )
        seal = open_seal(load_settings().key_file)
        await add_connection(
            session,
            command_access(),
            name=options.name,
            kind=options.kind,
            settings=settings,
            secret=secret,
            seal=seal,
            via="command",
        )
        print(f"Connection {options.name!r} added. Try it: ringcard connection test {options.name!r}")

    return in_session(add)(options)


async def _list_connections(session: AsyncSession, options: argparse.Namespace) -> None:
    found = await list_connections(session, command_access())
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, default=str))
        return
    for one in found:
        settings = one.settings
        print(
            f"{one.name}\t{one.kind}\t{settings.user}@{settings.host}:{settings.port}\t{one.state}\t{one.state_detail or ''}"
        )


async def _test_connection(options: argparse.Namespace) -> int:
    async with command_session(load_settings()) as session:
        settings = await _stored_settings(session, options.name)
    answers = await check(settings)
    for answer in answers:
        print(f"{answer.verdict.value:8}{answer.text}" + (f" {answer.remedy}" if answer.remedy else ""))
    return 1 if any(answer.verdict is Verdict.BAD for answer in answers) else 0


async def _stored_settings(session: AsyncSession, name: str) -> AmiSettings:
    found = await connection_named(session, name)
    return ami_settings(
        found.settings, await connection_secret(session, found.id, open_seal(load_settings().key_file))
    )


async def _add_line(session: AsyncSession, options: argparse.Namespace) -> None:
    found = await connection_named(session, options.connection)
    await add_line(
        session,
        command_access(),
        found.id,
        options.number,
        options.name,
        colour=options.colour,
        via="command",
    )
    print(f"Line {options.name!r} added.")


async def _list_lines(session: AsyncSession, options: argparse.Namespace) -> None:
    found = await list_lines(session)
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, default=str))
        return
    for one in found:
        print(f"{one.connection_name}\t{one.e164}\t{one.name}")


async def _assign(session: AsyncSession, options: argparse.Namespace) -> None:
    found = await connection_named(session, options.connection)
    user = await user_named(session, options.login)
    access = command_access()
    await assign_extension(session, access, found.id, options.extension, user.id, via="command")
    if options.endpoint:
        await set_endpoints(session, access, found.id, options.extension, options.endpoint, via="command")
    print(f"{user.name} sits at {options.extension} of {found.name!r} from now on.")


async def _list_extensions(session: AsyncSession, options: argparse.Namespace) -> None:
    found = await list_extensions(session)
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, default=str))
        return
    for one in found:
        print(f"{one.connection_name}\t{one.digits}\t{one.user_name or '—'}\t{', '.join(one.endpoints)}")
