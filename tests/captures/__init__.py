"""Recorded AMI streams of real PBXs, with the truth of every call in them.

`<set>/<scenario>.ami.xz` holds the exact bytes of a connection, `.timing.json` the chunks the socket gave
(`[[seconds since connect, bytes], …]`), `.truth.json` what really happened, written from the script of the telephones.
"""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Capture:
    """One recorded stream."""

    pbx: str  # asterisk16, asterisk22, freepbx16, other22, foreign16, …
    scenario: str

    @property
    def name(self) -> str:
        """`asterisk22/01-inbound-answered`."""
        return f"{self.pbx}/{self.scenario}"

    @property
    def path(self) -> Path:
        """The compressed stream."""
        return FOLDER / self.pbx / f"{self.scenario}.ami.xz"

    @property
    def timing_path(self) -> Path:
        """Its chunks."""
        return FOLDER / self.pbx / f"{self.scenario}.timing.json"

    @cached_property
    def stream(self) -> bytes:
        """All bytes."""
        return lzma.decompress(self.path.read_bytes())

    @cached_property
    def timing(self) -> list[tuple[float, int]]:
        """Seconds and size of every chunk."""
        return [(seconds, size) for seconds, size in json.loads(self.timing_path.read_text())]

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What really happened."""
        path = FOLDER / self.pbx / f"{self.scenario}.truth.json"
        truth: dict[str, Any] = json.loads(path.read_text())
        return truth


EVERY = [
    Capture(path.parent.name, path.name.removesuffix(".truth.json"))
    for path in sorted(FOLDER.glob("*/*.truth.json"))
]
# Short calls of PBXs with other people's habits: names, contexts, drivers (chan_sip and IAX2 on 16), programs.
FOREIGN_PBXS = frozenset({"other22", "foreign16", "foreign22"})
OTHER = [one for one in EVERY if one.pbx in FOREIGN_PBXS]
ALL = [one for one in EVERY if one.pbx not in FOREIGN_PBXS]


def capture(name: str) -> Capture:
    """The capture of this name."""
    return next(one for one in EVERY if one.name == name)
