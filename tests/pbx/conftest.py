"""The real PBXs of these tests: one Asterisk 22 and one Asterisk 16, each started once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.pbx import chroots
from tests.pbx.asterisk_lab import AsteriskLab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/pbx/" in item.nodeid:
            item.add_marker(pytest.mark.pbx)


@pytest.fixture(scope="session", params=["sid", "bullseye"], ids=["asterisk22", "asterisk16"])
def pbx(request: pytest.FixtureRequest) -> Iterator[AsteriskLab]:
    """A running PBX with the configuration of asterisk-config/, without telephones."""
    _need(request.param)
    with AsteriskLab(request.param) as lab:
        yield lab


def _need(suite: str) -> None:
    missing = chroots.obstacle(suite)
    if missing is None and shutil.which("sipp") is None:
        missing = "sipp (Debian package sip-tester) is not installed"
    if missing is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must run the tests with a real Asterisk, but {missing}")
    pytest.skip(missing)
