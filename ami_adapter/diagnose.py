"""Why an installation does not pop, asked of the PBX itself: one question after another, until one fails.

Every answer has a code and values, which the web tells in the administrator's language, and the same in English.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ami_adapter import actions
from ami_adapter.actions import Action
from ami_adapter.errors import (
    AmiActionRefused,
    AmiError,
    AmiLinkLost,
    AmiLoginRefused,
    AmiUnreachable,
    NotAnAmi,
)
from ami_adapter.framing import AmiMessage
from ami_adapter.link import AmiSettings
from ami_adapter.protocol import AmiResponse
from ami_adapter.rights import excessive_rights, written_classes
from ami_adapter.session import AmiSession, version_of

TELEPHONES = ("PJSIP/", "SIP/", "IAX2/", "DAHDI/", "SCCP/")
NEEDED_CLASSES = ("call", "agent", "dialplan")
TOLERATED_CLOCK_SECONDS = 2.0


class Verdict(StrEnum):
    """How good an answer is."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer: `code` and `verdict` choose the sentence, `values` fill it; `text` and `remedy` are English."""

    code: str
    verdict: Verdict
    text: str
    remedy: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


class Heard:
    """Counts what arrives on the link while we ask."""

    def __init__(self) -> None:
        self.classes: Counter[str] = Counter()

    def deliver(self, messages: Sequence[AmiMessage]) -> bool:
        """Take what arrived; there is always room."""
        for message in messages:
            if message.event and "ActionID" not in message:
                self.classes[message.get("Privilege", "").partition(",")[0]] += 1
        return True


async def check(
    settings: AmiSettings, *, listen_seconds: float = 3.0, now: Callable[[], float] = time.time
) -> list[Answer]:
    """Ask everything there is to know about a connection, without touching the running one. Raises nothing of AMI's.

    Args:
        listen_seconds: how long to wait for events; on a quiet PBX none come.
        now: the wall clock in seconds since 1970, to compare with the PBX's.
    """
    heard = Heard()
    try:
        session = await AmiSession.open(settings, heard.deliver)
    except AmiError as error:
        return _not_open(settings, error)
    answers = [
        Answer(
            code="reached",
            verdict=Verdict.GOOD,
            text=f"{settings.host}:{settings.port} answers.",
            values=_where(settings),
        ),
        Answer(
            code="greeted",
            verdict=Verdict.GOOD,
            text=f"It is an Asterisk manager, version {session.ami_version}.",
            values={"ami_version": session.ami_version},
        ),
    ]
    alive = asyncio.create_task(session.keep_alive())
    try:
        await session.log_in()
        answers.append(
            Answer(
                code="logged_in",
                verdict=Verdict.GOOD,
                text="The login was accepted.",
                values=_where(settings),
            )
        )
        answers += await _ask_all(session, settings, now)
        answers.append(await _events(session, heard, listen_seconds))
    except AmiError as error:
        answers.append(_broken(settings, error))
    finally:
        session.abort(AmiLinkLost("the check is over"))
        await alive
    return answers


async def _ask_all(session: AmiSession, settings: AmiSettings, now: Callable[[], float]) -> list[Answer]:
    version = await version_of(session)
    return [
        Answer(
            code="version",
            verdict=Verdict.GOOD,
            text=f"It is Asterisk {version}.",
            values={"version": version},
        ),
        await _rights(session, settings),
        await _clock(session, now),
        await _count(session, "CoreShowChannels", "channels", "{count} channels are up at the moment."),
        await _telephones(session),
        await _count(session, "QueueStatus", "queues", "{count} queues are known.", event=b"QueueParams"),
    ]


def _where(settings: AmiSettings) -> dict[str, str]:
    return {"host": settings.host, "port": str(settings.port), "user": settings.user}


def _not_open(settings: AmiSettings, error: AmiError) -> list[Answer]:
    reached = Answer(
        code="reached",
        verdict=Verdict.GOOD,
        text=f"{settings.host}:{settings.port} answers.",
        values=_where(settings),
    )
    match error:
        case AmiUnreachable(reason=reason):
            return [
                Answer(
                    code="unreachable",
                    verdict=Verdict.BAD,
                    text=f"{settings.host}:{settings.port} cannot be reached: {reason}.",
                    remedy="Look at enabled=yes, bindaddr= and port= in manager.conf, and at the firewall between.",
                    values=_where(settings) | {"reason": reason},
                )
            ]
        case NotAnAmi(greeting=greeting):
            return [
                reached,
                Answer(
                    code="not_an_ami",
                    verdict=Verdict.BAD,
                    text=f"What answers there is not an Asterisk manager: it greets with {greeting!r}.",
                    remedy="The manager's port is port= in manager.conf, usually 5038; web and SIP have others.",
                    values=_where(settings) | {"greeting": greeting},
                ),
            ]
        case _:
            return [reached, _broken(settings, error)]


