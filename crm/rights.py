"""Rights: who may do what, and how far; one rule for lists, cards, search, counts, the API and live events.

A *right* is "area.action" (or just "area"). A role grants it with a scope: none, own, team, all; the widest scope of a user's roles
wins. `narrow` turns a scope into a condition of the query, so that nothing outside it is ever read; `Access.covers`
is the same rule for values that are already in hand (a live event).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, TypeVarTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    any_,
    false,
    func,
    literal,
    or_,
    select,
    text,
    true,
)
from sqlalchemy import inspect as inspect_model
from sqlalchemy.orm import aliased

from crm.call_time import call_time_parties
from crm.errors import NotAllowed
from crm.granted_rights import RIGHTS
from crm.readers import Reader
from crm.schema.access import TeamMembership
from crm.schema.base import Base
from crm.schema.communications import Call, Communication, Participation
from crm.schema.desk import CallbackCase
from crm.schema.journals import AccessLog, ChangeLog
from crm.schema.leads import Lead
from crm.schema.parties import Party, PartyKindAssignment, PartyLack
from crm.schema.regions import PartyRegion
from crm.schema.tasks import Task, TaskWatcher

_mirror = aliased(Call)  # once: to make one costs more than to ask with it


class Scope(IntEnum):
    """How far a right reaches; a wider scope is greater."""

    NONE = 0
    OWN = 1
    TEAM = 2
    ALL = 3

    @classmethod
    def named(cls, name: str) -> Scope:
        return cls[name.upper()]


CALL_TIME_RIGHTS: Final = frozenset(
    {"party.read"}
)  # what a ringing or answered call lets one do with its party


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who asks, and what they may; loaded once per request or socket and asked everywhere."""

    user_id: int  # 0: the program itself, on behalf of whoever runs the command
    login: str
    name: str
    language: str = "ru"
    time_zone: str | None = None
    role_codes: frozenset[str] = frozenset()
    team_id: int | None = None  # the primary team, given to what this user creates
    team_ids: frozenset[int] = frozenset()  # own teams, and for a head the teams below
    scopes: Mapping[str, Scope] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    keys: Mapping[str, str] = field(
        default_factory=dict, hash=False, compare=False
    )  # of call windows, where they are not as usual (crm.shortcuts)

    @property
    def actor_id(self) -> int | None:
        """The id to write into "by whom" columns; None for the command line."""
        return self.user_id or None

    def scope(self, right: str) -> Scope:
        if right not in RIGHTS:
            raise LookupError(f"There is no right {right!r}; crm.granted_rights.RIGHTS lists them all.")
        return self.scopes.get(right, Scope.NONE)

    def may(self, right: str) -> bool:
        return self.scope(right) is not Scope.NONE

    def require(self, right: str) -> None:
        """Call before anything is written or sent.

        Raises:
            NotAllowed: the right is missing.
        """
        if not self.may(right):
            raise NotAllowed(right)

    def covers(self, right: str, *, users: Iterable[int | None], teams: Iterable[int | None] = ()) -> bool:
        """The rule of `narrow` for values in hand: records of these users and teams, seen from here."""
        scope = self.scope(right)
        if scope is Scope.ALL:
            return True
        is_own = scope >= Scope.OWN and self.user_id in set(users)
        return is_own or (scope >= Scope.TEAM and not self.team_ids.isdisjoint(set(teams) - {None}))

    def restricted_to(self, rights: Mapping[str, str] | None) -> Access:
        """The same user with a token's subset: never more than the user has now."""
        if rights is None:
            return self
        narrower = {
            right: min(self.scopes[right], Scope.named(scope))
            for right, scope in rights.items()
            if right in self.scopes
        }
        return replace(self, scopes=MappingProxyType(narrower))


def command_access(login: str = "ringcard") -> Access:
    """Whoever may run the command on this machine may do everything; written down as nobody's act, via "command"."""
    everything = MappingProxyType(dict.fromkeys(RIGHTS, Scope.ALL))
    return Access(user_id=0, login=login, name=login, role_codes=frozenset({"admin"}), scopes=everything)


_ACCESS = text(
    """
    with recursive teams as (
        select team_id, is_head from team_membership
        where user_id = :user_id and valid_from <= statement_timestamp()
            and (valid_to is null or valid_to > statement_timestamp())
        union
        select team.id, true from team join teams on team.parent_id = teams.team_id and teams.is_head
    )
    select id, login, name, language, time_zone, team_id, cast(settings -> 'keys' as text) as own_keys,
        array(select team_id from teams) as team_ids,
        array(
            select role.code from role_assignment a join role on role.id = a.role_id where a.user_id = app_user.id
        ) as role_codes,
        array(
            select array[p.area, p.action, p.scope]
            from role_assignment a join permission p on p.role_id = a.role_id where a.user_id = app_user.id
        ) as granted
    from app_user where id = :user_id and status = 'active'
    """  # the statement's time, not the transaction's: that one may have put the user in the team
)


