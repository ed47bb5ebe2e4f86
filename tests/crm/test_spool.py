"""The spool keeps what it took, in order, whatever cuts the program short."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.spool import Spool, SpoolFull, framed, parse


def drained(spool: Spool) -> list[bytes]:
    bodies: list[bytes] = []
    while (reading := spool.read_oldest()) is not None:
        bodies += reading.bodies
        spool.remove(reading)
    return bodies


def test_in_order_over_several_files_and_runs(tmp_path: Path) -> None:
    first = Spool(tmp_path, file_bytes=40)
    for number in range(10):
        first.append([f"record {number}".encode(), b""])
    first.close()
    second = Spool(tmp_path, file_bytes=40)
    assert not second.is_empty
    second.append([b"of the second run"])
    bodies = [body for body in drained(second) if body]
    assert bodies == [f"record {number}".encode() for number in range(10)] + [b"of the second run"]
    assert (second.is_empty, second.size, drained(second)) == (True, 0, [])


def test_what_comes_while_a_file_is_read_goes_to_the_next(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"before"])
    reading = spool.read_oldest()
    assert reading is not None
    spool.append([b"meanwhile"])
    spool.remove(reading)
    assert drained(spool) == [b"meanwhile"]


def test_i10_what_a_full_disk_took_in_part_is_not_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([b"before"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (spool.size + 40, limits[1]))
    try:
        with pytest.raises(OSError):
            spool.append([b"longer than what is left of the disk " * 3])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    spool.append([b"after"])
    assert drained(spool) == [b"before", b"after"]


def whole_file(tmp_path: Path, *bodies: bytes) -> bytes:
    spool = Spool(tmp_path)
    spool.append(bodies)
    spool.close()
    (path,) = tmp_path.glob("*.spool")
    return path.read_bytes()


def test_i16_torn_at_any_byte_the_whole_records_are_there(tmp_path: Path) -> None:
    data = whole_file(tmp_path, b"first", b"second", b"third")
    for end in range(len(data)):
        bodies, is_damaged = parse(data[:end])
        assert bodies == [b"first", b"second", b"third"][: len(bodies)]
        assert not is_damaged


def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    data = bytearray(whole_file(tmp_path, b"first", b"second", b"third"))
    data[8 + 5 + 8] ^= 1  # in the body of the second
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(data)
    spool = Spool(tmp_path)
    reading = spool.read_oldest()
    assert reading is not None
    assert (reading.bodies, reading.is_damaged) == ([b"first"], True)
    spool.remove(reading)
    assert spool.is_empty
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]


def test_i10_a_full_spool_says_so_and_loses_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=100)
    spool.append([b"x" * 60])
    with pytest.raises(SpoolFull, match="bound of 100 bytes"):
        spool.append([b"y" * 60])
    assert drained(spool) == [b"x" * 60]
    spool.append([b"y" * 60])
    assert drained(spool) == [b"y" * 60]


@given(st.lists(st.binary(max_size=30)), st.binary(max_size=40))
def test_garbage_after_whole_records_changes_nothing_before_it(bodies: list[bytes], garbage: bytes) -> None:
    read, _ = parse(framed(bodies) + garbage)
    assert read[: len(bodies)] == bodies
