"""Whether two rows or records can be one client, as far as their INN and names tell. Pure."""

from __future__ import annotations

from crm.names import normal_name


def differ(one: str, other: str) -> bool:
    """Whether two INN speak of two clients; one that is not known speaks of nobody."""
    return bool(one and other and one != other)


def names_fit(one: str, other: str) -> bool:
    """Whether two names can be of one client: the words of the shorter begin words of the longer, in any order.

    «иванов и и» fits «иванов иван иванович»; «иванова» and «петров» do not fit.
    """
    fewer, more = sorted((normal_name(one).split(), normal_name(other).split()), key=len)
    left = list(more)
    for word in sorted(fewer, key=len, reverse=True):
        fitting = next((each for each in left if each.startswith(word) or word.startswith(each)), None)
        if fitting is None:
            return False
        left.remove(fitting)
    return bool(fewer)
