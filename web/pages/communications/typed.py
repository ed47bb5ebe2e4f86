"""From the form of a communication to what `crm.by_hand` takes, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from crm.by_hand import CommunicationValues
from crm.errors import Invalid
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker
from web.pages.forms import Form, filled, read_moment

OWN: Final = "own-"  # of an own kind the select sends "own-12"
_SHAPE: Final = "%d.%m.%Y %H:%M"


def values_of(form: Form, zone: ZoneInfo) -> CommunicationValues:
    """What was typed; the fields of a meeting count for a meeting only.

    Raises:
        Invalid: a moment that is none.
    """
    kind, own_kind_id = _kind(form.text("kind"))
    is_meeting = kind == "meeting"
    started_at = _moment(form, "started", zone)
    if started_at is None:
        raise Invalid("started", "", N_("Say when it was or will be. Write it as 31.12.2027 14:30."))
    return CommunicationValues(
        kind=kind,
        own_kind_id=own_kind_id,
        direction=form.text("direction"),
        started_at=started_at,
        ended_at=_moment(form, "ended", zone),
        subject=form.optional("subject"),
        summary=form.prose("summary") or None,
        party_id=form.whole("party"),
        contact_id=form.whole("contact"),
        state=form.text("state") if is_meeting else None,
        place=form.optional("place") if is_meeting else None,
        result=(form.prose("result") or None) if is_meeting else None,
        user_ids=_ids(form, "users") if is_meeting else (),
        person_ids=_ids(form, "persons") if is_meeting else (),
    )


def form_of_values(values: CommunicationValues, version: int, zone: ZoneInfo) -> Form:
    """The form as it stands for what is stored."""
    kind = f"{OWN}{values.own_kind_id}" if values.own_kind_id else values.kind
    stored = {
        "kind": kind,
        "direction": values.direction,
        "started": typed_moment(values.started_at, zone),
        "ended": typed_moment(values.ended_at, zone) if values.ended_at else "",
        "subject": values.subject,
        "summary": values.summary,
        "party": values.party_id,
        "contact": values.contact_id,
        "state": values.state,
        "place": values.place,
        "result": values.result,
        "version": version,
    }
    users, persons = map(str, values.user_ids), map(str, values.person_ids)
    return filled(stored, users=users, persons=persons)


def typed_moment(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime(_SHAPE)


def _kind(typed: str) -> tuple[str, int | None]:
    own = typed.removeprefix(OWN)
    is_own = typed.startswith(OWN) and own.isascii() and own.isdigit() and len(own) < 19
    return ("other", int(own)) if is_own else (typed, None)


def _moment(form: Form, name: str, zone: ZoneInfo) -> datetime | None:
    typed = form.text(name)
    if not typed:
        return None
    found = read_moment(typed)
    if found is None or not 1900 <= found.year < 2200:
        raise Invalid(name, typed[:50], N_("This is no moment. Write it as 31.12.2027 14:30."))
    return found.replace(tzinfo=zone).astimezone(UTC)


def _ids(form: Form, name: str) -> tuple[int, ...]:
    typed = sorted(form.several(name))
    return tuple(int(each) for each in typed if each.isascii() and each.isdigit() and len(each) < 19)
