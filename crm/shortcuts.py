"""Keys of call windows, and of one's own state, by their place on the keyboard (`event.code`), as each user may set them for themselves.

A key is written "Alt+KeyC", or "F2" for one of the free function keys. What the browser keeps for itself cannot be taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import ACCESS_CHANNEL, notify, record_change
from crm.errors import Invalid
from crm.rights import Access
from crm.schema.access import User
from crm.user_lists import locked_user

DEFAULT_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "state": "Alt+KeyW",  # first: whoever gave this key to something else keeps it there
        "focus": "F2",
        "shrink": "Alt+KeyQ",
        "answer": "Alt+KeyA",
        "hang_up": "Alt+KeyX",
        "card": "Alt+KeyO",
        "comment": "Alt+KeyC",
        "identify": "Alt+KeyS",
        "task": "Alt+KeyT",
        "deal": "Alt+KeyG",
        "process": "Alt+KeyP",
        "lead": "Alt+KeyL",
        "hold": "Alt+KeyH",
        "mute": "Alt+KeyM",
        "transfer": "Alt+KeyR",
    }
)
# F1 shows the keys; F3, F5, F6, F7, F11 and F12 are the browser's own.
_KEY: Final = re.compile(r"Alt\+Key[A-Z]|F(?:2|4|8|9|10)")
_OF_THE_BROWSER: Final = frozenset({"Alt+KeyD", "Alt+KeyE", "Alt+KeyF"})  # its address bar and menus
SETTING: Final = "keys"


async def change_keys(
    session: AsyncSession, access: Access, keys: Mapping[str, str], *, via: str = "form"
) -> None:
    """One's own keys; what is left out, and what is as usual, is as usual.

    Raises:
        Invalid: an unknown action, a key that cannot be taken, or one key for two actions.
    """
    changed = _checked(keys)
    user = await locked_user(session, access.user_id)
    before, after = {SETTING: dict(user.settings.get(SETTING, {}))}, {SETTING: changed}
    if await record_change(session, access, "user", user.id, before=before, after=after, via=via):
        settings = {**user.settings, SETTING: changed}  # the row is locked
        await session.execute(
            update(User).where(User.id == user.id).values(settings=settings, version=User.version + 1)
        )
        await notify(session, ACCESS_CHANNEL, user.id)


def _checked(keys: Mapping[str, str]) -> dict[str, str]:
    """The keys that are not as usual."""
    for action, key in keys.items():
        if action not in DEFAULT_KEYS:
            raise Invalid("keys", action[:50], "There is no such action of call windows.")
        if not _KEY.fullmatch(key) or key in _OF_THE_BROWSER:
            why = "“%(key)s” cannot be taken: choose Alt with a letter other than D, E or F, or F2, F4, F8, F9, F10."
            raise Invalid(action, key[:50], why, key=key[:50])
    taken: dict[str, str] = {}
    for action, key in {**DEFAULT_KEYS, **keys}.items():
        if key in taken:
            why = (
                "“%(key)s” is taken by another action already. Choose another key, or change that one first."
            )
            raise Invalid(action if action in keys else taken[key], key, why, key=key)
        taken[key] = action
    return {action: key for action, key in keys.items() if key != DEFAULT_KEYS[action]}
