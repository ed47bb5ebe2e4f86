"""How the end of a link is told: a status, a code for the catalogues, and the same in plain English."""

from __future__ import annotations

from dataclasses import dataclass, field

from ami_adapter.errors import (
    AmiActionRefused,
    AmiError,
    AmiLinkLost,
    AmiLoginRefused,
    AmiMessageTooLong,
    AmiRightsExcessive,
    AmiUnreachable,
    NotAnAmi,
    OutcomeUnknown,
    UnsafeActionText,
)
from ami_adapter.link import AmiSettings, LinkStatus


@dataclass(frozen=True, slots=True)
class Telling:
    """What to say about a link."""

    status: LinkStatus
    code: str
    detail: str
    values: dict[str, str] = field(default_factory=dict)


CONNECTING = Telling(LinkStatus.CONNECTING, "connecting", "Connecting to Asterisk.")
UP = Telling(LinkStatus.UP, "up", "Connected; the picture equals Asterisk's.")
STOPPED = Telling(LinkStatus.DOWN, "stopped", "Not connected: ringcard is not asked to.")


def tell_end(error: AmiError, settings: AmiSettings) -> Telling:
    """Why there is no link now. REFUSED is for what only a person can mend."""
    where = {"host": settings.host, "port": str(settings.port), "user": settings.user}
    match error:
        case AmiLoginRefused(answer=answer):
            return Telling(LinkStatus.REFUSED, "login_refused", str(error), where | {"answer": answer})
        case AmiRightsExcessive(rights=rights):
            named = where | {"rights": ", ".join(rights)}
            return Telling(LinkStatus.REFUSED, "rights_excessive", str(error), named)
        case UnsafeActionText(header=header, reason=reason):
            return Telling(
                LinkStatus.REFUSED,
                "settings_refused",
                str(error),
                where | {"header": header, "reason": reason},
            )
        case NotAnAmi(greeting=greeting):
            return Telling(LinkStatus.DOWN, "not_an_ami", str(error), where | {"greeting": greeting})
        case AmiUnreachable(reason=reason):
            return Telling(LinkStatus.DOWN, "unreachable", str(error), where | {"reason": reason})
        case AmiMessageTooLong(limit=limit):
            return Telling(LinkStatus.DOWN, "message_too_long", str(error), where | {"limit": str(limit)})
        case AmiLinkLost(reason=reason) | OutcomeUnknown(reason=reason):
            return Telling(LinkStatus.DOWN, "link_lost", str(error), where | {"reason": reason})
        case _:
            return Telling(LinkStatus.DOWN, "link_lost", str(error), where | {"reason": str(error)})


def tell_up(
    settings: AmiSettings, excessive: tuple[str, ...], refused: tuple[AmiActionRefused, ...]
) -> Telling:
    """The link works; what is not as it should be is said as long as it lasts."""
    if refused:
        names = ", ".join(error.action for error in refused)
        return Telling(
            LinkStatus.UP,
            "up_without_picture",
            f"Connected, but Asterisk does not say what is going on now: AMI user {settings.user!r} may not ask "
            f"{names}. Add reporting to write= of [{settings.user}] in manager.conf.",
            {"user": settings.user, "actions": names},
        )
    if excessive:
        rights = ", ".join(excessive)
        return Telling(
            LinkStatus.UP,
            "up_with_excessive_rights",
            f"Connected. Warning: AMI user {settings.user!r} may write {rights}, which an administrator accepted; "
            f"originate,call,reporting would do.",
            {"user": settings.user, "rights": rights},
        )
    return UP
