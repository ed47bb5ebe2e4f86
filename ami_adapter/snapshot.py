"""What is going on at the PBX now, asked after each login. The answers travel in the stream, between the events.

Telephones and waiting rooms are asked for first, so that the list of channels is understood when it comes; the DIDs
and the queues' callers add to it afterwards. BridgeInfo is not needed: since Asterisk 13 each channel of the list names
its bridge.
"""

from __future__ import annotations

from ami_adapter.actions import Action
from ami_adapter.errors import AmiActionRefused
from ami_adapter.session import AmiSession

SNAPSHOT_ACTIONS = tuple(
    map(
        Action,
        ("ExtensionStateList", "BridgeList", "CoreShowChannels", "Status", "QueueStatus", "DeviceStateList"),
    )
)


async def take_snapshot(session: AmiSession) -> tuple[AmiActionRefused, ...]:
    """Ask for the whole picture; returns what Asterisk refused to say.

    Raises:
        OutcomeUnknown, AmiNotConnected: the link broke, or Asterisk fell silent.
    """
    refused = []
    for action in SNAPSHOT_ACTIONS:
        try:
            await session.act(action)
        except AmiActionRefused as error:
            refused.append(error)
    return tuple(refused)
