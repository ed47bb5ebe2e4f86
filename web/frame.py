"""What stands around every page: the modules in the bar at the left, and who is signed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crm.rights import Access
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One entry of the bar; shown to whoever holds any of its rights."""

    path: str
    title: str
    icon: str
    rights: tuple[str, ...]

    def is_for(self, access: Access) -> bool:
        return any(access.may(right) for right in self.rights)

    def holds(self, path: str) -> bool:
        """Whether a page at this path belongs to the module."""
        return path == self.path or path.startswith(self.path.rstrip("/") + "/")


MODULES: Final = (
    Module(
        path="/desk",
        title=N_("Desk"),
        icon="layout-dashboard",
        rights=("call.read", "live.board", "task.read"),
    ),
    Module(path="/leads", title=N_("Leads"), icon="filter", rights=("lead.read",)),
    Module(path="/parties", title=N_("Counterparties"), icon="building", rights=("party.read",)),
    Module(path="/communications", title=N_("Communications"), icon="message", rights=("party.read",)),
    Module(path="/calls", title=N_("Calls"), icon="phone", rights=("call.read",)),
    Module(path="/tasks", title=N_("Tasks"), icon="circle-check", rights=("task.read",)),
    Module(path="/live-calls", title=N_("Shift monitor"), icon="broadcast", rights=("live.board",)),
    Module(
        path="/admin",
        title=N_("Administration"),
        icon="settings",
        rights=("connection.read", "line.manage", "extension.manage", "user.read"),
    ),
)


def modules_for(access: Access) -> Sequence[Module]:
    return [module for module in MODULES if module.is_for(access)]


def first_page(access: Access) -> str:
    """Where a user lands after signing in."""
    return next((module.path for module in modules_for(access)), "/me")


def initials(name: str) -> str:
    """«Anna Belova» → «AB», for the round mark in place of a picture."""
    words = [word for word in name.split() if word[0].isalpha()]
    return "".join(word[0] for word in words[:2]).upper() or name[:1].upper()
