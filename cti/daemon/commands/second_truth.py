"""`ringcard connection truth` and `ringcard connection backfill`: call records of the PBX itself, for gaps."""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from ami_adapter.moments import wall_clock
from crm.connection_gaps import GapInfo, latest_gaps
from crm.rights import command_access
from crm.sealing import open_seal
from crm.second_truth import SecondTruth, TruthKind, second_truth, set_second_truth
from cti.daemon.back_fill import MARGIN, BackFill
from cti.daemon.commands.connections_named import connection_named
from cti.daemon.commands.secrets_in import read_secret
from cti.daemon.commands.users import in_session
from cti.daemon.failures import CommandFailed
from cti.daemon.settings import load_settings
from cti.daemon.storage import open_storage

SHOWN_GAPS: Final = 50


def add_second_truth_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    truth = actions.add_parser(
        "truth", help="say where the PBX's own call records are, to fill gaps from them"
    )
    truth.add_argument("name")
    truth.add_argument(
        "--kind", choices=[kind.value for kind in TruthKind], help="without it: show what is set"
    )
    truth.add_argument("--path", default="", help="cdr_csv: the whole path of Master.csv")
    truth.add_argument("--host", default="127.0.0.1")
    truth.add_argument("--port", type=int, help="default: 5432 of PostgreSQL, 3306 of MySQL")
    truth.add_argument("--database", default="asteriskcdrdb")
    truth.add_argument("--user", default="")
    truth.add_argument("--secret-stdin", action="store_true", help="read the password from standard input")
    truth.add_argument(
        "--time-zone", default="", help="of the times in the records; default: the connection's"
    )
    truth.set_defaults(run=_choose_truth)
    fill = actions.add_parser("backfill", help="read the PBX's own call records and store what is missing")
    fill.add_argument("name")
    fill.add_argument(
        "--from", dest="since", type=_moment, help="2026-11-20 or with a time; default: known gaps"
    )
    fill.add_argument("--to", dest="until", type=_moment, help="default: now")
    fill.set_defaults(run=lambda options: asyncio.run(_back_fill(options)))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date; write 2026-11-20 or 2026-11-20T14:30"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(load_settings().time_zone))


def _choose_truth(options: argparse.Namespace) -> int:
    if options.kind is None:
        return in_session(_show_truth)(options)
    truth = _truth(options)
    secret = read_secret("Password", from_stdin=options.secret_stdin) if truth.kind.is_table else None

    async def choose(session: AsyncSession, options: argparse.Namespace) -> None:
        found = await connection_named(session, options.name)
        seal = open_seal(load_settings().key_file)
        await set_second_truth(
            session, command_access(), found.id, truth, seal=seal, secret=secret, via="command"
        )
        print(f"Gaps of {found.name!r} are filled from: {truth.kind.value}.")

    return in_session(choose)(options)


def _truth(options: argparse.Namespace) -> SecondTruth:
    kind = TruthKind(options.kind)
    return SecondTruth(
        kind=kind,
        path=options.path,
        host=options.host if kind.is_table else "",
        port=(options.port or kind.usual_port) if kind.is_table else 0,
        database=options.database if kind.is_table else "",
        user=options.user,
        time_zone=options.time_zone,
    )


async def _show_truth(session: AsyncSession, options: argparse.Namespace) -> None:
    found = await connection_named(session, options.name)
    truth = await second_truth(session, command_access(), found.id)
    where = truth.path or (f"{truth.user}@{truth.host}:{truth.port}/{truth.database}" if truth.host else "")
    print("\t".join((found.name, truth.kind.value, where)).rstrip())


async def _back_fill(options: argparse.Namespace) -> int:
    settings = load_settings()
    seal = open_seal(settings.key_file)
    async with open_storage(settings, pool_size=4) as database:
        async with database.sessions() as session:
            found = await connection_named(session, options.name)
            truth = await second_truth(session, command_access(), found.id)
            gaps = [gap for gap in await latest_gaps(session, found.id, SHOWN_GAPS) if gap.to_at is not None]
        if truth.kind is TruthKind.NONE:
            raise CommandFailed(
                f"{found.name!r} has no second truth; `ringcard connection truth {found.name!r} --kind …` sets it."
            )
        worker = BackFill(database, seal, now=wall_clock, time_zone=settings.time_zone)
        for since, until in _stretches(options, gaps):
            _kind, done = await worker.fill(found.id, since, until)
            print(
                f"{since.isoformat(timespec='seconds')} to {until.isoformat(timespec='seconds')}: "
                f"{done.added} added, {done.completed} completed, {done.known} known already."
            )
    return 0


def _stretches(options: argparse.Namespace, gaps: list[GapInfo]) -> list[tuple[datetime, datetime]]:
    """What was asked for, else the gaps that are known, oldest first."""
    if options.since is None and options.until is None:
        known = [(gap.from_at - MARGIN, gap.to_at + MARGIN) for gap in reversed(gaps) if gap.to_at]
        if not known:
            raise CommandFailed("No gap of this connection is known; ask for a time with --from and --to.")
        return known
    until = options.until or wall_clock()
    since = options.since or until - timedelta(days=1)
    if since >= until:
        raise CommandFailed(f"--from {since} is not before --to {until}.")
    return [(since, until)]
