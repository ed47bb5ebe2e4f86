"""What goes on now, told twice: by the PBX's own list of channels, and by a running ringcard; and its journal."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.pbx.ami_tap import AmiTap
from tests.pbx.asterisk_lab import READER, AsteriskLab

TELEPHONE = re.compile(r"PJSIP/(1\d\d)-")
HELPER = "Local/"


@dataclass(frozen=True)
class CallNow:
    """A call of this moment: whose telephones ring and who talks."""

    ringing: frozenset[str] = frozenset()
    talking: frozenset[str] = frozenset()


Picture = Mapping[str, CallNow]  # by linked id


async def picture_of_pbx(lab: AsteriskLab) -> Picture:
    """By CoreShowChannels, asked on a connection of its own."""
    async with AmiTap(lab, READER, events="off") as tap:
        answer = await tap.ask("CoreShowChannels", seconds=30)
    legs: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for one in answer:
        if one.get("Event") == "CoreShowChannel" and not one["Channel"].startswith(HELPER):
            legs[one["Linkedid"]].append(one)
    return {linked: _call_of(channels) for linked, channels in legs.items()}


def _call_of(channels: Sequence[Mapping[str, str]]) -> CallNow:
    ringing = [one["Channel"] for one in channels if one["ChannelStateDesc"] == "Ringing"]
    talking = [one["Channel"] for one in channels if one["ChannelStateDesc"] == "Up" and one["BridgeId"]]
    return CallNow(_extensions(ringing), _extensions(talking))


def _extensions(channels: Sequence[str]) -> frozenset[str]:
    return frozenset(found[1] for name in channels if (found := TELEPHONE.match(name)))


@dataclass
class Journal:
    """A running ringcard, asked over its API by a token that sees everything."""

    api: aiohttp.ClientSession
    linked_ids: dict[str, list[str]] = field(default_factory=dict)  # of calls seen before

    async def picture(self) -> Picture:
        """Its present calls, each by its oldest linked id. Raises KeyError while one is not in the journal yet."""
        present = (await self._get("/api/v1/live"))["items"]
        if any(call["id"] not in self.linked_ids for call in present):
            await self.calls()
        return {
            self.linked_ids[call["id"]][0]: CallNow(_who(call["ringing"]), _who(call["talking"]))
            for call in present
        }

    async def calls(self) -> list[dict[str, Any]]:
        """Every call of the journal, newest first."""
        calls: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self._get("/api/v1/calls", limit="200", **({"cursor": cursor} if cursor else {}))
            calls += page["items"]
            if (cursor := page["next"]) is None:
                break
        self.linked_ids |= {call["id"]: call["linked_ids"] for call in calls}
        return calls

    async def of(self, number: str) -> list[dict[str, Any]]:
        """The calls of this customer."""
        return [call for call in await self.calls() if call["customer_number_raw"] == number]

    async def gaps(self) -> list[dict[str, Any]]:
        (connection,) = (await self._get("/api/v1/connections"))["items"]
        gaps: list[dict[str, Any]] = (await self._get(f"/api/v1/connections/{connection['id']}/gaps"))[
            "items"
        ]
        return gaps

    async def state(self) -> str:
        """Of the one connection: up, down …"""
        (connection,) = (await self._get("/api/v1/connections"))["items"]
        state: str = connection["state"]
        return state

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        async with self.api.get(path, params=query) as answer:
            assert answer.status == 200, await answer.text()
            told: dict[str, Any] = await answer.json()
            return told


async def until_equal(lab: AsteriskLab, journal: Journal, *, seconds: float = 10) -> float:
    """Wait until ringcard's picture is the PBX's: after how many seconds it was.

    Raises:
        AssertionError: it was not within so many seconds; tells both.
    """
    started = time.monotonic()
    ours: Picture | str
    while True:
        theirs = await picture_of_pbx(lab)
        try:
            ours = await journal.picture()
        except (KeyError, aiohttp.ClientError) as error:
            ours = f"none: {error!r}"
        waited = time.monotonic() - started
        if ours == theirs:
            return waited
        assert waited < seconds, f"after {waited:.1f} s the PBX has {dict(theirs)}, ringcard {ours}"
        await asyncio.sleep(0.2)


def _who(agents: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(agent["extension"] for agent in agents)
