"""A hand on one's own call: hang up, decline, pass on, consult, park, mute oneself, press keys, silence the recording.

Only what the window offers is done, and only to a call in which the user sits now. What is done is written down before it
is sent; nothing is sent twice. While the database is away it is written down afterwards, and whom a call may be passed on to
is told from memory: what that does not know is not done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ami_adapter import actions
from ami_adapter.actions import Action
from ami_adapter.errors import AmiActionRefused, AmiError, OutcomeUnknown, UnsafeActionText
from crm.call_actions import LOST, CallAct, Card, NewCard, new_act, write_act
from crm.dial_rules import target_of
from crm.dialling_policy import require_callable
from crm.errors import Invalid, NotFound
from crm.journal import is_away
from crm.rights import Access
from cti.calls.records import CallRecord, Leg
from cti.daemon.act_book import ActBook
from cti.daemon.diallers import Dialler, Diallers
from cti.desk import CallView, Desk, HandOverCard, Message
from cti.desk.seats import PresentCall
from cti.numbers import Number
from web.telephone import Done, NotOffered, Wanted

log = structlog.get_logger(__name__)

PASSING_ON: Final = frozenset({"transfer", "consult", "deflect"})
UNDOES: Final = {"resume_recording": "pause_recording", "unmute": "mute"}  # offered as what they undo
MOST_KEYS: Final = 32
PLACE_SECONDS: Final = 2.0  # to be told where a call was parked
BETWEEN_KEYS_SECONDS: Final = 0.25
DECLINED_CAUSE: Final = 21  # "call rejected"


@dataclass(frozen=True, slots=True)
class _Seat:
    """A user's place in a call at this moment."""

    view: CallView
    seen: PresentCall
    dialler: Dialler

    @property
    def record(self) -> CallRecord:
        return self.seen.record

    @property
    def own(self) -> Sequence[Leg]:
        return [leg for leg in _open(self.record) if leg.extension == self.view.extension]

    @property
    def others(self) -> Sequence[Leg]:
        """The other side, the customer before colleagues."""
        others = [leg for leg in _open(self.record) if leg.extension != self.view.extension]
        return sorted(others, key=lambda leg: leg.extension is not None)


