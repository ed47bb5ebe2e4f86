"""One folder per page: its routes, its templates, the fragments it shows."""

from __future__ import annotations

from typing import Final

from web.pages.admin import (
    calendars,
    communication_kinds,
    connections,
    deliveries,
    dialling,
    directories,
    extensions,
    handling,
    journals,
    lines,
    numbers,
    profiles,
    queues,
    required,
    roles,
    schemes,
    second_truth,
    sections,
    sight,
    subscribers,
    teams,
    tokens,
    users,
    wrap_up_codes,
)
from web.pages.bins import pages as bins
from web.pages.calls import pages as calls
from web.pages.communications import drafts as communication_drafts
from web.pages.communications import lists as communication_lists
from web.pages.communications import mass as communication_mass
from web.pages.communications import pages as communications
from web.pages.desk import pages as desk
from web.pages.dial import pages as dial
from web.pages.exports import pages as exports
from web.pages.identify import pages as identify
from web.pages.imports import pages as imports
from web.pages.leads import card as lead_card
from web.pages.leads import comments as lead_comments
from web.pages.leads import conversion as lead_conversion
from web.pages.leads import drafts as lead_drafts
from web.pages.leads import form as lead_form
from web.pages.leads import lists as lead_lists
from web.pages.leads import mass as lead_mass
from web.pages.leads import merging as lead_merging
from web.pages.leads import of_party as leads_of_party
from web.pages.lists import pages as list_pages
from web.pages.live_calls import pages as live_calls
from web.pages.me import pages as me
from web.pages.missed import pages as missed
from web.pages.notices import pages as notices
from web.pages.parties import (
    access,
    card,
    comments,
    contacts,
    drafts,
    duplicates,
    emails,
    form,
    lists,
    mass,
    merging,
    requisites,
    similar,
    window,
)
from web.pages.parties import numbers as party_numbers
from web.pages.search import pages as search
from web.pages.shift import pages as shift
from web.pages.tasks import card as task_card
from web.pages.tasks import form as task_form
from web.pages.tasks import lists as task_lists
from web.pages.tasks import mass as task_mass
from web.pages.tasks import of_record as tasks_of_record
from web.pages.tasks import window as task_window
from web.pages.wrap_up import pages as wrap_up
from web.routes import Routes

ROUTES: Final[tuple[Routes, ...]] = (
    lists.routes,
    mass.routes,
    list_pages.routes,
    form.routes,
    window.routes,
    card.routes,
    comments.routes,
    drafts.routes,
    communication_lists.routes,
    communication_mass.routes,
    communications.routes,
    communication_drafts.routes,
    notices.routes,
    contacts.routes,
    party_numbers.routes,
    search.routes,
    lead_lists.routes,
    lead_mass.routes,
    lead_form.routes,
    lead_drafts.routes,
    lead_card.routes,
    lead_conversion.routes,
    lead_merging.routes,
    lead_comments.routes,
    leads_of_party.routes,
    task_lists.routes,
    task_mass.routes,
    task_form.routes,
    task_card.routes,
    tasks_of_record.routes,
    task_window.routes,
    merging.routes,
    duplicates.routes,
    bins.routes,
    access.routes,
    similar.routes,
    requisites.routes,
    imports.routes,
    exports.routes,
    calls.routes,
    live_calls.routes,
    missed.routes,
    identify.routes,
    wrap_up.routes,
    shift.routes,
    wrap_up_codes.routes,
    desk.routes,
    me.routes,
    sections.routes,
    connections.routes,
    second_truth.routes,
    lines.routes,
    handling.routes,
    queues.routes,
    calendars.routes,
    extensions.routes,
    users.routes,
    sight.routes,
    teams.routes,
    roles.routes,
    directories.routes,
    required.routes,
    schemes.routes,
    journals.routes,
    communication_kinds.routes,
    tokens.routes,
    subscribers.routes,
    deliveries.routes,
    numbers.routes,
    emails.routes,
    profiles.routes,
    dial.routes,
    dialling.routes,
)
