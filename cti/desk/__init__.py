"""What an agent sees now: present calls, snapshots, addressed messages; no sockets, no SQL, no clock."""

from cti.desk.desk import Desk
from cti.desk.directory import Agent, Directory, EmptyDirectory, OwnLine
from cti.desk.messages import (
    BoardCall,
    BoardSnapshot,
    CallView,
    ConnectionView,
    HandOver,
    Hello,
    Match,
    MatchParty,
    Message,
    NoteView,
    Presence,
    SeatState,
    Sight,
)

__all__ = [
    "Agent",
    "BoardCall",
    "BoardSnapshot",
    "CallView",
    "ConnectionView",
    "Desk",
    "Directory",
    "EmptyDirectory",
    "HandOver",
    "Hello",
    "Match",
    "MatchParty",
    "Message",
    "NoteView",
    "OwnLine",
    "Presence",
    "SeatState",
    "Sight",
]
