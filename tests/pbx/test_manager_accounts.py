"""The accounts of asterisk-config/manager_custom.conf: what they may, and what they may not, on a real Asterisk."""

from __future__ import annotations

import asyncio

import pytest

from tests.pbx.ami_tap import AmiTap
from tests.pbx.asterisk_lab import CONFIG, DIALLER, READER, AsteriskLab

SNAPSHOT = (
    "CoreShowChannels",
    "BridgeList",
    "QueueStatus",
    "DeviceStateList",
    "ExtensionStateList",
    "Status",
)
DENIED = "Permission denied"


@pytest.mark.parametrize("action", SNAPSHOT)
async def test_the_reader_may_ask_for_the_whole_picture(pbx: AsteriskLab, action: str) -> None:
    async with AmiTap(pbx, READER) as tap:
        first, *rest = await tap.ask(action)
    assert first["Response"] == "Success"
    assert rest[-1]["EventList"] == "Complete"


async def test_t04_the_reader_can_neither_call_nor_change_anything(pbx: AsteriskLab) -> None:
    async with AmiTap(pbx, READER) as tap:
        asked = {
            "Originate": await tap.ask(
                "Originate", Channel="PJSIP/101", Context="from-internal", Exten="102", Priority="1"
            ),
            "Hangup": await tap.ask("Hangup", Channel="PJSIP/101-00000001"),
            "Redirect": await tap.ask(
                "Redirect", Channel="PJSIP/101-00000001", Context="x", Exten="1", Priority="1"
            ),
            "Setvar": await tap.ask("Setvar", Variable="OFFICE", Value="+70000000000"),
            "QueueAdd": await tap.ask("QueueAdd", Queue="sales", Interface="PJSIP/999"),
            "Command": await tap.ask("Command", Command="core show version"),
            "GetConfig": await tap.ask("GetConfig", Filename="pjsip.conf"),
            "UpdateConfig": await tap.ask("UpdateConfig", SrcFilename="pjsip.conf", DstFilename="pjsip.conf"),
            "ModuleLoad": await tap.ask("ModuleLoad", LoadType="reload"),
            "UserEvent": await tap.ask("UserEvent", UserEvent="Lie"),
        }
    assert {action: answer[0].get("Message") for action, answer in asked.items()} == dict.fromkeys(
        asked, DENIED
    )


async def test_t04_the_dialler_may_originate_and_hang_up_but_not_command(pbx: AsteriskLab) -> None:
    async with AmiTap(pbx, DIALLER) as tap:
        (allowed,) = await tap.ask("ListCommands")
        command = await tap.ask("Command", Command="core show version")
        shell = await tap.ask(
            "Originate", Channel="PJSIP/101", Application="System", Data="true", Async="true"
        )
    assert {"Originate", "Hangup", "Redirect", "QueuePause"} <= allowed.keys()
    assert not {"Command", "GetConfig", "UpdateConfig", "ModuleLoad", "UserEvent"} & allowed.keys()
    assert command[0]["Message"] == DENIED
    assert shell[0]["Response"] == "Error"


async def test_a_wrong_secret_admits_nobody(pbx: AsteriskLab) -> None:
    assert await answers_to(pbx, "guessed") == {"Error"}


async def test_t31_the_files_as_shipped_admit_nobody(pbx: AsteriskLab) -> None:
    shipped = CONFIG / "manager_custom.conf"
    pbx.put(shipped.name, shipped.read_text())
    pbx.cli("manager reload")
    try:
        assert await answers_to(pbx, "", "secret") == {"Error"}
    finally:
        pbx.put(shipped.name, pbx.fitted(shipped))
        pbx.cli("manager reload")


async def test_the_reader_learns_that_the_pbx_is_ready(pbx: AsteriskLab) -> None:
    async with AmiTap(pbx, READER) as tap:
        await tap.ask("Ping")
    assert "FullyBooted" in [message.get("Event") for message in tap.messages()]


async def answers_to(pbx: AsteriskLab, *guesses: str) -> set[str]:
    """How Asterisk answers these secrets on both accounts; at once, since it takes a second for each refusal."""
    attempts = [try_login(pbx, account, guess) for account in (READER, DIALLER) for guess in guesses]
    return set(await asyncio.gather(*attempts))


async def try_login(pbx: AsteriskLab, account: str, secret: str) -> str:
    async with AmiTap(pbx, account, secret=secret) as tap:
        return tap.login_answer["Response"]
