"""One folder per page: its routes, its templates, the fragments it shows."""

from __future__ import annotations

from typing import Final

from web.pages.admin import (
    connections,
    extensions,
    lines,
    numbers,
    profiles,
    second_truth,
    sections,
    tokens,
    users,
)
from web.pages.calls import pages as calls
from web.pages.desk import pages as desk
from web.pages.leads import card as lead_card
from web.pages.leads import conversion as lead_conversion
from web.pages.leads import form as lead_form
from web.pages.leads import lists as lead_lists
from web.pages.live_calls import pages as live_calls
from web.pages.me import pages as me
from web.pages.parties import binned, card, contacts, duplicates, form, lists, merging, similar
from web.pages.parties import numbers as party_numbers
from web.routes import Routes

ROUTES: Final[tuple[Routes, ...]] = (
    lists.routes,
    form.routes,
    card.routes,
    contacts.routes,
    party_numbers.routes,
    lead_lists.routes,
    lead_form.routes,
    lead_card.routes,
    lead_conversion.routes,
    merging.routes,
    duplicates.routes,
    binned.routes,
    similar.routes,
    calls.routes,
    live_calls.routes,
    desk.routes,
    me.routes,
    sections.routes,
    connections.routes,
    second_truth.routes,
    lines.routes,
    extensions.routes,
    users.routes,
    tokens.routes,
    numbers.routes,
    profiles.routes,
)
