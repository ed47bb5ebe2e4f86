"""A private PostgreSQL in the data folder, for installations that bring no server of their own.

Nobody but us can reach it: it listens on a Unix socket in a folder closed to others. It outlives us when we are killed;
the next start finds it running and adopts it. Several programs (the daemon, a command beside it) may use one cluster:
each holds a shared lock, and the last to stop it stops the server.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import asyncpg

from crm.database_errors import ClusterNotStarted
from crm.server_binaries import COMMAND_SECONDS, ServerBinaries, find_binaries, let_in

SUPERUSER = "ringcard"
DATABASE = "ringcard"
PORT = 5432  # only names the socket file
SOCKET_PATH_LIMIT = 100  # bytes; the kernel takes 107
START_SECONDS = 180.0  # a busy machine, or a long log to replay after a crash
NICENESS = 10  # a call that rings has the processor before whatever is written about the last one
ANSWER_SECONDS = 10.0  # of one try to connect
ORPHAN_SECONDS = 3.0  # the children of a killed server notice by themselves within this time
OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "timezone": "UTC",
    "jit": "off",  # our queries are short; compiling them costs more than they do
    "logging_collector": "on",  # a week of logs, each day's over that of the week before: bounded
    "log_directory": "log",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says of a server: its process, where its socket is, how far it has come."""

    pid: int
    port: int
    socket_folder: str
    status: str  # starting, ready, stopping


