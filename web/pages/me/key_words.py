"""What the keys of call windows do, and which can be chosen, with the letters of both layouts."""

from __future__ import annotations

from typing import Final

from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker

KEY_WORDS: Final = {
    "focus": N_("To the window and back"),
    "shrink": N_("Show or shrink"),
    "answer": N_("Answer"),
    "hang_up": N_("Decline or hang up"),
    "card": N_("Open the card"),
    "comment": N_("To the comment"),
    "identify": N_("Who is calling?"),
    "task": N_("Task"),
    "deal": N_("Deal"),
    "process": N_("Process"),
    "lead": N_("Lead"),
    "hold": N_("Hold"),
    "mute": N_("Mute"),
    "transfer": N_("Transfer"),
    "state": N_("My shift: state, pause"),
}
_LATIN: Final = "QWERTYUIOPASDFGHJKLZXCVBNM"
_RUSSIAN: Final = "ЙЦУКЕНГШЩЗФЫВАПРОЛДЯЧСМИТЬ"
_OF_THE_BROWSER: Final = "DEF"

# (event.code with its modifier, what stands on the caps)
KEY_OFFERS: Final = tuple(
    (f"Alt+Key{latin}", f"Alt+{latin} ({russian})")
    for latin, russian in sorted(zip(_LATIN, _RUSSIAN, strict=True))
    if latin not in _OF_THE_BROWSER
) + tuple((key, key) for key in ("F2", "F4", "F8", "F9", "F10"))
