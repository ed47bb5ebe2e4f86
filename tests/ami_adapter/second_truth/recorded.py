"""The records that a real Asterisk wrote while its calls were recorded: scenario 30 has both in one stream."""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from ami_adapter.framing import AmiFrames
from ami_adapter.replay import read_timing, timed_chunks, track
from ami_adapter.second_truth.rows import CSV_COLUMNS
from cti.calls.records import CallRecord
from cti.calls.tracker import CallTracker

CAPTURES = Path(__file__).parents[2] / "captures"
PLANTS = ("asterisk16", "asterisk22")
NAME = "30-cdr-cel-userevent"
_CDR = {
    "accountcode": "AccountCode", "src": "Source", "dst": "Destination", "dcontext": "DestinationContext",
    "clid": "CallerID", "channel": "Channel", "dstchannel": "DestinationChannel", "lastapp": "LastApplication",
    "lastdata": "LastData", "start": "StartTime", "answer": "AnswerTime", "end": "EndTime", "duration": "Duration",
    "billsec": "BillableSeconds", "disposition": "Disposition", "amaflags": "AMAFlags", "uniqueid": "UniqueID",
    "userfield": "UserField",
}  # fmt: skip
_CEL = {
    "eventtype": "EventName", "cid_name": "CallerIDname", "cid_num": "CallerIDnum", "cid_dnid": "CallerIDdnid",
    "exten": "Exten", "context": "Context", "channame": "Channel", "appname": "Application", "appdata": "AppData",
    "uniqueid": "UniqueID", "linkedid": "LinkedID", "peer": "Peer", "extra": "Extra",
}  # fmt: skip


def cdr_values(plant: str) -> list[dict[str, str]]:
    """What cdr_manager told, in the columns of a table."""
    return [
        {column: headers.get(name, "") for column, name in _CDR.items()} for headers in _events(plant, "Cdr")
    ]


def cel_values(plant: str) -> list[dict[str, Any]]:
    """What cel_manager told, with the time a table keeps: to the microsecond."""
    return [
        {column: headers.get(name, "") for column, name in _CEL.items()}
        | {"eventtime": datetime.fromtimestamp(float(headers["Timestamp"]), UTC)}
        for headers in _events(plant, "CEL")
    ]


def master_csv(plant: str) -> str:
    """The same records as cdr_csv writes them: every text in quotes, quotes doubled."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    for values in cdr_values(plant):
        writer.writerow([values[column] for column in CSV_COLUMNS if column in values])
    return file.getvalue()


def live_calls(plant: str) -> dict[str, CallRecord]:
    """The calls as they were heard live, by key."""
    timing = read_timing(CAPTURES / plant / f"{NAME}.timing.json")
    return {call.key: call for call in track(timed_chunks(_stream(plant), timing), CallTracker())}


def _events(plant: str, name: str) -> Iterator[dict[str, str]]:
    for message in AmiFrames().feed(_stream(plant)):
        if message.event == name.encode():
            yield dict(message.headers)


@cache
def _stream(plant: str) -> bytes:
    return lzma.decompress((CAPTURES / plant / f"{NAME}.ami.xz").read_bytes())
