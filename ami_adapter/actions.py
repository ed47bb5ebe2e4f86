"""What we ask of Asterisk: plain values in, checked headers out. Nothing here opens a socket.

A value that could mean more than it says (a line break, a second destination, an option) is refused, never mended:
whoever sends such a value is not mistaken but malicious, or a bug of ours.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ami_adapter.errors import UnsafeActionText

LONGEST_REASON_BYTES = 79  # what Asterisk keeps of why a member is paused
LONGEST_LINE_BYTES = 1000  # Asterisk reads lines of 1024 and cuts what is longer

Headers = tuple[tuple[str, str], ...]
Prefixes = tuple[tuple[str, str], ...]

_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")
_NUMBER = re.compile(r"\+?[0-9]{1,20}\Z")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_EXTENSION = re.compile(r"[0-9A-Za-z_]{1,32}\Z")
_CONTEXT = re.compile(r"[0-9A-Za-z_-]{1,79}\Z")
_TECHNOLOGY = re.compile(r"[A-Za-z][A-Za-z0-9]*\Z")
_CHANNEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*/[0-9A-Za-z_.@*#+:;/-]{1,200}\Z")
_ENDPOINT = re.compile(r"[A-Za-z][A-Za-z0-9]*/[0-9A-Za-z_.-]{1,80}\Z")
_CHANNEL_ID = re.compile(r"[0-9A-Za-z_.-]{1,100}\Z")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9]*/[0-9A-Za-z_.@/-]{1,150}\Z")
_VARIABLE_NAME = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]{0,60}\Z")
_VARIABLE_VALUE = re.compile(r"[0-9A-Za-z_.:+-]{0,400}\Z")
_DIGIT = re.compile(r"[0-9A-D*#]\Z")
_EVENT_CLASS = re.compile(r"[a-z]+\Z")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to ask. `repr` names the headers and hides their values: secrets and customers' numbers."""

    name: str
    headers: Headers = ()

    def __repr__(self) -> str:
        names = ", ".join(header for header, _ in self.headers)
        return f"Action({self.name}: {names})" if names else f"Action({self.name})"

    def encode(self, action_id: str) -> bytes:
        """The bytes for the socket. The only way to make them, so nothing passes by the check of its lines.

        Raises:
            UnsafeActionText: a line could be read as more than one header, or is longer than Asterisk reads.
        """
        lines = (("Action", self.name), ("ActionID", action_id), *self.headers)
        return b"".join(_line(header, value) for header, value in lines) + b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickToCall:
    """How this PBX places a call for an agent; from the connection's settings, never from whoever clicks.

    Args:
        technology: PJSIP or SIP rings the telephone itself, Local the extension (with `extension_context`).
        context: where the customer's number is dialled.
        prefixes: how an E.164 number is dialled: the first match is replaced, like ("+7", "8"), ("+", "810").
        ring_seconds: how long the agent's telephones may ring.
    """

    technology: str = "PJSIP"
    extension_context: str = ""
    context: str = "from-internal"
    prefixes: Prefixes = ()
    ring_seconds: float = 20.0


def ping() -> Action:
    """Ask for a sign of life; the answer's Timestamp is the PBX's clock."""
    return Action("Ping")


def challenge() -> Action:
    """Ask for something to hash the secret with, so that it does not travel in clear."""
    return Action("Challenge", (("AuthType", "MD5"),))


def login_by_challenge(user: str, secret: str, challenged: str, event_classes: tuple[str, ...]) -> Action:
    """Log in and subscribe in one step, the secret hashed."""
    key = hashlib.md5((challenged + secret).encode(), usedforsecurity=False).hexdigest()
    headers = (("AuthType", "MD5"), ("Username", user), ("Key", key), ("Events", event_mask(event_classes)))
    return Action("Login", headers)


def login_in_clear(user: str, secret: str, event_classes: tuple[str, ...]) -> Action:
    """Log in and subscribe in one step, for a manager that knows no challenge."""
    return Action("Login", (("Username", user), ("Secret", secret), ("Events", event_mask(event_classes))))


def list_commands() -> Action:
    """Ask what this account may do; Asterisk names nothing else."""
    return Action("ListCommands")


def event_mask(event_classes: tuple[str, ...]) -> str:
    """The value of `Events` and `EventMask`.

    Raises:
        UnsafeActionText: a class is not a plain word.
    """
    for event_class in event_classes:
        _check(_EVENT_CLASS, "Events", event_class, "an event class is one lower-case word")
    return ",".join(event_classes) or "off"


