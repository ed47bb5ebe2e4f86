"""`ringcard demo`: a PBX in the box, alone or with a demo company and the server."""

from __future__ import annotations

import argparse
import asyncio

from ami_adapter.demo.pbx import DemoPbx, serve_demo_pbx
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
    from cti.daemon.commands.serve import run_server
    from cti.daemon.logs import set_up_logs

    set_up_logs("warning" if settings.log_level == "info" else settings.log_level)
    listening: asyncio.Future[DemoPbx] = asyncio.get_running_loop().create_future()
    playing = asyncio.create_task(
        serve_demo_pbx(
            "127.0.0.1",
            options.port or 0,
            speed=options.speed,
            rounds=options.rounds,
            lanes=LANES,
            gap_seconds=GAP_SECONDS,
            on_listening=listening.set_result,
        )
    )
    await asyncio.wait({playing, listening}, return_when=asyncio.FIRST_COMPLETED)
    if playing.done():
        playing.result()
    pbx = listening.result()
    sign_ins = await _fill(settings, pbx)
    try:
        await run_server(settings, lambda: _welcome(settings, sign_ins))
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
