"""A process that tells subscribers until somebody kills it: `python -m tests.daemon.telling_victim`, for test_subscribers_killed.

It loads everything once and then forks a fresh process for each line on its standard input, as JSON: {"url": database, "key": path}.
It prints the child's pid, and "gone" when it is no more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import structlog

from crm.database import open_database
from crm.sealing import open_seal
from cti.daemon.sender_name import SenderName
from cti.daemon.subscribers import Subscribers


async def tell(order: dict[str, str]) -> None:
    """As the program does, for ever."""
    database = await open_database(order["url"])
    seal = open_seal(Path(order["key"]))
    sender = SenderName(Path(order["key"]).parent)
    networks = ["127.0.0.0/8"]
    await Subscribers(
        database.sessions, seal, networks=networks, now=lambda: datetime.now(UTC), me=sender.id
    ).run()


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(os.getpid(), flush=True)
            asyncio.run(tell(json.loads(line)))
            os._exit(0)
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
