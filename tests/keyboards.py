"""A keyboard under the Russian layout: the place of a key stays, the letter it types is the Russian one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from playwright.async_api import CDPSession, Page

_ALT: Final = 1
_SHIFT: Final = 8
_ROWS: Final = (
    ("йцукенгшщз", "QWERTYUIOP"),
    ("фывапролд", "ASDFGHJKL"),
    ("ячсмить", "ZXCVBNM"),
)
_SIGNS: Final = {
    "х": ("BracketLeft", 219),
    "ъ": ("BracketRight", 221),
    "ж": ("Semicolon", 186),
    "э": ("Quote", 222),
    "б": ("Comma", 188),
    "ю": ("Period", 190),
    "ё": ("Backquote", 192),
    " ": ("Space", 32),
}
# Letter → (event.code, virtual key code).
_KEYS: Final = (
    {
        letter: (f"Key{latin}", ord(latin))
        for row, caps in _ROWS
        for letter, latin in zip(row, caps, strict=True)
    }
    | {digit: (f"Digit{digit}", ord(digit)) for digit in "0123456789"}
    | _SIGNS
)
_LETTER_AT: Final = {code: letter for letter, (code, _) in _KEYS.items()}


@dataclass(frozen=True, slots=True)
class RussianKeyboard:
    """The hands of somebody who never takes the mouse."""

    page: Page
    _session: CDPSession

    @classmethod
    async def of(cls, page: Page) -> Self:
        return cls(page, await page.context.new_cdp_session(page))

    async def types(self, text: str) -> None:
        """Letters of the Russian layout, digits and spaces; capitals with Shift."""
        for character in text:
            await self._press(character.lower(), character, _SHIFT if character.isupper() else 0)

    async def alt(self, latin: str) -> None:
        """Alt with the key on whose cap this Latin letter stands."""
        letter = _LETTER_AT[f"Key{latin}"]
        await self._press(letter, letter, _ALT)

    async def presses(self, *keys: str) -> None:
        """Keys that are the same under every layout: Tab, Enter, ArrowDown, F2, Control+Enter …"""
        for key in keys:
            await self.page.keyboard.press(key)

    async def _press(self, cap: str, character: str, modifiers: int) -> None:
        code, number = _KEYS[cap]
        values = {"code": code, "key": character, "windowsVirtualKeyCode": number, "modifiers": modifiers}
        text = {} if modifiers == _ALT else {"text": character}
        await self._session.send("Input.dispatchKeyEvent", {"type": "keyDown", **values, **text})
        await self._session.send("Input.dispatchKeyEvent", {"type": "keyUp", **values})
