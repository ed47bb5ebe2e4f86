"""What agents may say came of a talk: codes in the company's order, the lines they are offered on, the lines that insist on one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound, Taken
from crm.lines import checked_colour
from crm.names import checked_name
from crm.rights import Access
from crm.schema.desk import WrapUpCode, WrapUpCodeLine, WrapUpLine
from crm.schema.telephony import Line

DIRECTIONS: Final = ("inbound", "outbound")
MOST_CODES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeValues:
    """A code as the administrator states it. No lines: it is offered on all; `direction` None: of both."""

    name: str
    colour: str | None = None
    direction: str | None = None
    needs_comment: bool = False
    creates_task: bool = False
    line_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeInfo:
    """A code as it is stored. `name` may be a message id of one that came with the program."""

    id: int
    name: str
    colour: str | None
    direction: str | None
    needs_comment: bool
    creates_task: bool
    line_ids: frozenset[int]
    archived_at: datetime | None

    def is_offered(self, direction: str, line_id: int | None) -> bool:
        is_on_line = not self.line_ids or line_id in self.line_ids
        return self.archived_at is None and self.direction in (None, direction) and is_on_line


async def list_codes(session: AsyncSession, *, with_archived: bool = False) -> list[CodeInfo]:
    """All codes in the company's order; what is archived stands at the end."""
    lines: dict[int, set[int]] = {}
    for code_id, line_id in await session.execute(select(WrapUpCodeLine.code_id, WrapUpCodeLine.line_id)):
        lines.setdefault(code_id, set()).add(line_id)
    query = select(WrapUpCode).order_by(
        WrapUpCode.archived_at.is_not(None), WrapUpCode.position, WrapUpCode.id
    )
    if not with_archived:
        query = query.where(WrapUpCode.archived_at.is_(None))
    rows = await session.scalars(query.execution_options(populate_existing=True))
    return [_info(row, lines.get(row.id, ())) for row in rows]


async def add_code(session: AsyncSession, access: Access, values: CodeValues, *, via: str = "form") -> int:
    """A new code, at the end. Raises NotAllowed, Invalid, Taken."""
    access.require("directory.manage")
    row = await _checked(session, values, None)
    last = select(func.coalesce(func.max(WrapUpCode.position), 0), func.count())
    position, count = (await session.execute(last)).one()
    if count >= MOST_CODES:
        raise Invalid("name", values.name, "A directory has at most %(most)d entries.", most=MOST_CODES)
    row |= {"position": position + 1}
    added = insert(WrapUpCode).values(**row, created_by=access.actor_id).returning(WrapUpCode.id)
    code_id: int = (await session.execute(added)).scalar_one()
    await _set_lines(session, code_id, values.line_ids)
    after = row | {"line_ids": sorted(values.line_ids)}
    await record_change(session, access, "wrap_up_code", code_id, after=after, via=via)
    return code_id


async def edit_code(
    session: AsyncSession, access: Access, code_id: int, values: CodeValues, *, via: str = "form"
) -> None:
    """Raises NotAllowed, NotFound, Invalid, Taken."""
    access.require("directory.manage")
    found = await code_named(session, code_id)
    row = await _checked(session, values, code_id)
    before = {name: getattr(found, name) for name in row} | {"line_ids": sorted(found.line_ids)}
    after = row | {"line_ids": sorted(values.line_ids)}
    if await record_change(session, access, "wrap_up_code", code_id, before=before, after=after, via=via):
        changed = update(WrapUpCode).where(WrapUpCode.id == code_id)
        await session.execute(changed.values(**row, version=WrapUpCode.version + 1))
        await _set_lines(session, code_id, values.line_ids)


async def archive_code(
    session: AsyncSession, access: Access, code_id: int, *, is_archived: bool, via: str = "form"
) -> None:
    """Offered no more, or again; talks that have it keep it. Raises NotAllowed, NotFound."""
    access.require("directory.manage")
    found = await code_named(session, code_id)
    at = (found.archived_at or datetime.now(UTC)) if is_archived else None
    before, after = {"archived_at": found.archived_at}, {"archived_at": at}
    if await record_change(session, access, "wrap_up_code", code_id, before=before, after=after, via=via):
        await session.execute(update(WrapUpCode).where(WrapUpCode.id == code_id).values(archived_at=at))


async def code_named(session: AsyncSession, code_id: int) -> CodeInfo:
    """Raises NotFound."""
    codes = await list_codes(session, with_archived=True)
    found = next((code for code in codes if code.id == code_id), None)
    if found is None:
        raise NotFound("wrap-up code", code_id)
    return found


async def required_lines(session: AsyncSession) -> frozenset[int]:
    """The lines whose talks are not over before a code was chosen."""
    return frozenset(await session.scalars(select(WrapUpLine.line_id)))


async def require_on_lines(
    session: AsyncSession, access: Access, line_ids: Collection[int], *, via: str = "form"
) -> None:
    """Exactly these lines insist on a code. Raises NotAllowed, Invalid (no such line)."""
    access.require("directory.manage")
    await _check_lines(session, line_ids)
    await session.execute(text("select pg_advisory_xact_lock(hashtextextended('wrap_up_line', 0))"))
    before, after = {"line_ids": sorted(await required_lines(session))}, {"line_ids": sorted(line_ids)}
    if await record_change(session, access, "wrap_up_line", "all", before=before, after=after, via=via):
        await session.execute(delete(WrapUpLine))
        if line_ids:
            await session.execute(insert(WrapUpLine), [{"line_id": line_id} for line_id in sorted(line_ids)])


async def _checked(session: AsyncSession, values: CodeValues, code_id: int | None) -> dict[str, Any]:
    name = checked_name(values.name)
    if values.direction not in (None, *DIRECTIONS):
        raise Invalid("direction", values.direction, "Choose incoming, outgoing or both.")
    others = select(WrapUpCode.id).where(func.lower(WrapUpCode.name) == name.lower())
    if code_id is not None:
        others = others.where(WrapUpCode.id != code_id)
    if await session.scalar(others) is not None:
        raise Taken("name", name)
    await _check_lines(session, values.line_ids)
    return {
        "name": name,
        "colour": checked_colour(values.colour),
        "direction": values.direction,
        "needs_comment": values.needs_comment,
        "creates_task": values.creates_task,
    }


async def _check_lines(session: AsyncSession, line_ids: Collection[int]) -> None:
    known = set(
        await session.scalars(select(Line.id).where(Line.id.in_(line_ids), Line.deleted_at.is_(None)))
    )
    if wrong := sorted(set(line_ids) - known):
        raise Invalid("lines", wrong[0], "There is no such line.")


async def _set_lines(session: AsyncSession, code_id: int, line_ids: Collection[int]) -> None:
    await session.execute(delete(WrapUpCodeLine).where(WrapUpCodeLine.code_id == code_id))
    if line_ids:
        rows = [{"code_id": code_id, "line_id": line_id} for line_id in sorted(line_ids)]
        await session.execute(insert(WrapUpCodeLine), rows)


def _info(row: WrapUpCode, line_ids: Collection[int] | Sequence[int]) -> CodeInfo:
    return CodeInfo(
        id=row.id,
        name=row.name,
        colour=row.colour,
        direction=row.direction,
        needs_comment=row.needs_comment,
        creates_task=row.creates_task,
        line_ids=frozenset(line_ids),
        archived_at=row.archived_at,
    )
