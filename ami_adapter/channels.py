"""What AMI's headers say of a channel: whose it is, what it shows; and what a dial string hands to an endpoint."""

from __future__ import annotations

import re
from functools import lru_cache

from cti.calls.channel_events import Channel, ChannelState

UNKNOWN = frozenset({"", "<unknown>", "unknown", "<null>"})
STATES = {
    "0": ChannelState.DOWN,
    "1": ChannelState.UNKNOWN,  # DAHDI reserves a line before it calls on it, and when somebody calls on it
    "2": ChannelState.CALLING,
    "3": ChannelState.DOWN,  # a line on which the PBX has dialled, or a telephone on which somebody has
    "4": ChannelState.CALLING,
    "5": ChannelState.RINGING,
    "6": ChannelState.UP,
    "7": ChannelState.BUSY,
    "8": ChannelState.CALLING,
    "9": ChannelState.DOWN,
}
# Channels behind which nobody sits.
HELPER_KINDS = frozenset(
    {"Local", "CBAnn", "CBRec", "Announcer", "Recorder", "Surrogate", "Message", "AsyncGoto"}
) | {
    *("Snoop", "UnicastRTP", "MulticastRTP", "Bridge", "Null", "AudioSocket", "WebSocket"),
    "OutgoingSpoolFailed",  # runs the extension `failed` for a call of a program that nobody answered
}


SIP_KINDS = frozenset({"PJSIP", "SIP"})
DIALLED = re.compile(r"\+?[0-9]{3,}")


def _keys(prefix: str) -> tuple[str, ...]:
    names = (
        "Uniqueid Channel Linkedid ChannelState CallerIDNum CallerIDName ConnectedLineNum ConnectedLineName"
    )
    return tuple(prefix + name for name in [*names.split(), "Exten", "Context"])


KEYS = {
    prefix: _keys(prefix)
    for prefix in (
        *("", "Dest", "Transferer", "Transferee", "OrigTransferer", "SecondTransferer", "TransferTarget"),
        *("Target", "Parkee", "Retriever"),
    )
}


def channel_of(headers: dict[str, str], prefix: str = "") -> Channel | None:
    """The channel that the headers with this prefix describe, None when they name none."""
    get = headers.get
    uniqueid, name, linked, state, number, caller, connected, connected_name, exten, context = KEYS[prefix]
    channel_id, channel_name = get(uniqueid, ""), get(name, "")
    if channel_id in UNKNOWN or not channel_name:
        return None
    endpoint, pair = parts_of(channel_name)
    return Channel(
        channel_id,
        channel_name,
        known(get(linked, "")),
        endpoint,
        pair,
        STATES.get(get(state, ""), ChannelState.UNKNOWN),
        known(get(number, "")),
        _name(get(caller, "")),
        known(get(connected, "")),
        _name(get(connected_name, "")),
        get(exten, ""),
        get(context, ""),
    )


@lru_cache(maxsize=4096)
def parts_of(channel_name: str) -> tuple[str, str]:
    """Endpoint and pair of a channel name: ("PJSIP/101", "") of PJSIP/101-0000002a, ("Local/101", "Local/101@q-7") of a helper.

    Only what follows the last "-" is the unique part; endpoints hold dashes, helpers also "*", "#" and "-".
    """
    name = channel_name.partition("<")[0]  # <ZOMBIE>, <MASQ>: a channel that changes places with another
    kind, _, rest = name.partition("/")
    if kind in HELPER_KINDS:
        pair = name.removesuffix(";1").removesuffix(";2")
        return pair.partition("@")[0], pair
    rest = rest.rpartition("-")[0] or rest
    if kind == "DAHDI":  # DAHDI/i1/84951234567-2a: a span, the number is no part of it
        rest = rest.partition("/")[0]
    return f"{kind}/{rest}", ""


def known(value: str) -> str:
    return "" if value in UNKNOWN else value


def _name(value: str) -> str:
    """AMI escapes quotes and backslashes of names, SIP did so before: a person reads neither."""
    if value in UNKNOWN:
        return ""
    if "\\" not in value:
        return value
    return _unescaped(_unescaped(value))


def _unescaped(value: str) -> str:
    return value.replace("\\\\", "\0").replace('\\"', '"').replace("\\'", "'").replace("\0", "\\")


def dialled_number(endpoint: str, dial_string: str) -> str:
    """The number that a dial string hands to an endpoint, "" when the endpoint itself is called.

    "+79161234567@trunk-b" and "trunk-b/79161234567" dial a number over a line; "101" and
    "101/sip:101@10.0.0.5:5060" call a telephone.
    """
    kind, _, resource = endpoint.partition("/")
    dial_string = dial_string.removeprefix(f"{kind}/")  # queues tell the whole interface
    number, separator, at_endpoint = dial_string.partition("@")
    peer, _, after_peer = at_endpoint.partition("/")
    if separator and peer == resource:
        return after_peer or number  # IAX2: user:secret@peer/number
    first, separator, rest = dial_string.partition("/")
    if not separator or not resource:
        return ""
    if rest.startswith(("sip:", "sips:")):
        user = rest.partition(":")[2].partition("@")[0]
        digits = user.removeprefix("+")
        is_number = digits.isdigit() and len(digits) >= 7 and user != resource
        # An extension's telephones may register under any user, digits too: PJSIP/101/sip:45871236@10.0.0.5.
        return user if is_number and not (resource.isdigit() and len(resource) <= 4) else ""
    if first == resource or kind == "DAHDI":
        return "" if "=" in rest else after_pauses(rest)  # SCCP/201/aa=2w: options of a telephone
    # Other drivers name a group of lines, a slot, a SIM card: Dongle/g1/8916…, Khomp/b0c1/8916…
    return rest if kind not in SIP_KINDS and DIALLED.fullmatch(rest) else ""


def after_pauses(dialled: str) -> str:
    """The number of "9w89161234567ww2": an analogue line waits at each "w", for the town's dial tone or a menu."""
    return max(re.split("[wW]", dialled), key=len)
