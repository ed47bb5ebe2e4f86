"""The answers of a connection's check in the reader's language; the codes are those of `ami_adapter.diagnose`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ami_adapter.diagnose import Answer
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldAnswer:
    """One answer as the page shows it."""

    verdict: str  # good, warning, bad
    text: str
    remedy: str


_MAY_NOT_ASK: Final = N_(
    "The account may not ask %(action)s: after a break we would not know which calls go on."
)
_ADD_REPORTING: Final = N_("Add reporting to write= of this user in manager.conf.")

# code → sentence, and what to do; both are filled with the answer's values
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "reached": (N_("%(host)s:%(port)s answers."), ""),
    "greeted": (N_("It is an Asterisk manager, version %(ami_version)s."), ""),
    "logged_in": (N_("The login %(user)s was accepted."), ""),
    "version": (N_("It is Asterisk %(version)s."), ""),
    "unreachable": (
        N_("%(host)s:%(port)s cannot be reached: %(reason)s."),
        N_("Look at enabled=yes, bindaddr= and port= in manager.conf, and at the firewall between."),
    ),
    "not_an_ami": (
        N_("What answers there is not an Asterisk manager: it greets with “%(greeting)s”."),
        N_("The manager's port is port= in manager.conf, usually 5038; web and SIP have others."),
    ),
    "login_refused": (
        N_("Asterisk refused the user %(user)s: %(answer)s."),
        N_(
            "Compare the secret and the deny= and permit= lines of [%(user)s] in manager.conf, then reload it."
        ),
    ),
    "link_broke": (
        N_("The link broke: %(reason)s"),
        N_("Asterisk closes links of addresses and users it does not permit; its log says why."),
    ),
    "rights": (N_("The account may do no more than ringcard needs."), ""),
    "rights_unknown": (N_("Asterisk does not say what the account may do."), ""),
    "rights_excessive": (
        N_("The account may write %(rights)s: whoever steals its secret owns the PBX."),
        N_("Narrow write= of [%(user)s] to originate,call,reporting, or accept these rights here."),
    ),
    "clock": (N_("The PBX's clock is %(seconds)s s against ours."), ""),
    "clock_unknown": (N_("Asterisk does not tell its clock."), ""),
    "channels": (N_("Channels up at the moment: %(count)s."), ""),
    "channels_denied": (_MAY_NOT_ASK, _ADD_REPORTING),
    "telephones": (N_("Telephones and lines known: %(count)s, reachable: %(reachable)s."), ""),
    "telephones_denied": (_MAY_NOT_ASK, _ADD_REPORTING),
    "queues": (N_("Queues known: %(count)s."), ""),
    "queues_denied": (_MAY_NOT_ASK, _ADD_REPORTING),
    "events": (N_("Events arrive: %(classes)s."), ""),
    "events_none": (
        N_("Within %(seconds)s s no event of a call arrived."),
        N_("Make a test call and check again. If none comes, add call,agent,dialplan to read= of this user."),
    ),
}
_REMEDIES_OF_WARNINGS: Final[Mapping[str, str]] = {
    "clock": N_("Let both machines take the time from NTP: recordings and CDRs are found by time."),
    "telephones": N_("Asterisk knows no telephone yet: it may have just started."),
}


def told(answer: Answer) -> ToldAnswer:
    """An answer in the reader's language; one with a code of a newer adapter stays English."""
    text, remedy = _WORDS.get(answer.code, (answer.text, answer.remedy))
    if answer.verdict != "good" and not remedy:
        remedy = _REMEDIES_OF_WARNINGS.get(answer.code, "")
    is_known = answer.code in _WORDS
    return ToldAnswer(
        verdict=answer.verdict.value,
        text=_(text) % answer.values if is_known else text,
        remedy=_(remedy) % answer.values if is_known and remedy else remedy,
    )
