"""What an agent sees now: present calls, snapshots, addressed messages; no sockets, no SQL, no clock."""

from cti.desk.board import WaitingLine, waiting_by_line
from cti.desk.desk import Desk
from cti.desk.directory import Agent, Directory, EmptyDirectory, OwnLine
from cti.desk.messages import (
    AgentsSnapshot,
    AgentState,
    AgentStateChange,
    AgentView,
    BoardCall,
    BoardSnapshot,
    CallView,
    ConnectionView,
    HandOver,
    HandOverCard,
    Hello,
    Match,
    MatchParty,
    Message,
    NoteView,
    Presence,
    QueuesSnapshot,
    QueueView,
    SeatState,
    Sight,
)
from cti.desk.seats import TalkOver
from cti.desk.wishes import Wish

__all__ = [
    "Agent",
    "AgentState",
    "AgentStateChange",
    "AgentView",
    "AgentsSnapshot",
    "BoardCall",
    "BoardSnapshot",
    "CallView",
    "ConnectionView",
    "Desk",
    "Directory",
    "EmptyDirectory",
    "HandOver",
    "HandOverCard",
    "Hello",
    "Match",
    "MatchParty",
    "Message",
    "NoteView",
    "OwnLine",
    "Presence",
    "QueueView",
    "QueuesSnapshot",
    "SeatState",
    "Sight",
    "TalkOver",
    "WaitingLine",
    "Wish",
    "waiting_by_line",
]