def originate(
    extension: str,
    number: str,
    *,
    how: ClickToCall,
    caller_id: str = "",
    variables: Mapping[str, str] | None = None,
    channel_id: str = "",
    endpoint: str = "",
) -> Action:
    """Click-to-call: ring the agent first; once they pick up, dial the number.

    Args:
        number: E.164, or an inner extension.
        caller_id: the number the agent's telephone shows while it rings; the dialled one if empty.
        variables: values of letters, digits and `_.:+-` only; see `as_variable` for free text.
        channel_id: becomes the Uniqueid of the agent's channel; must be new each time.
        endpoint: the agent's telephone where it is not named after the extension: `PJSIP/ivanov`.

    Raises:
        UnsafeActionText: a value could reach beyond itself.

    Source: AMI action Originate; its Timeout counts milliseconds. Without Async nothing else is answered meanwhile.
    """
    destination = dialled(number, how.prefixes)
    shown = caller_id or destination
    _check(_NUMBER, "CallerID", shown, "a number to show is digits with an optional plus")
    _check(_CONTEXT, "Context", how.context, "a context is letters, digits, - and _")
    if how.ring_seconds <= 0:
        raise UnsafeActionText("Timeout", "the time to ring must be positive")
    headers: list[tuple[str, str]] = [
        ("Channel", agents_channel(extension, how, endpoint)),
        ("Context", how.context),
        ("Exten", destination),
        ("Priority", "1"),
        ("CallerID", shown),
        ("Timeout", str(round(how.ring_seconds * 1000))),
        ("Async", "true"),
    ]
    if channel_id:
        _check(_CHANNEL_ID, "ChannelId", channel_id, "an id is letters, digits, -, _ and .")
        headers.append(("ChannelId", channel_id))
    headers += [("Variable", _assignment(name, value)) for name, value in (variables or {}).items()]
    return Action("Originate", tuple(headers))


def queue_pause(interface: str, *, is_paused: bool, reason: str = "") -> Action:
    """Pause a member in all its queues, or let it be called again. Asked twice, it is as if asked once.

    Args:
        reason: in words; Asterisk keeps 79 bytes of it.

    Raises:
        UnsafeActionText: not a member's interface, or a reason of more than one line.
    """
    _check(_INTERFACE, "Interface", interface, "a member of a queue is named TECHNOLOGY/name")
    headers = [("Interface", interface), ("Paused", "true" if is_paused else "false")]
    if is_paused and reason:
        kept = reason.encode()[:LONGEST_REASON_BYTES].decode("utf-8", "ignore")
        _line("Reason", kept)  # refused now, not when it is sent
        headers.append(("Reason", kept))
    return Action("QueuePause", tuple(headers))


def hang_up(channel: str, *, cause: int = 16) -> Action:
    """End one channel, by its full name.

    Raises:
        UnsafeActionText: not a channel's name; Asterisk would take `/…/` for a pattern of many.
    """
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    if not 0 <= cause <= 127:
        raise UnsafeActionText("Cause", "a hangup cause is between 0 and 127")
    return Action("Hangup", (("Channel", channel), ("Cause", str(cause))))


def blind_transfer(channel: str, target: str, *, context: str, prefixes: Prefixes = ()) -> Action:
    """Pass on whoever this channel talks to, as if its telephone had done it; the channel itself leaves.

    Raises:
        UnsafeActionText: a value could reach beyond itself.
    """
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    return Action("BlindTransfer", (("Channel", channel), *_place(target, context, prefixes)))


def attended_transfer(channel: str, target: str, *, context: str, prefixes: Prefixes = ()) -> Action:
    """Have this channel's owner talk to the target first: who hangs up then has passed the call on.

    Asterisk presses the feature code `atxfer` of features.conf for it, so it must be there and allowed (`T`, `t` of Dial).

    Raises:
        UnsafeActionText: a value could reach beyond itself.
    """
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    return Action("Atxfer", (("Channel", channel), *_place(target, context, prefixes)))


def cancel_attended_transfer(channel: str) -> Action:
    """Back to the customer, from a consultation."""
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    return Action("CancelAtxfer", (("Channel", channel),))


