"""The child process that touches files: `python -m crm.importing.child read FILE`, or `check` for rows on its standard input.

It answers with one JSON text a line. It may use `MOST_MEMORY` and `MOST_SECONDS` of the processor: what goes beyond ends the
child, not the program that answers calls. It opens nothing but its file, and nobody's database.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from crm.errors import Invalid
from crm.importing.plans import RowProblem, Rules

MOST_MEMORY: Final = 1536 * 1024**2
MOST_SECONDS: Final = 300  # of the processor
ROWS_AT_ONCE: Final = 500
NICENESS: Final = 5  # calls come first


def main(arguments: list[str]) -> None:
    """The child's whole life."""
    _limit()
    if arguments[:1] == ["read"]:
        _read(Path(arguments[1]), sys.stdout.buffer)
    else:
        _check(sys.stdin.buffer, sys.stdout.buffer)


def _limit() -> None:
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read(path: Path, out: BinaryIO) -> None:
    from crm.importing.files import open_table

    try:
        table = open_table(path)
        _say(out, {"details": table.details})
        batch: list[tuple[int, list[str]]] = []
        for row in table.rows:
            batch.append(row)
            if len(batch) == ROWS_AT_ONCE:
                _say(out, {"rows": batch})
                batch = []
        _say(out, {"rows": batch, "is_last": True})
    except Invalid as error:
        _say(out, {"refused": RowProblem.of(error)})


def _check(asked: BinaryIO, out: BinaryIO) -> None:
    from crm.importing.cells import RowReader

    reader = RowReader(msgspec.json.decode(asked.readline(), type=Rules))
    for line in asked:
        rows = msgspec.json.decode(line, type=list[list[str]])
        _say(out, [reader.read(cells) for cells in rows])


def _say(out: BinaryIO, what: Any) -> None:
    out.write(msgspec.json.encode(what) + b"\n")
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
