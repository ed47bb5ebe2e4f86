"""What the endpoints of schemes and their stages take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from web.api.directory_types import Colour, EntryName, Place
from web.api.reading import MOST_ITEMS, Id

Mode = Literal["free", "sequential", "matrix"]
StageField = Literal["title", "need", "source", "owner_id", "phone", "email"]
StageFields = Annotated[list[StageField], Meta(max_length=10)]
Probability = Annotated[int, Meta(ge=0, le=100)]
Seconds = Annotated[
    int, Meta(ge=1, le=366 * 86_400, description="how long a lead should stand there at most")
]


class SchemeMove(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A permitted move between two stages, where the scheme moves by matrix."""

    from_stage_id: Id
    to_stage_id: Id


class SchemeStage(msgspec.Struct, kw_only=True):
    """A stage as it is kept. `enter`, `leave`: fields of the lead that must be filled; `standing`: open leads in it, up to 1,001."""

    id: int
    scheme_id: int
    name: str
    outcome: Literal["open", "success", "failure"]
    colour: str | None
    probability: int | None
    sla_seconds: int | None
    enter: list[StageField]
    leave: list[StageField]
    archived_at: datetime | None
    standing: int
    version: int


class KeptScheme(msgspec.Struct, kw_only=True):
    """A scheme with all of its stages, those in use first and in order. `team_ids`: who may use it, none: everybody."""

    id: int
    name: str
    mode: Mode
    allows_step_back: bool
    is_default: bool
    archived_at: datetime | None
    team_ids: list[int]
    moves: list[SchemeMove]
    stages: list[SchemeStage]
    version: int


class NewScheme(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A scheme with one open stage and its two ends, or with everything of another one (`copy_of`)."""

    name: EntryName
    copy_of: Id | None = None


class SchemeChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. `is_default`: true makes it the default one, in the place of the former. Needs no open leads to be
    archived."""

    name: EntryName | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    allows_step_back: bool | UnsetType = UNSET
    team_ids: Annotated[list[Id], Meta(max_length=MOST_ITEMS)] | UnsetType = UNSET
    moves: Annotated[list[SchemeMove], Meta(max_length=1000)] | UnsetType = UNSET
    is_default: Literal[True] | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET


class NewStage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A further open stage, the last of them."""

    name: EntryName
    colour: Colour = None
    probability: Probability | None = None
    sla_seconds: Seconds | None = None
    enter: StageFields = []
    leave: StageFields = []


class StageChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays; null empties a field."""

    name: EntryName | UnsetType = UNSET
    colour: Colour | UnsetType = UNSET
    probability: Probability | UnsetType | None = UNSET
    sla_seconds: Seconds | UnsetType | None = UNSET
    enter: StageFields | UnsetType = UNSET
    leave: StageFields | UnsetType = UNSET
    place: Place | UnsetType = UNSET


class StageArchive(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`replaced_by`: where its leads go; needed if any stand there."""

    replaced_by: Id | None = None
