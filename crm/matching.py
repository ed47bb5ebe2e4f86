"""Who is calling: a presented number in, everyone who answers to it out. Looking up creates nothing, and picks nobody.

Rights are not asked here: an agent must know who calls; what the window then shows is for `crm.rights` to say.
One statement answers: an index look-up of the number, then the cards of its owners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause

from crm.match_statements import COLLEAGUE, HAND, OWNERS_BY_DIGITS, OWNERS_BY_E164, SAID_BY_AGENT
from crm.readers import Reader
from cti.numbers import Number, NumberKind

NOTE_CHARACTERS = 200


class MatchOutcome(StrEnum):
    """What a look-up came to; stored with the call as its match status."""

    MATCHED = "matched"
    AMBIGUOUS = "ambiguous"
    UNKNOWN = "unknown"
    HIDDEN = "hidden"
    INTERNAL = "internal"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a look-up came out so: a code for the catalogues, and the value it speaks of."""

    code: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCommunication:
    """The latest finished communication with a party."""

    at: datetime
    kind: str  # call, email, …
    direction: str  # in, out, none
    seconds: float | None  # of talk, for a call
    disposition: str | None
    note: str | None  # the last line that an agent wrote about it


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLead:
    """The newest open lead about a candidate. `stage` is a message id for those of every installation."""

    id: int
    number: int
    stage: str
    source: str | None
    count: int  # how many are open


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedParty:
    """A candidate. For a contact of an organisation `id` is the organisation and `contact_id` the person who calls."""

    id: int
    number: int
    type: str  # person, organisation
    name: str
    kinds: tuple[str, ...]  # codes of active kinds, in their order
    former_kinds: tuple[str, ...]  # codes of kinds that ended and did not begin again
    lifecycle: str  # unqualified, active, archived
    owner_id: int | None  # the responsible user
    owner_name: str | None
    team_id: int | None
    contact_id: int | None
    contact_name: str | None
    position: str | None
    is_primary: bool  # the contact is the organisation's primary one
    organisations: tuple[tuple[int, str], ...]  # (id, name) of every one this candidate is, or works for
    do_not_call: bool
    last_talk_at: datetime | None
    last: LastCommunication | None
    lead: OpenLead | None = None

    @property
    def number_owner_id(self) -> int:
        """The party in whose hands the number is."""
        return self.id if self.contact_id is None else self.contact_id


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchResult:
    """Everything a look-up tells; `parties` best first, which is an order and not a choice."""

    outcome: MatchOutcome
    reasons: tuple[Reason, ...] = ()
    e164: str | None = None
    parties: tuple[MatchedParty, ...] = ()
    owners: int = 0  # how many there are, when more than are shown
    organisation_id: int | None = None  # several owners, all of this one organisation
    organisation_name: str | None = None
    colleague_id: int | None = None
    colleague_name: str | None = None  # or the name of our own line that calls
    former: tuple[str, ...] = ()  # names of former owners, latest first
    is_spam: bool = False
    number_note_id: int | None = None
    earlier_calls: int = 0
    calls_last_hour: int = 0  # of theirs to us
    last_call_at: datetime | None = None

    @property
    def link(self) -> tuple[int | None, int | None]:
        """(party, contact) that a call is linked to without asking anybody; (None, None) if someone must choose."""
        if self.outcome is MatchOutcome.MATCHED:
            return self.parties[0].id, self.parties[0].contact_id
        return self.organisation_id, None


async def find_by_number(
    session: Reader,
    number: Number,
    *,
    line_id: int | None = None,
    connection_id: int | None = None,
    at: datetime | None = None,
    present_call: UUID | None = None,
) -> MatchResult:
    """Who answers to this number at a moment (by default: now). Never raises on an odd number.

    Args:
        present_call: left out of the earlier calls: the journal may have written it already, or not yet.
        line_id, connection_id: where the number came in: for extensions, and for digits that mean something there only.
    """
    match number.kind:
        case NumberKind.HIDDEN:
            return MatchResult(outcome=MatchOutcome.HIDDEN, reasons=(Reason("no_number"),))
        case NumberKind.INTERNAL if _is_plain(number.digits):
            return await _find_colleague(session, number.digits or "", connection_id, at)
        case NumberKind.E164 if _is_plain(number.e164):
            return await _find_owners(
                session, OWNERS_BY_E164, number, line_id, connection_id, at, present_call
            )
        case NumberKind.LOCAL if _is_plain(number.digits):
            return await _find_owners(
                session, OWNERS_BY_DIGITS, number, line_id, connection_id, at, present_call
            )
        case NumberKind.SERVICE:
            reason = Reason("service_number", number.digits or "")
        case _:
            reason = Reason("not_a_number", number.presented)
    return MatchResult(outcome=MatchOutcome.UNKNOWN, reasons=(reason,))


async def as_agent_said(session: Reader, call_id: UUID, found: MatchResult) -> MatchResult:
    """What the number left open, an agent may have said of this very call; then it is them."""
    if found.outcome in {MatchOutcome.MATCHED, MatchOutcome.INTERNAL, MatchOutcome.IGNORED}:
        return found
    row = (await session.execute(SAID_BY_AGENT, {"call_id": call_id})).first()
    if row is None:
        return found
    party = _matched_party(row)
    reasons = (Reason("agent_said", party.contact_name or party.name),)
    return replace(found, outcome=MatchOutcome.MATCHED, reasons=reasons, parties=(party,), owners=1)


async def card_of(session: Reader, party_id: int) -> MatchedParty | None:
    """The card that a call of this party shows: of a contact the organisation, with the contact beside it."""
    row = (await session.execute(HAND, {"party_id": party_id})).first()
    return _matched_party(row) if row is not None else None


