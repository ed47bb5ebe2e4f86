"""`ringcard user …` and `ringcard token …`."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from crm.accounts import block_user, create_user, find_user, list_users
from crm.granted_rights import ROLE_CODES
from crm.rights import Scope, access_of, command_access
from crm.tokens import create_token
from crm.user_lists import UserInfo
from cti.daemon.commands.secrets_in import read_secret
from cti.daemon.failures import CommandFailed
from cti.daemon.settings import load_settings
from cti.daemon.storage import command_session

Act = Callable[[AsyncSession, argparse.Namespace], Coroutine[Any, Any, None]]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add_user_commands(commands.add_parser("user", help="add, list and block users"))
    tokens = commands.add_parser("token", help="create API tokens").add_subparsers(
        metavar="ACTION", required=True
    )
    create = tokens.add_parser("create", help="make an API token of a user and print it, once")
    create.add_argument("login")
    create.add_argument("--name", required=True, help="the program that will use it")
    least = "may be repeated: the token may do this and no more; without it, whatever its user may"
    create.add_argument("--right", action="append", metavar="RIGHT", help=least)
    create.set_defaults(run=in_session(_create_token))


def _add_user_commands(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add a user")
    add.add_argument("login")
    add.add_argument("--name", required=True)
    known = f"may be repeated: {', '.join(ROLE_CODES)}, or the code of a role of your own"
    add.add_argument("--role", required=True, action="append", help=known)
    add.add_argument("--language", choices=("ru", "en"), default="ru")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    add.set_defaults(run=_add)
    shown = actions.add_parser("list", help="list users")
    shown.add_argument("--json", action="store_true")
    shown.set_defaults(run=in_session(_list))
    block = actions.add_parser("block", help="end a user's sessions and tokens and refuse new ones")
    block.add_argument("login")
    block.set_defaults(run=in_session(_block))


def in_session(act: Act) -> Callable[[argparse.Namespace], int]:
    """A command that is one transaction on the configured database."""

    async def carry_out(options: argparse.Namespace) -> None:
        async with command_session(load_settings()) as session:
            await act(session, options)

    def run(options: argparse.Namespace) -> int:
        asyncio.run(carry_out(options))
        return 0

    return run


def _add(options: argparse.Namespace) -> int:
    password = read_secret("Password", from_stdin=options.password_stdin)

    async def add(session: AsyncSession, options: argparse.Namespace) -> None:
        await create_user(
            session,
            command_access(),
            login=options.login,
            name=options.name,
            role_codes=options.role,
            password=password,
            language=options.language,
            via="command",
        )
        print(f"User {options.login!r} added.")

    return in_session(add)(options)


async def _list(session: AsyncSession, options: argparse.Namespace) -> None:
    users = await list_users(session, command_access())
    if options.json:
        print(json.dumps([asdict(user) for user in users], ensure_ascii=False, default=str))
        return
    for user in users:
        print(
            f"{user.login}\t{user.name}\t{', '.join(user.role_codes)}\t{user.status}\t{', '.join(user.extensions)}"
        )


async def _block(session: AsyncSession, options: argparse.Namespace) -> None:
    user = await user_named(session, options.login)
    await block_user(session, command_access(), user.id, via="command")
    print(f"User {user.login!r} is blocked; sessions and tokens have ended.")


async def _create_token(session: AsyncSession, options: argparse.Namespace) -> None:
    user = await user_named(session, options.login)
    access = await access_of(session, user.id)
    scopes = access.scopes if access else {}
    rights = {right: scopes.get(right, Scope.ALL).name.lower() for right in options.right or ()}
    print(await create_token(session, command_access(), user.id, options.name, rights=rights or None))


async def user_named(session: AsyncSession, login: str) -> UserInfo:
    """The user with this login.

    Raises:
        CommandFailed: there is none.
    """
    user = await find_user(session, login)
    if user is None:
        raise CommandFailed(f"There is no user {login!r}; `ringcard user list` shows them all.")
    return user
