"""The real PBXs of these tests: one Asterisk 22 and one Asterisk 16, each started once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.pbx import chroots
from tests.pbx.asterisk_lab import OFFICE, AsteriskLab
from tests.pbx.floor import Floor, Telephones, telephones, working
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


@pytest.fixture(scope="session", params=["sid", "bullseye"], ids=["asterisk22", "asterisk16"])
async def office_phones(request: pytest.FixtureRequest) -> AsyncIterator[Telephones]:
    """Six telephones and a provider at a PBX of their own, for the long suite."""
    needs_root()
    if reason := chroots.obstacle(request.param):
        cannot_run(reason)
    with AsteriskLab(request.param, additions=OFFICE) as lab:
        async with telephones(lab) as them:
            yield them


@pytest.fixture
async def floor(office_phones: Telephones, tmp_path: Path) -> AsyncIterator[Floor]:
    """The office for one scenario, its AMI stream recorded from now on."""
    async with working(office_phones, tmp_path / "scenario") as floor:
        yield floor
