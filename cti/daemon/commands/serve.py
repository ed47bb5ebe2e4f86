"""`ringcard serve` and `ringcard routes`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import signal
import socket
import sys
from collections.abc import Callable

from crm.database import Database
from cti.daemon.failures import CommandFailed
from cti.daemon.logs import set_up_logs
from cti.daemon.settings import Settings, described, load_settings

STOPPING = (signal.SIGTERM, signal.SIGINT)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("serve", help="run the server")
    parser.add_argument(
        "--check", action="store_true", help="validate the configuration and the database, then stop"
    )
    parser.set_defaults(run=serve)
    routes = commands.add_parser("routes", help="every route and socket message with the right it needs")
    routes.add_argument("--json", action="store_true")
    routes.set_defaults(run=show_routes)


def serve(options: argparse.Namespace) -> int:
    settings = load_settings()
    if options.check:
        asyncio.run(_check(settings))
        return 0
    set_up_logs(settings.log_level)
    asyncio.run(
        run_server(settings, lambda: print(f"ringcard: {settings.address}", file=sys.stderr, flush=True))
    )
    return 0


async def run_server(settings: Settings, started: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. `started` is called once the address answers.

    Further signals change nothing: stopping takes its bounded time.
    """
    from cti.daemon.program import Program
    from cti.daemon.storage import open_storage

    stop = _stop_event()
    async with open_storage(settings) as database:
        await _tell_first_step(database)
        program = Program(settings, database)
        is_started = asyncio.Event()
        running = asyncio.create_task(program.run(is_started))
        telling = asyncio.create_task(_tell_started(is_started, started))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, telling, stopping):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    # Everything is closed. The interpreter takes its handlers away before it ends; an impatient signal is no crash.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


async def _tell_first_step(database: Database) -> None:
    """There is no built-in account: the first start says how to make one."""
    from crm.accounts import has_users

    async with database.sessions() as session:
        if not await has_users(session):
            hint = "ringcard: nobody can sign in yet. Make an administrator: ringcard user add LOGIN --name NAME --role admin"
            print(hint, file=sys.stderr, flush=True)


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPPING:
        loop.add_signal_handler(number, stop.set)
    return stop


async def _tell_started(is_started: asyncio.Event, started: Callable[[], None]) -> None:
    await is_started.wait()
    started()


async def _check(settings: Settings) -> None:
    from crm.sealing import open_seal
    from cti.daemon.storage import open_storage

    async with open_storage(settings, pool_size=1):
        open_seal(settings.key_file)
    _check_address(settings)
    for name, value in described(settings).items():
        print(f"{name} = {value}")


def _check_address(settings: Settings) -> None:
    """Whether we could listen there; that somebody does so now (perhaps the running server) is no fault.

    Raises:
        CommandFailed: the address is not of this machine, or the port not for us.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                text = f"Cannot listen on {settings.listen}: {error.strerror}. Change RINGCARD_LISTEN."
                raise CommandFailed(text) from error


def show_routes(options: argparse.Namespace) -> int:
    from web.app import route_table

    lines = [line.as_json() for line in route_table()]
    if options.json:
        print(json.dumps(lines, ensure_ascii=False, indent=1))
    else:
        for line in lines:
            print(f"{line['method']:7}{line['path']:45}{line['right']:20}{line['kind']}")
    return 0
