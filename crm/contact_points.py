"""What becomes of a number or an address that a party has: its label, who it is shared with, which is shown first, its end.

Attaching is `crm.numbers` and `crm.emails`; ends of numbers and what is shared stand in `crm.numbers`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound, NumberHasSeveralOwners
from crm.numbers import DIRECT, MAX_LABEL, SHARED, make_primary, mark_number
from crm.party_access import editable_party, readable_party
from crm.rights import Access
from crm.schema.parties import EmailAddress, Party, PartyEmail, PartyPhone, PhoneNumber

Tie = PartyPhone | PartyEmail
# Marks with the names under which the history tells of them: of which number or address.
_MARKS: Final = {
    "do_not_call": "number_do_not_call",
    "bounced_at": "email_bounced",
    "opted_out_at": "email_opted_out",
}
_BY_WHOM: Final = frozenset({"bounced_by_id", "opted_out_by_id"})  # the history has its own author
_RIGHT_TO_END: Final = "number.share"  # also of addresses: whose it is, is one question


async def edit_number(
    session: AsyncSession,
    access: Access,
    phone_id: int,
    *,
    label: str | None = None,
    do_not_call: bool | None = None,
    via: str = "form",
) -> int:
    """What a number is for, and whether it may be called; None leaves as it is. Returns the party's id.

    Raises:
        NotAllowed, NotFound, Invalid (the label is too long).
    """
    row, party = await _tied(session, access, PartyPhone, phone_id)
    wanted = {"label": _label(label), "do_not_call": do_not_call}
    said = {"label": label is not None, "do_not_call": do_not_call is not None}
    await _write(session, access, party, row, {name: wanted[name] for name in wanted if said[name]}, via)
    return party.id


async def change_number(
    session: AsyncSession,
    access: Access,
    phone_id: int,
    *,
    label: str | None = None,
    do_not_call: bool | None = None,
    usage: str | None = None,
    is_primary: bool = False,
    via: str = "form",
) -> int:
    """All of it at once; what is None, or false for `is_primary`, stays. Returns the party's id.

    Raises:
        NotAllowed, NotFound, Invalid, NumberHasSeveralOwners (shared by several: not direct).
    """
    party_id = await edit_number(session, access, phone_id, label=label, do_not_call=do_not_call, via=via)
    if usage is not None:
        number_id = await session.scalar(select(PartyPhone.number_id).where(PartyPhone.id == phone_id))
        await mark_number(session, access, number_id or 0, usage, via=via)
    if is_primary:
        await make_primary(session, access, phone_id, via=via)
    return party_id


async def change_email(
    session: AsyncSession,
    access: Access,
    tie_id: int,
    *,
    label: str | None = None,
    usage: str | None = None,
    is_primary: bool = False,
    is_bounced: bool | None = None,
    is_opted_out: bool | None = None,
    via: str = "form",
) -> int:
    """The same of an address.

    Raises:
        NotAllowed, NotFound, Invalid, NumberHasSeveralOwners.
    """
    _row, party = await _tied(session, access, PartyEmail, tie_id)
    said = {"label": label, "is_bounced": is_bounced, "is_opted_out": is_opted_out}
    if any(value is not None for value in said.values()):
        await edit_email(session, access, tie_id, **said, via=via)  # type: ignore[arg-type]
    if usage is not None:
        await mark_email(session, access, tie_id, usage, via=via)
    if is_primary:
        await make_email_primary(session, access, tie_id, via=via)
    return party.id


async def edit_email(
    session: AsyncSession,
    access: Access,
    tie_id: int,
    *,
    label: str | None = None,
    is_bounced: bool | None = None,
    is_opted_out: bool | None = None,
    via: str = "form",
) -> int:
    """What an address is for, whether letters come back from it, whether they asked not to be written to; None leaves as it
    is. Since when and who said so is kept with both. Returns the party's id.

    Raises:
        NotAllowed, NotFound, Invalid (the label is too long).
    """
    row, party = await _tied(session, access, PartyEmail, tie_id)
    values: dict[str, Any] = {} if label is None else {"label": _label(label)}
    now = datetime.now(UTC)
    for mark, is_so in (("bounced", is_bounced), ("opted_out", is_opted_out)):
        if is_so is not None and is_so != (getattr(row, f"{mark}_at") is not None):
            values |= {
                f"{mark}_at": now if is_so else None,
                f"{mark}_by_id": access.actor_id if is_so else None,
            }
    await _write(session, access, party, row, values, via)
    return party.id


async def make_email_primary(session: AsyncSession, access: Access, tie_id: int, *, via: str = "form") -> int:
    """The address to show first. Returns the party's id.

    Raises:
        NotAllowed, NotFound.
    """
    row, party = await _tied(session, access, PartyEmail, tie_id)
    if row.is_primary:
        return party.id
    mine = update(PartyEmail).where(PartyEmail.party_id == party.id, PartyEmail.is_primary)
    await session.execute(mine.values(is_primary=False))
    await session.execute(update(PartyEmail).where(PartyEmail.id == tie_id).values(is_primary=True))
    after = {"primary_email": await _name_of(session, row)}
    await record_change(session, access, "party", party.id, before={}, after=after, via=via)
    return party.id


async def end_email(session: AsyncSession, access: Access, tie_id: int, *, via: str = "form") -> int:
    """The address is no longer this party's, and can have a new owner. Returns the party's id.

    Raises:
        NotAllowed, NotFound.
    """
    row, party = await _tied(session, access, PartyEmail, tie_id, right=_RIGHT_TO_END)
    was_primary, address = row.is_primary, await _name_of(session, row)
    ended = {"ended_at": datetime.now(UTC), "is_primary": False}
    await session.execute(update(PartyEmail).where(PartyEmail.id == tie_id).values(ended))
    if was_primary:
        await _promote_next_email(session, party.id)
    told: dict[str, Any] = {"before": {"email": address}, "after": {}, "event": "party.email_ended"}
    await record_change(session, access, "party", party.id, **told, via=via)
    return party.id


async def mark_email(
    session: AsyncSession, access: Access, tie_id: int, usage: str, *, via: str = "form"
) -> int:
    """Say that an address is shared by several, or direct again. Returns the party's id.

    Raises:
        NotAllowed, NotFound, Invalid (another word), NumberHasSeveralOwners (shared by several: not direct).
    """
    if usage not in {DIRECT, SHARED}:
        raise Invalid("usage", usage[:50], "An address is direct or shared.")
    row, party = await _tied(session, access, PartyEmail, tie_id, right=_RIGHT_TO_END)
    email_id, before = row.email_id, row.usage
    if before == usage:
        return party.id
    address = await _name_of(session, row)
    try:
        async with session.begin_nested():  # the foreign key carries the word to every owner's row
            of_address = update(EmailAddress).where(EmailAddress.id == email_id)
            await session.execute(of_address.values(usage=usage))
    except IntegrityError as error:
        owners = (
            select(Party.display_name)
            .join(PartyEmail, PartyEmail.party_id == Party.id)
            .where(PartyEmail.email_id == email_id, PartyEmail.ended_at.is_(None))
            .order_by(PartyEmail.id)
        )
        raise NumberHasSeveralOwners(address, list(await session.scalars(owners))) from error
    sides: dict[str, Any] = {"before": {"email_usage": before}, "after": {"email_usage": usage}}
    await record_change(session, access, "party", party.id, **sides, via=via)
    return party.id


async def _tied(
    session: AsyncSession, access: Access, table: type[Any], tie_id: int, *, right: str = "party.edit"
) -> tuple[Any, Party]:
    """The row of a present tie and its party, which is locked. Raises NotAllowed, NotFound."""
    access.require(right)
    kind = "number" if table is PartyPhone else "email"
    active = select(table).where(table.id == tie_id, table.ended_at.is_(None))
    active = active.execution_options(populate_existing=True)
    row = await session.scalar(active)
    if row is None:
        raise NotFound(kind, tie_id)
    await readable_party(session, access, row.party_id)
    # The party first, then its row, as a merge locks them.
    party = await editable_party(session, access, row.party_id, right=right)
    row = await session.scalar(active.where(table.party_id == party.id).with_for_update())
    if row is None:
        raise NotFound(kind, tie_id)
    return row, party


async def _write(
    session: AsyncSession, access: Access, party: Party, row: Tie, values: dict[str, Any], via: str
) -> None:
    """Columns of a tie, told in the party's history with the number or the address itself."""
    table, tie_id, name = type(row), row.id, await _name_of(session, row)
    told = [field for field in values if field not in _BY_WHOM]
    before = dict(_told(name, field, getattr(row, field)) for field in told)
    after = dict(_told(name, field, values[field]) for field in told)
    if await record_change(session, access, "party", party.id, before=before, after=after, via=via):
        await session.execute(update(table).where(table.id == tie_id).values(values))


def _told(name: str, field: str, value: Any) -> tuple[str, Any]:
    if field in _MARKS:
        return _MARKS[field], name if value else None
    return field, f"{name}: {value or '—'}"


async def _name_of(session: AsyncSession, row: Tie) -> str:
    if isinstance(row, PartyEmail):
        name = select(EmailAddress.address).where(EmailAddress.id == row.email_id)
        return str(await session.scalar(name))
    number = select(PhoneNumber.e164).where(PhoneNumber.id == row.number_id)
    return str(await session.scalar(number) or row.presented)


async def _promote_next_email(session: AsyncSession, party_id: int) -> None:
    oldest = (
        select(PartyEmail.id)
        .where(PartyEmail.party_id == party_id, PartyEmail.ended_at.is_(None))
        .order_by(PartyEmail.id)
        .limit(1)
    )
    await session.execute(
        update(PartyEmail).where(PartyEmail.id == oldest.scalar_subquery()).values(is_primary=True)
    )


def _label(label: str | None) -> str | None:
    label = " ".join((label or "").split())
    if len(label) > MAX_LABEL:
        raise Invalid("label", label, "At most %(most)d characters fit here.", most=MAX_LABEL)
    return label or None
