"""What holds for every test: on a build machine (CI=true) a test that did not run has not passed."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.tools import is_build_machine

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


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
