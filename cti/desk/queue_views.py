"""A queue as one watcher of the board sees it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cti.calls.presence import QueuePicture, WaitingCaller, waits_since
from cti.desk import board
from cti.desk.directory import Agent, Directory
from cti.desk.messages import QueueMemberView, QueueView, Sight, WaitingView
from cti.desk.seats import PresentCall


def queue_view(
    connection_id: int,
    queue: QueuePicture,
    calls: Sequence[PresentCall | None],
    directory: Directory,
    sight: Sight,
    *,
    is_current: bool,
) -> QueueView | None:
    """The queue, narrowed; None where neither a member nor a caller is within the watcher's rights.

    Args:
        calls: those of the waiting callers, in their order; None where the call is not known.
        is_current: whether its PBX is heard now.
    """
    waiting = tuple(_waiting(queue.waiting, calls, directory, sight))
    members = tuple(_members(connection_id, queue, directory, sight))
    sees_all = sight.covers(users=(), teams=())
    if not (sees_all or members or any(caller.call for caller in waiting)):
        return None
    return QueueView(
        connection_id=connection_id,
        name=queue.name,
        is_current=is_current,
        waiting=waiting,
        waiting_since=waits_since(queue.waiting),
        members=members,
    )


def is_agent_seen(agent: Agent | None, sight: Sight) -> bool:
    """Whether an agent, or a place where nobody of ours sits, is within a watcher's rights."""
    if agent is None:
        return sight.covers(users=(), teams=())
    return sight.covers(users=(agent.user_id,), teams=(agent.team_id,))


def _waiting(
    callers: Sequence[WaitingCaller],
    calls: Sequence[PresentCall | None],
    directory: Directory,
    sight: Sight,
) -> Iterable[WaitingView]:
    for position, (caller, call) in enumerate(zip(callers, calls, strict=True), 1):
        shown = call if call is not None and board.is_seen(call, directory, sight) else None
        yield WaitingView(
            position=position,
            since=caller.since,
            call=shown.id if shown else None,
            phone=shown.phone if shown else None,
            phone_text=shown.phone_text if shown else "",
        )


def _members(
    connection_id: int, queue: QueuePicture, directory: Directory, sight: Sight
) -> Iterable[QueueMemberView]:
    for member in queue.members:
        agent = directory.agent_at(connection_id, member.extension)
        if is_agent_seen(agent, sight):
            yield QueueMemberView(
                extension=member.extension,
                user_id=agent.user_id if agent else None,
                name=agent.name if agent else member.name or member.extension,
                state=member.state.value,
                is_paused=member.is_paused,
                reason=member.pause_reason or None,
                is_in_call=member.is_in_call,
                penalty=member.penalty,
            )
