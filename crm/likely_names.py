"""In which orders the names of likely duplicates stand beside one another. Pure.

Comparing each name with each other one costs the square of the base, and a word that a tenth of it has (a line of trade, a first name)
makes an index of letters no better. Names that are nearly the same begin alike, or end alike, or have the same longest word: sorted by each
of these, they are neighbours.
"""

from __future__ import annotations

from typing import Final

FEWEST_LETTERS: Final = 3


def likely_keys(name: str) -> set[str]:
    """The keys of a normalised name; a digit before each says of which order it is."""
    if len(name) < FEWEST_LETTERS:
        return set()
    longest_first = " ".join(sorted(name.split(), key=lambda word: (-len(word), word)))
    return {f"1{name}", f"2{name[::-1]}", f"3{longest_first}"}
