"""The contracts of import-linter in pyproject.toml: who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_layers_point_downwards() -> None:
    """The linter's own words name the module that breaks a contract, and the import that does it."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    linted = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "0 broken" in linted.stdout


STANDARD_IO = {"socket", "ssl", "http", "urllib.request", "subprocess"}
IO_MODULES = STANDARD_IO | {"aiohttp", "asyncpg", "panoramisk", "sqlalchemy", "websockets"}
WAITING_MODULES = {
    "asyncio",
    "threading",
    "os",
    "pathlib",
    "time",
    "random",
    "secrets",
    "logging",
    "structlog",
}


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("cti/calls", IO_MODULES | WAITING_MODULES),
        ("cti/numbers", IO_MODULES | WAITING_MODULES),
        ("cti/desk", IO_MODULES),
    ],
)
def test_the_core_opens_nothing(package: str, forbidden: set[str]) -> None:
    """The call core can be tried in a shell with literals: no I/O, no clock, no chance."""
    culprits = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in _imports(path)
        if name in forbidden or name.partition(".")[0] in forbidden
    ]
    assert culprits == []


def test_only_crm_writes_sql() -> None:
    """SQL statements are built in `crm` alone; other packages may hold a session and pass it on."""
    building = {"select", "insert", "update", "delete", "text", "func"}
    culprits = [
        f"{path.relative_to(ROOT)} imports {name} from sqlalchemy"
        for package in (
            "cti/calls",
            "cti/numbers",
            "cti/desk",
            "cti/daemon",
            "ami_adapter",
            "webhooks",
            "recordings",
            "web",
        )
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in _names_from(path, "sqlalchemy") & building
    ]
    assert culprits == []


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def _names_from(path: Path, package: str) -> set[str]:
    return {
        alias.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package
        for alias in node.names
    }
