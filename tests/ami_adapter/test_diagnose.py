"""What the check of a connection answers, for each way an installation goes wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ami_adapter.demo.pbx import DEMO_SECRET, DEMO_USER, DemoPbx
from ami_adapter.diagnose import Answer, Verdict, check
from ami_adapter.framing import AmiMessage
from ami_adapter.link import AmiSettings
from tests.ami_adapter.scripted import HASTY, Link, ScriptedAmi, message, obliging


def by_code(answers: list[Answer]) -> dict[str, Answer]:
    codes = {answer.code: answer for answer in answers}
    assert len(codes) == len(answers)
    return codes


def is_told(answer: Answer) -> bool:
    """Whatever is not good comes with something to do about it."""
    return bool(answer.text) and (answer.verdict is Verdict.GOOD or bool(answer.remedy))


async def test_a_good_connection_has_only_good_answers() -> None:
    def lively(link: Link, request: AmiMessage) -> None:
        obliging(link, request)
        if request["Action"] == "QueueStatus":
            link.say(message(Event="Newchannel", Privilege="call,all", Channel="PJSIP/101-1", Uniqueid="1.1"))

    async with ScriptedAmi(lively) as pbx:
        answers = by_code(await check(pbx.settings(), listen_seconds=0.05))
    assert list(answers) == [
        "reached", "greeted", "logged_in", "version", "rights", "clock_unknown", "channels", "telephones", "queues",
        "events",
    ]  # fmt: skip
    assert answers["version"].values["version"] == "22.0.0"
    assert answers["events"].values["classes"] == "call, system"
    assert answers["telephones"].verdict is Verdict.WARNING  # this fake knows none
    assert all(map(is_told, answers.values()))


async def test_the_demo_pbx_stands_its_own_check() -> None:
    async with DemoPbx() as pbx:
        settings = AmiSettings(host="127.0.0.1", port=pbx.port, user=DEMO_USER, secret=DEMO_SECRET)
        answers = by_code(await check(settings, listen_seconds=0.05))
    assert {code for code, answer in answers.items() if answer.verdict is not Verdict.GOOD} == {"events_none"}
    assert int(answers["telephones"].values["count"]) >= 6
    assert int(answers["queues"].values["count"]) >= 2
    assert answers["channels"].values["count"] == "0"
    assert "originate" in answers["rights"].values["rights"]


async def test_nobody_listens() -> None:
    async with ScriptedAmi() as pbx:
        settings = pbx.settings()
    (answer,) = await check(settings)
    assert answer.code == "unreachable"
    assert "bindaddr" in answer.remedy


async def test_the_name_does_not_exist() -> None:
    settings = AmiSettings(host="pbx.invalid", user="cti", secret="x", patience=HASTY)
    (answer,) = await check(settings)
    assert answer.code == "unreachable"
    assert answer.values["reason"]


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_something_else_listens(greeting: bytes) -> None:
    async with ScriptedAmi(greeting=greeting) as pbx:
        reached, answer = await check(pbx.settings())
    assert reached.verdict is Verdict.GOOD
    assert answer.code == "not_an_ami"
    assert is_told(answer)


async def test_a_wrong_secret() -> None:
    async with DemoPbx([]) as pbx:
        settings = AmiSettings(host="127.0.0.1", port=pbx.port, user=DEMO_USER, secret="s3cr3t-canary")
        answers = await check(settings)
    assert [answer.code for answer in answers] == ["reached", "greeted", "login_refused"]
    assert answers[-1].values["answer"] == "Authentication failed"
    assert "canary" not in repr(answers)


async def test_t04_too_many_rights_are_bad_until_accepted() -> None:
    def mighty(link: Link, request: AmiMessage) -> None:
        if request["Action"] == "ListCommands":
            link.answer(request, UserEvent="Send an arbitrary event.  (Priv: user,all)")
        else:
            obliging(link, request)

    async with ScriptedAmi(mighty) as pbx:
        refused = by_code(await check(pbx.settings(), listen_seconds=0))
        accepted = by_code(
            await check(replace(pbx.settings(), accepts_excessive_rights=True), listen_seconds=0)
        )
    assert refused["rights_excessive"].verdict is Verdict.BAD
    assert refused["rights_excessive"].values["rights"] == "user"
    assert accepted["rights_excessive"].verdict is Verdict.WARNING


async def test_an_account_that_may_not_ask_for_the_picture() -> None:
    def secretive(link: Link, request: AmiMessage) -> None:
        if request["Action"] in ("CoreShowChannels", "CoreSettings", "ListCommands"):
            link.answer(request, Response="Error", Message="Permission denied")
        else:
            obliging(link, request)

    async with ScriptedAmi(secretive) as pbx:
        answers = by_code(await check(pbx.settings(), listen_seconds=0))
    assert answers["channels_denied"].verdict is Verdict.BAD
    assert "reporting" in answers["channels_denied"].remedy
    assert answers["version"].values["version"] == "AMI 11.0.0"
    assert answers["rights_unknown"].verdict is Verdict.WARNING


@pytest.mark.parametrize(("ahead", "verdict"), [(0.4, Verdict.GOOD), (-90.0, Verdict.WARNING)])
async def test_clocks_are_compared(ahead: float, verdict: Verdict) -> None:
    def timed(link: Link, request: AmiMessage) -> None:
        if request["Action"] == "Ping":
            link.answer(request, Ping="Pong", Timestamp=f"{1_800_000_000 + ahead:.6f}")
        else:
            obliging(link, request)

    async with ScriptedAmi(timed) as pbx:
        answers = by_code(await check(pbx.settings(), listen_seconds=0, now=lambda: 1_800_000_000.0))
    assert answers["clock"].verdict is verdict
    assert answers["clock"].values["seconds"] == f"{ahead:.1f}"


async def test_a_link_that_breaks_while_we_ask() -> None:
    def breaking(link: Link, request: AmiMessage) -> None:
        if request["Action"] == "ListCommands":
            link.writer.transport.abort()
        else:
            obliging(link, request)

    async with ScriptedAmi(breaking) as pbx:
        answers = await check(pbx.settings(), listen_seconds=0)
    assert answers[-1].code == "link_broke"
    assert is_told(answers[-1])
