"""Folders with a whole Asterisk in each, made by debootstrap from Debian's packages and entered by chroot.

Debian 12 itself has no Asterisk; its neighbours have. A folder is made once (about 40 s each) and kept in
`RINGCARD_LAB`, by default /var/cache/ringcard-lab. The mirror is the one this machine's apt uses. By hand:
`python -m tests.pbx.chroots [SUITE …]`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LAB = Path(os.environ.get("RINGCARD_LAB", "/var/cache/ringcard-lab"))

# The suite, and what to install there: bullseye packs voicemail apart.
PACKAGES = {
    "bullseye": ("asterisk", "asterisk-voicemail", "asterisk-core-sounds-en-gsm"),  # Asterisk 16
    "sid": ("asterisk", "asterisk-core-sounds-en-gsm"),  # Asterisk 22
}


class ChrootNotMade(Exception):
    """debootstrap or the installation of the packages failed; the text is the end of their output."""


def obstacle(suite: str) -> str | None:
    """Why there can be no Asterisk of this suite here; None if there can."""
    if os.geteuid() != 0:
        return "only root may enter a chroot"
    if not is_complete(LAB / suite) and shutil.which("debootstrap") is None:
        return f"{LAB / suite} is missing and debootstrap, which makes it, is not installed"
    return None


def chroot_of(suite: str) -> Path:
    """The folder of this suite, made now if it does not stand yet.

    Raises:
        ChrootNotMade: a step failed; nothing half made is left in its place.
    """
    folder = LAB / suite
    with _only_one_maker():
        if not is_complete(folder):
            _make(suite, folder)
    return folder


def is_complete(folder: Path) -> bool:
    """True if the packages were installed to the end: dpkg says so, not the presence of some file."""
    if not (folder / "usr/sbin/asterisk").exists():
        return False
    status = (folder / "var/lib/dpkg/status").read_text(encoding="utf-8", errors="replace")
    paragraph = status.partition("Package: asterisk\n")[2].partition("\n\n")[0]
    return "Status: install ok installed" in paragraph


def modules_of(folder: Path) -> str:
    """Where the modules of the Asterisk in this folder are, as seen inside."""
    candidates = sorted((folder / "usr/lib").glob("*/asterisk/modules"))
    places = [*candidates, folder / "usr/lib/asterisk/modules"]
    return "/" + str(max(places, key=_module_count).relative_to(folder))


def _module_count(folder: Path) -> int:
    return len(list(folder.glob("*.so")))


@contextmanager
def _only_one_maker() -> Iterator[None]:
    LAB.mkdir(parents=True, exist_ok=True)
    with (LAB / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(suite: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _run("debootstrap", "--variant=minbase", suite, str(folder), _mirror())
        refuse = folder / "usr/sbin/policy-rc.d"
        refuse.write_text("#!/bin/sh\nexit 101\n")  # package scripts shall start no daemon
        refuse.chmod(0o755)
        inside = ("chroot", str(folder), "apt-get", "-q", "-o", "Acquire::Check-Valid-Until=false")
        _run(*inside, "update")
        _run(*inside, "install", "-y", "--no-install-recommends", *PACKAGES[suite])
        _run(*inside, "clean")
    except ChrootNotMade:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _mirror() -> str:
    """The mirror from which this machine's own apt takes Debian's main archive."""
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    mirrors = sorted({line for line in targets.splitlines() if line and "security" not in line})
    if not mirrors:
        raise ChrootNotMade("apt knows no Debian mirror: /etc/apt/sources.list* names none")
    return mirrors[0]


def _run(*command: str) -> str:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise ChrootNotMade(
            f"{' '.join(command)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PACKAGES:
        if reason := obstacle(wanted):
            sys.exit(f"{wanted}: {reason}")
        print(wanted, chroot_of(wanted))
