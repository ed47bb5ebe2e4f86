"""Stories on disk: whatever a crash leaves is read or dropped, and there is never too much of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_adapter.stories.entries import Entry, Heard, Noted, StoryDamaged, decoded, encoded
from ami_adapter.stories.shelf import StoryShelf

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
CALL = UUID("019aa000-0000-7000-8000-000000000001")
HEARD = Heard(1000, NOW, b"Event: Newchannel\r\nUniqueid: 1.1")
NAMED = Noted(1001, NOW, "named", {"id": str(CALL)})
LATER = Heard(1002, NOW + timedelta(seconds=1), b"Event: Hangup\r\nUniqueid: 1.1")


def shelf(folder: Path, *, days: int = 14, megabytes: int = 1) -> StoryShelf:
    made = StoryShelf(folder, days=days, megabytes=megabytes)
    made.begin(NOW)
    return made


def test_what_was_appended_is_read_after_the_end(tmp_path: Path) -> None:
    one = shelf(tmp_path)
    one.append(1, [HEARD, NAMED])
    one.append(1, [LATER])
    assert one.read(CALL) == []
    one.finish(1, CALL, NOW)
    assert one.read(CALL) == [HEARD, NAMED, LATER]
    assert list((tmp_path / "open").iterdir()) == []


def test_a_call_that_nobody_was_told_of_leaves_nothing(tmp_path: Path) -> None:
    one = shelf(tmp_path)
    one.append(1, [HEARD])
    one.finish(1, None, NOW)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_joined_calls_end_with_one_file_and_say_nothing_twice(tmp_path: Path) -> None:
    one = shelf(tmp_path)
    one.append(1, [HEARD])
    one.append(2, [HEARD, NAMED, LATER])
    one.join(1, 2)
    one.finish(1, CALL, NOW)
    assert one.read(CALL) == [HEARD, NAMED, LATER]


@given(st.integers(0, 200))
def test_i16_killed_while_it_wrote_the_rest_is_kept(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("story")
    shelf(folder).append(1, [HEARD, NAMED, LATER])
    path = folder / "open" / "000000000001.part"
    os.truncate(path, max(0, path.stat().st_size - cut))
    again = shelf(folder)
    entries = again.read(CALL)
    assert entries == [HEARD, NAMED, LATER][: len(entries)]
    assert list((folder / "open").iterdir()) == []


def test_i16_a_call_that_goes_on_after_a_restart_has_one_story(tmp_path: Path) -> None:
    shelf(tmp_path).append(7, [HEARD, NAMED])
    again = shelf(tmp_path)
    again.append(1, [LATER])
    again.finish(1, CALL, NOW + timedelta(days=1))
    assert again.read(CALL) == [HEARD, NAMED, LATER]
    assert len(list(tmp_path.rglob("*.xz"))) == 1


@given(st.binary(max_size=300))
def test_any_bytes_are_a_story_or_damaged(data: bytes) -> None:
    try:
        decoded(data)
    except StoryDamaged:
        return


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"\xfd7zXZ\0\0\4"])
def test_a_damaged_file_is_dropped_with_a_line(
    tmp_path: Path, damage: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    one = shelf(tmp_path)
    one.append(1, [HEARD, NAMED])
    one.finish(1, CALL, NOW)
    (path,) = tmp_path.rglob("*.xz")
    path.write_bytes(damage)
    assert one.read(CALL) == []
    assert "story_dropped" in capsys.readouterr().out


def test_a_damaged_record_in_the_middle_is_told(tmp_path: Path) -> None:
    data = bytearray(encoded([HEARD, NAMED]))
    data[20] ^= 0xFF
    with pytest.raises(StoryDamaged):
        decoded(bytes(data))


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    one = shelf(tmp_path, days=2)
    one.append(1, [HEARD, NAMED])
    one.finish(1, CALL, NOW)
    one.sweep(NOW + timedelta(days=2))
    assert one.read(CALL)
    one.sweep(NOW + timedelta(days=3))
    assert one.read(CALL) == []


def test_beyond_the_bound_the_oldest_go(tmp_path: Path) -> None:
    one, ids = shelf(tmp_path), [uuid4() for _ in range(8)]
    for number, call_id in enumerate(ids):
        entries: list[Entry] = [Heard(1000 + place, NOW, os.urandom(50_000)) for place in range(4)]
        one.append(number, entries)
        one.finish(number, call_id, NOW + timedelta(days=number // 4))
        (path,) = tmp_path.rglob(f"{call_id}*")
        os.utime(path, (number, number))
    assert [bool(one.read(call_id)) for call_id in ids] == [False] * 3 + [True] * 5
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.xz")) <= 2**20


def test_switched_off_nothing_stays(tmp_path: Path) -> None:
    one = shelf(tmp_path / "story")
    one.append(1, [HEARD, NAMED])
    one.finish(1, CALL, NOW)
    shelf(tmp_path / "story", days=0)
    assert not (tmp_path / "story").exists()
