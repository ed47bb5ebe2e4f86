"""`ringcard replay`: a recorded AMI stream told as calls, one JSON object a line."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from ami_adapter.replay import replay_calls
from ami_adapter.stories.export import write_anonymous
from cti.daemon.failures import CommandFailed
from cti.daemon.settings import load_settings


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("replay", help="tell a recorded AMI stream as calls, one JSON object a line")
    parser.add_argument("file", type=Path, help="the bytes of an AMI connection (.ami, or .ami.xz)")
    parser.add_argument("--timing", type=Path, help="JSON: [[seconds since connect, bytes of this chunk], …]")
    parser.add_argument("--region", help="country of the numbering profile (default: RINGCARD_REGION)")
    parser.add_argument("--internal-pattern", help="regular expression that a whole extension matches")
    parser.add_argument(
        "--anonymise",
        type=Path,
        metavar="OUT",
        help="write the stream without numbers, names and addresses to OUT (.ami, or .ami.xz), and tell that",
    )
    parser.set_defaults(run=tell)


def tell(options: argparse.Namespace) -> int:
    if options.internal_pattern is not None:
        _check_pattern(options.internal_pattern)
    region = (options.region or load_settings().region).upper()
    file = options.file
    if options.anonymise is not None:
        file = write_anonymous(options.file, options.anonymise, options.timing)
    for call in replay_calls(
        file, timing=options.timing, region=region, internal_pattern=options.internal_pattern
    ):
        print(json.dumps(call, ensure_ascii=False))
    return 0


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise CommandFailed(f"--internal-pattern {pattern!r} is no regular expression: {error}.") from error
