"""What an AMI account may write, read from ListCommands: it names nothing that the account may not do."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Each of these hands over more than calls: a shell, the files, the dialplan, or events that others take for ours.
EXCESSIVE = ("system", "command", "config", "user", "agi", "dialplan")

_PRIVILEGES = re.compile(r"\(Priv: ([a-z,<> ]+)\)")


def written_classes(commands: Mapping[str, str]) -> frozenset[str]:
    """The classes this account surely may write: those that alone allow some action it is offered.

    An action of several classes (`system,reporting`) is offered to whoever has one of them, so it proves none.
    """
    proven = set()
    for description in commands.values():
        if found := _PRIVILEGES.search(description):
            classes = {name.strip() for name in found.group(1).split(",")} - {"all", "<none>", ""}
            if len(classes) == 1:
                proven |= classes
    return frozenset(proven)


def excessive_rights(commands: Mapping[str, str]) -> tuple[str, ...]:
    """The rights among these that a CTI program must not have, the worst first."""
    classes = written_classes(commands)
    return tuple(name for name in EXCESSIVE if name in classes)
