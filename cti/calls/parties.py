"""Who reaches for whom: whose telephone a channel is, and the direction of a call. Private to `cti.calls`."""

from __future__ import annotations

from cti.calls import story
from cti.calls.endpoints import Endpoints, Role, is_outside_number, is_same_number, is_short_number
from cti.calls.legs import LiveLeg
from cti.calls.live import LiveCall
from cti.calls.records import Direction


class Parties:
    """Tells colleagues from the outside, as far as the endpoints are known by now."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def is_phone(self, leg: LiveLeg) -> bool:
        """Whether a colleague's telephone is at this channel; a called one is, unless something speaks for a line."""
        role = self._endpoints.role_of(leg.endpoint)
        return role is Role.PHONE or (role is Role.UNKNOWN and leg.was_called)

    def may_ring(self, leg: LiveLeg) -> bool:
        """Whether it rings at a colleague here. Of an endpoint that nothing is known of, how it is dialled tells
        whether it is a line, and some drivers (IAX2) say that it rings before the PBX says that it dials."""
        return self.is_phone(leg) and (
            leg.was_dialled or self._endpoints.role_of(leg.endpoint) is not Role.UNKNOWN
        )

    def extension_of(self, leg: LiveLeg) -> str:
        """The extension of the telephone at this channel."""
        return self._endpoints.extension_of(leg.endpoint)

    def agent_at(self, leg: LiveLeg) -> str | None:
        """The extension, None for a line."""
        return self.extension_of(leg) if self.is_phone(leg) else None

    def direct(self, call: LiveCall) -> bool:
        """Decide the direction; true if that corrects what was told.

        What is learned of an endpoint later may still correct it, until somebody talks.
        """
        basis = (self._endpoints.version, len(call.legs))
        if call.is_answered or (call.direction is Direction.INBOUND and call.directed_on == basis):
            return False
        call.directed_on = basis
        origin = self.origin(call)
        if origin is not None and origin.is_undecided and not origin.has_ended:
            return False  # a caller's channel, or one that a program has called: the next event tells
        if origin is None:
            self._direct_without_legs(call)
            return False
        before = call.direction
        if origin.was_called and self._is_caller_unseen(call, origin):
            call.direction, call.customer = Direction.INBOUND, None
            call.requested_number = origin.connected_number
        elif origin.was_called:
            self._direct_originated(call, origin)
        elif self._is_from_outside(origin):
            call.direction, call.customer = Direction.INBOUND, origin
        else:
            self._direct_dialled(call, origin)
        if before is not call.direction and not call.is_told and call.direction is not Direction.INTERNAL:
            call.tell(call.started_at, story.arrival(call))
        return before is not call.direction and call.is_told

    def _direct_without_legs(self, call: LiveCall) -> None:
        """A program's call that died before any telephone was called."""
        if call.open_legs or not call.requested_number or call.first is None:
            return
        call.is_originated = True
        call.direction = (
            Direction.OUTBOUND if self._endpoints.is_outside(call.requested_number) else Direction.INTERNAL
        )
        call.placed_by = call.placed_by or call.first.endpoint.partition("/")[2] or None

    def origin(self, call: LiveCall) -> LiveLeg | None:
        """The real leg the call began with; of a call found in mid-life, the one that calls."""
        legs = list(call.real_legs())
        is_named = call.first is not None and call.first.channel_id in call.linked_ids
        named = call.first if is_named else call.legs.get(call.linked_ids[0])
        if not legs or (named is not None and named.is_real):
            return named if legs else None
        if named is None:
            return next((leg for leg in legs if not leg.was_called), legs[0])
        return legs[0]

    def _is_caller_unseen(self, call: LiveCall, origin: LiveLeg) -> bool:
        """The first channel there is was called for one we know only by its id: the stream began in the middle."""
        is_first = call.linked_ids[0] in call.legs or origin.channel_id in call.linked_ids
        is_phone = self._endpoints.role_of(origin.endpoint) is Role.PHONE
        return not is_first and is_phone and self._endpoints.is_outside(origin.connected_number)

    def _is_from_outside(self, origin: LiveLeg) -> bool:
        role = self._endpoints.role_of(origin.endpoint)
        if role is not Role.UNKNOWN:
            return role is Role.LINE
        return is_outside_number(origin.first_caller or origin.first_dialled)

    def _direct_dialled(self, call: LiveCall, origin: LiveLeg) -> None:
        """A colleague dialled: outside or inside."""
        call.placed_by = self.extension_of(origin)
        lines = self._called_lines(call)
        if self._goes_out(call, origin.first_dialled, lines):
            call.direction, call.customer = Direction.OUTBOUND, self._far_end(lines, origin.first_dialled)
        else:
            call.direction = Direction.INTERNAL

    def _goes_out(self, call: LiveCall, dialled: str, lines: list[LiveLeg]) -> bool:
        """What was dialled is handed to a line, or is long enough. A number that leads to a telephone of ours is one of
        ours, also if that colleague's calls go on to a mobile; so is a colleague's extension that leads to a line alone."""
        if any(is_same_number(dialled, line.number_sent) for line in lines):
            return True
        called = (leg.endpoint for leg in call.real_legs() if leg.was_called)
        if any(self._endpoints.role_of(endpoint) is Role.PHONE for endpoint in called):
            return False
        is_outside = self._endpoints.is_outside(dialled)
        return is_outside or (bool(lines) and not self._endpoints.is_extension(dialled))

    def _direct_originated(self, call: LiveCall, origin: LiveLeg) -> None:
        """A program had the first leg called, then connects it: click to call."""
        call.is_originated = True
        lines = self._called_lines(call)
        if self.is_phone(origin):
            call.is_customer_first = False
            call.placed_by = self.extension_of(origin)
            lines = [line for line in lines if line is not origin]
            shown = (origin.connected_number, origin.caller_number)
            if not origin.is_up:  # later the telephone shows the office's own number
                call.requested_number = call.requested_number or next(filter(self._is_customers, shown), "")
        else:
            call.is_customer_first = not self._is_connected_outside(call, lines, origin)
            call.placed_by = self._behind_helper(call)
            lines = [origin] if call.is_customer_first else lines
        if lines or self._endpoints.is_outside(call.requested_number):
            call.direction, call.customer = Direction.OUTBOUND, self._far_end(lines, call.requested_number)
        else:
            call.direction = Direction.INTERNAL

    def _is_connected_outside(self, call: LiveCall, lines: list[LiveLeg], origin: LiveLeg) -> bool:
        """What a program asked for was dialled out on another line: whoever was called first is one of ours, at a mobile."""
        dialled = [line.number_sent for line in lines if line is not origin]
        return any(is_same_number(call.requested_number, number) for number in dialled)

    def _is_customers(self, number: str) -> bool:
        return self._endpoints.is_outside(number) and not self._endpoints.is_ours(number)

    def _behind_helper(self, call: LiveCall) -> str | None:
        """Whom a program asked for by a helper, Local/101@from-internal, when none of their telephones was called."""
        asked = call.first.endpoint.partition("/")[2] if call.first and not call.first.is_real else ""
        return asked if is_short_number(asked) else None

    def _called_lines(self, call: LiveCall) -> list[LiveLeg]:
        return [leg for leg in call.real_legs() if leg.was_called and not self.is_phone(leg)]

    def _far_end(self, lines: list[LiveLeg], number: str) -> LiveLeg | None:
        """Of several lines tried one after another, the one that was answered, else the last; not one that was called
        with another number before the number asked for was: that is our mobile."""
        asked = (index for index, line in enumerate(lines) if is_same_number(number, line.number_sent))
        lines = lines[next(asked, 0) :]
        return next((line for line in lines if line.bridge_id), lines[-1] if lines else None)
