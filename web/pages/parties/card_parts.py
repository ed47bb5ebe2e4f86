"""The parts of a card that are read beside it: requisites, tags, what forms offer."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from crm.addresses import addresses_of
from crm.bank_accounts import accounts_of
from crm.directories import END_REASON, TAG, list_entries, names_of
from crm.party_cards import PartyCard
from crm.tags import tags_of
from web.pages.forms import Form


async def parts_of(session: AsyncSession, card: PartyCard) -> dict[str, Any]:
    """What the card shows of requisites, tags and kinds, with empty forms to add more."""
    return {
        "account_form": Form(),
        "address_form": Form(),
        "accounts": await accounts_of(session, card.id),
        "addresses": await addresses_of(session, card.id),
        "tags": (await tags_of(session, [card.id])).get(card.id, ()),
        "tag_entries": await list_entries(session, TAG) if card.may_edit else [],
        "end_reasons": await names_of(session, END_REASON) if card.may_edit else [],
    }
