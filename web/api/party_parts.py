"""Parts of a party: its numbers, addresses, contacts and kinds; each answer is the party as it is then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import signature
from typing import Any, Final, TypeVar, get_type_hints

import msgspec
from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from crm import affiliations, contact_points, kind_stays
from crm.affiliations import ContactValues
from crm.based_changes import check_base, queue_up
from crm.emails import attach_email
from crm.errors import Invalid, NotFound
from crm.numbers import NumberValues, attach_number, end_ownership
from crm.party_cards import party_card
from crm.rights import Access
from crm.schema import parties as schema
from crm.tags import put_tags
from web.api.contract import ApiRoutes, Reply
from web.api.directory_types import TagIds
from web.api.part_types import (
    ContactChanges,
    ContactEnd,
    EmailChanges,
    KindEnd,
    KindName,
    NewContact,
    NewEmail,
    NumberChanges,
)
from web.api.party_answers import card_reply
from web.api.party_types import NewNumber, Party
from web.api.reading import NoQuery, Nothing, given, id_in_path, read_base
from web.api.versions import ETAG, IF_MATCH
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.keys import ACCESS, SESSIONS

routes = ApiRoutes()
_PARTY: Final = "/api/v1/parties/{id:[0-9]+}"
_NUMBER: Final = "/api/v1/party-numbers/{id:[0-9]+}"
_EMAIL: Final = "/api/v1/party-emails/{id:[0-9]+}"
_CONTACT: Final = "/api/v1/affiliations/{id:[0-9]+}"
_PARTY_OF: Final[
    Mapping[str, InstrumentedAttribute[int]]
] = {  # where the row that an address names tells its party
    _PARTY: schema.Party.id,
    _NUMBER: schema.PartyPhone.party_id,
    _EMAIL: schema.PartyEmail.party_id,
    _CONTACT: schema.Affiliation.organisation_id,
}
Body = TypeVar("Body", bound=msgspec.Struct)


def _part(
    method: str, path: str, summary: str, *, right: str = "party.edit", description: str = ""
) -> Callable[[Callable[[AsyncSession, Access, int, Body], Awaitable[int]]], Any]:
    """An endpoint that changes a part of a party, on the base of what was read, and answers the party as it is then."""
    of = next(column for begins, column in _PARTY_OF.items() if path.startswith(begins))

    def named(act: Callable[[AsyncSession, Access, int, Body], Awaitable[int]]) -> Any:
        async def handler(request: web.Request, _query: NoQuery, body: Body) -> Reply:
            access, row_id, base = request[ACCESS], id_in_path(request), read_base(request)
            async with request.app[SESSIONS].begin() as session:
                if base is not None:
                    await queue_up(session, of, row_id)
                card = await party_card(session, access, await act(session, access, row_id, body))
                if base is not None:
                    await check_base(session, access, card.id, base)
                return await card_reply(session, card)

        handler.__name__ = act.__name__
        handler.__annotations__["body"] = get_type_hints(act)[list(signature(act).parameters)[3]]
        said = {"summary": summary, "description": description, "answer": Party}
        return routes.endpoint(method, path, right=right, **said, headers=IF_MATCH, sends=ETAG)(handler)

    return named


@_part(
    "POST",
    _PARTY + "/numbers",
    "A further number of a party",
    description="One that is somebody's already is refused with 409, and `party` names them.",
)
async def add_number(session: AsyncSession, access: Access, party_id: int, new: NewNumber) -> int:
    values = NumberValues(presented=new.number, label=new.label, is_shared=new.is_shared)
    await attach_number(session, access, party_id, values, via="api")
    return party_id


@_part("PATCH", _NUMBER, "Change what a party's number is for, and who uses it")
async def change_number(session: AsyncSession, access: Access, phone_id: int, said: NumberChanges) -> int:
    return await contact_points.change_number(
        session,
        access,
        phone_id,
        label=given(said.label),
        do_not_call=given(said.do_not_call),
        usage=given(said.usage),
        is_primary=said.is_primary,
        via="api",
    )


@_part(
    "POST",
    _NUMBER + "/end",
    "A number is no longer this party's",
    right="number.share",
    description="Old calls keep their links, and the number can have a new owner.",
)
async def end_number(session: AsyncSession, access: Access, phone_id: int, _said: Nothing) -> int:
    return await end_ownership(session, access, phone_id, via="api")


@_part(
    "POST",
    _PARTY + "/emails",
    "A further address of a party",
    description="One that is somebody's already is refused with 409, and `party` names them.",
)
async def add_email(session: AsyncSession, access: Access, party_id: int, new: NewEmail) -> int:
    await attach_email(session, access, party_id, new.email, label=new.label, via="api")
    return party_id


@_part("PATCH", _EMAIL, "Change what a party's address is for, and who uses it")
async def change_email(session: AsyncSession, access: Access, tie_id: int, said: EmailChanges) -> int:
    return await contact_points.change_email(
        session,
        access,
        tie_id,
        label=given(said.label),
        usage=given(said.usage),
        is_primary=said.is_primary,
        is_bounced=given(said.is_bounced),
        is_opted_out=given(said.is_opted_out),
        via="api",
    )


@_part("POST", _EMAIL + "/end", "An address is no longer this party's", right="number.share")
async def end_email(session: AsyncSession, access: Access, tie_id: int, _said: Nothing) -> int:
    return await contact_points.end_email(session, access, tie_id, via="api")


@_part("POST", _PARTY + "/contacts", "A known person becomes a contact of an organisation")
async def add_contact(session: AsyncSession, access: Access, party_id: int, new: NewContact) -> int:
    values = ContactValues(position=new.position, contact_role=new.contact_role)
    try:
        await affiliations.add_contact(session, access, party_id, new.person_id, values, via="api")
    except NotFound as error:
        if error.values["id"] == party_id:
            raise
        why = N_("There is no such record, or you may not see it.")
        raise Invalid("person_id", new.person_id, why) from error
    return party_id


@_part("PATCH", _CONTACT, "Change what a contact is at the organisation")
async def change_contact(session: AsyncSession, access: Access, tie_id: int, said: ContactChanges) -> int:
    return await affiliations.change_contact(
        session,
        access,
        tie_id,
        position=given(said.position),
        contact_role=given(said.contact_role),
        is_primary=said.is_primary,
        via="api",
    )


@_part(
    "POST",
    _CONTACT + "/end",
    "A contact no longer works there",
    description="Ending the primary one of several names the next, by its `affiliation_id`.",
)
async def end_contact(session: AsyncSession, access: Access, tie_id: int, said: ContactEnd) -> int:
    return await affiliations.end_contact(
        session, access, tie_id, next_primary_id=said.next_primary, via="api"
    )


@_part(
    "POST",
    _PARTY + "/kinds/pause",
    "Pause a kind of a party",
    description="The party leaves the lists of that kind for the time being.",
)
async def pause_kind(session: AsyncSession, access: Access, party_id: int, said: KindName) -> int:
    stay = await kind_stays.stay_named(session, access, party_id, said.kind)
    await kind_stays.pause_kind(session, access, party_id, stay, via="api")
    return party_id


@_part("POST", _PARTY + "/kinds/resume", "End the pause of a kind")
async def resume_kind(session: AsyncSession, access: Access, party_id: int, said: KindName) -> int:
    stay = await kind_stays.stay_named(session, access, party_id, said.kind)
    await kind_stays.resume_kind(session, access, party_id, stay, via="api")
    return party_id


@_part("POST", _PARTY + "/kinds/end", "End a kind of a party, with the reason")
async def end_kind(session: AsyncSession, access: Access, party_id: int, said: KindEnd) -> int:
    stay = await kind_stays.stay_named(session, access, party_id, said.kind)
    await kind_stays.end_kind(session, access, party_id, stay, said.reason, via="api")
    return party_id


@_part("PUT", _PARTY + "/tags", "Exactly these tags of the directory stand on the party")
async def set_tags(session: AsyncSession, access: Access, party_id: int, said: TagIds) -> int:
    await put_tags(session, access, party_id, said.tag_ids, via="api")
    return party_id
