"""One Asterisk in the foreground, on loopback addresses of its own, running the files of asterisk-config/."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.pbx import chroots
from tests.pbx.phones.sound import MUSIC_HZ, tone

CONFIG = Path(__file__).parents[2] / "asterisk-config"
LAB_PART = Path(__file__).parent / "lab"
READER = "ringcard-reader"
DIALLER = "ringcard-dialler"
AMI_PORT = 5038
SIP_PORT = 5060
EXAMPLE_PHONES = ("101", "102", "103")
OFFICE = Path(__file__).parent / "office"
OFFICE_PHONES = (*EXAMPLE_PHONES, "104", "105", "106")


class LabError(Exception):
    """The test PBX did not start or did not answer; the text holds the end of its log."""


class AsteriskLab:
    """A real PBX for as long as the `with` block lasts; it, its files and its addresses are gone afterwards.

    Addresses: `host` is the PBX (SIP and AMI), `provider` sends and takes outside calls, `phone("101")` is where the
    telephone of 101 sits. Accounts: READER and DIALLER with `secret_of`, telephones with `password_of`.

    Args:
        additions: a folder whose files are added to those of asterisk-config/, or stand beside them.
    """

    def __init__(self, suite: str, *, additions: Path | None = None) -> None:
        self.suite = suite
        self.chroot = chroots.chroot_of(suite)
        self.net = _free_net()
        self.host = f"{self.net}.1"
        self.provider = f"{self.net}.30"
        self.ami_port = AMI_PORT
        self._secrets = {name: secrets.token_hex(16) for name in (READER, DIALLER, *OFFICE_PHONES)}
        self._additions = additions
        self._process: subprocess.Popen[bytes] | None = None
        self._base = Path()

    def __enter__(self) -> Self:
        opt = self.chroot / "opt"
        opt.mkdir(exist_ok=True)
        _sweep(opt)
        self._base = Path(tempfile.mkdtemp(prefix=f"ringcard-{os.getpid()}-", dir=opt))
        self._write_configuration()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._base, ignore_errors=True)

    def phone(self, extension: str) -> str:
        """The address of an agent's telephone."""
        return f"{self.net}.{extension}"

    def second_phone(self, extension: str) -> str:
        """Where a second telephone of the same extension sits."""
        return f"{self.net}.{int(extension) + 100}"

    def secret_of(self, account: str) -> str:
        return self._secrets[account]

    def password_of(self, extension: str) -> str:
        return self._secrets[extension]

    def start(self) -> None:
        """Start and wait until calls can be made. Raises LabError after 20 s or if it ends by itself."""
        command = ["/usr/sbin/asterisk", "-f", "-C", f"{self._inside}/etc/asterisk.conf"]
        with (self._base / "log/console").open("wb") as console:
            # It dies with us even if we are killed: no PBX is left behind by an interrupted run.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "chroot", str(self.chroot), *command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 20
        while not self._is_booted():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabError(f"Asterisk of {self.suite} did not start:\n{self.log()[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the PBX, at once and by its pid; calls are cut."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """The power fails: not even a goodbye to the AMI clients."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def cli(self, command: str) -> str:
        """What `asterisk -rx command` prints."""
        done = subprocess.run(
            self.cli_command(command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"asterisk -rx {command!r}: {done.stdout}{done.stderr}")
        return done.stdout

    def cli_command(self, command: str) -> list[str]:
        """For a command that does not come back by itself, as `core restart gracefully`."""
        inside = ["/usr/sbin/asterisk", "-C", f"{self._inside}/etc/asterisk.conf", "-rx", command]
        return ["chroot", str(self.chroot), *inside]

    @property
    def cdr_file(self) -> Path:
        """Where this PBX writes its calls down, once it has written one."""
        return self._base / "log/cdr-csv/Master.csv"

    def log(self) -> str:
        """Everything this PBX has logged so far."""
        files = [self._base / "log/full", self._base / "log/console"]
        return "\n".join(file.read_text(errors="replace") for file in files if file.exists())

    @property
    def _inside(self) -> str:
        return "/" + str(self._base.relative_to(self.chroot))

    def _is_booted(self) -> bool:
        try:
            return "fully booted" in self.cli("core waitfullybooted")
        except LabError:
            return False  # its control socket is not there yet

    def _write_configuration(self) -> None:
        for folder in ("etc", "cache", "db", "keys", "spool/monitor", "run", "log/cdr-csv", "music"):
            (self._base / folder).mkdir(parents=True)
        (self._base / "music/tone.alaw").write_bytes(tone(MUSIC_HZ) * 500)  # ten seconds
        for file in LAB_PART.glob("*.conf"):
            text = file.read_text().replace("@BASE@", self._inside)
            self.put(file.name, text.replace("@MODULES@", chroots.modules_of(self.chroot)))
        for file in CONFIG.glob("*.conf"):
            self.put(file.name, self.fitted(file) + self._addition(file.name))
        for file in self._additions.glob("*.conf") if self._additions else ():
            if not (CONFIG / file.name).exists():
                self.put(file.name, self._addition(file.name))

    def _addition(self, name: str) -> str:
        """What is added under this name, "" for nothing."""
        if self._additions is None or not (self._additions / name).exists():
            return ""
        text = (self._additions / name).read_text(encoding="utf-8").replace("@BASE@", self._inside)
        for extension in OFFICE_PHONES:
            text = text.replace(f"@PASSWORD-{extension}@", self._secrets[extension])
        return "\n" + text

    def put(self, name: str, text: str) -> None:
        """Write one configuration file; a reload makes it count."""
        (self._base / "etc" / name).write_text(text, encoding="utf-8")

    def fitted(self, file: Path) -> str:
        """A file of asterisk-config/ as a user would copy it: his addresses and secrets put in, nothing else."""
        text = file.read_text(encoding="utf-8")
        match file.name:
            case "manager.conf":
                return _put(text, "bindaddr = 127.0.0.1", f"bindaddr = {self.host}")
            case "manager_custom.conf":
                for account in (READER, DIALLER):
                    text = _put(
                        text, f"[{account}]\n;secret =", f"[{account}]\nsecret = {self._secrets[account]}\n;"
                    )
                return text
            case "pjsip.conf":
                text = _put(text, "bind = 0.0.0.0:5060", f"bind = {self.host}:{SIP_PORT}")
                for extension in EXAMPLE_PHONES:
                    line = f"username = {extension}\n"
                    text = _put(text, f"{line};password =", f"{line}password = {self._secrets[extension]}")
                return _put(text, "203.0.113.10", self.provider)
            case _:
                return text


def _put(text: str, old: str, new: str) -> str:
    if old not in text:
        raise LabError(f"asterisk-config no longer holds {old!r}")
    return text.replace(old, new)


def _sweep(opt: Path) -> None:
    """Remove what runs left here that were killed."""
    for folder in opt.glob("ringcard-*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _free_net() -> str:
    """Three octets of 127.0.0.0/8 where nobody listens yet; the start depends on our pid, so that runs do not meet."""
    for step in range(200):
        net = f"127.0.{32 + (os.getpid() + step) % 200}"
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as ami,
        ):
            ami.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sip.bind((f"{net}.1", SIP_PORT))
                ami.bind((f"{net}.1", AMI_PORT))
            except OSError:
                continue
            return net
    raise LabError("no free loopback network among 127.0.32 to 127.0.231")
