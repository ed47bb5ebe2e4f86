"""Secrets come by standard input or a prompt, never as an argument: arguments are seen by every process."""

from __future__ import annotations

import getpass
import sys

from cti.daemon.failures import CommandFailed


def read_secret(what: str, *, from_stdin: bool) -> str:
    """One line of standard input without its end, or a prompt on a terminal.

    Raises:
        CommandFailed: nothing came, it is no text, or there is no terminal to ask at.
    """
    if from_stdin:
        secret = _line_of_input(what)
    elif sys.stdin.isatty():
        secret = getpass.getpass(f"{what}: ")
    else:
        raise CommandFailed(
            f"No {what.lower()}: run this at a terminal, or give it with --{what.lower()}-stdin."
        )
    if not secret:
        raise CommandFailed(f"The {what.lower()} is empty.")
    return secret


def _line_of_input(what: str) -> str:
    try:
        line = sys.stdin.readline().rstrip("\r\n")
        line.encode()  # half of a surrogate pair stands for a byte that is no UTF-8
    except UnicodeError:
        raise CommandFailed(f"The {what.lower()} on standard input is no UTF-8 text.") from None
    return line
