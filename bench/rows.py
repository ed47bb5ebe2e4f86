"""A measured ratio, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement beside its floor.

    `ours` and `floor` are texts with their unit; `ratio` is the figure that counts, `wanted` says what it shall be
    ("≥ 3", "≤ 1.5", or "" where a figure is only shown).
    """

    name: str
    ours: str
    floor: str
    ratio: float
    wanted: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the wanted bound holds; None where there is none."""
        if not self.wanted:
            return None
        sign, _, bound = self.wanted.partition(" ")
        return self.ratio >= float(bound) if sign == "≥" else self.ratio <= float(bound)


def table(rows: Sequence[Row]) -> str:
    """The rows as a table of plain text."""
    cells = [("benchmark", "ours", "floor", "ratio", "wanted", "")]
    verdicts = {True: "holds", False: "MISSED", None: ""}
    cells += [
        (row.name, row.ours, row.floor, f"{row.ratio:.2f}", row.wanted, verdicts[row.holds]) for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
