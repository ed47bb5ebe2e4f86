"""What holds for every test: no settings from outside, no clock in laws, and on a build machine no test left out."""

from __future__ import annotations

import os
from collections.abc import Generator

import hypothesis
import pytest

from cti.daemon.settings import NAMES
from tests.tools import is_build_machine

for name in ("config", *NAMES):
    os.environ.pop(f"RINGCARD_{name.upper()}", None)

# A busy machine is slow without anything being wrong.
hypothesis.settings.register_profile(
    "ringcard", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True
)
hypothesis.settings.load_profile("ringcard")

pytest_plugins = ["tests.database"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and is_build_machine():
        report.outcome = "failed"
        report.longrepr = f"CI must run every test, but {item.nodeid} was skipped: {_reason(report)}"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Which process runs what, where pytest-xdist shares the tests out."""
    from tests.sharing import scheduler

    return scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits longest comes first: the shares that follow even out what is left."""
    items.sort(key=lambda item: not item.nodeid.startswith("tests/pbx/"))


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
