"""How a link to a PBX stands, in the reader's language; the codes are those of `ami_adapter.told`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from crm.telephony import ConnectionInfo
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker

_COMPARE_SECRET: Final = N_(
    "Compare the secret and the deny= and permit= lines of [%(user)s] in manager.conf, then reload it."
)
_LOOK_AT_FIREWALL: Final = N_(
    "Look at enabled=yes, bindaddr= and port= in manager.conf, and at the firewall between."
)

# code → what is so, and what to do; both are filled with the link's values
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "connecting": (N_("Connecting to Asterisk."), ""),
    "up": (N_("Connected: every call of the PBX is heard."), ""),
    "up_without_picture": (
        N_("Connected, but Asterisk does not say what is going on now: the account may not ask %(actions)s."),
        N_("Add reporting to write= of this user in manager.conf."),
    ),
    "up_with_excessive_rights": (
        N_("Connected. The account may write %(rights)s: whoever steals its secret owns the PBX."),
        N_("originate,call,reporting in write= of [%(user)s] would do."),
    ),
    "stopped": (N_("Not connected: it is switched off, or ringcard does not run."), ""),
    "unreachable": (N_("%(host)s:%(port)s cannot be reached: %(reason)s."), _LOOK_AT_FIREWALL),
    "not_an_ami": (
        N_("What answers there is not an Asterisk manager: it greets with “%(greeting)s”."),
        N_("The manager's port is port= in manager.conf, usually 5038; web and SIP have others."),
    ),
    "login_refused": (N_("Asterisk refused the user %(user)s: %(answer)s."), _COMPARE_SECRET),
    "rights_excessive": (
        N_("The account may write %(rights)s: whoever steals its secret owns the PBX."),
        N_("Narrow write= of [%(user)s] to originate,call,reporting, or accept these rights here."),
    ),
    "settings_refused": (
        N_("The settings cannot be sent to Asterisk: %(header)s, %(reason)s."),
        N_("Mend them on this page."),
    ),
    "message_too_long": (
        N_("The PBX sent a message longer than %(limit)s bytes; the link was closed and is made anew."),
        "",
    ),
    "link_lost": (N_("The link broke: %(reason)s."), N_("ringcard connects again by itself.")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldLink:
    """A link's state as the pages show it. `language` is set where the text is not in the reader's own."""

    text: str
    remedy: str = ""
    language: str | None = None


def told_link(connection: ConnectionInfo) -> ToldLink | None:
    """What to say of this link; None where nothing was ever written. A code of a newer adapter stays English."""
    told = told_state(connection.state_code or "", connection.state_values)
    if told is not None:
        return told
    detail = connection.state_detail
    return ToldLink(text=detail, language="en") if detail else None


def told_state(code: str, values: Mapping[str, str]) -> ToldLink | None:
    """What a code of `ami_adapter.told` means; None for one that is not known here, or came with other values."""
    words = _WORDS.get(code)
    if words is None:
        return None
    text, remedy = (_(part) if part else "" for part in words)
    try:
        return ToldLink(text=text % values, remedy=remedy % values)
    except KeyError:
        return None
