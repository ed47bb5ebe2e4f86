"""A party as the API answers it: what its card holds, with its tags."""

from __future__ import annotations

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from crm.party_cards import PartyCard
from crm.tags import tags_of
from web.api.contract import Reply
from web.api.party_types import Party, PartyTag
from web.api.versions import party_reply


async def card_reply(session: AsyncSession, card: PartyCard) -> Reply:
    """The party as it is now, with its version."""
    told = msgspec.convert(card, Party, from_attributes=True)
    tags = (await tags_of(session, [card.id])).get(card.id, ())
    told.tags = [msgspec.convert(tag, PartyTag, from_attributes=True) for tag in tags]
    return await party_reply(session, told, card.id, card.version)
