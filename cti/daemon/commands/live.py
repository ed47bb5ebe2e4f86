"""`ringcard watch`: live events as JSON lines, through an independent implementation of the WebSocket protocol."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from cti.daemon.failures import CommandFailed
from cti.daemon.settings import load_settings

RETRY_SECONDS = (0.5, 1, 2, 4, 8, 15, 30)


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("watch", help="print live events as JSON lines")
    parser.add_argument("--url", help="the socket (default: ws://…/live of the configured address)")
    parser.add_argument(
        "--token-file", type=Path, help="file with an API token (else the environment's RINGCARD_TOKEN)"
    )
    parser.add_argument(
        "--all", action="store_true", help="everybody's calls; needs the right to the live board"
    )
    parser.set_defaults(run=lambda options: asyncio.run(watch(options)))


async def watch(options: argparse.Namespace) -> int:
    """Print messages until interrupted; a lost connection is made again, a refusal is final."""
    url = options.url or f"ws://{load_settings().listen}/live"
    token = _token(options.token_file)
    topics = ["calls"] if options.all else []
    failures = 0
    while True:
        try:
            async with connect(
                url, additional_headers={"Authorization": f"Bearer {token}"}, compression=None
            ) as socket:
                failures = 0
                await _print_messages(socket, topics)
        except InvalidStatus as error:
            if error.response.status_code < 500:
                raise CommandFailed(
                    f"{url} refused the token with status {error.response.status_code}."
                ) from error
        except InvalidURI as error:
            raise CommandFailed(
                f"{url!r} is no WebSocket address; write for example ws://127.0.0.1:8080/live."
            ) from error
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == 4401:
                raise CommandFailed(
                    f"{url} closed the socket: the token has ended or its user is blocked."
                ) from error
        except (OSError, InvalidHandshake) as error:
            if not failures:
                print(
                    json.dumps({"type": "watch.waiting", "url": url, "why": str(error)}, ensure_ascii=False),
                    flush=True,
                )
        await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
        failures += 1


async def _print_messages(socket: ClientConnection, topics: list[str]) -> None:
    if topics:
        await socket.send(json.dumps({"type": "sub", "topics": topics}))
    async for message in socket:
        print(message if isinstance(message, str) else message.decode(), flush=True)


def _token(path: Path | None) -> str:
    text = path.read_text("utf-8", "replace") if path else os.environ.get("RINGCARD_TOKEN", "")
    if text.strip() and not re.fullmatch(r"[!-~]+", text.strip()):
        raise CommandFailed(f"{path or 'RINGCARD_TOKEN'} holds no API token: a token is one line of letters.")
    if not text.strip():
        raise CommandFailed(
            "No API token: name a file with --token-file, or set RINGCARD_TOKEN (`ringcard token create`)."
        )
    return text.strip()
