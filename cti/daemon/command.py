"""The `ringcard` command: finds the sub-command, runs it, turns expected failures into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from cti.daemon.commands import calls, demo, live, numbers, replay, serve, telephony, users
from cti.daemon.failures import is_expected, told

MODULES = (serve, demo, replay, numbers, live, users, telephony, calls)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command. 0: done; 1: it could not be done, and stderr says why in one line; 2: wrong usage."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except BrokenPipeError:  # the reader of a pipe went away: not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if not is_expected(error):
            raise
        print(f"ringcard: {told(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ringcard", description="A phone rings, and the caller's card is on the screen."
    )
    parser.add_argument("--version", action="version", version=f"ringcard {version('ringcard')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in MODULES:
        module.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
