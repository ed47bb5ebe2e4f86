"""What can go wrong between us and an Asterisk: one small tree, every message with its values and what to try.

No message repeats a secret, nor the text that was refused: both end up in logs.
"""

from __future__ import annotations


class AmiError(Exception):
    """Whatever keeps us from hearing or asking a PBX."""


class AmiMessageTooLong(AmiError):
    """The peer sends one message without end: a broken or hostile PBX, or no AMI at all."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(
            f"An AMI message of {length} bytes or more arrived, the limit is {limit}; the link was closed."
        )
        self.length = length
        self.limit = limit


class AmiUnreachable(AmiError):
    """No TCP connection came about."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"Asterisk at {host}:{port} cannot be reached: {reason}. "
            "Compare host and port with bindaddr= and port= of manager.conf, and look at the firewall between."
        )
        self.reason = reason


class NotAnAmi(AmiError):
    """Something answers at this address, but it does not greet like an Asterisk manager."""

    def __init__(self, host: str, port: int, greeting: str) -> None:
        super().__init__(
            f"What listens at {host}:{port} is not an Asterisk manager: it greeted with {greeting!r}. "
            "The manager's usual port is 5038; manager.conf says it."
        )
        self.greeting = greeting


class AmiLoginRefused(AmiError):
    """Asterisk rejected our Login. Retrying cannot help: its configuration must change."""

    def __init__(self, user: str, host: str, port: int, answer: str) -> None:
        super().__init__(
            f"Asterisk at {host}:{port} refused AMI user {user!r}: {answer}. "
            f"Compare the secret and the permit= lines of [{user}] in manager.conf."
        )
        self.answer = answer


class AmiRightsExcessive(AmiError):
    """The account may do more than a CTI program needs: whoever steals it owns the PBX."""

    def __init__(self, user: str, rights: tuple[str, ...]) -> None:
        super().__init__(
            f"AMI user {user!r} may write {', '.join(rights)}: more than ringcard needs. "
            f"Narrow write= of [{user}] to originate,call,reporting, or accept these rights for this connection."
        )
        self.rights = rights


class AmiLinkLost(AmiError):
    """The link broke; `reason` says how."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The link to Asterisk was lost: {reason}.")
        self.reason = reason


class AmiNotConnected(AmiError):
    """There is no link at the moment: nothing was sent, and it may be tried again."""

    def __init__(self, action: str) -> None:
        super().__init__(f"{action} was not sent: there is no link to Asterisk at the moment.")
        self.action = action


class TooManyPending(AmiError):
    """Asterisk has not answered so many actions that we ask no more: nothing was sent."""

    def __init__(self, action: str, limit: int) -> None:
        super().__init__(f"{action} was not sent: {limit} actions already wait for an answer.")
        self.action = action


class OutcomeUnknown(AmiError):
    """The action was sent, its answer never came. It may have been carried out; nobody may simply repeat it."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(f"What became of {action} is unknown: {reason}. It is not sent again.")
        self.action = action
        self.reason = reason


class AmiActionRefused(AmiError):
    """Asterisk answered an action with an error."""

    def __init__(self, action: str, answer: str) -> None:
        super().__init__(f"Asterisk refused {action}: {answer}.")
        self.action = action
        self.answer = answer


class UnsafeActionText(AmiError, ValueError):
    """A value for an action that could mean more than it says; it is refused, never mended."""

    def __init__(self, header: str, reason: str) -> None:
        super().__init__(f"The value for {header} is refused: {reason}.")
        self.header = header
        self.reason = reason
