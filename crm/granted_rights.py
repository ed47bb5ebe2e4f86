"""All rights by name, and what each role is granted where no administrator changed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

RIGHTS: Final = (
    "party.read",
    "party.create",
    "party.edit",
    "party.change_owner",
    "party.merge",
    "party.delete",
    "number.share",
    "lead.read",
    "lead.create",
    "lead.edit",
    "lead.change_owner",
    "lead.reopen",
    "lead.delete",
    "task.read",
    "task.edit",
    "task.give",
    "call.read",
    "call.notes",
    "callback.read",
    "callback.work",
    "call.route",
    "call.place",
    "call.control",
    "call.place_unwanted",
    "recording.listen",
    "live.board",
    "live.own",
    "export",
    "import",
    "connection.read",
    "connection.manage",
    "line.manage",
    "extension.manage",
    "user.read",
    "user.manage",
    "token.manage",
    "journal.read",
    "number.normalise",
    "system.state",
    "directory.manage",
    "dialling.manage",
    "subscriber.manage",
)


def area_and_action(right: str) -> tuple[str, str]:
    """A right as the permission table keeps it: "party.read" → ("party", "read"), "export" → ("export", "")."""
    area, _, action = right.partition(".")
    return area, action


ROLE_CODES: Final = ("agent", "manager", "head", "telephony", "admin")

# The first migration holds a literal copy (migrations never import changing code); a test compares the two.
# A right that a role does not name is "none". Call-time access comes on top, see `call_time_parties`.
DEFAULT_PERMISSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "agent": {
        "party.read": "own",
        "party.create": "all",
        "party.edit": "own",
        "number.share": "all",
        "lead.read": "own",
        "lead.create": "all",
        "lead.edit": "own",
        "task.read": "own",
        "task.edit": "own",
        "task.give": "all",
        "call.read": "own",
        "call.notes": "own",
        "callback.read": "team",
        "callback.work": "team",
        "call.place": "all",
        "call.control": "all",
        "recording.listen": "own",
        "live.own": "all",
        "journal.read": "own",
    },
    "manager": {
        "party.read": "team",
        "party.create": "all",
        "party.edit": "own",
        "party.change_owner": "own",
        "party.merge": "own",
        "party.delete": "own",
        "number.share": "all",
        "lead.read": "own",
        "lead.create": "all",
        "lead.edit": "own",
        "lead.change_owner": "own",
        "lead.delete": "own",
        "task.read": "own",
        "task.edit": "own",
        "task.give": "all",
        "call.read": "own",
        "call.notes": "own",
        "callback.read": "team",
        "callback.work": "team",
        "call.place": "all",
        "call.control": "all",
        "recording.listen": "own",
        "live.own": "all",
        "journal.read": "own",
    },
    "head": {
        "party.read": "team",
        "party.create": "all",
        "party.edit": "team",
        "party.change_owner": "team",
        "party.merge": "team",
        "party.delete": "team",
        "number.share": "all",
        "lead.read": "team",
        "lead.create": "all",
        "lead.edit": "team",
        "lead.change_owner": "team",
        "lead.reopen": "team",
        "lead.delete": "team",
        "task.read": "team",
        "task.edit": "team",
        "task.give": "all",
        "call.read": "team",
        "call.notes": "team",
        "callback.read": "team",
        "callback.work": "team",
        "call.place": "all",
        "call.control": "all",
        "call.place_unwanted": "all",
        "recording.listen": "team",
        "live.board": "team",
        "live.own": "all",
        "export": "all",
        "journal.read": "team",
    },
    "telephony": {
        "task.read": "own",
        "task.edit": "own",
        "call.read": "all",
        "callback.read": "all",
        "call.route": "all",
        "live.board": "all",
        "live.own": "all",
        "connection.read": "all",
        "connection.manage": "all",
        "line.manage": "all",
        "extension.manage": "all",
        "journal.read": "own",
        "number.normalise": "all",
        "system.state": "all",
        "dialling.manage": "all",
    },
    "admin": dict.fromkeys(RIGHTS, "all"),
}

# Rights that can reach one's own or a team's records; the others are a plain yes (all) or no (none).
SCOPED_RIGHTS: Final = frozenset(
    right
    for granted in DEFAULT_PERMISSIONS.values()
    for right, scope in granted.items()
    if scope in {"own", "team"}
)
