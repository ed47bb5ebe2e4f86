"""What people say of a number that is nobody's: spam, or not any more."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, and_, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import PARTIES_CHANNEL, notify, record_change
from crm.errors import Invalid
from crm.numbering import home_profile
from crm.numbers import lock_key, owner_of, read_number
from crm.party_access import lock_keys
from crm.rights import Access
from crm.schema.telephony import NumberNote

SPAM: Final = "spam"


async def mark_spam(session: AsyncSession, access: Access, number: str, *, via: str = "call_window") -> None:
    """Calls from this number are marked from now on; a second time changes nothing.

    Raises:
        NotAllowed, Invalid (not a number, or a client's).
    """
    access.require("call.notes")
    read = read_number(number, home_profile(session))
    await lock_keys(session, [lock_key(read)])
    if (owner := await owner_of(session, read)) is not None:
        why = "This is the number of “%(name)s”. End it on their card first if it is spam."
        raise Invalid("number", number, why, name=owner.values["name"])
    if await session.scalar(select(NumberNote.id).where(_is_spam(read.e164)).limit(1)) is not None:
        return
    row = {"e164": read.e164, "kind": SPAM, "by_id": access.actor_id}
    note_id = await session.scalar(insert(NumberNote).values(row).returning(NumberNote.id))
    await record_change(session, access, "number_note", note_id, before={}, after=row, via=via)
    await notify(session, PARTIES_CHANNEL, "")


async def unmark_spam(
    session: AsyncSession, access: Access, number: str, *, via: str = "call_window"
) -> None:
    """The mark was a mistake. Marks of whole ranges of numbers stay.

    Raises:
        NotAllowed, Invalid (not a number).
    """
    access.require("call.notes")
    read = read_number(number, home_profile(session))
    gone = (
        await session.scalars(delete(NumberNote).where(_is_spam(read.e164)).returning(NumberNote.id))
    ).all()
    for note_id in gone:
        before = {"e164": read.e164, "kind": SPAM}
        await record_change(session, access, "number_note", note_id, before=before, after={}, via=via)
    if gone:
        await notify(session, PARTIES_CHANNEL, "")


def _is_spam(e164: str | None) -> ColumnElement[bool]:
    return and_(NumberNote.e164 == e164, NumberNote.kind == SPAM)
