"""INN, KPP, OGRN, BIC, account: their forms and check digits. Pure. Source: the rules of the Federal Tax Service."""

from __future__ import annotations

import re
from itertools import cycle
from typing import Final

from crm.errors import Invalid

_INN_10: Final = (2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_11: Final = (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_12: Final = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)


def digits_only(text: str) -> str:
    """What is left without the spaces and dashes that people type."""
    return re.sub(r"[\s\u2010-\u2015-]", "", text)


def is_inn(inn: str) -> bool:
    """Whether 10 (company) or 12 (person) digits carry the right check digits; all zeros do not."""
    if not re.fullmatch(r"\d{10}|\d{12}", inn, re.ASCII) or not int(inn):
        return False
    if len(inn) == 10:
        return _inn_digit(inn, _INN_10) == int(inn[9])
    return _inn_digit(inn, _INN_11) == int(inn[10]) and _inn_digit(inn, _INN_12) == int(inn[11])


def is_kpp(kpp: str) -> bool:
    """Nine characters: the tax office, the reason, a number; there is no check digit."""
    return re.fullmatch(r"\d{4}[0-9A-Z]{2}\d{3}", kpp, re.ASCII) is not None


def is_ogrn(ogrn: str) -> bool:
    """Whether 13 (company) or 15 (sole trader) digits carry the right check digit."""
    if not re.fullmatch(r"\d{13}|\d{15}", ogrn, re.ASCII) or not int(ogrn):
        return False
    return int(ogrn[:-1]) % (len(ogrn) - 2) % 10 == int(ogrn[-1])


def checked_inn(text: str, length: int) -> str | None:
    """The INN to store, None if the field is empty.

    Raises:
        Invalid: another length, or wrong check digits.
    """
    inn = digits_only(text)
    if inn and (len(inn) != length or not is_inn(inn)):
        why = "This INN needs %(length)d digits, and the last ones must fit the others. Check it for a misprint."
        raise Invalid("inn", text, why, length=length)
    return inn or None


def checked_kpp(text: str) -> str | None:
    """The KPP to store. Raises Invalid."""
    kpp = digits_only(text).upper()
    if kpp and not is_kpp(kpp):
        raise Invalid("kpp", text, "A KPP has 9 characters, like 770101001.")
    return kpp or None


def checked_ogrn(text: str, length: int) -> str | None:
    """The OGRN (13 digits) or OGRNIP (15) to store. Raises Invalid."""
    ogrn = digits_only(text)
    if ogrn and (len(ogrn) != length or not is_ogrn(ogrn)):
        why = "This OGRN needs %(length)d digits, and the last one must fit the others. Check it for a misprint."
        raise Invalid("ogrn", text, why, length=length)
    return ogrn or None


def _inn_digit(inn: str, weights: tuple[int, ...]) -> int:
    return sum(weight * int(digit) for weight, digit in zip(weights, inn, strict=False)) % 11 % 10


def is_bic(bic: str) -> bool:
    """Nine digits of a Russian bank: 04 and its region, or 00 to 03 of the treasury."""
    return re.fullmatch(r"0[0-4]\d{7}", bic, re.ASCII) is not None


def is_account(account: str, bic: str) -> bool:
    """Whether 20 digits carry the check digit that belongs to this bank. Source: the Bank of Russia's rule of 08.09.1997 No. 515."""
    if not re.fullmatch(r"\d{20}", account, re.ASCII):
        return False
    is_of_central_bank = bic[6:] in {"000", "001", "002"}
    digits = ("0" + bic[4:6] if is_of_central_bank else bic[6:]) + account
    weighed = (int(digit) * weight % 10 for digit, weight in zip(digits, cycle((7, 1, 3)), strict=False))
    return sum(weighed) % 10 == 0


def checked_bic(text: str) -> str:
    """The BIC to store. Raises Invalid."""
    bic = digits_only(text)
    if not is_bic(bic):
        raise Invalid("bic", text, "A BIC has 9 digits, like 044525225.")
    return bic


def checked_account(text: str, bic: str) -> str:
    """The account to store. Raises Invalid: another length, or a check digit that does not belong to this bank."""
    account = digits_only(text)
    if not is_account(account, bic):
        why = "An account has 20 digits, and its check digit must fit the BIC. Check both for a misprint."
        raise Invalid("account", text, why)
    return account
