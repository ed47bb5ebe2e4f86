"""Our own link against a real Asterisk: login, rights, snapshot, wrong secret, a PBX that dies and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ami_adapter.actions import Action, ClickToCall, originate
from ami_adapter.connection import AmiConnection
from ami_adapter.diagnose import Verdict, check
from ami_adapter.errors import AmiActionRefused
from ami_adapter.link import AmiSettings, LinkState, LinkStatus, Patience
from cti.calls.call_events import CallEvent, SnapshotApplied
from tests.pbx.asterisk_lab import CONFIG, DIALLER, READER, AsteriskLab


def settings_of(pbx: AsteriskLab, account: str = READER, secret: str | None = None) -> AmiSettings:
    patience = Patience(retry_first=0.2, retry_longest=0.5)
    secret = pbx.secret_of(account) if secret is None else secret
    return AmiSettings(host=pbx.host, port=pbx.ami_port, user=account, secret=secret, patience=patience)


async def until(holds: Callable[[], bool], within: float = 20) -> None:
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.02)


class Running:
    """A connection that runs for as long as the block lasts."""

    def __init__(self, settings: AmiSettings) -> None:
        self.told: list[CallEvent] = []
        self.states: list[LinkState] = []
        self.gaps: list[str] = []
        self.connection = AmiConnection(
            settings,
            emit=self.told.extend,
            on_state=self.states.append,
            on_gap=lambda _from, _to, why: self.gaps.append(why),
        )

    async def __aenter__(self) -> Running:
        self._task = asyncio.create_task(self.connection.run())
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_up(self) -> bool:
        return self.connection.state.status is LinkStatus.UP

    @property
    def snapshots(self) -> int:
        return sum(isinstance(event, SnapshotApplied) for event in self.told)


async def test_the_reader_of_our_example_gets_the_whole_picture(pbx: AsteriskLab) -> None:
    async with Running(settings_of(pbx)) as running:
        await until(lambda: running.is_up)
        assert running.connection.state.code == "up"
        await until(lambda: running.snapshots == 1)
        assert running.connection.state.pbx_version.startswith(("16.", "2"))
        answer = await running.connection.act(Action("Ping"))
        assert answer.message["Ping"] == "Pong"
        with pytest.raises(AmiActionRefused, match="Permission denied"):
            await running.connection.act(originate("101", "102", how=ClickToCall()))


async def test_a_wrong_secret_is_told_and_not_hammered(pbx: AsteriskLab) -> None:
    async with Running(settings_of(pbx, secret="guessed")) as running:
        await until(lambda: running.connection.state.status is LinkStatus.REFUSED)
        assert running.connection.state.values["answer"] == "Authentication failed"
        assert [state.code for state in running.states] == ["connecting", "login_refused"]


async def test_the_check_finds_our_example_accounts_good(pbx: AsteriskLab) -> None:
    for account in (READER, DIALLER):
        answers = {
            answer.code: answer for answer in await check(settings_of(pbx, account), listen_seconds=0.2)
        }
        assert answers["logged_in"].verdict is Verdict.GOOD
        assert answers["rights"].verdict is Verdict.GOOD
        assert answers["clock"].verdict is Verdict.GOOD
        assert "rights_excessive" not in answers
    reader = {answer.code: answer for answer in await check(settings_of(pbx), listen_seconds=0.2)}
    assert int(reader["telephones"].values["count"]) >= 1


async def test_t04_an_account_with_system_is_refused(pbx: AsteriskLab) -> None:
    pbx.put("manager_custom.conf", "[mighty]\nsecret = very-mighty\nread = all\nwrite = all\n")
    pbx.cli("manager reload")
    try:
        async with Running(settings_of(pbx, "mighty", "very-mighty")) as running:
            await until(lambda: running.connection.state.status is LinkStatus.REFUSED)
            assert set(running.connection.state.values["rights"].split(", ")) >= {
                "system",
                "command",
                "config",
                "user",
            }
    finally:
        pbx.put("manager_custom.conf", pbx.fitted(_shipped()))
        pbx.cli("manager reload")


async def test_i04_a_killed_pbx_is_noticed_and_resynced_when_it_is_back(pbx: AsteriskLab) -> None:
    async with Running(settings_of(pbx)) as running:
        await until(lambda: running.is_up)
        pbx.kill()
        await until(lambda: running.connection.state.status is LinkStatus.DOWN)
        await asyncio.to_thread(pbx.start)
        await until(lambda: running.is_up and running.snapshots >= 2)
        assert len(running.gaps) == 1


def _shipped() -> Path:
    return CONFIG / "manager_custom.conf"
