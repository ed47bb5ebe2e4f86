"""What a person can do to a call from the screen: by how it stands, and by what the account at that PBX may ask for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from cti.calls.records import CallRecord
from cti.desk.messages import SeatState

# What the account may → the controls it makes possible, by the state of one's own window.
_RINGING: Final = (("hang_up", "decline"), ("deflect", "deflect"))
_TALKING: Final = (
    ("hang_up", "hang_up"),
    ("transfer", "transfer"),
    ("consult", "consult"),
    ("park", "park"),
    ("mute", "mute"),
    ("keys", "keys"),
    ("pause_recording", "pause_recording"),
)
_CONSULTING: Final = (
    ("hang_up", "hang_up"),
    ("cancel_consult", "cancel_consult"),
    ("mute", "mute"),
    ("keys", "keys"),
)
_PLACING: Final = (("hang_up", "hang_up"),)


def controls_of(
    record: CallRecord, extension: str, state: SeatState, abilities: Collection[str]
) -> tuple[str, ...]:
    """The controls to offer, in their order; what cannot be done is not offered.

    Args:
        abilities: names of `ami_adapter.dialler.ABILITIES`, as its link found them.
    """
    possible = [control for ability, control in _by_state(record, extension, state) if ability in abilities]
    if record.recording_file is None and "pause_recording" in possible:
        possible.remove("pause_recording")
    return tuple(possible)


def _by_state(record: CallRecord, extension: str, state: SeatState) -> tuple[tuple[str, str], ...]:
    match state:
        case SeatState.RINGING:
            return _RINGING
        case SeatState.LIFT | SeatState.DIALLING:
            return _PLACING
        case SeatState.TALKING | SeatState.HELD:
            return _CONSULTING if extension in record.consulting else _TALKING
        case _:
            return ()
