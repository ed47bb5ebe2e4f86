"""The house rules that no linter knows: documents that stay true, lock files that are whole, words that stay out."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

from cti.daemon.command import build_parser
from tests.tools import cannot_run

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
READMES = ("README.md", "README.ru.md")
LOCKS = ("requirements.lock", "requirements-dev.lock")


@cache
def files() -> tuple[str, ...]:
    """What belongs to the project: all that git tracks and that stands in the work tree."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        cannot_run("this is no git work tree, so nobody knows which files are the project's")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8", errors="replace")


def package(requirement: str) -> str:
    return re.split(r"[\[\s;=<>!~]", requirement, maxsplit=1)[0].lower()


def direct_dependencies() -> set[str]:
    extra = [line for group in PROJECT["optional-dependencies"].values() for line in group]
    return {package(line) for line in [*PROJECT["dependencies"], *extra]}


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """Package → version and hashes."""
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n?", "", text_of(name)))
    found = {}
    for entry in filter(str.strip, entries):
        pinned = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^\s;\\]+)", entry)
        assert pinned, f"{name}: {entry[:60]!r} is not pinned to one version"
        found[pinned[1].lower()] = (pinned[2], re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
    return found


def test_every_direct_dependency_has_its_reason_and_licence() -> None:
    rows = {
        cells[0]: cells[1:]
        for line in text_of("docs/dependencies.md").splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 4
        and line.startswith("| ")
        and cells[0] != "package"
        and not cells[0].startswith("---")
    }
    assert set(rows) == direct_dependencies() | {"setuptools"}
    assert [name for name, cells in rows.items() if not all(cells)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_t32_everything_locked_has_hashes(name: str) -> None:
    assert [package for package, (_, hashes) in locked(name).items() if not hashes] == []


def test_the_locks_agree_and_hold_every_direct_dependency() -> None:
    run, dev = locked(LOCKS[0]), locked(LOCKS[1])
    assert {package(line) for line in PROJECT["dependencies"]} <= set(run)
    assert direct_dependencies() <= set(dev)
    assert {name: run[name] for name in run} == {name: dev.get(name) for name in run}


# In pieces, so that this file does not hold them itself.
FORBIDDEN = [
    "/wo" + "rk/",
    "/fa" + "rm/",
    "pypi" + ".org",
    "registry.npm" + "js",
    "deb." + "debian.org",
    ".." + "/shared",
    "TO" + "DO",
    "FIX" + "ME",
    "pragma: no" + " cover",
]
NOT_OURS = re.compile(r"\.lock$|package-lock\.json$|^web/static/vendor/|^tests/captures/|^LICENSE")


def test_words_that_stay_out() -> None:
    """No machine's paths, no registries' hosts, no markers of unfinished work."""
    culprits = [
        f"{name}: {word}"
        for name in files()
        if not NOT_OURS.search(name)
        for word in FORBIDDEN
        if word in text_of(name)
    ]
    assert culprits == []


@pytest.mark.parametrize("name", [*READMES, "CONTRIBUTING.md"])
def test_make_targets_of_the_documents_exist(name: str) -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", text_of("Makefile")))
    named = set(re.findall(r"(?m)(?:^ {4}|`)make ([a-z]+)", text_of(name)))
    assert {"run", "test"} <= targets
    assert named - targets == set()
    assert name == "CONTRIBUTING.md" or {"run", "test"} <= named


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links and pictures of Markdown pages."""
    broken = [
        f"{name}: {link}"
        for name in files()
        if name.endswith(".md")
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(name))
        if not re.match(r"[a-z]+:", link) and not (ROOT / name).parent.joinpath(link).exists()
    ]
    assert broken == []


def test_both_readmes_show_the_same_commands() -> None:
    """The English page is the measure; the Russian one may not fall behind."""

    def commands(name: str) -> list[str]:
        lines = re.findall(r"(?m)^ {4,}((?:make|\.venv/bin/ringcard|export) .*)$", text_of(name))
        return [re.sub(r'--name ("[^"]*"|\S+)', "--name …", line) for line in lines]

    english, russian = map(commands, READMES)
    assert english == russian
    assert len(english) > 8


def test_the_gate_of_the_build_machine_can_be_run() -> None:
    gate = ROOT / ".ci/run"
    assert gate.stat().st_mode & 0o111
    assert "make test" in gate.read_text("utf-8")


def test_an_old_python_is_refused_with_the_reason(tmp_path: Path) -> None:
    tried = subprocess.run(
        [str(ROOT / "tools/make_venv.sh"), str(tmp_path / "venv")],
        env={**os.environ, "PYTHON": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode != 0
    assert "needs Python 3.11 or newer" in tried.stderr
    assert not (tmp_path / "venv").exists()


def shown_commands(name: str) -> list[list[str]]:
    """The arguments of every `ringcard …` line in the code blocks of a page."""
    text = text_of(name)
    code = "\n".join([*re.findall(r"(?ms)^```sh\n(.*?)^```", text), *re.findall(r"(?m)^ {4,}(.*)$", text)])
    shown = re.findall(r"(?m)^(?:echo \S+ \| )?(?:\.venv/bin/)?ringcard (.+)$", code)
    return [shlex.split(line.partition(" > ")[0]) for line in shown]


@pytest.mark.parametrize("name", [*READMES, "docs/interfaces.md", "docs/asterisk.md", "docs/asterisk.ru.md"])
def test_commands_of_the_documents_are_understood(name: str) -> None:
    commands = shown_commands(name)
    assert commands
    for arguments in commands:
        assert build_parser().parse_args(arguments).run


def test_every_command_is_documented() -> None:
    (actions,) = [each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction)]
    page = text_of("docs/interfaces.md")
    assert [command for command in actions.choices if f"`{command}" not in page] == []
