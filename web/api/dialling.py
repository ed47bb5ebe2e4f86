"""Calls placed from a program or a page, and hands on one's own calls."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from crm.dial_requests import DialInfo, dial_of
from crm.errors import NotFound
from web.api.contract import ApiRoutes
from web.api.reading import Id, LongText, NoQuery, Text
from web.keys import ACCESS, IS_AWAY, SERVICES, SESSIONS
from web.telephone import Click, NowhereToDial, Telephone, Wanted

routes = ApiRoutes()
DIALS: Final = "/api/v1/dials"
_ONE_LINE: Final = r"^[^\x00-\x1f\x7f]*$"
Number = Annotated[str, Meta(min_length=1, max_length=100, pattern=_ONE_LINE)]
Keys = Annotated[str, Meta(max_length=40, pattern=r"^[0-9A-D*# ]*$")]
Typed = Annotated[str, Meta(max_length=100, pattern=_ONE_LINE)]
DialState = Literal["new", "sent", "ringing", "answered", "failed", "refused", "not_sent", "unknown"]


class NewDial(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A number to call. `id`: a new UUID of the sender's for every call; sent again, it only asks what became of it."""

    id: UUID
    number: Number
    connection_id: Id | None = None
    line_id: Id | None = None
    override_reason: Text = ""


class Dial(msgspec.Struct, kw_only=True):
    """A call that was asked for. `call_id` is the call's, if it comes to one; `number` as it is dialled.

    `state`: ringing (the agent's telephone), answered (by the agent: the number is being dialled), failed, refused
    (by the PBX), not_sent, unknown (it may have been carried out; nothing repeats it).
    """

    id: UUID
    call_id: UUID
    number: str
    connection_id: int
    extension: str
    state: DialState
    reason: str | None
    created_at: datetime


class CallControl(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to do. `to` of transfer, consult, deflect; `keys` of keys; `reason` and `note` travel with a transfer."""

    action: Literal[
        "hang_up",
        "decline",
        "deflect",
        "transfer",
        "consult",
        "cancel_consult",
        "park",
        "mute",
        "unmute",
        "keys",
        "pause_recording",
        "resume_recording",
    ]
    to: Typed = ""
    keys: Keys = ""
    reason: Text = ""
    note: LongText = ""
    override_reason: Text = ""


class ControlOutcome(msgspec.Struct):
    """What came of it; `detail` is the PBX's own word for a refusal."""

    outcome: Literal["done", "refused", "not_sent", "unknown"]
    detail: str


@routes.endpoint(
    "POST",
    DIALS,
    right="call.place",
    summary="Call a number: one's own telephone rings first",
    description=(
        "One Originate for each id, whatever breaks. The number policy is asked first; a refusal names its rule in `code` "
        "(`DialRefused.country`, …)."
    ),
    answer=Dial,
)
async def place(request: web.Request, _query: NoQuery, new: NewDial) -> Dial:
    click = Click(
        request_id=new.id,
        number=new.number,
        connection_id=new.connection_id,
        line_id=new.line_id,
        override_reason=new.override_reason,
    )
    return _told(await telephone_of(request).place(request[ACCESS], click))


@routes.endpoint(
    "GET",
    DIALS + "/{id:[0-9a-fA-F-]{36}}",
    right="call.place",
    summary="What became of a call that one asked for",
    answer=Dial,
)
async def show(request: web.Request, _query: NoQuery) -> Dial:
    async with request.app[SESSIONS]() as session:
        return _told(await dial_of(session, request[ACCESS], _uuid_in_path(request, "dial")))


@routes.endpoint(
    "POST",
    "/api/v1/live/{id:[0-9a-fA-F-]{36}}/actions",
    right="call.control",
    while_away=True,
    summary="Do something to a call in which one sits",
    description=(
        "What can be done now stands in `controls` of the call's live messages; anything else is 409. While the database is "
        "away it goes on for whoever has a live socket; a call is then passed on to a colleague's extension only."
    ),
    answer=ControlOutcome,
)
async def control(request: web.Request, _query: NoQuery, wanted: CallControl) -> ControlOutcome:
    call_id = _uuid_in_path(request, "call")
    said = msgspec.structs.asdict(wanted)
    order = Wanted(control=said.pop("action"), **said, is_database_away=request.get(IS_AWAY, False))
    done = await telephone_of(request).control(request[ACCESS], call_id, order)
    return msgspec.convert({"outcome": done.outcome, "detail": done.detail}, ControlOutcome)


def telephone_of(request: web.Request) -> Telephone:
    """The telephone on the screen.

    Raises:
        NowhereToDial: this program has none.
    """
    telephone = request.app[SERVICES].telephone
    if telephone is None:
        raise NowhereToDial
    return telephone


def _uuid_in_path(request: web.Request, kind: str) -> UUID:
    text = request.match_info["id"]
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound(kind, text) from error


def _told(dial: DialInfo) -> Dial:
    told = {
        "id": dial.request_id,
        "call_id": dial.id,
        "number": dial.target,
        "connection_id": dial.connection_id,
        "extension": dial.extension,
        "state": dial.state,
        "reason": dial.reason,
        "created_at": dial.created_at,
    }
    return msgspec.convert(told, Dial)
