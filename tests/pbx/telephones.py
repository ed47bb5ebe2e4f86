"""SIPp as telephones, customers and the provider's far end: each a process that ends with its `with` block."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.pbx.asterisk_lab import SIP_PORT, AsteriskLab

SCENARIOS = Path(__file__).parent / "sipp"
NEVER_SECONDS = 3600.0
_customer_ports = itertools.count(5070, 2)
_media_ports = itertools.cycle(range(30000, 50000, 100))


class SippFailed(Exception):
    """SIPp ended with an error; the text is what it wrote."""


@contextmanager
def agent(lab: AsteriskLab, extension: str, *, answers_after: float = NEVER_SECONDS) -> Iterator[None]:
    """A registered telephone of this extension; it answers each call after so many seconds of ringing, or never."""
    with _sipp(lab, "telephone.xml", lab.phone(extension), SIP_PORT, _habits(answers_after)):
        marks = {"USER": extension, "PASSWORD": lab.password_of(extension), "PORT": str(SIP_PORT)}
        with _sipp(lab, "register.xml", lab.phone(extension), SIP_PORT + 1, marks, calls=1) as registration:
            _wait(registration, seconds=10)
        yield


@contextmanager
def far_end(lab: AsteriskLab, *, answers_after: float = NEVER_SECONDS) -> Iterator[None]:
    """Whoever our agents call outside: reached through the provider."""
    with _sipp(lab, "telephone.xml", lab.provider, SIP_PORT, _habits(answers_after)):
        yield


@contextmanager
def customer(
    lab: AsteriskLab,
    number: str,
    did: str,
    *,
    name: str = "",
    patience: float = 60,
    stays: float = 60,
    privacy: str = "",
) -> Iterator[None]:
    """A customer's call, begun now. Leaving the block waits for its end: give up and stay in seconds bound that.

    Args:
        privacy: further header lines of the INVITE, e.g. P-Asserted-Identity and Privacy.

    Raises:
        SippFailed: the PBX answered what no telephone expects.
    """
    marks = {
        "FROM": f'"{name}" <sip:{number}@{lab.provider}>',
        "DID": did,
        "PATIENCE_MS": _milliseconds(patience),
        "STAY_MS": _milliseconds(stays),
        "PRIVACY": privacy or "User-Agent: customer",
    }
    with _sipp(lab, "customer.xml", lab.provider, next(_customer_ports), marks, calls=1) as process:
        yield
        _wait(process, seconds=patience + stays + 5)


def _habits(answers_after: float) -> dict[str, str]:
    return {"RING_MS": _milliseconds(answers_after), "TALK_MS": _milliseconds(NEVER_SECONDS)}


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


@contextmanager
def _sipp(
    lab: AsteriskLab,
    scenario: str,
    address: str,
    port: int,
    marks: dict[str, str],
    *,
    calls: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    text = (SCENARIOS / scenario).read_text(encoding="utf-8")
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    with tempfile.TemporaryDirectory(prefix="ringcard-sipp-") as folder:
        file = Path(folder, scenario)
        file.write_text(text, encoding="utf-8")
        options = [
            "-sf",
            str(file),
            "-i",
            address,
            "-p",
            str(port),
            "-mp",
            str(next(_media_ports)),
            "-nostdin",
        ]
        bound = [] if calls is None else ["-m", str(calls)]
        with Path(folder, "out").open("wb") as out:
            process = subprocess.Popen(
                # It dies with us even if we are killed.
                ["setpriv", "--pdeathsig", "KILL", "sipp", f"{lab.host}:{SIP_PORT}", *options, *bound],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # SIPp finishes its calls on TERM, for as long as they last
    process.wait()


def _wait(process: subprocess.Popen[bytes], *, seconds: float) -> None:
    if code := process.wait(seconds):
        raise SippFailed(f"{process.args!r}: exit {code}")
