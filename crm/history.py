"""Every change of the fields of a party or a lead: who, when, by which way, from what to what; out of the journal of changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.paging import Page, decode_cursor, encode_cursor, page_size
from crm.party_access import readable_party
from crm.rights import Access, narrow
from crm.schema.access import Team, User
from crm.schema.journals import ChangeLog
from crm.schema.leads import Lead
from crm.schema.parties import Party, PartyPhone
from crm.schema.stages import FailureReason, Scheme, Stage
from crm.schema.telephony import Line

# Fields whose values are ids, and what their names are read from.
_KIND_OF: Final[Mapping[str, str]] = {
    "owner_id": "user",
    "access_asked": "user",
    "access_granted": "user",
    "access_refused": "user",
    "team_id": "team",
    "contact": "party",
    "primary_contact": "party",
    "merged_into_id": "party",
    "primary_number": "phone",
    "stage_id": "stage",
    "scheme_id": "scheme",
    "line_id": "line",
    "disqualify_reason_id": "reason",
    "person_id": "party",
    "organisation_id": "party",
    "converted_party_id": "party",
    "converted_person_id": "party",
    "converted_by_id": "user",
    "created_by": "user",
}
_OF_NO_NEWS: Final[Mapping[str, tuple[str, ...]]] = {
    # they follow from the names that stand beside them; the log of the merge is asked for elsewhere
    "party": ("sort_name", "display_name", "merge_id"),
    "lead": ("number", "created_by", "merge_id"),  # what the card says of every lead
}
_BORN_WITH: Final = frozenset(
    {"type", "scheme_id"}
)  # a party's, a lead's: from nothing to something once only
_NAMED: Final[Mapping[str, Any]] = {
    "user": select(User.id, User.name),
    "team": select(Team.id, Team.name),
    "party": select(Party.id, Party.display_name),
    "lead": select(Lead.id, Lead.number),
    "phone": select(PartyPhone.id, PartyPhone.presented),
    "stage": select(Stage.id, Stage.name),
    "scheme": select(Scheme.id, Scheme.name),
    "line": select(Line.id, Line.name),
    "reason": select(FailureReason.id, FailureReason.name),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field; users and teams stand by their names, None is "nothing"."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeInfo:
    """What one act changed in a record."""

    at: datetime
    actor_name: str | None  # None: the program itself, or the command line
    via: str  # form, call_window, api, import, command, journal
    fields: tuple[FieldChange, ...]

    @property
    def is_birth(self) -> bool:
        """The record began with it."""
        return any(each.field in _BORN_WITH and each.old is None for each in self.fields)


async def party_history(
    session: AsyncSession,
    access: Access,
    party_id: int,
    *,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[ChangeInfo]:
    """The changes of a party, newest first. With a right to the journal that does not reach the party: one's own acts.

    Raises:
        NotAllowed, NotFound, Invalid (the cursor).
    """
    access.require("journal.read")
    party = await readable_party(session, access, party_id)
    size, before = page_size(limit), None
    if cursor:
        (before,) = decode_cursor(cursor, int)
    rows = await _rows(session, _of(access, party), before, size + 1)
    more = encode_cursor(rows[size - 1].id) if len(rows) > size else None
    names = await _names(session, rows[:size])
    items = [_change([row], names) for row in rows[:size]]
    return Page(items=tuple(items), next=more)


async def newest_changes(
    session: AsyncSession,
    access: Access,
    record: Party | Lead,
    before: tuple[datetime, bool] | None,
    most: int,
) -> list[ChangeInfo]:
    """For the timeline: what each act changed, newest first; nothing without the right to the journal.

    Args:
        before: a moment, and whether acts of that very moment are still to come.
    """
    if not access.may("journal.read"):
        return []
    moments = _of(access, record).with_only_columns(ChangeLog.at).group_by(ChangeLog.at)
    if before is not None:
        moment, is_included = before
        moments = moments.where(ChangeLog.at <= moment if is_included else ChangeLog.at < moment)
    latest = moments.order_by(ChangeLog.at.desc()).limit(most).subquery()
    query = _of(access, record).where(ChangeLog.at.in_(select(latest.c.at)))
    rows = list(await session.execute(query.order_by(ChangeLog.at.desc(), ChangeLog.id)))
    names = await _names(session, rows)
    acts: dict[datetime, list[Any]] = {}
    for row in rows:
        acts.setdefault(row.at, []).append(row)
    return [_change(act, names) for act in acts.values()]


async def record_changes(
    session: AsyncSession, record_kind: str, record_id: object, fields: Sequence[str], most: int = 100
) -> list[ChangeInfo]:
    """The changes of these fields of a record that one may read, newest first; a moment's together."""
    query = (
        _told_changes()
        .where(ChangeLog.record_kind == record_kind, ChangeLog.record_id == str(record_id))
        .where(ChangeLog.field.in_(fields))
    )
    rows = list(await session.execute(query.order_by(ChangeLog.id.desc()).limit(most)))
    names = await _names(session, rows)
    acts: dict[datetime, list[Any]] = {}
    for row in rows:
        acts.setdefault(row.at, []).insert(0, row)
    return [_change(act, names) for act in acts.values()]


