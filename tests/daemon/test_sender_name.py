"""The name under which a program sends to subscribers: kept over a crash, never shared by two that live."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from cti.daemon.sender_name import FILE, SenderName


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
