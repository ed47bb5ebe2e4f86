"""Tools of the machine that some tests need: without one a test is skipped, and on a build machine it fails."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

# Which Debian package brings a command.
PACKAGES = {
    "chromium": "chromium",
    "sipp": "sip-tester",
    "debootstrap": "debootstrap",
    "xz": "xz-utils",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
}


def is_build_machine() -> bool:
    """True where CI=true says that every test must run."""
    return os.environ.get("CI", "").lower() in {"true", "1"}


def needs(tool: str) -> str:
    """The path of a command; where it is missing, the test ends here with what to install."""
    path = shutil.which(tool)
    if path is None:
        cannot_run(f"{tool} is not installed (Debian package {PACKAGES.get(tool, tool)})")
    return path


def needs_root() -> None:
    """Ends the test unless it runs as root."""
    if os.geteuid() != 0:
        cannot_run("only root may do this")


def cannot_run(reason: str) -> NoReturn:
    """Ends the test: failed on a build machine, skipped elsewhere."""
    if is_build_machine():
        pytest.fail(f"CI must run every test, but {reason}", pytrace=False)
    pytest.skip(reason)
