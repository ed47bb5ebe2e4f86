"""Calls that are passed on: blind and attended transfers, pickup, parking. Private to `cti.calls`.

A transfer stays open until somebody else than its maker talks to the customer, or the call ends.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cti.calls import story
from cti.calls.call_events import CallEvent, CallTransferred
from cti.calls.channel_events import (
    AttendedlyTransferred,
    BlindlyTransferred,
    CallParked,
    CallPickedUp,
    CallUnparked,
)
from cti.calls.endpoints import Role
from cti.calls.legs import LiveLeg
from cti.calls.live import LiveCall
from cti.calls.progress import News
from cti.calls.records import CameBy, Transfer
from cti.calls.registry import Registry

PARK = "park"


class PassingOn:
    """What transfers, pickups and parking do to calls."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def blindly(self, event: BlindlyTransferred) -> list[CallEvent] | None:
        """A colleague passes the customer on without asking. Asterisk may tell it after what came of it."""
        leg = self._registry.leg(event.transferer, event.at)
        if leg is None:
            return None
        call, who = self._registry.call_of(leg), self._maker(leg)
        if call.is_on_duty and event.transferee and event.transferee.channel_id in self._registry.legs:
            call = self._registry.call_of(self._registry.legs[event.transferee.channel_id])
        once = (event.transferer.channel_id, event.to)
        index = call.pending_transfer()
        if index is None or not (call.is_parked or call.is_transfer_guessed):
            transfer = Transfer(from_extension=who, to=event.to, kind="blind", at=event.at)
            return self._transferred(call, transfer, once)
        # The customer was told to wait in a parking space, or went on, before the passing on that led there.
        call.transfers_seen.add(once)
        to = call.transfers[index].to if call.is_parked else event.to
        call.transfers[index] = replace(call.transfers[index], from_extension=who, to=to)
        call.is_transfer_guessed = False
        return self._registry.settled(call, News(event.at))

    def attendedly(self, event: AttendedlyTransferred) -> list[CallEvent] | None:
        """A colleague joins the customer with somebody they talked to, or at least rang, before."""
        legs = [self._registry.leg(channel, event.at) for channel in (event.transferer, event.second)]
        first, second = legs
        if first is None or second is None:
            return None
        target = self._registry.leg(event.target, event.at) if event.target else None
        transferee = self._registry.leg(event.transferee, event.at) if event.transferee else None
        others = [leg for leg in (first, second, transferee) if leg is not None]
        reached = self._reached(target or second, others)
        asked = self._registry.call_of(second)
        call = self._registry.join(self._registry.call_of(first), asked, event.at)
        if event.target is None and asked.is_in_queue:
            # Whoever asked waited there, and gives the place to the customer.
            call.is_in_queue, call.was_queued, call.queue = True, True, asked.queue
        reached = reached or self._ringing(call) or _consulted(call, others)
        is_ringing = reached is not None and not reached.is_up
        to = self._asked_for(call, target, second, event) if is_ringing else ""
        to = to or self._called(reached, target, None if second is first else second) or event.second.dialled
        kind = "blonde" if is_ringing else "attended"
        transfer = Transfer(from_extension=self._maker(first), to=to, kind=kind, at=event.at)
        if (part := call.open_participation(to)) is not None and call.participations[
            part
        ].came_by is CameBy.RING:
            call.amend(part, came_by=CameBy.TRANSFER)
        target_id = event.target.channel_id if event.target else event.second.channel_id
        return self._transferred(call, transfer, (first.channel_id, target_id))

    def _reached(self, target: LiveLeg, others: list[LiveLeg]) -> LiveLeg | None:
        """The telephone or line behind the target, which may be a helper; not the ones who pass the call on."""
        if target.is_real and target not in others:
            return target
        heard = self._registry.bridges.conversation(target) | self._registry.bridges.halves_heard(target)
        candidates = [leg for leg in heard if leg.is_real and leg not in others]
        called = sorted(candidates, key=lambda leg: (leg.was_called, leg.order))
        return called[-1] if called else None

    def _ringing(self, call: LiveCall) -> LiveLeg | None:
        """Whoever is called just now: the target of a transfer made before they answered.

        Asterisk then names a helper that leads to nobody yet, or (16) no target at all.
        """
        return next((leg for leg in reversed(call.rung) if leg.was_called and not leg.is_up), None)

    def _asked_for(
        self, call: LiveCall, target: LiveLeg | None, second: LiveLeg, event: AttendedlyTransferred
    ) -> str:
        """What was dialled, a queue or a group, where several ring now: who of them will answer nobody knows."""
        ringing = {self._who(leg) for leg in call.rung if not leg.is_up and not leg.is_past_ringing}
        return (
            (dialled_by(target) or second.first_dialled or event.second.dialled) if len(ringing) > 1 else ""
        )

    def goes_on(self, call: LiveCall, leg: LiveLeg, at: datetime | None) -> list[CallEvent]:
        """The customer, sent elsewhere in the dialplan in mid-talk, reaches for the next one there.

        A program did that (AMI Redirect) in an agent's name: Asterisk reports it by no event of its own.
        """
        sent, call.sent_away = call.sent_away, None
        if sent is None or leg is not call.customer or call.pending_transfer() is not None:
            return []
        transfer = Transfer(from_extension=sent.by, to=sent.to, kind="blind", at=sent.at)
        told = self._transferred(call, transfer, (leg.channel_id, f"{sent.to} {len(call.transfers)}"))
        call.is_transfer_guessed = True
        return told

    def picked_up(self, event: CallPickedUp) -> LiveCall | None:
        """Somebody takes a call that rings at a colleague's telephone."""
        leg = self._registry.leg(event.channel, event.at)
        robbed = self._registry.leg(event.robbed, event.at)
        if leg is None or robbed is None:
            return None
        robbed.robbed_by, leg.has_picked_up = self._who(leg), True
        return self._registry.join(self._registry.call_of(leg), self._registry.call_of(robbed), event.at)

    def parked(self, event: CallParked) -> list[CallEvent] | None:
        """The customer waits in a parking space; what looked like a blind transfer to it was the parking."""
        leg = self._registry.leg(event.channel, event.at)
        if leg is None:
            return None
        call = self._registry.call_of(leg)
        if call.is_parked:
            return self._registry.settled(call, News(event.at))
        call.is_parked = True
        call.tell(event.at, f"the call waits in parking space {event.space}")
        pending = call.pending_transfer()
        if pending is not None and call.transfers[pending].kind == "blind":
            parking = replace(call.transfers[pending], kind=PARK, to=event.space)
            call.transfers[pending] = parking
            return self._told(call, parking, event.at)
        parker = self._registry.endpoints.extension_of(event.parker_name) if event.parker_name else None
        parking = Transfer(from_extension=parker, to=event.space, kind=PARK, at=event.at)
        return self._transferred(call, parking, (leg.channel_id, event.space))

    def unparked(self, event: CallUnparked) -> LiveCall | None:
        """Somebody fetches the customer."""
        leg = self._registry.leg(event.channel, event.at)
        retriever = self._registry.leg(event.retriever, event.at)
        if leg is None or retriever is None:
            return None
        call = self._registry.join(self._registry.call_of(leg), self._registry.call_of(retriever), event.at)
        call.is_parked = False
        # They may talk already when it is told, so the parking need not be open any more.
        if call.transfers and call.transfers[-1].kind == PARK:
            parking = replace(call.transfers[-1], to=self._who(retriever))
            is_own = parking.to == parking.from_extension  # set aside for a moment, and passed on to nobody
            call.transfers[-1:] = [] if is_own else [parking]
        return call

    def _transferred(self, call: LiveCall, transfer: Transfer, once: tuple[str, str]) -> list[CallEvent]:
        """Note a transfer; `once` tells it from a repeat of the same message."""
        if once in call.transfers_seen:
            return self._registry.settled(call, News(transfer.at))
        call.transfers_seen.add(once)
        call.transfers.append(transfer)
        call.is_transfer_guessed = False
        call.transferred_after = self._registry.newest
        call.go_on()
        call.tell(transfer.at, story.transfer_line(transfer))
        return self._told(call, transfer, transfer.at)

    def _told(self, call: LiveCall, transfer: Transfer, at: datetime | None) -> list[CallEvent]:
        news = News(at)
        news.add(CallTransferred, transfer=transfer)
        return self._registry.settled(call, news)

    def _maker(self, leg: LiveLeg) -> str | None:
        """Who passes the call on: an extension, nobody of ours at a line (a mobile that answered for us)."""
        is_line = self._registry.endpoints.role_of(leg.endpoint) is Role.LINE
        return None if is_line else self._who(leg)

    def _who(self, leg: LiveLeg) -> str:
        return self._registry.parties.extension_of(leg)

    def _called(self, reached: LiveLeg | None, target: LiveLeg | None, consulting: LiveLeg | None) -> str:
        """A colleague's extension, or the outside number as its caller dialled it, else as it went out."""
        if reached is not None and self._registry.parties.is_phone(reached):
            return self._who(reached)
        dialled = dialled_by(target) or (consulting.first_dialled if consulting else "")
        return dialled or (reached.number_sent or reached.caller_number if reached else "")


def _consulted(call: LiveCall, others: list[LiveLeg]) -> LiveLeg | None:
    """Whoever was called last and answered: their maker may have left every bridge before the transfer is told."""
    return next((leg for leg in reversed(call.rung) if leg.is_up and leg not in others), None)


def dialled_by(target: LiveLeg | None) -> str:
    """What a helper was made to call: "102" of Local/102@from-internal."""
    return target.endpoint.partition("/")[2] if target is not None and not target.is_real else ""
