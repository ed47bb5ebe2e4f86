"""One invented call, told step by step: it rings at 101, is answered, and ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cti.calls import records
from cti.calls.records import CallRecord, CallState, CameBy, Direction, Disposition, ParticipationResult
from tests.crm.planting import NOON


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def rings(key: str = "100.1") -> CallRecord:
    return CallRecord(
        key=key,
        linked_ids=(key,),
        direction=Direction.INBOUND,
        state=CallState.RINGING,
        customer_number="89000000001",
        did="84950000001",
        ringing=("101",),
        started_at=NOON,
        participations=(
            records.Participation(extension="101", attempt=1, came_by=CameBy.RING, rang_at=after(1)),
        ),
        legs=(
            records.Leg(channel_id=key, channel_name="PJSIP/trunk-1", extension=None, started_at=NOON),
            records.Leg(
                channel_id=f"{key}9", channel_name="PJSIP/101-2", extension="101", started_at=after(1)
            ),
        ),
        story=("a call comes in", "101 rings"),
    )


def is_answered(ringing: CallRecord) -> CallRecord:
    part = replace(ringing.participations[0], answered_at=after(6), is_first_answer=True)
    return replace(
        ringing,
        state=CallState.TALKING,
        answered_by="101",
        final_agent="101",
        ringing=(),
        talking=("101",),
        answered_at=after(6),
        ring_seconds=5.0,
        participations=(part,),
        story=(*ringing.story, "101 answers"),
    )


def has_ended(talking: CallRecord) -> CallRecord:
    part = replace(talking.participations[0], left_at=after(66), result=ParticipationResult.ANSWERED)
    return replace(
        talking,
        state=CallState.ENDED,
        talking=(),
        disposition=Disposition.ANSWERED,
        hung_up_by="customer",
        ended_at=after(66),
        talk_seconds=60.0,
        participations=(part,),
        legs=tuple(replace(leg, ended_at=after(66), hangup_cause=16) for leg in talking.legs),
        story=(*talking.story, "the customer hangs up"),
    )


def life(key: str = "100.1") -> list[CallRecord]:
    ringing = rings(key)
    return [ringing, is_answered(ringing), has_ended(is_answered(ringing))]
