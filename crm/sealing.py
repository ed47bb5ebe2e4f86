"""Secrets of connections at rest: sealed with a key that lies beside the database, not in it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crm.errors import SecretUnreadable

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_VERSION: Final = b"\x01"


class Seal:
    """AES-256-GCM with one key file. Its `repr` shows the path only."""

    def __init__(self, key: bytes, path: Path) -> None:
        self._cipher = AESGCM(key)
        self._path = path

    def __repr__(self) -> str:
        return f"Seal({str(self._path)!r})"

    def close(self, secret: str) -> bytes:
        """The secret, sealed: a version byte, a nonce, the cipher text."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret.encode(), _VERSION)

    def open(self, sealed: bytes) -> str:
        """The secret.

        Raises:
            SecretUnreadable: sealed with another key, or damaged.
        """
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            if sealed[:1] != _VERSION:
                raise SecretUnreadable(self._path)
            return self._cipher.decrypt(nonce, body, _VERSION).decode()
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable(self._path) from error


def open_seal(path: Path) -> Seal:
    """The seal of this key file; the first start makes the file, readable by its owner only.

    Raises:
        SecretUnreadable: the file holds no key.
        OSError: it can be neither read nor made.
    """
    if not path.exists():
        _make_key(path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise SecretUnreadable(path)
    return Seal(key, path)


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # two programs starting at once: the first one's key holds
        except FileExistsError:
            return
    finally:
        temporary.unlink()
