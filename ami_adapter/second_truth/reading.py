"""The calls that ended in some stretch of time, from wherever the second truth lies."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from ami_adapter.second_truth import csv_file, from_cdr, from_cel, tables
from ami_adapter.second_truth.from_cdr import Plant
from ami_adapter.second_truth.source import CsvSource, Records, Source
from cti.calls.records import CallRecord

LOOK_BACK: Final = timedelta(hours=4)  # a call that began longer before its end is not found
STRETCH: Final = timedelta(hours=6)  # read at once


async def calls_between(source: Source, plant: Plant, since: datetime, until: datetime) -> list[CallRecord]:
    """Every call that ended in [since, until), oldest first.

    Raises:
        SecondTruthError.
    """
    found: list[CallRecord] = []
    while since < until:
        end = min(since + STRETCH, until)
        calls = await _read(source, plant, since - LOOK_BACK, end)
        found += [call for call in calls if call.ended_at is not None and since <= call.ended_at < end]
        since = end
    return found


async def _read(source: Source, plant: Plant, since: datetime, until: datetime) -> list[CallRecord]:
    if isinstance(source, CsvSource):
        rows = await asyncio.to_thread(csv_file.read, source, since, until)
        return await asyncio.to_thread(from_cdr.calls_of, rows, plant)
    if source.records is Records.CDR:
        rows = await tables.read_cdr(source, since, until)
        return await asyncio.to_thread(from_cdr.calls_of, rows, plant)
    events = await tables.read_cel(source, since, until)
    return await asyncio.to_thread(from_cel.calls_of, events, extensions=plant.extensions, lines=plant.lines)
