"""Records of calls as Asterisk writes them, in one form for files and tables; the only place that knows their columns.

A record that makes no sense is None: it is left out, and nothing is guessed in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from ami_adapter.channels import known, parts_of

MOST_CHARACTERS: Final = 512  # of one value; Asterisk's own columns are shorter
LONGEST_CALL: Final = timedelta(days=1)
# cdr_csv writes these in this order; the last two only where cdr.conf says loguniqueid and loguserfield.
CSV_COLUMNS: Final = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer",
    "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield", "linkedid",
)  # fmt: skip
CDR_COLUMNS: Final = (
    "calldate", "start", "answer", "end", "src", "dst", "channel", "dstchannel", "lastapp", "lastdata", "duration",
    "billsec", "disposition", "uniqueid", "linkedid", "did", "recordingfile", "cnum", "cnam",
)  # fmt: skip
CDR_NEEDED: Final = frozenset({"src", "dst", "channel", "dstchannel", "lastapp", "duration", "billsec"}) | {
    *("disposition", "uniqueid")
}
CEL_COLUMNS: Final = (
    "eventtype", "eventtime", "cid_name", "cid_num", "cid_dnid", "exten", "context", "channame", "appname", "appdata",
    "uniqueid", "linkedid", "peer", "extra", "eventextra", "id",
)  # fmt: skip
CEL_NEEDED: Final = frozenset(
    {"eventtype", "eventtime", "cid_num", "exten", "channame", "appname", "appdata"}
) | {*("uniqueid", "linkedid")}


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrRow:
    """One record: what one channel did with (at most) one other. Times are UTC, to the second."""

    uniqueid: str
    linkedid: str  # "" where the source does not keep it
    src: str
    dst: str
    channel: str
    dstchannel: str
    lastapp: str
    lastdata: str
    disposition: str  # as written: ANSWERED, NO ANSWER, BUSY, FAILED, CONGESTION
    start: datetime
    answer: datetime | None  # when the channel was picked up, by whomever
    end: datetime
    billsec: int
    did: str = ""
    name: str = ""
    recording: str = ""

    @property
    def key(self) -> str:
        return self.linkedid or self.uniqueid

    @property
    def is_helpers(self) -> bool:
        """The record of a Local channel: nobody's telephone."""
        return bool(parts_of(self.channel)[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class CelRow:
    """One event of one channel."""

    event: str
    at: datetime
    uniqueid: str
    linkedid: str
    channel: str
    number: str
    name: str
    dnid: str
    exten: str
    context: str
    app: str
    data: str
    peer: str
    extra: str  # JSON, "" where the source keeps none


def cdr_row(values: Mapping[str, Any], zone: tzinfo) -> CdrRow | None:
    """The record in these columns.

    Args:
        zone: of times that do not tell theirs.
    """
    text = {name: _text(value) for name, value in values.items()}
    start = moment(values.get("start") or values.get("calldate"), zone)
    duration, billsec = _seconds(values.get("duration")), _seconds(values.get("billsec"))
    if (
        start is None
        or duration is None
        or billsec is None
        or not (text.get("uniqueid") and text.get("channel"))
    ):
        return None
    end = moment(values.get("end"), zone) or start + timedelta(seconds=duration)
    answer = moment(values.get("answer"), zone) if "answer" in values else _answer(text, end, billsec)
    if not start <= end <= start + LONGEST_CALL or (answer and not start <= answer <= end):
        return None
    return CdrRow(
        uniqueid=text["uniqueid"],
        linkedid=text.get("linkedid", ""),
        src=known(text.get("cnum", "") or text.get("src", "")),
        dst=text.get("dst", ""),
        channel=text["channel"],
        dstchannel=text.get("dstchannel", ""),
        lastapp=text.get("lastapp", ""),
        lastdata=text.get("lastdata", ""),
        disposition=text.get("disposition", "").upper(),
        start=start,
        answer=answer,
        end=end,
        billsec=billsec,
        did=text.get("did", ""),
        name=text.get("cnam", "") or name_of(text.get("clid", "")),
        recording=text.get("recordingfile", "").rpartition("/")[2],
    )


def csv_row(fields: Sequence[str], zone: tzinfo) -> CdrRow | None:
    """The record on one line of Master.csv; None without a unique id, for then nothing tells which call it is."""
    return cdr_row(dict(zip(CSV_COLUMNS, fields, strict=False)), zone)


def cel_row(values: Mapping[str, Any], zone: tzinfo) -> CelRow | None:
    text = {name: _text(value) for name, value in values.items()}
    at = moment(values.get("eventtime"), zone)
    if at is None or not all(text.get(name) for name in ("eventtype", "uniqueid", "linkedid", "channame")):
        return None
    return CelRow(
        event=text["eventtype"].upper(),
        at=at,
        uniqueid=text["uniqueid"],
        linkedid=text["linkedid"],
        channel=text["channame"],
        number=known(text.get("cid_num", "")),
        name=known(text.get("cid_name", "")),
        dnid=known(text.get("cid_dnid", "")),
        exten=text.get("exten", ""),
        context=text.get("context", ""),
        app=text.get("appname", ""),
        data=text.get("appdata", ""),
        peer=text.get("peer", ""),
        extra=text.get("extra", "") or text.get("eventextra", ""),
    )


def moment(value: Any, zone: tzinfo) -> datetime | None:
    """A time as databases, files and Asterisk write it; without a zone of its own it is one of `zone`."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if not isinstance(value, datetime) or not 1990 <= value.year <= 2200:
        return None
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def name_of(caller_id: str) -> str:
    """The name of `"Name" <number>`."""
    return known(caller_id.rpartition("<")[0].strip().strip('"').strip())


def _answer(text: Mapping[str, str], end: datetime, billsec: int) -> datetime | None:
    """Where no column keeps it: so many seconds before the end."""
    is_answered = text.get("disposition", "").upper() == "ANSWERED"
    return end - timedelta(seconds=billsec) if is_answered else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).replace("\x00", "").strip()[:MOST_CHARACTERS]


def _seconds(value: Any) -> int | None:
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