def redirect(channel: str, target: str, *, context: str, prefixes: Prefixes = ()) -> Action:
    """Send one channel to another place of the dialplan: what rings at a telephone goes on ringing elsewhere.

    Raises:
        UnsafeActionText: a value could reach beyond itself.
    """
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    return Action("Redirect", (("Channel", channel), *_place(target, context, prefixes), ("Priority", "1")))


def park(channel: str, by: str) -> Action:
    """Leave this channel in the PBX's parking; after its time-out it rings at whoever parked it."""
    for each in (channel, by):
        _check(_CHANNEL_NAME, "Channel", each, "a channel is named TECHNOLOGY/name")
    return Action("Park", (("Channel", channel), ("TimeoutChannel", by), ("AnnounceChannel", by)))


def press(channel: str, digit: str) -> Action:
    """Have the far end of this channel hear one tone of the keypad."""
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    _check(_DIGIT, "Digit", digit, "a key is 0 to 9, A to D, * or #")
    return Action("PlayDTMF", (("Channel", channel), ("Digit", digit)))


def mute_recording(channel: str, *, is_muted: bool) -> Action:
    """Silence in the recording that runs on this channel, in both directions, or sound again."""
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    state = "1" if is_muted else "0"
    return Action("MixMonitorMute", (("Channel", channel), ("Direction", "both"), ("State", state)))


def mute_microphone(channel: str, *, is_muted: bool) -> Action:
    """What comes in on this channel is heard by nobody, or again; by the dialplan function MUTEAUDIO of res_mutestream."""
    _check(_CHANNEL_NAME, "Channel", channel, "a channel is named TECHNOLOGY/name")
    state = "on" if is_muted else "off"
    return Action("Setvar", (("Channel", channel), ("Variable", "MUTEAUDIO(in)"), ("Value", state)))


def _place(target: str, context: str, prefixes: Prefixes) -> Headers:
    _check(_CONTEXT, "Context", context, "a context is letters, digits, - and _")
    return (("Context", context), ("Exten", dialled(target, prefixes)))


def agents_channel(extension: str, how: ClickToCall, endpoint: str = "") -> str:
    """The channel to ring for an agent: `PJSIP/101`, its telephone's own name, or `Local/101@from-internal/n`."""
    _check(_EXTENSION, "Channel", extension, "an extension is letters, digits and _")
    if endpoint and how.technology != "Local":
        return _check(_ENDPOINT, "Channel", endpoint, "an endpoint is named TECHNOLOGY/name")
    _check(_TECHNOLOGY, "Channel", how.technology, "a technology is one word")
    if how.technology != "Local":
        return f"{how.technology}/{extension}"
    _check(_CONTEXT, "Channel", how.extension_context, "a context is letters, digits, - and _")
    return f"Local/{extension}@{how.extension_context}/n"


def dialled(number: str, prefixes: Prefixes) -> str:
    """How the dialplan wants this number: extensions as they are, E.164 with its prefix replaced."""
    if not number.startswith("+"):
        return _check(_EXTENSION, "Exten", number, "neither E.164 nor an extension")
    _check(_E164, "Exten", number, "not an E.164 number")
    for prefix, replacement in prefixes:
        if number.startswith(prefix):
            number = replacement + number.removeprefix(prefix)
            break
    return _check(_NUMBER, "Exten", number, "the dialled form is not a number")


def as_variable(text: str) -> str:
    """Free text for a variable: base64url without padding. AMI would split a plain value at commas."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _assignment(name: str, value: str) -> str:
    _check(_VARIABLE_NAME, "Variable", name, "a variable's name is letters, digits and _")
    _check(_VARIABLE_VALUE, "Variable", value, "a variable's value is letters, digits and _.:+-")
    return f"{name}={value}"


def _check(pattern: re.Pattern[str], header: str, value: str, reason: str) -> str:
    if pattern.match(value) is None or not value.isascii():
        raise UnsafeActionText(header, reason)
    return value


def _line(header: str, value: str) -> bytes:
    if _HEADER_NAME.match(header) is None:
        raise UnsafeActionText("a header", "its name is not letters, digits and -")
    try:
        line = f"{header}: {value}\r\n".encode()
    except UnicodeEncodeError:
        raise UnsafeActionText(header, "it is not Unicode text") from None
    if any(character in value for character in "\r\n\0"):
        raise UnsafeActionText(header, "it holds a line break or NUL")
    if len(line) > LONGEST_LINE_BYTES:
        raise UnsafeActionText(header, f"its line has {len(line)} bytes, {LONGEST_LINE_BYTES} are allowed")
    return line
