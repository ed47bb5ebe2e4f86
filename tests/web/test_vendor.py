"""Vendored files are exactly those that the lock names: known, unchanged, licensed."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from web.assets import FOLDER, style_sheet

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = [FOLDER / "vendor", ROOT / "tests" / "browser" / "vendor"]


def lock_of(folder: Path) -> list[dict[str, Any]]:
    packages: list[dict[str, Any]] = json.loads((folder / "vendor.lock.json").read_text("utf-8"))["packages"]
    return packages


@pytest.mark.parametrize("folder", FOLDERS, ids=["shipped", "tests"])
def test_t32_every_file_is_known_and_unchanged(folder: Path) -> None:
    locked = {file["path"]: file for package in lock_of(folder) for file in package["files"]}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there - {"vendor.lock.json"} == set(locked)
    for name, file in locked.items():
        content = (folder / name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["bytes"]), name


@pytest.mark.parametrize("folder", FOLDERS, ids=["shipped", "tests"])
def test_every_package_has_its_licence_beside_it(folder: Path) -> None:
    for package in lock_of(folder):
        assert package["licence"], package["package"]
        assert any(file["path"].endswith("LICENSE.txt") for file in package["files"]), package["package"]


def test_versions_are_exact_and_those_of_the_lock() -> None:
    manifest = json.loads((ROOT / "package.json").read_text("utf-8"))
    wanted = manifest["dependencies"] | manifest["devDependencies"]
    locked = {package["package"]: package["version"] for folder in FOLDERS for package in lock_of(folder)}
    assert wanted == locked
    assert wanted["htmx.org"] == "4.0.1"


def test_scripts_and_styles_stay_within_their_budget() -> None:
    """What a page loads before it works, compressed: scripts 25 KB, styles 45 KB. Lazy ones come by `import()`."""
    scripts = loaded_at_once()
    assert FOLDER / "elements" / "call-stack.js" in scripts
    assert sum(packed(path.read_bytes()) for path in scripts) <= 25 * 1024
    vendored = sum(packed(path.read_bytes()) for path in FOLDER.rglob("vendor/**/*.css"))
    assert vendored + packed(style_sheet().encode()) <= 45 * 1024


def packed(content: bytes) -> int:
    return len(gzip.compress(content, 9))


def test_every_style_of_ours_is_in_the_one_sheet() -> None:
    sheet = style_sheet()
    assert all(path.read_text("utf-8") in sheet for path in FOLDER.glob("css/*.css"))


def loaded_at_once() -> set[Path]:
    """What every page names, the worker, and what these import before they run."""
    base = (ROOT / "web" / "templates" / "base.html").read_text("utf-8")
    waiting = [FOLDER / name for name in re.findall(r"asset\('([^']+\.js)'\)", base)] + [
        FOLDER / "live-worker.js"
    ]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop().resolve()
        if path not in found:
            found.add(path)
            named = re.findall(
                r'^(?:import|export|\}) ?[^"]*?"(\./[^"]+|\.\./[^"]+)";$',
                path.read_text("utf-8"),
                re.MULTILINE,
            )
            waiting += [path.parent / name for name in named]
    return found
