"""What the PBX in the box answers: an action's headers and the present picture in, messages out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ami_adapter.demo.picture import CHANNEL_HEADERS, ChannelPicture, Picture

Request = Mapping[str, str]
Lines = list[tuple[str, str]]
Answers = list[Lines]

ASTERISK_VERSION = "22.10.1 (ringcard demo)"
AMI_VERSION = "11.0.0"

# As Asterisk words them; the account of the demo may do no more than a CTI program needs.
COMMANDS = {
    "BridgeInfo": "Get information about a bridge.  (Priv: call,reporting,all)",
    "BridgeList": "Get a list of bridges in the system.  (Priv: call,reporting,all)",
    "Challenge": "Generate Challenge for MD5 Auth.  (Priv: <none>)",
    "CoreSettings": "Show PBX core settings (version etc).  (Priv: system,reporting,all)",
    "CoreShowChannels": "List currently active channels.  (Priv: system,reporting,all)",
    "CoreStatus": "Show PBX core status variables.  (Priv: system,reporting,all)",
    "DeviceStateList": "List the current known device states.  (Priv: call,reporting,all)",
    "Events": "Control Event Flow.  (Priv: <none>)",
    "ExtensionStateList": "List the current known extension states.  (Priv: call,reporting,all)",
    "Hangup": "Hangup channel.  (Priv: system,call,all)",
    "ListCommands": "List available manager commands.  (Priv: <none>)",
    "Login": "Login Manager.  (Priv: <none>)",
    "Logoff": "Logoff Manager.  (Priv: <none>)",
    "Originate": "Originate a call.  (Priv: originate,all)",
    "Ping": "Keepalive command.  (Priv: <none>)",
    "QueueStatus": "Show queue status.  (Priv: <none>)",
    "QueueSummary": "Show queue summary.  (Priv: <none>)",
    "Status": "List channel status.  (Priv: system,call,reporting,all)",
}


def answer(request: Request, picture: Picture) -> Answers:
    """The messages that answer one action of a logged-in client."""
    name = request.get("Action", "")
    if not name:
        return [refusal(request, "Missing action in request")]
    handler = _HANDLERS.get(name.lower())
    if handler is None:
        text = f"Invalid/unknown command: {name}. Use Action: ListCommands to show available commands."
        return [refusal(request, text)]
    return handler(request, picture)


def success(request: Request, *lines: tuple[str, str]) -> Lines:
    """`Response: Success` with more lines."""
    return [("Response", "Success"), *action_id(request), *lines]


def refusal(request: Request, text: str) -> Lines:
    """`Response: Error`."""
    return [("Response", "Error"), *action_id(request), ("Message", text)]


def action_id(request: Request) -> Lines:
    """The client's ActionID, given back when there is one."""
    return [("ActionID", request["ActionID"])] if "ActionID" in request else []


def encode(lines: Lines) -> bytes:
    """One message on the wire."""
    return "".join(f"{name}: {value}\r\n" for name, value in lines).encode() + b"\r\n"


def _listed(
    request: Request, message: str, complete: str, items: Sequence[Lines], last: Lines | None = None
) -> Answers:
    begin = success(request, ("EventList", "start"), ("Message", message))
    end: Lines = [
        ("Event", complete),
        *action_id(request),
        ("EventList", "Complete"),
        ("ListItems", str(len(items))),
    ]
    return [begin, *items, end + (last or [])]


def _commands(request: Request, _picture: Picture) -> Answers:
    return [success(request, *COMMANDS.items())]


def _core_status(request: Request, picture: Picture) -> Answers:
    calls = (
        "CoreCurrentCalls",
        str(len({channel.headers["Linkedid"] for channel in picture.channels.values()})),
    )
    return [success(request, calls, ("CoreProcessedCalls", str(picture.processed_calls)))]


def _core_settings(request: Request, _picture: Picture) -> Answers:
    return [
        success(
            request, ("AMIversion", AMI_VERSION), ("AsteriskVersion", ASTERISK_VERSION), ("SystemName", "")
        )
    ]


def _channels(request: Request, picture: Picture) -> Answers:
    items = [_channel(request, channel, picture.now()) for channel in picture.channels.values()]
    return _listed(request, "Channels will follow", "CoreShowChannelsComplete", items)


def _channel(request: Request, channel: ChannelPicture, now: float) -> Lines:
    seconds = int(now - channel.since)
    duration = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return [
        ("Event", "CoreShowChannel"), *action_id(request), *_headers(channel),
        ("Application", channel.application), ("ApplicationData", channel.data),
        ("Duration", duration), ("BridgeId", channel.bridge_id),
    ]  # fmt: skip


def _status(request: Request, picture: Picture) -> Answers:
    asked = request.get("Channel", "")
    chosen = [channel for channel in picture.channels.values() if asked in ("", channel.headers["Channel"])]
    if asked and not chosen:
        return [refusal(request, "No such channel")]
    items = [_status_of(request, channel, picture.now()) for channel in chosen]
    last = [("Items", str(len(items)))]
    return _listed(request, "Channel status will follow", "StatusComplete", items, last)


def _status_of(request: Request, channel: ChannelPicture, now: float) -> Lines:
    return [
        ("Event", "Status"), ("Privilege", "Call"), *_headers(channel),
        ("Type", channel.headers["Channel"].partition("/")[0]), ("DNID", channel.dnid),
        ("BridgeID", channel.bridge_id), ("Application", channel.application), ("Data", channel.data),
        ("Seconds", str(int(now - channel.since))), *action_id(request),
    ]  # fmt: skip


