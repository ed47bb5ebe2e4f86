"""`ringcard number`: what a presented number means, step by step."""

from __future__ import annotations

import argparse

from cti.daemon.settings import load_settings
from cti.numbers import NumberingProfile, NumberKind, explain, to_e164
from cti.numbers import tell_steps as steps_as_lines

__all__ = ["add_commands", "explain"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("number", help="show what a presented number means, step by step")
    parser.add_argument("presented", help='the number as it came, for example "8 (495) 123-45-67 доб. 12"')
    parser.add_argument("--region", help="country of the numbering profile (default: RINGCARD_REGION)")
    parser.add_argument("--area-code", default="", help="area code for short local numbers, for example 495")
    parser.add_argument(
        "--outside-prefix", action="append", default=[], help="digits dialled to get out; may be repeated"
    )
    parser.add_argument(
        "--extension", action="append", default=[], help="an extension of the PBX; may be repeated"
    )
    parser.set_defaults(run=show)


def show(options: argparse.Namespace) -> int:
    profile = NumberingProfile(
        region=(options.region or load_settings().region).upper(),
        area_code=options.area_code,
        outside_prefixes=tuple(options.outside_prefix),
        extensions=frozenset(options.extension),
    )
    for line in steps_as_lines(options.presented, profile, "en"):
        print(line)
    return 0 if to_e164(options.presented, profile).kind is not NumberKind.NOT_A_NUMBER else 1