async def access_of(session: Reader, user_id: int) -> Access | None:
    """What this user may do as of now; None if there is no such user or they are blocked."""
    user = (await session.execute(_ACCESS, {"user_id": user_id})).first()
    if user is None:
        return None
    return Access(
        user_id=user.id,
        login=user.login,
        name=user.name,
        language=user.language,
        time_zone=user.time_zone,
        role_codes=frozenset(user.role_codes),
        team_id=user.team_id,
        team_ids=frozenset(user.team_ids),
        scopes=_widest(user.granted),
        keys=json.loads(user.own_keys or "{}"),
    )


def _widest(granted: Iterable[Sequence[str]]) -> Mapping[str, Scope]:
    scopes: dict[str, Scope] = {}
    for area, action, scope in granted:
        right = f"{area}.{action}" if action else area
        if right in RIGHTS:  # a right of a newer version that was rolled back means nothing here
            scopes[right] = max(scopes.get(right, Scope.NONE), Scope.named(scope))
    return MappingProxyType(scopes)


Columns = TypeVarTuple("Columns")


def narrow(query: Select[*Columns], access: Access, right: str, model: Any) -> Select[*Columns]:
    """The query without the records outside this user's scope. `model`: a mapped class or an alias of one."""
    return query.where(condition(access, right, model))


def condition(access: Access, right: str, model: Any) -> ColumnElement[bool]:
    """What `narrow` adds, for use inside a larger condition."""
    return or_(*ways(access, right, model))


def ways(
    access: Access, right: str, model: Any, called: Sequence[int] | None = None
) -> list[ColumnElement[bool]]:
    """The ways in which a record can be within this user's scope; one of them is enough.

    A page of a long list asks for each way by itself, so that each is read from its own index, in order.

    Args:
        called: the parties of this user's calls (`crm.call_time`), if they were asked for before; the query looks for them otherwise.
    """
    scope = access.scope(right)
    if scope is Scope.NONE:
        return [false()]
    found = _within(access, right, scope, model)
    hidden = _HIDDEN.get(inspect_model(model).mapper.class_)
    if hidden is not None:
        return [and_(way, hidden(access, model)) for way in found]
    return [*found, *_by_call(access, right, scope, model, called)]


def _within(access: Access, right: str, scope: Scope, model: Any) -> list[ColumnElement[bool]]:
    if scope is Scope.ALL:
        return [true()]
    rule = _RULES.get(inspect_model(model).mapper.class_)
    if rule is None:
        raise LookupError(
            f"{right} is given for {scope.name.lower()} records, but {model} has no owner to tell them by."
        )
    return rule(access, right, scope, model)


def _by_call(
    access: Access, right: str, scope: Scope, model: Any, called: Sequence[int] | None
) -> list[ColumnElement[bool]]:
    """What a call lets one do with its party, however little of the others one sees."""
    is_of_party = inspect_model(model).mapper.class_ in {Party, PartyKindAssignment, PartyLack, PartyRegion}
    if scope is Scope.ALL or right not in CALL_TIME_RIGHTS or not is_of_party:
        return []
    party_id = model.id if inspect_model(model).mapper.class_ is Party else model.party_id
    if called is None:
        # An array, not IN (…): computed once, and usable as an index condition beside the other ways.
        return [party_id == any_(func.array(call_time_parties(access.user_id).scalar_subquery()))]
    return [party_id == any_(literal(list(called), ARRAY(BigInteger)))] if called else []


def _party_ways(access: Access, right: str, scope: Scope, party: Any) -> list[ColumnElement[bool]]:
    """A party is the own of whoever is responsible; without one, of whoever entered it."""
    mine = func.coalesce(party.owner_id, party.created_by) == access.user_id
    return [mine, *of_teams(access, scope, party)]


def _key_ways(access: Access, right: str, scope: Scope, key: Any) -> list[ColumnElement[bool]]:
    """The same rule, as what lists are read from repeats it in its orders."""
    return [key.keeper_id == access.user_id, *of_teams(access, scope, key)]


