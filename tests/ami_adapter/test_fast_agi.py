"""FastAGI: a talk with a dialplan, and with those who are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from ami_adapter import fast_agi
from ami_adapter.fast_agi import AgiTalk, FastAgi

ENVIRONMENT = (
    b"agi_network: yes\nagi_network_script: route\nagi_request: agi://127.0.0.1/route\n"
    b"agi_channel: PJSIP/provider-00000001\nagi_callerid: 89161234567\nagi_dnid: 74951234500\nagi_arg_1: office\n\n"
)


@asynccontextmanager
async def serving(answer: Callable[[AgiTalk], Awaitable[None]]) -> AsyncIterator[FastAgi]:
    agi = FastAgi("127.0.0.1", 0, answer)
    running = asyncio.create_task(agi.run())
    async with asyncio.timeout(5):
        while agi.port == 0:
            await asyncio.sleep(0)
    yield agi
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Dialplan:
    """Asterisk's side: answers commands from its variables."""

    def __init__(self, **variables: str) -> None:
        self.variables = variables
        self.commands: list[str] = []

    async def ask(self, port: int, environment: bytes = ENVIRONMENT) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(environment)
        try:
            while line := (await reader.readline()).decode().rstrip("\n"):
                self.commands.append(line)
                writer.write(self._answer(line) + b"\n")
        except ConnectionError:
            pass
        writer.close()

    def _answer(self, command: str) -> bytes:
        if command.startswith("GET FULL VARIABLE ${"):
            value = self.variables.get(command[20:-1])
            return b"200 result=0" if value is None else f"200 result=1 ({value})".encode()
        name, _, quoted = command.removeprefix("SET VARIABLE ").partition(" ")
        self.variables[name] = quoted[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        return b"200 result=1"


async def test_a_talk_reads_and_sets_variables() -> None:
    seen: list[object] = []

    async def answer(talk: AgiTalk) -> None:
        seen.extend([talk.environment["callerid"], await talk.variable("TOKEN"), await talk.variable("NONE")])
        await talk.set_variable("NAME", 'ООО "Ромашка" \\ (цветы)\r\nSET VARIABLE X "1"')

    async with serving(answer) as agi:
        dialplan = Dialplan(TOKEN="secret (1)")
        await dialplan.ask(agi.port)
    assert seen == ["89161234567", "secret (1)", ""]
    assert dialplan.variables["NAME"] == 'ООО "Ромашка" \\ (цветы)SET VARIABLE X "1"'
    assert "X" not in dialplan.variables


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xfe\x00\n",
        b"agi_x: " + b"y" * 10_000 + b"\n",
        b"agi_a: b\n" * 200,
        b"agi_a: b",
        b"",
    ],
)
async def test_who_does_not_speak_agi_is_left_and_others_are_answered(said: bytes) -> None:
    asked: list[str] = []

    async def answer(talk: AgiTalk) -> None:
        asked.append(await talk.variable("TOKEN"))

    async with serving(answer) as agi:
        reader, writer = await asyncio.open_connection("127.0.0.1", agi.port)
        writer.write(said)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await Dialplan(TOKEN="t").ask(agi.port)
    assert asked == ["t"]


async def test_a_talk_that_stands_still_is_ended_and_too_many_are_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_agi, "TALK_SECONDS", 0.2)
    monkeypatch.setattr(fast_agi, "MOST_TALKS", 3)

    async def answer(talk: AgiTalk) -> None:
        await talk.variable("NEVER")

    async with serving(answer) as agi:
        talks = [await asyncio.open_connection("127.0.0.1", agi.port) for _ in range(6)]
        async with asyncio.timeout(5):
            for reader, writer in talks:
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
                writer.close()
        assert agi._talks == 0


async def test_an_answer_that_fails_ends_that_talk_alone() -> None:
    async def answer(_talk: AgiTalk) -> None:
        raise LookupError("a defect of ours")

    async with serving(answer) as agi:
        for _ in range(2):
            await Dialplan().ask(agi.port)
        assert agi._talks == 0


async def test_a_name_that_is_none_is_a_defect_of_ours() -> None:
    async def answer(talk: AgiTalk) -> None:
        with pytest.raises(ValueError, match="no name"):
            await talk.set_variable('X "1"\nEXEC System', "y")

    async with serving(answer) as agi:
        dialplan = Dialplan()
        await dialplan.ask(agi.port)
    assert dialplan.commands == []
