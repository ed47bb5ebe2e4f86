"""`ringcard demo`: a PBX in the box, alone or with a demo company and the server."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from ami_adapter.demo.pbx import DemoPbx, serve_demo_pbx
from crm.demo_data import SignIn
from cti.daemon.failures import CommandFailed
from cti.daemon.settings import Settings, load_settings

LANES = 2  # recorded calls that go on at one time
GAP_SECONDS = 4.0


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo", help="show ringcard with recorded real calls and an invented company"
    )
    parser.add_argument(
        "--pbx-only", action="store_true", help="the AMI server alone, for programs and tests"
    )
    parser.add_argument("--port", type=int, default=None, help="port of the demo PBX (with --pbx-only: 5038)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how many times faster than recorded; 0: at once"
    )
    parser.add_argument(
        "--rounds", type=int, default=None, help="how often to play everything (default: for ever)"
    )
    parser.set_defaults(run=demo)


def demo(options: argparse.Namespace) -> int:
    if options.speed < 0:
        raise CommandFailed(f"--speed is {options.speed:g}; it is 0 (at once) or more.")
    if options.rounds is not None and options.rounds < 1:
        raise CommandFailed(f"--rounds is {options.rounds}; it is 1 or more.")
    asyncio.run(_pbx_alone(options) if options.pbx_only else _company(options, load_settings()))
    return 0


async def _pbx_alone(options: argparse.Namespace) -> None:
    await serve_demo_pbx(
        "127.0.0.1",
        5038 if options.port is None else options.port,
        speed=options.speed,
        rounds=options.rounds,
        on_listening=_tell_address,
    )


def _tell_address(pbx: DemoPbx) -> None:
    print(f"demo PBX: 127.0.0.1:{pbx.port}, user {pbx.user}, secret {pbx.secret}", flush=True)


async def _company(options: argparse.Namespace, settings: Settings) -> None:
    """The demo PBX in this process, the demo company in the database, and the server."""
    from cti.daemon.commands.serve import run_server
    from cti.daemon.logs import set_up_logs

    set_up_logs("warning" if settings.log_level == "info" else settings.log_level)
    async with DemoPbx(speed=options.speed) as pbx:
        sign_ins = await _fill(settings, pbx)
        playing = asyncio.create_task(_play(pbx, options.rounds))
        try:
            await run_server(settings, lambda: _welcome(settings, sign_ins))
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


async def _play(pbx: DemoPbx, rounds: int | None) -> None:
    await pbx.listened_to.wait()
    await pbx.play_for_ever(rounds=rounds, lanes=LANES, gap_seconds=GAP_SECONDS)


async def _fill(settings: Settings, pbx: DemoPbx) -> list[SignIn]:
    from crm.demo_data import DemoConnection, fill
    from crm.sealing import open_seal
    from cti.daemon.storage import open_storage

    where = DemoConnection(host="127.0.0.1", port=pbx.port, user=pbx.user, secret=pbx.secret)
    async with open_storage(settings, pool_size=2) as database:
        return await fill(database, where, settings.data, open_seal(settings.key_file), datetime.now(UTC))


def _welcome(settings: Settings, sign_ins: Sequence[SignIn]) -> None:
    print(f"\nringcard demo: {settings.address}\n")
    print("Sign in as (their telephones ring with recorded real calls):")
    for one in sign_ins:
        print(f"  {one.login:12} {one.password:16} {one.name}, extension {one.extension}")
    print("\nInvented clients, recorded calls. Stop with Ctrl+C.", flush=True)
