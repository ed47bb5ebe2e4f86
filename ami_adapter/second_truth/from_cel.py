"""Calls out of CEL: its events become channel events, and the same call core tells them as it tells the live ones.

CEL tells channels, pick-ups, bridges, transfers and hangups to the microsecond, but not that a telephone rings, nor
holds. So nobody's ring has a moment; a telephone that was called and did not refuse counts as one that rang.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from ami_adapter.channels import dialled_number, parts_of
from ami_adapter.second_truth.rows import CelRow
from cti.calls.call_events import CallEnded, CallEvent
from cti.calls.channel_events import (
    AttendedlyTransferred,
    BlindlyTransferred,
    BridgeEntered,
    BridgeLeft,
    CallPickedUp,
    Channel,
    ChannelAnswered,
    ChannelCreated,
    ChannelEvent,
    ChannelHungUp,
    ChannelRinging,
    ChannelState,
    DialStarted,
    HangupRequested,
    MailboxReached,
    MenuReached,
    QueueJoined,
    QueueLeft,
)
from cti.calls.records import CallRecord, Disposition, Origin
from cti.calls.tracker import CallTracker

MENUS: Final = frozenset({"BackGround", "Background", "WaitExten", "Read"})
CALLED_AT: Final = frozenset(
    {"s", ""}
)  # where in the dialplan a channel is that the PBX made to call somebody
REFUSALS: Final = frozenset({1, 3, 17, 20, 21, 27, 28, 34, 38})  # Q.850: the telephone never rang
UNSURE_WHO: Final = frozenset(
    {Disposition.BUSY, Disposition.DECLINED, Disposition.FAILED}
)  # which end gave up first
Extra = dict[str, Any]


def calls_of(
    rows: Iterable[CelRow], *, extensions: Collection[str] = (), lines: Collection[str] = ()
) -> list[CallRecord]:
    """The calls whose beginning and end these events hold, oldest first; others are left to whoever heard them."""
    events = sorted(dict.fromkeys(rows), key=lambda row: row.at)
    whole = _whole(events)
    reading = _Reading(events, CallTracker(extensions=extensions, lines=lines))
    told = [event for row in events for event in reading.read(row)]
    ended = {event.call.key: event.call for event in told if isinstance(event, CallEnded)}
    calls = [_back_filled(call) for key, call in ended.items() if whole.issuperset(call.linked_ids)]
    return sorted(calls, key=lambda call: (call.started_at is None, call.started_at, call.key))


def _whole(events: Sequence[CelRow]) -> set[str]:
    """The linked ids whose first channel is seen to begin."""
    return {row.linkedid for row in events if row.event == "CHAN_START" and row.uniqueid == row.linkedid}


class _Reading:
    """Tells the events one by one to a call core; it remembers who dials, and how each channel ended."""

    def __init__(self, events: Sequence[CelRow], tracker: CallTracker) -> None:
        self._tracker = tracker
        self._dialling: dict[str, CelRow] = {}  # by linked id: the Dial or Queue that runs
        self._channels = {row.channel: row.uniqueid for row in events}
        self._refused = {row.uniqueid for row in events if row.event == "HANGUP" and _cause(row) in REFUSALS}
        self._meanings: dict[str, Callable[[CelRow, Channel], list[ChannelEvent]]] = {
            "CHAN_START": self._starts,
            "APP_START": self._app_starts,
            "APP_END": self._app_ends,
            "ANSWER": lambda row, channel: [
                ChannelAnswered(channel=channel._replace(state=ChannelState.UP), at=row.at)
            ],
            "BRIDGE_ENTER": self._enters,
            "BRIDGE_EXIT": lambda row, channel: [
                BridgeLeft(channel=channel, bridge_id=_extra(row, "bridge_id"), at=row.at)
            ],
            "BLINDTRANSFER": self._passes_on,
            "ATTENDEDTRANSFER": self._passes_on_after_talk,
            "PICKUP": self._picks_up,
            "HANGUP": self._hangs_up,
        }

    def read(self, row: CelRow) -> list[CallEvent]:
        meaning = self._meanings.get(row.event)
        if meaning is None:
            return []
        return [told for event in meaning(row, _channel(row)) for told in self._tracker.apply(event)]

    def _starts(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        dialling = self._dialling.get(row.linkedid)
        was_called = row.uniqueid != row.linkedid and row.exten in CALLED_AT
        if not was_called:
            return [ChannelCreated(channel=channel._replace(state=ChannelState.CALLING), at=row.at)]
        events: list[ChannelEvent] = [
            ChannelCreated(channel=channel._replace(state=ChannelState.DOWN), at=row.at)
        ]
        if dialling is not None:
            number = _number_for(channel.endpoint, dialling) if dialling.app == "Dial" else ""
            caller = _channel(dialling)
            events.append(DialStarted(caller=caller, called=channel, number=number, at=row.at))
        if row.uniqueid not in self._refused:
            events.append(ChannelRinging(channel=channel._replace(state=ChannelState.RINGING), at=row.at))
        return events

    def _app_starts(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        if row.app in ("Dial", "Queue"):
            self._dialling[row.linkedid] = row
        if row.app == "Queue":
            return [QueueJoined(channel=channel, queue=row.data.partition(",")[0], at=row.at)]
        if row.app == "VoiceMail":
            return [MailboxReached(channel=channel, mailbox=row.data.partition("@")[0], at=row.at)]
        return [MenuReached(channel=channel, at=row.at)] if row.app in MENUS else []

    def _app_ends(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        if row.app != "Queue":
            return []
        return [QueueLeft(channel=channel, queue=row.data.partition(",")[0], at=row.at)]

    def _enters(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        return [
            BridgeEntered(
                channel=channel,
                bridge_id=_extra(row, "bridge_id"),
                is_waiting_room=_extra(row, "bridge_technology") == "holding_bridge",
                is_conference=row.app in ("ConfBridge", "MeetMe"),
                at=row.at,
            )
        ]

    def _passes_on(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        transferee = self._other(_extra(row, "transferee_channel_name"), row)
        to = _extra(row, "extension")
        return [BlindlyTransferred(transferer=channel, transferee=transferee, to=to, at=row.at)] if to else []

    def _passes_on_after_talk(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        second = self._other(_extra(row, "channel2_name"), row)
        if second is None:
            return []
        return [
            AttendedlyTransferred(
                transferer=channel,
                second=second,
                transferee=self._other(_extra(row, "transferee_channel_name"), row),
                target=self._other(_extra(row, "transfer_target_channel_name"), row),
                at=row.at,
            )
        ]

    def _picks_up(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        who = self._other(_extra(row, "pickup_channel"), row)
        return [CallPickedUp(channel=who, robbed=channel, at=row.at)] if who else []

    def _hangs_up(self, row: CelRow, channel: Channel) -> list[ChannelEvent]:
        requested: list[ChannelEvent] = []
        if _extra(row, "hangupsource") == row.channel:
            requested = [HangupRequested(channel=channel, at=row.at)]
        return [*requested, ChannelHungUp(channel=channel, cause=_cause(row), sip_code=None, at=row.at)]

    def _other(self, name: str, row: CelRow) -> Channel | None:
        """The channel of this name, of which the row tells the name alone."""
        channel_id = self._channels.get(name)
        return Channel(channel_id, name, row.linkedid, *parts_of(name)) if channel_id else None


def _channel(row: CelRow) -> Channel:
    endpoint, pair = parts_of(row.channel)
    return Channel(
        row.uniqueid,
        row.channel,
        row.linkedid,
        endpoint,
        pair,
        caller_number=row.number,
        caller_name=row.name,
        dialled=row.exten,
        context=row.context,
    )


def _number_for(endpoint: str, dialling: CelRow) -> str:
    """The number that the Dial which runs hands to this endpoint."""
    for target in dialling.data.partition(",")[0].split("&"):
        if number := dialled_number(endpoint, target.partition("/")[2]):
            return number
    return ""


def _extra(row: CelRow, name: str) -> str:
    value = _parsed(row).get(name, "")
    return value if isinstance(value, str) else ""


def _parsed(row: CelRow) -> Extra:
    try:
        parsed = json.loads(row.extra) if row.extra else {}
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _cause(row: CelRow) -> int | None:
    cause = _parsed(row).get("hangupcause")
    return cause if type(cause) is int else None


def _back_filled(call: CallRecord) -> CallRecord:
    """The call as CEL can know it: without the moments of rings, and so without a wait that began with one."""
    return replace(
        call,
        origin=Origin.BACK_FILLED,
        hung_up_by=None if call.disposition in UNSURE_WHO else call.hung_up_by,
        wait_seconds=call.wait_seconds if call.queued_at else None,
        participations=tuple(replace(part, rang_at=None) for part in call.participations),
        story=("told afterwards from channel event logging", *call.story),
    )
