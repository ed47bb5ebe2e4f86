"""A process that places calls until somebody kills it: `python -m tests.daemon.dialling_victim`, for test_placing_killed.

It loads everything once and then forks a fresh process for each line on its standard input, as JSON:
{"url": database, "port": of the PBX, "connection": id, "user": id, "clicks": [[request id, number], …]}. It prints the
child's pid, "ready" once the child can place calls, and "gone" when it is no more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from ami_adapter.dialler import EVENT_CLASSES
from ami_adapter.link import AmiSettings
from crm.database import open_database
from crm.directory import directory
from crm.errors import CrmError
from crm.rights import access_of
from cti.daemon.call_ids import CallIds
from cti.daemon.seating import Seating
from cti.daemon.telephone import OfficeTelephone, open_telephone
from cti.desk import Desk, EmptyDirectory
from tests.ami_adapter.scripted import HASTY
from tests.daemon.dialling_floor import plan_of
from web.telephone import Click


async def place_calls(order: dict[str, Any]) -> None:
    """As the program does after its start: settle what an earlier run left, connect, place."""
    database = await open_database(order["url"])
    async with database.sessions() as session:
        access = await access_of(session, order["user"])
        found = await directory(session, datetime.now(UTC))
    assert access is not None
    telephone = telephone_of(database.sessions, found)
    await telephone.begin(datetime.now(UTC))
    settings = AmiSettings(
        host="127.0.0.1",
        port=order["port"],
        user="d",
        secret="s",
        event_classes=EVENT_CLASSES,
        patience=HASTY,
    )
    await telephone.equal({order["connection"]: plan_of(settings)})
    while not any(place.is_ready for place in telephone.places(access.user_id)):
        await asyncio.sleep(0.002)
    print("ready", flush=True)
    for request_id, number in order["clicks"]:
        with suppress(CrmError):
            await telephone.place(access, Click(request_id=UUID(request_id), number=number))
    await asyncio.sleep(0.05)
    await telephone.close()
    await database.close()


def telephone_of(sessions: Any, found: Any) -> OfficeTelephone:
    desk = Desk(EmptyDirectory(), epoch="e")
    telephone = open_telephone(
        sessions=sessions,
        desk=desk,
        ids=CallIds(),
        ask=lambda _question: None,
        deliver=lambda _messages: None,
        tell=lambda _user, _kind, _data: None,
        now=lambda: datetime.now(UTC),
    )
    desk.set_directory(Seating(found))
    telephone.set_directory(found)
    return telephone


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(os.getpid(), flush=True)
            asyncio.run(place_calls(json.loads(line)))
            os._exit(0)
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