def _told_changes() -> Select[*tuple[Any, ...]]:
    return select(
        ChangeLog.id,
        ChangeLog.at,
        ChangeLog.record_kind,
        ChangeLog.field,
        ChangeLog.old,
        ChangeLog.new,
        ChangeLog.via,
        User.name.label("actor_name"),
    ).outerjoin(User, User.id == ChangeLog.actor_id)


def _of(access: Access, record: Party | Lead) -> Select[*tuple[Any, ...]]:
    query = (
        _told_changes()
        .where(ChangeLog.record_kind == record.__tablename__, ChangeLog.record_id == str(record.id))
        .where(ChangeLog.field.not_in(_OF_NO_NEWS[record.__tablename__]))
    )
    if access.covers("journal.read", users=[record.owner_id], teams=[record.team_id]):
        return query
    return narrow(query, access, "journal.read", ChangeLog)


async def _rows(session: AsyncSession, query: Select[Any], before: int | None, most: int) -> Sequence[Any]:
    if before is not None:
        query = query.where(ChangeLog.id < before)
    return list(await session.execute(query.order_by(ChangeLog.id.desc()).limit(most)))


async def _names(session: AsyncSession, rows: Iterable[Any]) -> Mapping[tuple[str, int], str]:
    """The names of the users, teams, parties and numbers that the values speak of."""
    wanted: dict[str, set[int]] = {}
    for row in rows:
        if kind := _kind_of(row):
            wanted.setdefault(kind, set()).update(_ids_in(row.old), _ids_in(row.new))
    found: dict[tuple[str, int], str] = {}
    for kind, ids in wanted.items():
        query = _NAMED[kind]
        named = await session.execute(query.where(query.selected_columns[0].in_(ids)))
        found |= {(kind, id_): name for id_, name in named}
    return found


def _change(rows: Sequence[Any], names: Mapping[tuple[str, int], str]) -> ChangeInfo:
    first = rows[0]
    return ChangeInfo(
        at=first.at,
        actor_name=first.actor_name,
        via=first.via,
        fields=tuple(
            FieldChange(
                field=row.field,
                old=_told(row, row.old, names),
                new=_told(row, row.new, names),
            )
            for row in rows
        ),
    )


def _kind_of(row: Any) -> str | None:
    """What the ids in this row's values are of; None: they are no ids."""
    return str(row.record_kind) if row.field == "merged" else _KIND_OF.get(row.field)


def _ids_in(value: Any) -> list[int]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)]


def _told(row: Any, value: Any, names: Mapping[tuple[str, int], str]) -> Any:
    kind = _kind_of(row)
    if kind is None or not _ids_in(value):
        return value
    told = [names.get((kind, each), each) for each in _ids_in(value)]
    return told if isinstance(value, list) else told[0]
