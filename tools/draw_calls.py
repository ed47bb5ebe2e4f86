#!/usr/bin/env python3
"""Draws the diagram of docs/calls.md, which event may tell what, from the table above it.

Without an argument it writes the page; with --check it only says whether the page is as it would be written.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "calls.md"
ROW = re.compile(r"^\| `(\w+)` \| ([a-z ]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
DIAGRAM = re.compile(r"```mermaid\n.*?```", re.DOTALL)


def rows(page: str) -> list[tuple[str, list[str]]]:
    """Each channel event with the call events it may tell."""
    return [(event, re.findall(r"`(\w+)`", told)) for event, _, _, told in ROW.findall(page)]


def diagram(page: str) -> str:
    """Channel events that may tell the same stand in one box."""
    together: dict[tuple[str, ...], list[str]] = {}
    for event, told in rows(page):
        together.setdefault(tuple(told), []).append(event)
    lines = ["flowchart LR"]
    for number, (kinds, events) in enumerate(together.items(), start=1):
        lines.append(f'    e{number}["{"<br>".join(events)}"]')
        lines += [f"    e{number} --> {one}" for one in kinds]
    return "\n".join(["```mermaid", *lines, "```"])


def main(arguments: list[str]) -> int:
    page = PAGE.read_text(encoding="utf-8")
    drawn = DIAGRAM.sub(lambda _: diagram(page), page)
    if "--check" not in arguments:
        PAGE.write_text(drawn, encoding="utf-8")
    elif drawn != page:
        print(f"{PAGE}: the diagram differs from the table; run tools/draw_calls.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
