"""What subscribers can be told: types of events of the outbox, and the right by which their records are read. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from crm.errors import Invalid

EVENT_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "call": ("call.started", "call.answered", "call.ended", "call.joined"),
    "callback_case": ("callback.opened", "callback.changed", "callback.taken", "callback.resolved"),
    "party": (
        "party.created",
        "party.changed",
        "party.number_added",
        "party.number_ended",
        "party.email_added",
        "party.email_ended",
        "party.contact_added",
        "party.contact_ended",
        "party.merged",
        "party.merge_undone",
        "party.turned",
        "party.binned",
        "party.restored",
        "party.deleted",
    ),
    "lead": (
        "lead.created",
        "lead.changed",
        "lead.assigned",
        "lead.stage_entered",
        "lead.held",
        "lead.resumed",
        "lead.converted",
        "lead.reopened",
        "lead.merged",
        "lead.merge_undone",
        "lead.binned",
        "lead.restored",
        "lead.deleted",
    ),
    "task": (
        "task.created",
        "task.changed",
        "task.assigned",
        "task.completed",
        "task.reopened",
        "task.reminder",
    ),
    "communication": (
        "communication.created",
        "communication.changed",
        "communication.binned",
        "communication.restored",
        "communication.deleted",
    ),
    "comment": ("comment.created", "comment.changed", "comment.deleted"),
}
"""Kind of record → types, as pages offer them. Private tasks are told to nobody."""

READ_BY: Final[Mapping[str, str]] = {
    "call": "call.read",
    "callback_case": "callback.read",
    "party": "party.read",
    "lead": "lead.read",
    "task": "task.read",
    "communication": "party.read",
    "comment": "party.read",
}
KIND_OF: Final[Mapping[str, str]] = {type_: kind for kind, types in EVENT_TYPES.items() for type_ in types}


def checked_types(types: Collection[str]) -> list[str]:
    """The types in the order of `EVENT_TYPES`, each once.

    Raises:
        Invalid: none, or one that does not exist.
    """
    unknown = sorted(set(types) - KIND_OF.keys())
    if unknown:
        raise Invalid("event_types", unknown[0], "There is no event “%(type)s”.", type=unknown[0][:50])
    if not types:
        raise Invalid("event_types", "", "Choose at least one event.")
    return [type_ for type_ in KIND_OF if type_ in types]
