"""What a scheme permits: which stages a record may go to, and what it lacks for one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crm.errors import CrmError


class Outcome(StrEnum):
    OPEN = "open"
    SUCCESS = "success"
    FAILURE = "failure"


class MoveMode(StrEnum):
    FREE = "free"
    SEQUENTIAL = "sequential"
    MATRIX = "matrix"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInfo:
    """A stage. `name` is a message id for those that every installation begins with."""

    id: int
    position: int
    name: str
    outcome: Outcome
    colour: str | None
    probability: int | None  # per cent
    sla_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeInfo:
    """A scheme with its stages in order: the open ones, then success, then failure. Archived stages are left out."""

    id: int
    object_kind: str  # lead, deal, process
    name: str
    mode: MoveMode
    allows_step_back: bool
    is_default: bool
    stages: tuple[StageInfo, ...]
    transitions: frozenset[tuple[int, int]]  # for the mode "matrix": (from, to)

    def stage(self, stage_id: int) -> StageInfo | None:
        return next((stage for stage in self.stages if stage.id == stage_id), None)

    @property
    def open_stages(self) -> tuple[StageInfo, ...]:
        return tuple(stage for stage in self.stages if stage.outcome is Outcome.OPEN)

    @property
    def first(self) -> StageInfo:
        return self.open_stages[0]

    @property
    def success(self) -> StageInfo:
        return next(stage for stage in self.stages if stage.outcome is Outcome.SUCCESS)

    @property
    def failure(self) -> StageInfo:
        return next(stage for stage in self.stages if stage.outcome is Outcome.FAILURE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A field that must be filled when a stage is entered, or left."""

    stage_id: int
    moment: str  # enter, leave
    field: str


class MoveNotAllowed(CrmError):
    """The scheme does not permit this move; tells the ones it permits. Refusing and pausing are always possible."""

    template = (
        "From “%(stage)s” the scheme does not lead to “%(wanted)s”. Possible now: %(allowed)s, refuse, pause."
    )
    field = "stage_id"

    def __init__(self, stage: str, wanted: str, allowed: Sequence[StageInfo]) -> None:
        self.allowed = tuple(allowed)
        names = [stage.name for stage in allowed] or ["—"]
        self.messages = {"stage": [stage], "wanted": [wanted], "allowed": names}
        super().__init__(stage=stage, wanted=wanted, allowed=", ".join(names))


class StageIncomplete(CrmError):
    """What the stage asks for and the record lacks, all of it at once."""

    template = "For “%(stage)s” these are needed first: %(missing)s."

    def __init__(self, stage: str, missing: Mapping[str, str]) -> None:
        """`missing`: field → its name, a message id."""
        self.missing = tuple(missing)
        self.field = self.missing[0]
        self.messages = {"stage": [stage], "missing": list(missing.values())}
        super().__init__(stage=stage, missing=", ".join(missing))


class SchemeOfOthers(CrmError):
    """The scheme is kept for other teams."""

    template = "The scheme “%(scheme)s” is not open to your team. Choose another one."
    field = "scheme_id"

    def __init__(self, scheme: str) -> None:
        self.messages = {"scheme": [scheme]}
        super().__init__(scheme=scheme)


def permitted(scheme: SchemeInfo, current: StageInfo) -> tuple[StageInfo, ...]:
    """The stages a record may go to from its present one. Failure is always among them while the record is open.

    From success or failure these are the stages it may be reopened into.
    """
    others = tuple(stage for stage in scheme.stages if stage.id != current.id)
    if current.outcome is not Outcome.OPEN:
        return tuple(stage for stage in others if stage.outcome is Outcome.OPEN)
    match scheme.mode:
        case MoveMode.FREE:
            return others
        case MoveMode.SEQUENTIAL:
            near = _neighbours(scheme, current)
        case MoveMode.MATRIX:
            near = {to for origin, to in scheme.transitions if origin == current.id}
    return tuple(stage for stage in others if stage.outcome is Outcome.FAILURE or stage.id in near)


def _neighbours(scheme: SchemeInfo, current: StageInfo) -> set[int]:
    """The next open stage, or success after the last; the one before, if the scheme allows a step back."""
    later = [stage.id for stage in scheme.open_stages if stage.position > current.position]
    earlier = [stage.id for stage in scheme.open_stages if stage.position < current.position]
    near = {later[0] if later else scheme.success.id}
    return near | set(earlier[-1:]) if scheme.allows_step_back else near


def missing_fields(
    requirements: Iterable[Requirement],
    current: StageInfo | None,
    wanted: StageInfo,
    record: Mapping[str, Any],
) -> list[str]:
    """The fields that leaving the one stage and entering the other ask for and the record lacks, in order.

    `current` is None for a record that begins. Giving up asks for nothing but its reason, and what is over has been left already.
    """
    if wanted.outcome is Outcome.FAILURE:
        return []
    asked = [
        each.field
        for each in requirements
        if (each.stage_id, each.moment) == (wanted.id, "enter")
        or (current is not None and (each.stage_id, each.moment) == (current.id, "leave"))
    ]
    return [name for name in dict.fromkeys(asked) if _is_empty(record.get(name))]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | Collection) and not value)
