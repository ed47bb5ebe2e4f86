"""`make bench`, or `python -m bench [NAME …]`: run the benchmarks and print their table."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import sys

from bench.rows import Row, table

NAMES = ("ami", "core", "load", "lookup", "route", "journal", "list", "imports", "pop", "desk")
MODULES = {"list": "bench.lists"}


def main() -> int:
    """0 when every wanted ratio holds."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="ratios against a floor measured in the same run"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)} (default: all)")
    names = parser.parse_args().names or list(NAMES)
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; known are {', '.join(NAMES)}")
    rows: list[Row] = []
    try:
        for name in names:
            print(f"running {name} …", file=sys.stderr, flush=True)
            rows += _run(name)
    finally:  # one that fails takes nothing away from those before it
        print(table(rows))
    return 0 if all(row.holds is not False for row in rows) else 1


def _run(name: str) -> list[Row]:
    run = importlib.import_module(MODULES.get(name, f"bench.{name}")).run
    result = run()
    rows: list[Row] = asyncio.run(result) if inspect.iscoroutine(result) else result
    return rows


if __name__ == "__main__":
    sys.exit(main())
