"""Words of callback cases that the journal, lists and live events share."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Final

from crm.rights import Access, Scope

CALLBACK_CHANNEL: Final = (
    "ringcard_callback"  # payload: "opened|changed|taken|resolved CASE TEAM", TEAM 0: none
)
TAKEN_FOR: Final = timedelta(minutes=10)


class CaseState(StrEnum):
    """Where a case stands. Taken passes by itself after ten minutes; then it is what it was before."""

    OPEN = "open"
    TAKEN = "taken"
    ATTEMPTED = "attempted"
    RESOLVED_BY_CALLBACK = "resolved_by_callback"
    RESOLVED_BY_CLIENT = "resolved_by_client"
    CLOSED = "closed"


UNRESOLVED: Final = (CaseState.OPEN.value, CaseState.ATTEMPTED.value)


def line_group_of(team_id: int | None, line_id: int | None) -> str:
    """The lines of one team are one group; a line without a team is a group of its own."""
    if team_id is not None:
        return f"team:{team_id}"
    return f"line:{line_id}" if line_id is not None else "none"


def may_see_case(access: Access, team_id: int | None) -> bool:
    """The rule of lists for a live event: the line group's members. (Who has taken a case sees it in lists, too.)"""
    if access.scope("callback.read") is Scope.TEAM and team_id is None:
        return True
    return access.covers("callback.read", users=(), teams=(team_id,))