def _bridges(request: Request, picture: Picture) -> Answers:
    items = [
        [("Event", "BridgeListItem"), *action_id(request), *_bridge(bridge_id, picture)]
        for bridge_id in picture.bridges
    ]
    return _listed(request, "Bridge listing will follow", "BridgeListComplete", items)


def _bridge_info(request: Request, picture: Picture) -> Answers:
    bridge_id = request.get("BridgeUniqueid", "")
    if bridge_id not in picture.bridges:
        return [
            refusal(
                request,
                "Specified BridgeUniqueid not found" if bridge_id else "BridgeUniqueid must be provided",
            )
        ]
    items = [
        [("Event", "BridgeInfoChannel"), *action_id(request), *_headers(channel)]
        for channel in picture.members_of(bridge_id)
    ]
    return _listed(
        request,
        "Bridge channel listing will follow",
        "BridgeInfoComplete",
        items,
        _bridge(bridge_id, picture),
    )


def _bridge(bridge_id: str, picture: Picture) -> Lines:
    count = ("BridgeNumChannels", str(len(picture.members_of(bridge_id))))
    return [*picture.bridges[bridge_id].items(), count]


def _headers(channel: ChannelPicture) -> Lines:
    return [(name, channel.headers[name]) for name in CHANNEL_HEADERS]


def _queue_status(request: Request, picture: Picture) -> Answers:
    asked = request.get("Queue", "")
    items = [
        item for queue in picture.queues() if asked in ("", queue) for item in _queue(request, picture, queue)
    ]
    return _listed(request, "Queue status will follow", "QueueStatusComplete", items)


def _queue(request: Request, picture: Picture, queue: str) -> Answers:
    waiting = [entry for (name, _), entry in picture.waiting.items() if name == queue]
    items: Answers = [
        [("Event", "QueueParams"), ("Queue", queue), ("Max", "0"), ("Strategy", "ringall"),
         ("Calls", str(len(waiting))), *action_id(request)]
    ]  # fmt: skip
    items += [
        [("Event", "QueueMember"), ("Queue", queue), ("Name", member.get("Name", "")), ("Location", interface),
         *((name, value) for name, value in member.items() if name != "Name"), *action_id(request)]
        for (name, interface), member in picture.members.items() if name == queue
    ]  # fmt: skip
    return items + [
        _queue_entry(request, picture, queue, place, entry) for place, entry in enumerate(waiting, 1)
    ]


def _queue_entry(
    request: Request, picture: Picture, queue: str, place: int, entry: Mapping[str, str]
) -> Lines:
    names = ("Channel", "Uniqueid", "CallerIDNum", "CallerIDName", "ConnectedLineNum", "ConnectedLineName")
    # Here Asterisk writes "unknown" without brackets.
    shown = [(name, entry.get(name, "").replace("<unknown>", "unknown")) for name in names]
    waited = ("Wait", str(int(picture.now() - float(entry["Since"]))))
    head = [("Event", "QueueEntry"), ("Queue", queue), ("Position", str(place))]
    return [*head, *shown, waited, ("Priority", "0"), *action_id(request)]


def _queue_summary(request: Request, picture: Picture) -> Answers:
    items = [_summary(request, picture, queue) for queue in picture.queues()]
    return _listed(request, "Queue summary will follow", "QueueSummaryComplete", items)


def _summary(request: Request, picture: Picture, queue: str) -> Lines:
    members = [member for (name, _), member in picture.members.items() if name == queue]
    available = [member for member in members if member.get("Status") == "1" and member.get("Paused") == "0"]
    callers = sum(name == queue for name, _ in picture.waiting)
    return [
        ("Event", "QueueSummary"), ("Queue", queue), ("LoggedIn", str(len(members))),
        ("Available", str(len(available))), ("Callers", str(callers)), *action_id(request),
    ]  # fmt: skip


def _devices(request: Request, picture: Picture) -> Answers:
    items: Answers = [
        [("Event", "DeviceStateChange"), *action_id(request), ("Device", device), ("State", state)]
        for device, state in picture.devices.items()
    ]
    return _listed(request, "Device State Changes will follow", "DeviceStateListComplete", items)


def _hints(request: Request, picture: Picture) -> Answers:
    names = ("Exten", "Context", "Hint", "Status", "StatusText")
    items = [
        [("Event", "ExtensionStatus"), *action_id(request), *((name, hint.get(name, "")) for name in names)]
        for hint in picture.hints.values()
    ]
    return _listed(request, "Extension Statuses will follow", "ExtensionStateListComplete", items)


def _originate(request: Request, _picture: Picture) -> Answers:
    return [refusal(request, "This PBX only replays recorded calls; it cannot place one")]


_HANDLERS: dict[str, Callable[[Request, Picture], Answers]] = {
    "listcommands": _commands,
    "corestatus": _core_status,
    "coresettings": _core_settings,
    "coreshowchannels": _channels,
    "status": _status,
    "bridgelist": _bridges,
    "bridgeinfo": _bridge_info,
    "queuestatus": _queue_status,
    "queuesummary": _queue_summary,
    "devicestatelist": _devices,
    "extensionstatelist": _hints,
    "originate": _originate,
    "hangup": _originate,
}
