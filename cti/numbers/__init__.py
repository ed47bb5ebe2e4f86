"""Telephone numbers: what was presented in, an E.164 number out, or a plain word why there is none.

Pure: no I/O, no clock, imports none of our other packages. `docs/numbers.md` tells the eight steps.
"""

from cti.numbers.display import NumberInfo, describe, format_number, warm_up
from cti.numbers.finding import find_numbers
from cti.numbers.reading import explain, to_e164
from cti.numbers.telling import tell_number, tell_problem, tell_step, tell_steps
from cti.numbers.values import (
    DEFAULT_PROFILE,
    E164,
    Number,
    NumberingProfile,
    NumberKind,
    NumberType,
    Problem,
    Step,
    StepOutcome,
)

__all__ = [
    "DEFAULT_PROFILE",
    "E164",
    "Number",
    "NumberInfo",
    "NumberKind",
    "NumberType",
    "NumberingProfile",
    "Problem",
    "Step",
    "StepOutcome",
    "describe",
    "explain",
    "find_numbers",
    "format_number",
    "tell_number",
    "tell_problem",
    "tell_step",
    "tell_steps",
    "to_e164",
    "warm_up",
]
