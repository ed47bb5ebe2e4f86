"""«Корзина»: deleting a party, a lead or a communication, what waits there, restoring it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from crm.communication_bin import bin_communication, list_communication_bin, restore_communication
from crm.errors import Invalid
from crm.lead_bin import bin_lead, list_lead_bin, restore_lead
from crm.lead_errors import AnotherLeadOpen
from crm.party_bin import KEPT_DAYS, bin_party, list_bin, restore_party
from crm.rights import Access
from web.keys import ACCESS, SESSIONS
from web.pages.answers import PageRoutes, id_in_path
from web.pages.communications.drafts import ID as COMMUNICATION_ID
from web.pages.forms import form_of
from web.pages.problems import tell
from web.render import render, render_fragment, wants_rows

routes = PageRoutes()
_NUMBER: Final = r"{id:\d+}"


def _uuid_in_path(request: web.Request) -> UUID:
    return UUID(request.match_info["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Of one kind of record. `kind`: as their addresses begin. `restore` gives what may name points that others have now."""

    kind: str
    right: str
    scope_right: str  # how far this right reaches, so far does the bin
    put: Callable[[AsyncSession, Access, Any], Awaitable[None]]
    read: Callable[..., Awaitable[Any]]
    restore: Callable[[AsyncSession, Access, Any], Awaitable[Any]]
    pattern: str = _NUMBER
    id_of: Callable[[web.Request], Any] = id_in_path

    @property
    def path(self) -> str:
        return f"/{self.kind}/bin"


BINS: Final = (
    Bin(
        kind="parties",
        right="party.delete",
        scope_right="party.delete",
        put=bin_party,
        read=list_bin,
        restore=restore_party,
    ),
    Bin(
        kind="leads",
        right="lead.delete",
        scope_right="lead.delete",
        put=bin_lead,
        read=list_lead_bin,
        restore=restore_lead,
    ),
    Bin(
        kind="communications",
        right="party.read",
        scope_right="party.edit",
        put=bin_communication,
        read=list_communication_bin,
        restore=restore_communication,
        pattern=COMMUNICATION_ID,
        id_of=_uuid_in_path,
    ),
)


def _serve(each: Bin) -> None:
    @routes.post(f"/{each.kind}/{each.pattern}/delete", right=each.right)
    async def delete(request: web.Request) -> web.Response:
        try:
            async with request.app[SESSIONS].begin() as session:
                await each.put(session, request[ACCESS], each.id_of(request))
        except Invalid as error:
            raise web.HTTPUnprocessableEntity(text=tell(error)) from error
        raise web.HTTPSeeOther(each.path)

    @routes.get(each.path, right=each.right)
    async def show(request: web.Request) -> web.Response:
        return await _answer(request, each)

    @routes.post(f"{each.path}/{each.pattern}/restore", right=each.right)
    async def restore(request: web.Request) -> web.Response:
        """Back to the card; what somebody else has now is told first, and a lead that stands in the way is named."""
        record_id = each.id_of(request)
        try:
            async with request.app[SESSIONS].begin() as session:
                restored = await each.restore(session, request[ACCESS], record_id)
        except AnotherLeadOpen as error:
            return await _answer(request, each, status=409, problem=tell(error))
        if not (taken := getattr(restored, "taken", ())):
            raise web.HTTPSeeOther(f"/{each.kind}/{record_id}")
        more: dict[str, Any] = {"kind": each.kind, "record_id": record_id, "taken_points": taken}
        return render(request, "bins/restored.html", **more)


async def _answer(request: web.Request, each: Bin, *, status: int = 200, problem: str = "") -> web.Response:
    wanted, after = form_of(request.query.items()).text("q")[:100], request.query.get("after")
    async with request.app[SESSIONS]() as session:
        try:
            page = await each.read(session, request[ACCESS], wanted=wanted, cursor=after)
        except Invalid as error:
            raise web.HTTPBadRequest(text=tell(error)) from error
    shown: dict[str, Any] = {"binned": page, "kind": each.kind, "wanted": wanted}
    if wants_rows(request, "bin-more"):
        return render_fragment(request, "bins/rows.html", **shown)
    shown |= {"days": KEPT_DAYS, "problem_text": problem, "scope_right": each.scope_right}
    return render(request, "bins/bin.html", status=status, **shown)


for _bin in BINS:
    _serve(_bin)
