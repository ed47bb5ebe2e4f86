"""Rights and scopes in the reader's words, grouped as the page of a role shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from crm.granted_rights import RIGHTS, SCOPED_RIGHTS
from crm.rights import CALL_TIME_RIGHTS
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    N_("Clients and contacts"): {
        "party.read": N_("See clients and contacts"),
        "party.create": N_("Enter new ones"),
        "party.edit": N_("Change them"),
        "party.change_owner": N_("Change who is responsible"),
        "party.merge": N_("Merge, dismiss duplicates"),
        "party.delete": N_("Put into the bin and restore"),
        "number.share": N_("Mark a number as shared, end its ownership"),
    },
    N_("Leads"): {
        "lead.read": N_("See leads"),
        "lead.create": N_("Enter new leads"),
        "lead.edit": N_("Change, move, convert and disqualify leads"),
        "lead.change_owner": N_("Change who is responsible for a lead"),
        "lead.reopen": N_("Reopen closed leads"),
        "lead.delete": N_("Put leads into the bin and restore them"),
    },
    N_("Tasks"): {
        "task.read": N_("See tasks"),
        "task.edit": N_("Change tasks"),
        "task.give": N_("Give tasks to others"),
    },
    N_("Calls"): {
        "call.read": N_("See calls in the journal"),
        "call.notes": N_("Read notes of calls"),
        "callback.read": N_("See missed callers"),
        "callback.work": N_("Take and close missed callers"),
        "call.route": N_("Ask who should get a call (for the PBX itself)"),
        "call.place": N_("Call from the screen"),
        "call.control": N_("Pass on, end and control own calls from the screen"),
        "call.place_unwanted": N_("Call those who asked not to be called, with a reason"),
        "recording.listen": N_("Listen to recordings"),
        "live.own": N_("See own calls as they happen"),
        "live.board": N_("Live board: calls of others"),
    },
    N_("Data in and out"): {
        "export": N_("Take data out (export)"),
        "import": N_("Bring data in (import)"),
        "journal.read": N_("Journals of changes and access"),
    },
    N_("Telephony"): {
        "connection.read": N_("See connections"),
        "connection.manage": N_("Set up connections"),
        "line.manage": N_("Set up lines"),
        "extension.manage": N_("Assign extensions"),
        "number.normalise": N_("Set up how numbers are read"),
        "dialling.manage": N_("Set which numbers may be dialled"),
        "system.state": N_("State of the system"),
    },
    N_("Administration"): {
        "user.read": N_("See users, teams and roles"),
        "user.manage": N_("Manage users, teams and roles"),
        "token.manage": N_("Manage API tokens"),
        "directory.manage": N_("Keep directories, required fields and own fields"),
        "subscriber.manage": N_("Tell other programs what happens (subscribers)"),
    },
}
OTHERS: Final = N_("Others")


@dataclass(frozen=True, slots=True, kw_only=True)
class RightWord:
    """A right and how it is called; `is_scoped` unless it is a plain yes or no."""

    right: str
    word: str  # a message id
    is_scoped: bool
    has_call_time: bool  # a ringing call gives it, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    title: str
    rights: tuple[RightWord, ...]


def groups() -> list[Group]:
    """All rights of this version; one without a word of its own stands at the end under its code."""
    known = {right for words in WORDS.values() for right in words}
    others = {right: right for right in RIGHTS if right not in known}
    found = [_group(title, words) for title, words in [*WORDS.items(), (OTHERS, others)]]
    return [group for group in found if group.rights]


def right_words() -> dict[str, str]:
    """Right → its word, a message id."""
    return {right: word for words in WORDS.values() for right, word in words.items()}


def _group(title: str, words: Mapping[str, str]) -> Group:
    here = [(right, word) for right, word in words.items() if right in RIGHTS]
    return Group(title=title, rights=tuple(_right(right, word) for right, word in here))


def _right(right: str, word: str) -> RightWord:
    return RightWord(
        right=right,
        word=word,
        is_scoped=right in SCOPED_RIGHTS,
        has_call_time=right in CALL_TIME_RIGHTS,
    )