def keys_ways(access: Access, right: str, keeper: Any, team: Any) -> list[ColumnElement[bool]]:
    """The same for a record that repeats whose a party is, in these columns; without what a call lets one do."""
    scope = access.scope(right)
    if scope in {Scope.NONE, Scope.ALL}:
        return [true() if scope is Scope.ALL else false()]
    teams = sorted(access.team_ids) if scope is Scope.TEAM else ()
    return [keeper == access.user_id, *(team == each for each in teams)]


def of_teams(access: Access, scope: Scope, record: Any) -> list[ColumnElement[bool]]:
    """One's own teams, each by itself: each has its part of an index."""
    return [record.team_id == each for each in sorted(access.team_ids)] if scope is Scope.TEAM else []


def _lead_ways(access: Access, right: str, scope: Scope, lead: Any) -> list[ColumnElement[bool]]:
    """Whoever reads leads also sees those of the own teams that nobody has taken yet."""
    nobodys = lead.owner_id.is_(None)
    found: list[ColumnElement[bool]] = [
        lead.owner_id == access.user_id,
        and_(nobodys, lead.created_by == access.user_id),
    ]
    of_teams = [lead.team_id == team_id for team_id in sorted(access.team_ids)]
    if scope is Scope.TEAM:
        found += of_teams
    elif right == "lead.read":
        found += [and_(nobodys, of_team) for of_team in of_teams]
    return found


def _task_ways(access: Access, right: str, scope: Scope, task: Any) -> list[ColumnElement[bool]]:
    """Whoever watches a task reads it, and changes nothing."""
    found: list[ColumnElement[bool]] = [task.owner_id == access.user_id, task.created_by == access.user_id]
    found += of_teams(access, scope, task)
    if right == "task.read":
        watched = select(TaskWatcher.task_id).where(TaskWatcher.user_id == access.user_id)
        found.append(task.id.in_(watched))
    return found


def _private(access: Access, task: Any) -> ColumnElement[bool]:
    return or_(task.is_private.is_(False), task.created_by == access.user_id)


def _communication_ways(
    access: Access, right: str, scope: Scope, communication: Any
) -> list[ColumnElement[bool]]:
    found = [communication.user_id == access.user_id, _took_part(access, scope, communication.id)]
    return [*found, *of_teams(access, scope, communication)]


def _call_ways(access: Access, right: str, scope: Scope, call: Any) -> list[ColumnElement[bool]]:
    """Of a call that two connections saw, whoever took part in one sighting may see the other."""
    mirrors = select(_mirror.id).where(_mirror.mirror_of_id == call.id)
    return [
        _took_part(access, scope, call.id),
        mirrors.where(_took_part(access, scope, _mirror.id)).exists(),
        _took_part(access, scope, call.mirror_of_id),
    ]


def _took_part(access: Access, scope: Scope, call_id: Any) -> ColumnElement[bool]:
    mine: ColumnElement[bool] = Participation.user_id == access.user_id
    if scope is Scope.TEAM and access.team_ids:
        mine = or_(mine, Participation.team_id.in_(access.team_ids))
    return select(Participation.id).where(Participation.call_id == call_id, mine).exists()


def _case_ways(access: Access, right: str, scope: Scope, case: Any) -> list[ColumnElement[bool]]:
    """Line groups of the own teams. A group without a team is nobody's, so everybody's: no caller is forgotten."""
    found: list[ColumnElement[bool]] = [case.taken_by_id == access.user_id]
    if scope is Scope.TEAM:
        found += [case.team_id.is_(None), *(case.team_id == team_id for team_id in sorted(access.team_ids))]
    return found


def _journal_ways(access: Access, right: str, scope: Scope, journal: Any) -> list[ColumnElement[bool]]:
    mine: ColumnElement[bool] = journal.actor_id == access.user_id
    if scope is not Scope.TEAM or not access.team_ids:
        return [mine]
    colleagues = select(TeamMembership.user_id).where(
        TeamMembership.team_id.in_(access.team_ids), TeamMembership.valid_to.is_(None)
    )
    return [mine, journal.actor_id.in_(colleagues)]


_RULES: Final[Mapping[type[Base], Callable[[Access, str, Scope, Any], list[ColumnElement[bool]]]]] = {
    Party: _party_ways,
    PartyKindAssignment: _key_ways,
    PartyLack: _key_ways,
    PartyRegion: _key_ways,
    Lead: _lead_ways,
    Task: _task_ways,
    Communication: _communication_ways,
    Call: _call_ways,
    CallbackCase: _case_ways,
    ChangeLog: _journal_ways,
    AccessLog: _journal_ways,
}

# What stays hidden from everybody else, however far their right reaches.
_HIDDEN: Final[Mapping[type[Base], Callable[[Access, Any], ColumnElement[bool]]]] = {Task: _private}
