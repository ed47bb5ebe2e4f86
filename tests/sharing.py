"""How the tests are shared out when two processes run them (`make test`): by file, so that a module's fixtures are made once.

The real PBXs are one share, because each is started once a process, and the first one: their tests wait for telephones most of
the time, and the other process has enough to do meanwhile.
"""

from __future__ import annotations

from typing import Final

import pytest
from xdist.scheduler import LoadFileScheduling

PBX: Final = "tests/pbx/"


class SharesByFile(LoadFileScheduling):  # type: ignore[misc]  # seen as Any also where it is not installed
    """Hands out whole files, and all of the PBXs' files as one."""

    def _split_scope(self, nodeid: str) -> str:
        return PBX if is_at_a_pbx(nodeid) else nodeid.partition("::")[0]


def is_at_a_pbx(nodeid: str) -> bool:
    return nodeid.startswith(PBX)


def scheduler(config: pytest.Config, log: object) -> SharesByFile:
    """The order of collection counts, not which file has the most tests."""
    config.option.loadscopereorder = False
    return SharesByFile(config, log)