class EmbeddedCluster:
    """The cluster in `<data folder>/postgres`."""

    def __init__(
        self, data_folder: Path, *, options: Mapping[str, str] | None = None, niceness: int = NICENESS
    ) -> None:
        self.folder = data_folder.resolve() / "postgres"
        self._options = {**OPTIONS, **(options or {})}
        self._niceness = niceness
        self._in_use: IO[bytes] | None = None
        self._binaries: ServerBinaries | None = None

    async def start(self) -> str:
        """Make the cluster if there is none, start or adopt its server, and return the database's URL.

        Raises:
            NoServerBinaries, ClusterNotStarted: with what to do about it.
        """
        running = await asyncio.to_thread(self._start)
        try:
            await self._ensure_database(running)
        except BaseException:
            self.leave()
            raise
        return url_of(running)

    async def stop(self) -> None:
        """Stop the server, unless another program still uses it. Open connections are cut, open transactions undone."""
        await asyncio.to_thread(self._stop)

    def leave(self) -> None:
        """Use the cluster no longer, but let its server run: for a program that ends and comes back soon."""
        if self._in_use is not None:
            self._in_use.close()
        self._in_use = None

    def running(self) -> Postmaster | None:
        """The server that runs on this cluster now, ours or one left by a killed program."""
        found = read_postmaster(self.folder)
        return found if found is not None and is_server_of(found.pid, self.folder) else None

    def _start(self) -> Postmaster:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder.with_name("postgres.starting")):
            self.leave()  # started before: the server has died meanwhile
            self._in_use = self.folder.with_name("postgres.in-use").open("wb")
            fcntl.flock(self._in_use, fcntl.LOCK_SH)
            try:
                return self._make_and_launch()
            except BaseException:
                self.leave()
                raise

    def _make_and_launch(self) -> Postmaster:
        self._binaries = find_binaries(self.folder)
        let_in(self._binaries.account, self.folder.parent)
        if not (self.folder / "PG_VERSION").exists():
            make_cluster(self._binaries, self.folder)
        return self._settled() or self._launch(self._binaries)

    def _settled(self) -> Postmaster | None:
        """The running server once it is ready; None when none runs (any more)."""
        deadline = time.monotonic() + START_SECONDS
        while (found := self.running()) is not None:
            if found.status == "ready":
                return found
            if time.monotonic() > deadline:
                raise ClusterNotStarted(
                    self.folder, f"process {found.pid} is still {found.status} {_too_long()}"
                )
            time.sleep(0.05)
        return None

    def _launch(self, binaries: ServerBinaries) -> Postmaster:
        clear_away_dead_server(self.folder)
        options = self._options | {"unix_socket_directories": f'"{self._socket_folder(binaries)}"'}
        arguments = " ".join(f"-c {name}={_quoted(value)}" for name, value in options.items())
        log = str(self.folder / "start.log")
        try:
            binaries.run(
                "pg_ctl", "-D", str(self.folder), "-l", log, "-o", arguments,
                "-t", f"{START_SECONDS:.0f}", "-w", "start",
                seconds=START_SECONDS + COMMAND_SECONDS, niceness=self._niceness,
            )  # fmt: skip
        except (subprocess.SubprocessError, OSError) as error:
            raise ClusterNotStarted(self.folder, self._why_not(error)) from error
        if (found := self.running()) is None:
            raise ClusterNotStarted(self.folder, "it stopped right after it had started")
        return found

    def _why_not(self, error: Exception) -> str:
        said = _last_words(self.folder) or str(error)
        if (slow := self.running()) is None:
            return said
        return f"process {slow.pid} is still {slow.status} {_too_long()} It said last: {said}"

    async def _ensure_database(self, server: Postmaster) -> None:
        connection = await self._connection(server)
        try:
            if not await connection.fetchval("select true from pg_database where datname = $1", DATABASE):
                await connection.execute(f'create database "{DATABASE}"')
        except asyncpg.DuplicateDatabaseError:
            pass  # another program was faster
        finally:
            await connection.close()

    async def _connection(self, server: Postmaster) -> asyncpg.Connection:
        """Asked again while the server lives: on a busy machine it is ready long before it comes to answer."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return await asyncpg.connect(
                    host=server.socket_folder,
                    port=server.port,
                    user=SUPERUSER,
                    database="postgres",
                    timeout=ANSWER_SECONDS,
                )
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError) as error:
                if not is_server_of(server.pid, self.folder):
                    reason = f"it stopped before it answered: {_last_words(self.folder)}"
                    raise ClusterNotStarted(self.folder, reason) from error
                if time.monotonic() > deadline:
                    reason = f"process {server.pid} runs, but still does not answer ({error!r}) {_too_long()}"
                    raise ClusterNotStarted(self.folder, reason) from error
            except asyncpg.PostgresError as error:
                raise ClusterNotStarted(self.folder, f"it runs, but refuses us: {error!r}") from error
            await asyncio.sleep(0.1)

    def _socket_folder(self, binaries: ServerBinaries) -> Path:
        if len(os.fsencode(self.folder / f".s.PGSQL.{PORT}.lock")) <= SOCKET_PATH_LIMIT:
            return self.folder  # closed to others already
        remembered = self.folder / "socket-folder"  # the URL stays the same over restarts
        if remembered.exists() and _is_closed_folder(Path(remembered.read_text()), self.folder.stat().st_uid):
            return Path(remembered.read_text())
        folder = Path(tempfile.mkdtemp(prefix="ringcard-"))
        if binaries.account is not None:
            os.chown(folder, binaries.account.uid, binaries.account.gid)
        remembered.write_text(str(folder))
        return folder

    def _stop(self) -> None:
        if self._in_use is None or self._binaries is None:
            return
        with _locked(self.folder.with_name("postgres.starting")), closing(self._in_use) as in_use:
            self._in_use = None
            try:
                fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else works on it
            if self.running() is not None:
                _shut_down(self._binaries, self.folder)


def make_cluster(binaries: ServerBinaries, folder: Path) -> None:
    """Make a cluster beside its place and move it there: a kill in the middle leaves nothing half-made."""
    unfinished = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if binaries.account is not None:
        os.chown(unfinished, binaries.account.uid, binaries.account.gid)
    try:
        binaries.run(
            "initdb", "-D", str(unfinished), "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8",
            "--auth-local=trust", "--auth-host=reject",
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        raise ClusterNotStarted(folder, f"initdb says: {error.output.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterNotStarted(folder, f"initdb is still at work {_too_long(error.timeout)}") from error
    unfinished.rename(folder)


def read_postmaster(folder: Path) -> Postmaster | None:
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
        return Postmaster(
            pid=int(lines[0]),
            port=int(lines[3]) if len(lines) > 3 else PORT,
            socket_folder=lines[4] if len(lines) > 4 else "",
            status=lines[7].strip() if len(lines) > 7 else "starting",
        )
    except (OSError, ValueError, IndexError):
        return None


def is_server_of(pid: int, folder: Path) -> bool:
    """Whether this process lives and works in that cluster's folder, as every PostgreSQL server does."""
    process = Path("/proc", str(pid))
    try:
        if Path("/proc/self").exists():
            in_folder = (process / "cwd").readlink() == folder
            return in_folder and (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def clear_away_dead_server(folder: Path) -> None:
    """Remove what a killed server left, once none of its processes touches the files any more.

    PostgreSQL would do so itself, but trusts the number of a process: in containers the same number soon belongs to
    another program, and a dead server that nobody has buried yet counts as alive.
    """
    deadline = time.monotonic() + ORPHAN_SECONDS
    while orphans := processes_in(folder):
        if time.monotonic() > deadline:  # in the middle of a long statement, with nobody left to answer
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    for name in ("postmaster.pid", f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (folder / name).unlink(missing_ok=True)


def processes_in(folder: Path) -> list[int]:
    """Server processes that work in the cluster's folder."""
    numbers = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in numbers if is_server_of(pid, folder)]


def url_of(server: Postmaster) -> str:
    host = quote(server.socket_folder, safe="/")
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={host}&port={server.port}"


def _shut_down(binaries: ServerBinaries, folder: Path) -> None:
    for mode, seconds in (("fast", 20), ("immediate", 5)):
        try:
            binaries.run("pg_ctl", "-D", str(folder), "-m", mode, "-t", str(seconds), "-w", "stop")
        except subprocess.SubprocessError:
            continue
        return


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One program at a time starts or stops the server; the lock ends with the process that holds it."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_closed_folder(folder: Path, owner: int) -> bool:
    """Whether a folder outside the data folder is still ours alone: /tmp is everybody's."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    status = folder.stat()
    return status.st_uid == owner and stat.S_IMODE(status.st_mode) == 0o700


def _too_long(seconds: float | None = None) -> str:
    """How the reasons of a start that took too long end."""
    waited = START_SECONDS if seconds is None else seconds
    return f"after {waited:g} s. Is the machine or its disk very busy? Then start ringcard once more."


def _last_words(folder: Path) -> str:
    """The end of what the server wrote last."""
    logs = [
        folder / "start.log",
        *sorted((folder / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:],
    ]
    return "\n".join(log.read_text(errors="replace")[-1500:].strip() for log in logs if log.exists())


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
