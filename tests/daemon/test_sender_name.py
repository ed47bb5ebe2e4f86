"""The name under which a program sends to subscribers: kept over a crash, never shared by two that live."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from types import ModuleType
from uuid import UUID

import pytest

from crm.schema.base import uuid7
from cti.daemon import sender_name
from cti.daemon.sender_name import FILE, SenderName, _machine


def name_in(folder: Path) -> UUID:
    """Of a program that ends at once."""
    sender = SenderName(folder)
    sender.close()
    return sender.id


def test_the_next_run_has_the_same_name(tmp_path: Path) -> None:
    assert name_in(tmp_path / "data") == name_in(tmp_path / "data")


def test_two_in_one_folder_have_two_names(tmp_path: Path) -> None:
    first = SenderName(tmp_path)
    assert name_in(tmp_path) != first.id
    first.close()
    assert name_in(tmp_path) == first.id


def test_what_is_no_name_is_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"half a na")
    assert name_in(tmp_path) == name_in(tmp_path)


def test_without_a_place_to_keep_it_every_run_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert name_in(tmp_path / "file") != name_in(tmp_path / "file")


@pytest.mark.parametrize("elsewhere", [sender_name, None], ids=["another machine", "another folder"])
def test_a_copy_of_the_folder_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: ModuleType | None
) -> None:
    """Both programs may run at once, and would send everything twice under one name."""
    first = name_in(tmp_path / "data")
    if elsewhere is None:
        folder = tmp_path / "copy"
        copytree(tmp_path / "data", folder)
    else:
        folder = tmp_path / "data"
        monkeypatch.setattr(elsewhere, "_machine", lambda: "another")
    second = name_in(folder)
    assert second != first
    assert name_in(folder) == second


def test_a_name_that_says_nothing_of_its_place_is_replaced(tmp_path: Path) -> None:
    """An earlier version wrote the name alone."""
    name = uuid7()
    (tmp_path / FILE).write_text(f"{name}\n")
    assert name_in(tmp_path) != name
    assert name_in(tmp_path) == name_in(tmp_path)


def test_the_machine_is_told_from_a_clone_of_it_by_its_start() -> None:
    assert _machine() == _machine() != ""
    boot = Path("/proc/sys/kernel/random/boot_id")
    assert not boot.exists() or boot.read_text().strip() == _machine()