def _is_plain(number: str | None) -> bool:
    return number is not None and number.isascii() and number.removeprefix("+").isdecimal()


async def _find_colleague(
    session: Reader, digits: str, connection_id: int | None, at: datetime | None
) -> MatchResult:
    values = {"digits": digits, "connection_id": connection_id, "at": at}
    row = (await session.execute(COLLEAGUE, values)).first()
    return MatchResult(
        outcome=MatchOutcome.INTERNAL,
        reasons=(Reason("extension", digits),),
        colleague_id=row.id if row else None,
        colleague_name=row.name if row else None,
    )


async def _find_owners(
    session: Reader,
    statement: TextClause,
    number: Number,
    line_id: int | None,
    connection_id: int | None,
    at: datetime | None,
    present_call: UUID | None,
) -> MatchResult:
    values: dict[str, Any] = {"e164": number.e164, "at": at, "present_call": present_call}
    if statement is OWNERS_BY_DIGITS:
        values |= {"digits": number.digits, "line_id": line_id, "connection_id": connection_id}
    rows = (await session.execute(statement, values)).all()
    return _judge(number, rows)


def _judge(number: Number, rows: Sequence[Row[Any]]) -> MatchResult:
    """One outcome out of everything that is known of a number."""
    known = rows[0]
    owners = _behind_extension(number.extension, [row for row in rows if row.hand_id is not None])
    parties = tuple(map(_matched_party, owners))
    outcome, reasons = _outcome(number, known, parties)
    is_for_us = outcome not in (MatchOutcome.INTERNAL, MatchOutcome.IGNORED)
    organisation = _common_organisation(parties) if outcome is MatchOutcome.AMBIGUOUS else None
    if organisation is not None:
        reasons += (Reason("one_organisation", organisation[1]),)
    is_spam = bool(known.number_is_spam) or known.note_kind == "spam"
    former = tuple(dict.fromkeys(known.former or ()))
    return MatchResult(
        outcome=outcome,
        reasons=reasons
        + ((Reason("spam"),) if is_spam else ())
        + ((Reason("former_owner", former[0]),) if former and not parties else ()),
        e164=number.e164,
        parties=parties if is_for_us else (),
        owners=(len(owners) if number.extension else owners[0].owners) if owners and is_for_us else 0,
        organisation_id=organisation[0] if organisation else None,
        organisation_name=organisation[1] if organisation else None,
        colleague_name=known.line_name,
        former=former,
        is_spam=is_spam,
        number_note_id=known.note_id,
        earlier_calls=known.calls,
        calls_last_hour=known.last_hour,
        last_call_at=known.last_at,
    )


def _outcome(
    number: Number, known: Row[Any], parties: Sequence[MatchedParty]
) -> tuple[MatchOutcome, tuple[Reason, ...]]:
    presented = number.e164 or number.digits or ""
    if known.line_name is not None or known.note_kind == "own":
        return MatchOutcome.INTERNAL, (Reason("own_line", known.line_name or presented),)
    if known.note_kind == "ignored":
        return MatchOutcome.IGNORED, (Reason("ignored", presented),)
    match parties:
        case []:
            return MatchOutcome.UNKNOWN, (Reason("no_owner", presented),)
        case [only]:
            return MatchOutcome.MATCHED, (Reason("one_owner", only.contact_name or only.name),)
        case several:
            return MatchOutcome.AMBIGUOUS, (Reason("several_owners", str(len(several))),)


def _behind_extension(extension: str | None, owners: list[Row[Any]]) -> list[Row[Any]]:
    """With an extension: the owners of exactly that one, else those of the bare number. Without: all of them."""
    if not extension:
        return owners
    exact = [row for row in owners if row.extension == extension]
    return exact or [row for row in owners if row.extension == ""]


def _common_organisation(parties: Sequence[MatchedParty]) -> tuple[int, str] | None:
    """The one organisation, with its name, that all candidates are or work for."""
    common = frozenset.intersection(*(frozenset(party.organisations) for party in parties))
    return next(iter(common)) if len(common) == 1 else None


def _matched_party(row: Row[Any]) -> MatchedParty:
    is_contact = row.hand_id != row.id
    return MatchedParty(
        id=row.id,
        number=row.number,
        type=row.type,
        name=row.display_name,
        kinds=tuple(row.kinds),
        former_kinds=tuple(code for code in row.ended_kinds if code not in row.kinds),
        lifecycle=row.lifecycle,
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        team_id=row.team_id,
        contact_id=row.hand_id if is_contact else None,
        contact_name=row.hand_name if is_contact else None,
        position=row.position,
        is_primary=row.is_primary,
        organisations=tuple(zip(row.organisation_ids or (), row.organisation_names or (), strict=True)),
        do_not_call=row.do_not_call,
        last_talk_at=row.last_talk_at,
        last=_last_communication(row),
        lead=_open_lead(row),
    )


def _open_lead(row: Row[Any]) -> OpenLead | None:
    if row.lead_id is None:
        return None
    return OpenLead(
        id=row.lead_id,
        number=row.lead_number,
        stage=row.lead_stage,
        source=row.lead_source,
        count=row.leads,
    )


def _last_communication(row: Row[Any]) -> LastCommunication | None:
    if row.latest_at is None:
        return None
    lines = [line.strip() for line in (row.note or "").splitlines() if line.strip()]
    return LastCommunication(
        at=row.latest_at,
        kind=row.latest_kind,
        direction=row.latest_direction,
        seconds=row.talk_seconds,
        disposition=row.disposition,
        note=lines[-1][:NOTE_CHARACTERS] if lines else None,
    )
