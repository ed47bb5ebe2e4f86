"""The real PBXs of these tests: one Asterisk 22 and one Asterisk 16, each started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pbx import chroots
from tests.pbx.asterisk_lab import AsteriskLab
from tests.tools import cannot_run, needs, needs_root


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/pbx/" in item.nodeid:
            item.add_marker(pytest.mark.pbx)


@pytest.fixture(scope="session", params=["sid", "bullseye"], ids=["asterisk22", "asterisk16"])
def pbx(request: pytest.FixtureRequest) -> Iterator[AsteriskLab]:
    """A running PBX with the configuration of asterisk-config/, without telephones."""
    needs_root()
    needs("sipp")
    if reason := chroots.obstacle(request.param):
        cannot_run(reason)
    with AsteriskLab(request.param) as lab:
        yield lab
