"""Master.csv, read from its end: the file grows for years, and a gap is mostly recent."""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Final

from ami_adapter.second_truth.rows import CdrRow, csv_row
from ami_adapter.second_truth.source import CsvSource, FileUnreadable, TooMuch

FIRST_BYTES: Final = 1 << 20
MOST_BYTES: Final = 1 << 28  # a quarter of a gigabyte; a longer way back is given up
MOST_RECORDS: Final = 200_000
MOST_LINE: Final = 16_384


def read(source: CsvSource, since: datetime, until: datetime) -> list[CdrRow]:
    """The records that started in [since, until). In a thread: it reads a disk.

    Raises:
        FileUnreadable, TooMuch.
    """
    try:
        lines = _tail(source.path, since, source.zone)
    except OSError as error:
        raise FileUnreadable(source.path, error.strerror or type(error).__name__) from error
    wanted = (row for row in rows_of(lines, source.zone) if since <= row.start < until)
    found = list(islice(wanted, MOST_RECORDS + 1))
    if len(found) > MOST_RECORDS:
        raise TooMuch(MOST_RECORDS)
    return found


def rows_of(lines: Iterable[str], zone: tzinfo) -> Iterator[CdrRow]:
    """The records of these lines; one that makes no sense is left out, and costs no other."""
    for line in lines:
        if len(line) > MOST_LINE:
            continue
        try:
            fields = next(csv.reader([line]), [])
        except csv.Error:
            continue
        if row := csv_row(fields, zone):
            yield row


def _tail(path: Path, since: datetime, zone: tzinfo) -> list[str]:
    """The lines of the end of the file that reaches back beyond this moment. Records stand in the order of their ends."""
    with path.open("rb") as file:
        if not stat.S_ISREG(path.stat().st_mode):
            raise FileUnreadable(path, "it is no file")
        size, length = path.stat().st_size, FIRST_BYTES
        while True:
            start = max(0, size - length)
            file.seek(start)
            lines = file.read(length).decode("utf-8", "replace").split("\n")[1 if start else 0 :]
            oldest = next(rows_of(lines, zone), None)
            if start == 0 or (oldest is not None and oldest.end < since):
                return lines
            if length >= MOST_BYTES:
                raise TooMuch(MOST_RECORDS)
            length *= 4