def _broken(settings: AmiSettings, error: AmiError) -> Answer:
    if isinstance(error, AmiLoginRefused):
        return Answer(
            code="login_refused",
            verdict=Verdict.BAD,
            text=f"Asterisk refused user {settings.user!r}: {error.answer}.",
            remedy=f"Compare the secret and the deny= and permit= lines of [{settings.user}] in manager.conf, "
            "then `asterisk -rx 'manager reload'`.",
            values=_where(settings) | {"answer": error.answer},
        )
    return Answer(
        code="link_broke",
        verdict=Verdict.BAD,
        text=str(error),
        remedy="Asterisk closes links of addresses and users it does not permit; its log says why.",
        values=_where(settings) | {"reason": str(error)},
    )


async def _asked(session: AmiSession, action: Action) -> AmiResponse | None:
    """The answer, None when the account may not ask."""
    try:
        return await session.act(action)
    except AmiActionRefused:
        return None


async def _rights(session: AmiSession, settings: AmiSettings) -> Answer:
    answer = await _asked(session, actions.list_commands())
    if answer is None:
        return Answer(
            code="rights_unknown", verdict=Verdict.WARNING, text="Asterisk does not say what it may do."
        )
    commands = answer.message
    excessive = excessive_rights(commands)
    if excessive:
        rights = ", ".join(excessive)
        return Answer(
            code="rights_excessive",
            verdict=Verdict.WARNING if settings.accepts_excessive_rights else Verdict.BAD,
            text=f"The account may write {rights}: whoever steals its secret owns the PBX.",
            remedy=f"Narrow write= of [{settings.user}] to originate,call,reporting, or accept these rights here.",
            values={"user": settings.user, "rights": rights},
        )
    return Answer(
        code="rights",
        verdict=Verdict.GOOD,
        text="The account may do no more than ringcard needs.",
        values={"rights": ", ".join(sorted(written_classes(commands)))},
    )


async def _clock(session: AmiSession, now: Callable[[], float]) -> Answer:
    sent = now()
    answer = await _asked(session, actions.ping())
    middle = (sent + now()) / 2
    try:
        ahead = float(answer.message.get("Timestamp", "") if answer else "") - middle
    except ValueError:
        return Answer(code="clock_unknown", verdict=Verdict.GOOD, text="Asterisk does not tell its clock.")
    is_good = abs(ahead) <= TOLERATED_CLOCK_SECONDS
    return Answer(
        code="clock",
        verdict=Verdict.GOOD if is_good else Verdict.WARNING,
        text=f"The PBX's clock is {ahead:+.1f} s against ours.",
        remedy=""
        if is_good
        else "Let both machines take the time from NTP: recordings and CDRs are found by time.",
        values={"seconds": f"{ahead:.1f}"},
    )


async def _count(session: AmiSession, name: str, code: str, text: str, *, event: bytes = b"") -> Answer:
    answer = await _asked(session, Action(name))
    if answer is None:
        return _may_not_ask(code, name)
    count = sum(item.event == event for item in answer.events) if event else len(answer.events)
    return Answer(
        code=code, verdict=Verdict.GOOD, text=text.format(count=count), values={"count": str(count)}
    )


async def _telephones(session: AmiSession) -> Answer:
    answer = await _asked(session, Action("DeviceStateList"))
    if answer is None:
        return _may_not_ask("telephones", "DeviceStateList")
    states = {item.get("Device", ""): item.get("State", "") for item in answer.events}
    telephones = {device: state for device, state in states.items() if device.startswith(TELEPHONES)}
    reachable = sum(state not in ("UNAVAILABLE", "INVALID", "UNKNOWN") for state in telephones.values())
    return Answer(
        code="telephones",
        verdict=Verdict.GOOD if telephones else Verdict.WARNING,
        text=f"{len(telephones)} telephones and lines are known, {reachable} of them reachable.",
        remedy="" if telephones else "Asterisk knows no telephone yet: it may have just started.",
        values={"count": str(len(telephones)), "reachable": str(reachable)},
    )


def _may_not_ask(code: str, name: str) -> Answer:
    return Answer(
        code=f"{code}_denied",
        verdict=Verdict.BAD,
        text=f"The account may not ask {name}: after a break we would not know which calls go on.",
        remedy="Add reporting to write= of this user in manager.conf.",
        values={"action": name},
    )


async def _events(session: AmiSession, heard: Heard, listen_seconds: float) -> Answer:
    await asyncio.wait({session.lost}, timeout=listen_seconds)
    arrived = {name: count for name, count in sorted(heard.classes.items()) if name}
    missing = [name for name in NEEDED_CLASSES if name not in arrived]
    values = {"classes": ", ".join(arrived), "missing": ", ".join(missing), "seconds": f"{listen_seconds:g}"}
    if "call" in arrived:
        return Answer(
            code="events", verdict=Verdict.GOOD, text=f"Events arrive: {values['classes']}.", values=values
        )
    return Answer(
        code="events_none",
        verdict=Verdict.WARNING,
        text=f"Within {listen_seconds:g} s no event of a call arrived.",
        remedy="Make a test call and check again. If still none comes, add call,agent,dialplan to read= of this user.",
        values=values,
    )
