"""AMI messages as they may stand in a log: what happened and to which channel, without people, numbers or secrets."""

from __future__ import annotations

from ami_adapter.framing import AmiMessage

_SHOWN = frozenset(
    {"Event", "Response", "Privilege", "Uniqueid", "Linkedid", "DestUniqueid", "DestLinkedid", "ChannelState",
     "DestChannelState", "BridgeUniqueid", "BridgeType", "BridgeTechnology", "BridgeNumChannels", "DialStatus",
     "Cause", "Cause-txt", "Queue", "Variable", "Application", "Reason", "Status", "EventList", "ListItems"}
)  # fmt: skip


def redacted(message: AmiMessage) -> dict[str, str]:
    """The harmless headers as they are; of the others only how long they are."""
    return {
        name: value if name in _SHOWN else f"<{len(value)} characters>" for name, value in message.items()
    }
