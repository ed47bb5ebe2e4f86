"""Passwords: argon2id, at most two hashes at once, in threads, so that guessing costs the guesser and not the calls."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from crm.errors import CrmError, Invalid

MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 128  # longer ones only cost time
MAX_WAITING: Final = 64  # sign-ins waiting for a hash; beyond that one is asked to come again

_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="password")
# The hash of a random text that nobody kept: an unknown login takes as long as a wrong password.
_DUMMY_HASH: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$dLw5zfwdUcDEPsLbzdz5JQ$6zbW+mfh7zn1UDAD29HQnWZoSi0hARPES1olC7mK5iI"
)


class TooManySignIns(CrmError):
    """More people sign in at this moment than the machine can check."""

    template = "Too many sign-ins at this moment. Try again in a few seconds."


class _Waiting:
    count = 0


def check_strength(password: str) -> None:
    """Refuse what cannot be a password.

    Raises:
        Invalid: shorter than 8 or longer than 128 characters.
    """
    if len(password) < MIN_CHARACTERS:
        raise Invalid("password", "", "A password has at least %(least)d characters.", least=MIN_CHARACTERS)
    if len(password) > MAX_CHARACTERS:
        raise Invalid("password", "", "A password has at most %(most)d characters.", most=MAX_CHARACTERS)


async def hash_password(password: str) -> str:
    """The argon2id hash to store.

    Raises:
        Invalid: the password is too short or too long.
    """
    check_strength(password)
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one; `None` (no such user, no password) takes as long and is never true.

    Raises:
        TooManySignIns: the queue before the two threads is full.
    """
    if len(password) > MAX_CHARACTERS:
        return False
    if _Waiting.count >= MAX_WAITING:
        raise TooManySignIns
    _Waiting.count += 1
    try:
        is_right = await asyncio.get_running_loop().run_in_executor(
            _threads, _verify, stored or _DUMMY_HASH, password
        )
    finally:
        _Waiting.count -= 1
    return is_right and stored is not None


def needs_new_hash(stored: str) -> bool:
    """Whether the hash was made with other settings than today's."""
    return _hasher.check_needs_rehash(stored)


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (Argon2Error, InvalidHashError):
        return False
