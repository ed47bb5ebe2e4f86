"""A trial of a subscriber: one signed request, now, whether it is paused or not; nothing of it is kept."""

from __future__ import annotations

import json
from uuid import uuid4

from aiohttp import web

from crm.delivery_queue import Tried
from crm.errors import CrmError, SecretUnreadable
from crm.sealing import Seal
from crm.subscribers import secret_of, subscriber
from web.keys import ACCESS, NOW, SERVICES, SESSIONS
from webhooks.outgoing import Trouble, outgoing

PING = "ping"


class NoKeyFile(CrmError):
    """This program was started without a key file."""

    template = "This program has no key file, so it keeps no secrets. Start it with one (RINGCARD_KEY_FILE)."


def seal_for(request: web.Request) -> Seal:
    """What seals secrets. Raises NoKeyFile."""
    seal = request.app[SERVICES].seal
    if seal is None:
        raise NoKeyFile
    return seal


async def try_subscriber(request: web.Request, subscriber_id: int) -> Tried:
    """Send it an event of the type `ping`; takes 15 seconds at most.

    Raises:
        NotAllowed, NotFound, NoKeyFile.
    """
    async with request.app[SESSIONS]() as session:
        found = await subscriber(session, request[ACCESS], subscriber_id)
        sealed = await secret_of(session, request[ACCESS], subscriber_id)
    try:
        secret = seal_for(request).open(sealed)
    except SecretUnreadable:
        return Tried(trouble=Trouble.SECRET, status=None, answer="", milliseconds=0)
    event_id, at = f"ping_{uuid4()}", request.app[NOW]().isoformat()
    body = json.dumps({"id": event_id, "type": PING, "at": at})
    async with outgoing(found.url, request.app[SERVICES].subscriber_networks) as address:
        return await address.send(event_id, body, [secret])
