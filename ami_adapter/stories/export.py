"""A kept story as an anonymous capture: a stream to replay, its timing, and what ringcard concluded as its truth."""

from __future__ import annotations

import io
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ami_adapter.errors import AmiError
from ami_adapter.replay import ReplayFailed, read_stream, read_timing, timed_chunks, track
from ami_adapter.stories.anonymous import Anonymiser
from ami_adapter.stories.entries import Entry, Heard
from ami_adapter.stories.shelf import KeptStory
from cti.calls.telling import tell_call
from cti.calls.tracker import CallTracker
from cti.numbers import NumberingProfile, to_e164

END = b"\r\n\r\n"
DESCRIPTION: Final = (
    "Exported from a running ringcard, anonymised. What follows is what ringcard concluded, which may be wrong: "
    "correct it to what really happened."
)
_PLAIN: Final = ("direction", "answered", "disposition", "hung_up_by", "ended_unseen")
_VALUES: Final = (
    *(
        "customer_number_raw",
        "customer_e164",
        "did",
        "did_raw",
        "queue",
        "answered_by",
        "placed_by",
        "dialled",
    ),
    *("final_agent", "recording_file"),
)
_SECONDS: Final = ("ring_s", "talk_s", "hold_s")
_SAME_SECONDS: Final = 0.01


class NothingToExport(AmiError):
    """There is no kept story of this call, or one whose end nobody saw."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}. Stories are kept for story_days after the call, of calls that ringcard followed."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnonymousCapture:
    """Three files of `tests/captures`. `timing`: seconds since the first message, bytes."""

    stream: bytes
    timing: Sequence[tuple[float, int]]
    truth: Mapping[str, Any]

    def files(self, name: str) -> dict[str, bytes]:
        """Name of each file and its bytes."""
        truth = json.dumps({"scenario": name, **self.truth}, ensure_ascii=False, indent=1)
        return {
            f"{name}.ami.xz": lzma.compress(self.stream),
            f"{name}.timing.json": json.dumps(self.timing, separators=(",", ":")).encode(),
            f"{name}.truth.json": f"{truth}\n".encode(),
        }

    def write(self, folder: Path, name: str) -> list[Path]:
        """Put the files into the folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / file for file in self.files(name)]
        for path, content in zip(paths, self.files(name).values(), strict=True):
            path.write_bytes(content)
        return paths

    def zipped(self, name: str) -> bytes:
        """The same files in one."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in self.files(name).items():
                archive.writestr(file, content)
        return packed.getvalue()


def anonymous_capture(
    entries: Sequence[Entry], *, region: str = "RU", key: bytes | None = None
) -> AnonymousCapture:
    """The story without people. Takes tens of milliseconds: not on the event loop.

    Args:
        region: the country whose dialling habits the replay applies.
        key: of the replacements (`Anonymiser`).

    Raises:
        NothingToExport
    """
    record = KeptStory(list(entries)).record
    heard = [entry for entry in entries if isinstance(entry, Heard)]
    if not heard or record is None:
        raise NothingToExport(
            "Nothing was kept of this call" if not heard else "Nobody saw the end of this call"
        )
    anonymiser = Anonymiser(_stream_of(heard), key=key)
    stream, timing = anonymiser.stream(_stream_of(heard)), _timing_of(heard)
    concluded = _anonymous(record, anonymiser)
    differs = _differences(concluded, _replayed(stream, timing, concluded, region))
    truth = {"description": DESCRIPTION, "calls": [_as_truth(concluded)]}
    if differs:  # what ringcard knew beyond this call: entered lines and extensions, earlier calls
        truth["replay_differs_in"] = differs
    return AnonymousCapture(stream=stream, timing=timing, truth=truth)


def write_anonymous(file: Path, out: Path, timing: Path | None = None) -> Path:
    """A whole recording without people; with its timing beside it, which stays right. Tells where it was written.

    Raises:
        ReplayFailed: the recording or its timing cannot be read, or the new file would overwrite them.
    """
    beside = out.with_name(out.name.removesuffix(".xz").removesuffix(".ami") + ".timing.json")
    if out.resolve() == file.resolve() or (timing and beside.resolve() == timing.resolve()):
        raise ReplayFailed(f"{out} would overwrite the recording; choose another name or folder")
    stream = read_stream(file)
    chunks = read_timing(timing) if timing else None
    anonymous = Anonymiser(stream).stream(stream)
    out.write_bytes(lzma.compress(anonymous) if out.suffix == ".xz" else anonymous)
    if chunks is not None:
        beside.write_text(json.dumps(chunks, separators=(",", ":")))
    return out


def _stream_of(heard: Sequence[Heard]) -> bytes:
    return b"".join(entry.raw + END for entry in heard)


def _timing_of(heard: Sequence[Heard]) -> list[tuple[float, int]]:
    """What was heard at one moment is one chunk."""
    chunks: dict[float, int] = {}
    for entry in heard:
        seconds = round((entry.at - heard[0].at).total_seconds(), 6)
        chunks[seconds] = chunks.get(seconds, 0) + len(entry.raw) + len(END)
    return list(chunks.items())


def _anonymous(record: Mapping[str, Any], anonymiser: Anonymiser) -> dict[str, Any]:
    """The fields of `cti.calls.telling` that a truth has, without people."""

    def value(text: str | None) -> str | None:
        return anonymiser.value(text) if text else text

    return {
        "key": value(record["key"]),
        **{name: record[name] for name in (*_PLAIN, *_SECONDS)},
        **{name: value(record[name]) for name in _VALUES},
        "customer_name": _name(record["customer_name"], anonymiser.name),
        "rang": [value(one) for one in record["rang"]],
        "transfers": [
            {**one, "from": value(one["from"]), "to": value(one["to"])} for one in record["transfers"]
        ],
    }


def _name(name: str | None, replace: Callable[[str], str]) -> str | None:
    return replace(name) if name else name


def _replayed(
    stream: bytes, timing: Sequence[tuple[float, int]], concluded: Mapping[str, Any], region: str
) -> dict[str, Any]:
    """The call as the exported capture alone tells it; empty when it tells another one."""
    profile = NumberingProfile(region=region)
    calls = track(timed_chunks(stream, list(timing)), CallTracker())
    told = [tell_call(call, lambda number: to_e164(number, profile).e164) for call in calls]
    return next((call for call in told if call["key"] == concluded["key"]), {})


def _differences(concluded: Mapping[str, Any], replayed: Mapping[str, Any]) -> list[str]:
    same = [name for name in concluded if name not in _SECONDS]
    differs = [name for name in same if concluded[name] != replayed.get(name)]
    for name in _SECONDS:
        one, other = concluded[name], replayed.get(name)
        if (one is None) != (other is None) or abs((one or 0) - (other or 0)) > _SAME_SECONDS:
            differs.append(name)
    return differs


def _as_truth(concluded: Mapping[str, Any]) -> dict[str, Any]:
    """In the words of the truths in `tests/captures`."""
    left_out = {"key", "transfers", *_SECONDS}
    ring, talk, hold = (concluded[name] for name in _SECONDS)
    return {
        **{name: value for name, value in concluded.items() if name not in left_out},
        "transfers": [
            {
                "from": one["from"],
                "to": one["to"],
                "kind": one["kind"],
                "target_answered": one["outcome"] == "answered",
            }
            for one in concluded["transfers"]
        ],
        "approx_ring_s": ring,
        "approx_talk_s": None if talk is None else round(talk + (hold or 0), 3),
    }