class Controlling:
    """Does to calls what people ask for.

    Args:
        read: a number as typed, read as the connection writes numbers.
        judge_alone: raises why this user may not have this number called on that connection, without the database.
        book: takes what could not be written down before it was sent.
    """

    def __init__(
        self,
        *,
        sessions: async_sessionmaker[AsyncSession],
        diallers: Diallers,
        desk: Desk,
        read: Callable[[int, str], Number],
        judge_alone: Callable[[Access, int, Number], None],
        book: ActBook,
        deliver: Callable[[Iterable[Message]], None],
        now: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._diallers = diallers
        self._desk = desk
        self._read, self._judge_alone, self._book = read, judge_alone, book
        self._deliver = deliver
        self._now = now
        self._parking: dict[str, asyncio.Future[str]] = {}  # by channel: the place's number, once it is told

    def parked(self, channel: str, place: str) -> None:
        """The PBX tells where a channel was parked, by us or by a telephone."""
        waiting = self._parking.get(channel)
        if waiting is not None and not waiting.done():
            waiting.set_result(place)

    async def control(self, access: Access, call_id: UUID, wanted: Wanted) -> Done:
        """Do it, once.

        Raises:
            NotAllowed, NotFound (no call of this user's), NotOffered, Invalid, DialRefused, NotJudged (whom to pass it on to).
        """
        access.require("call.control")
        seat = self._seat(access, call_id, wanted)
        target = self._read(seat.seen.connection_id, wanted.to) if wanted.control in PASSING_ON else None
        asked = _asked(seat, wanted, target_of(target) if target else "")
        act = self._act(access, seat, wanted, target)
        is_written = await self._write_down(access, seat, wanted, target, act)
        if act.card is not None:
            self._deliver(self._desk.add_card(seat.view.id, as_desk_card(act.card)))
        park = wanted.control == "park"
        done = await (self._park(seat, asked[0]) if park else self._send_all(seat, wanted, asked))
        self._show(access.user_id, seat, wanted, done, act)
        await self._note(act, done, is_written=is_written)
        return done

    def _seat(self, access: Access, call_id: UUID, wanted: Wanted) -> _Seat:
        view, seen = self._desk.view(access.user_id, call_id), self._desk.sighting(access.user_id, call_id)
        if view is None or seen is None:
            raise NotFound("call", call_id)
        dialler = self._diallers.of(seen.connection_id)
        offered = UNDOES.get(wanted.control, wanted.control)
        if dialler is None or not dialler.link.is_up or offered not in view.controls:
            raise NotOffered(wanted.control)
        return _Seat(view, seen, dialler)

    def _act(self, access: Access, seat: _Seat, wanted: Wanted, target: Number | None) -> CallAct:
        said = target_of(target) if target else wanted.keys and "•" * len(wanted.keys)  # keys may be a PIN
        card = None
        if target is not None:
            card = NewCard(
                from_extension=seat.view.extension,
                to=target_of(target),
                reason=wanted.reason,
                note=wanted.note,
                caller=seat.view.phone,
            )
        return new_act(access, seat.view.id, wanted.control, self._now(), target=said or None, card=card)

    async def _write_down(
        self, access: Access, seat: _Seat, wanted: Wanted, target: Number | None, act: CallAct
    ) -> bool:
        """Judge whom it is passed on to, and write the act down; False: the database is away, both was done without it."""
        if not wanted.is_database_away:
            try:
                await self._write(access, seat, wanted, target, act)
            except Exception as error:
                if not is_away(error):
                    raise
                log.warning("call_action_without_database", call_id=str(act.call_id), action=act.action)
            else:
                return True
        if target is not None:
            self._judge_alone(access, seat.seen.connection_id, target)
        return False

    async def _write(
        self, access: Access, seat: _Seat, wanted: Wanted, target: Number | None, act: CallAct
    ) -> None:
        async with self._sessions.begin() as session:
            if target is not None:
                await require_callable(
                    session,
                    access,
                    target,
                    seat.seen.connection_id,
                    act.at,
                    override_reason=wanted.override_reason,
                    is_new_call=False,
                )
            await write_act(session, act)

    async def _send_all(self, seat: _Seat, wanted: Wanted, asked: Sequence[Action]) -> Done:
        """In order; a recording runs on one channel of several, so there the first that has one is enough."""
        is_any = wanted.control in ("pause_recording", "resume_recording")
        done = Done(outcome="refused")
        for position, action in enumerate(asked):
            if position and wanted.control == "keys":
                await asyncio.sleep(BETWEEN_KEYS_SECONDS)
            done = await send(seat.dialler, action)
            if (done.outcome == "done") == is_any or done.outcome == "unknown":
                break
        return done

    async def _park(self, seat: _Seat, asked: Action) -> Done:
        """Parked, the customer waits at a place with a number: whoever dials it gets them."""
        channel = dict(asked.headers)["Channel"]
        self._parking[channel] = place = asyncio.get_running_loop().create_future()
        try:
            done = await send(seat.dialler, asked)
            if done.outcome != "done":
                return done
            async with asyncio.timeout(PLACE_SECONDS):
                return Done(outcome="done", detail=await place)
        except TimeoutError:
            return Done(outcome="done")
        finally:
            del self._parking[channel]

    def _show(self, user_id: int, seat: _Seat, wanted: Wanted, done: Done, act: CallAct) -> None:
        call_id = seat.view.id
        if act.card is not None and done.outcome in LOST:
            self._deliver(self._desk.take_back_card(call_id, as_desk_card(act.card)))
        if wanted.control in ("pause_recording", "resume_recording") and done.outcome == "done":
            is_paused = wanted.control == "pause_recording"
            self._deliver(self._desk.set_recording_paused(seat.seen.id, is_paused=is_paused))
        if wanted.control in ("mute", "unmute") and done.outcome == "done":
            is_muted = wanted.control == "mute"
            self._deliver(self._desk.set_muted(user_id, call_id, is_muted=is_muted))

    async def _note(self, act: CallAct, done: Done, *, is_written: bool) -> None:
        """What came of it; a card that nobody shall read is not kept."""
        told = replace(act, outcome=done.outcome)
        if not is_written or not await self._is_noted(told):
            self._book.note(told)

    async def _is_noted(self, told: CallAct) -> bool:
        """False: the database has gone meanwhile."""
        try:
            async with self._sessions.begin() as session:
                await write_act(session, told)
        except Exception as error:
            log.warning("call_action_not_noted", call_id=str(told.call_id), error=type(error).__name__)
            return not is_away(error)
        return True


def as_desk_card(card: Card) -> HandOverCard:
    return HandOverCard(
        by=card.by,
        extension=card.from_extension,
        to=card.to,
        reason=card.reason,
        note=card.note,
        caller=card.caller,
        at=card.at,
    )


def _open(record: CallRecord) -> Sequence[Leg]:
    return [leg for leg in record.legs if leg.ended_at is None and leg.hangup_cause is None]


def _asked(seat: _Seat, wanted: Wanted, target: str) -> Sequence[Action]:
    """What to send, every value checked before anything is.

    Raises:
        NotOffered: the channels that it takes are not there (any more).
        Invalid: a value that cannot be sent.
    """
    try:
        made = _actions(seat, wanted, target)
    except UnsafeActionText as error:
        field = "keys" if wanted.control == "keys" else "to"
        typed = getattr(wanted, field)[:40]
        why = "“%(typed)s” cannot be sent to the PBX: enter a number, an extension or keys (0-9, *, #)."
        raise Invalid(field, typed, why, typed=typed) from error
    if not made:
        raise NotOffered(wanted.control)
    return made


def _actions(seat: _Seat, wanted: Wanted, target: str) -> Sequence[Action]:
    own = [leg.channel_name for leg in seat.own]
    others = [leg.channel_name for leg in seat.others]
    context, prefixes = seat.dialler.plan.transfer_context, seat.dialler.plan.how.prefixes
    match wanted.control:
        case "hang_up":
            return [actions.hang_up(channel) for channel in own]
        case "decline":
            return [actions.hang_up(channel, cause=DECLINED_CAUSE) for channel in own]
        case "deflect":
            return [
                actions.redirect(channel, target, context=context, prefixes=prefixes)
                for channel in others[:1]
            ]
        case "transfer":
            return [
                actions.blind_transfer(channel, target, context=context, prefixes=prefixes)
                for channel in own[:1]
            ]
        case "consult":
            return [
                actions.attended_transfer(channel, target, context=context, prefixes=prefixes)
                for channel in own[:1]
            ]
        case "cancel_consult":
            return [actions.cancel_attended_transfer(channel) for channel in own[:1]]
        case "park":
            return [actions.park(channel, own[0]) for channel in others[:1] if own]
        case "keys":
            return _presses(wanted.keys, others)
        case "mute" | "unmute":
            return [actions.mute_microphone(channel, is_muted=wanted.control == "mute") for channel in own]
        case _:
            is_muted = wanted.control == "pause_recording"
            return [actions.mute_recording(channel, is_muted=is_muted) for channel in [*others, *own]]


def _presses(keys: str, others: Sequence[str]) -> Sequence[Action]:
    typed = keys.replace(" ", "")
    if not typed or len(typed) > MOST_KEYS:
        raise Invalid("keys", keys[:40], "Enter 1 to %(most)d keys.", most=MOST_KEYS)
    return [actions.press(channel, key) for channel in others[:1] for key in typed]


async def send(dialler: Dialler, action: Action) -> Done:
    """Once; what came of it: done, refused with the PBX's word, not_sent, unknown."""
    try:
        await dialler.link.act(action)
    except OutcomeUnknown:
        return Done(outcome="unknown")
    except AmiActionRefused as error:
        return Done(outcome="refused", detail=error.answer[:200])
    except AmiError:
        return Done(outcome="not_sent")
    return Done(outcome="done")
