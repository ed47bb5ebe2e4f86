"""Subscribers in the reader's words: what an event is called, and why one did not get through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crm.delivery_queue import Tried
from crm.subscriber_events import EVENT_TYPES
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.pages.admin.check_words import ToldAnswer
from webhooks.outgoing import SECONDS, Trouble

GROUPS: Final[Mapping[str, str]] = {
    "call": N_("Calls"),
    "callback_case": N_("Missed callers"),
    "party": N_("Clients and contacts"),
    "lead": N_("Leads"),
    "task": N_("Tasks"),
    "communication": N_("Communications"),
    "comment": N_("Comments"),
}
EVENTS: Final[Mapping[str, str]] = {
    "call.started": N_("Call began"),
    "call.answered": N_("Call answered"),
    "call.ended": N_("Call is over"),
    "call.joined": N_("Call went into another one"),
    "callback.opened": N_("Caller missed"),
    "callback.changed": N_("Missed caller changed"),
    "callback.taken": N_("Missed caller taken"),
    "callback.resolved": N_("Missed caller settled"),
    "party.created": N_("Record entered"),
    "party.changed": N_("Record changed"),
    "party.number_added": N_("Number added"),
    "party.number_ended": N_("Number ended"),
    "party.email_added": N_("E-mail address added"),
    "party.email_ended": N_("E-mail address ended"),
    "party.contact_added": N_("Contact added"),
    "party.contact_ended": N_("Contact ended"),
    "party.merged": N_("Records merged"),
    "party.merge_undone": N_("Merge undone"),
    "party.turned": N_("Person turned into organisation or back"),
    "party.binned": N_("Put into the bin"),
    "party.restored": N_("Restored from the bin"),
    "party.deleted": N_("Deleted for good"),
    "lead.created": N_("Lead opened"),
    "lead.changed": N_("Lead changed"),
    "lead.assigned": N_("Lead given to somebody"),
    "lead.stage_entered": N_("Lead moved to another stage"),
    "lead.held": N_("Lead put on hold"),
    "lead.resumed": N_("Lead resumed"),
    "lead.converted": N_("Lead converted"),
    "lead.reopened": N_("Lead opened again"),
    "lead.merged": N_("Leads merged"),
    "lead.merge_undone": N_("Merge of leads undone"),
    "lead.binned": N_("Lead put into the bin"),
    "lead.restored": N_("Lead restored from the bin"),
    "lead.deleted": N_("Lead deleted for good"),
    "task.created": N_("Task set"),
    "task.changed": N_("Task changed"),
    "task.assigned": N_("Task handed over"),
    "task.completed": N_("Task done"),
    "task.reopened": N_("Task opened again"),
    "task.reminder": N_("Reminder came"),
    "communication.created": N_("Communication written down"),
    "communication.changed": N_("Communication changed"),
    "communication.binned": N_("Communication put into the bin"),
    "communication.restored": N_("Communication restored from the bin"),
    "communication.deleted": N_("Communication deleted for good"),
    "comment.created": N_("Comment added"),
    "comment.changed": N_("Comment changed"),
    "comment.deleted": N_("Comment removed"),
}
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    Trouble.NAME_UNKNOWN: (
        N_("The name of the address is not known."),
        N_("Look for a mistyped name, and whether this machine can look names up."),
    ),
    Trouble.ADDRESS_REFUSED: (
        N_("The name leads to an address that subscribers may not have."),
        N_(
            "Only public addresses over https are allowed, and networks named by the setting subscriber_networks."
        ),
    ),
    Trouble.UNREACHABLE: (
        N_("Nobody answers at the address."),
        N_("Look whether the receiver runs, at the port, and at the firewall between."),
    ),
    Trouble.TLS: (
        N_("No secure connection came about: the certificate is not valid for this name, or it is no TLS."),
        N_("Renew the certificate of the receiver, or use the name that it was made for."),
    ),
    Trouble.TIMED_OUT: (
        N_("The receiver did not answer within %(seconds)s seconds."),
        N_("A receiver should store the event, answer at once and work on it afterwards."),
    ),
    Trouble.REDIRECT: (
        N_("The receiver sends us elsewhere (%(status)s); that is not followed."),
        N_("Enter the final address."),
    ),
    Trouble.ANSWER: (
        N_("The receiver answered %(status)s, not 2xx."),
        N_("Look into its log: it did not take the event."),
    ),
    Trouble.BROKEN: (
        N_("The connection broke, or what answers there is no web service."),
        N_("Look whether the address and the port are those of the receiver."),
    ),
    Trouble.SECRET: (
        N_("The stored secret cannot be opened, so nothing can be signed."),
        N_("Restore the key file that belongs to this database, or make a new secret."),
    ),
}


def trouble_text(trouble: str | None, status: int | None) -> str:
    """Why a try was in vain, as a sentence; "" if it was not."""
    if trouble is None:
        return ""
    text = _WORDS[trouble][0] if trouble in _WORDS else trouble
    return _(text) % {"status": status, "seconds": round(SECONDS)}


def told_trial(tried: Tried) -> list[ToldAnswer]:
    """What came of a trial, and what to do."""
    if tried.trouble is not None:
        remedy = _(_WORDS[tried.trouble][1])
        told = ToldAnswer(verdict="bad", text=trouble_text(tried.trouble, tried.status), remedy=remedy)
    else:
        text = _("The receiver took the trial: %(status)s after %(ms)s ms.")
        told = ToldAnswer(
            verdict="good",
            text=text % {"status": tried.status, "ms": tried.milliseconds},
            remedy=_("Whether it checked the signature, its log tells."),
        )
    if not tried.answer:
        return [told]
    quoted = _("It said: “%(text)s”") % {"text": tried.answer[:200]}
    return [told, ToldAnswer(verdict=told.verdict, text=quoted, remedy="")]


def groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """Title and events (type, word) of each kind of record, as the form offers them."""
    return [
        (_(title), [(type_, _(EVENTS[type_])) for type_ in EVENT_TYPES[kind]])
        for kind, title in GROUPS.items()
    ]
