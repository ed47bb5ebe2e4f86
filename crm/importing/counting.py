"""What the check counts beside its verdicts: in which fields something is wrong, what is worth a rule. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from crm.importing.plans import Checked

MOST_SOURCES: Final = 50  # that are told by name
NOTHING_YET: Final[Mapping[str, Any]] = {"faults": {}, "unknown_sources": {}, "in_capitals": 0}


def counted(
    before: Mapping[str, Any], noted: Sequence[Mapping[str, Any]], checked: Sequence[Checked]
) -> dict[str, Any]:
    """The counts of the rows so far, with those of a batch: `noted` as they are stored, `checked` as they were understood."""
    before = {**NOTHING_YET, **before}
    return {
        "faults": _faults(before["faults"], noted),
        "unknown_sources": _unknown_sources(before["unknown_sources"], checked),
        "in_capitals": before["in_capitals"] + sum(each.is_in_capitals for each in checked),
    }


def _faults(before: Mapping[str, int], noted: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Rows by the fields in which something is wrong; "" is the row itself."""
    rows = Counter(before)
    for each in noted:
        rows.update({problem.field for problem in each["problems"] if not problem.is_note})
    return dict(rows)


def _unknown_sources(before: Mapping[str, int], checked: Sequence[Checked]) -> dict[str, int]:
    """Rows by their source, if the directory has none such; of the first few dozen sources."""
    rows = Counter(before)
    for source in (each.unknown_source for each in checked):
        if source and (source in rows or len(rows) < MOST_SOURCES):
            rows[source] += 1
    return dict(rows)
