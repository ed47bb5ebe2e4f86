"""Accounts of parties at banks: checked against the BIC, one of them the default."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import record_change
from crm.errors import Invalid, NotFound
from crm.party_access import editable_party
from crm.requisites import checked_account, checked_bic
from crm.rights import Access
from crm.schema.directories import BankAccount

MAX_BANK: Final = 200
MOST_ACCOUNTS: Final = 50  # of one party


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInfo:
    """An account in use. The caller was given its party within their rights."""

    id: int
    bic: str
    account: str
    bank: str | None
    is_primary: bool


async def accounts_of(session: AsyncSession, party_id: int) -> list[AccountInfo]:
    """The accounts in use, the default one first."""
    rows = await session.scalars(
        select(BankAccount)
        .where(BankAccount.party_id == party_id, BankAccount.ended_at.is_(None))
        .order_by(BankAccount.is_primary.desc(), BankAccount.id)
        .execution_options(populate_existing=True)
    )
    return [
        AccountInfo(id=row.id, bic=row.bic, account=row.account, bank=row.bank, is_primary=row.is_primary)
        for row in rows
    ]


async def add_account(
    session: AsyncSession,
    access: Access,
    party_id: int,
    *,
    bic: str,
    account: str,
    bank: str = "",
    via: str = "form",
) -> int:
    """Another account; the first one is the default. The same one twice is one. Returns its id.

    Raises:
        NotAllowed, NotFound, Invalid (the BIC, the account's check digit).
    """
    party = await editable_party(session, access, party_id)
    bic = checked_bic(bic)
    account, bank = checked_account(account, bic), " ".join(bank.split())
    if len(bank) > MAX_BANK:
        raise Invalid("bank", bank[:50], "At most %(most)d characters fit here.", most=MAX_BANK)
    present = await accounts_of(session, party.id)
    for each in present:
        if (each.bic, each.account) == (bic, account):
            return each.id
    if len(present) >= MOST_ACCOUNTS:
        raise Invalid("account", account, "A party has at most %(most)d accounts.", most=MOST_ACCOUNTS)
    row = {
        "party_id": party.id,
        "bic": bic,
        "account": account,
        "bank": bank or None,
        "is_primary": not present,
        "created_by": access.actor_id,
    }
    account_id = (
        await session.execute(insert(BankAccount).values(row).returning(BankAccount.id))
    ).scalar_one()
    told = {"account": f"{account}, {bic}"}
    await record_change(session, access, "party", party.id, before={}, after=told, via=via)
    return account_id


async def make_default(
    session: AsyncSession, access: Access, party_id: int, account_id: int, *, via: str = "form"
) -> None:
    """The account that papers show.

    Raises:
        NotAllowed, NotFound.
    """
    party = await editable_party(session, access, party_id)
    found = await _of(session, party.id, account_id)
    if found.is_primary:
        return
    was = next((each for each in await accounts_of(session, party.id) if each.is_primary), None)
    await _change(session, party.id, BankAccount.is_primary, is_primary=False)
    await _change(session, party.id, BankAccount.id == account_id, is_primary=True)
    before, after = {"default_account": was.account if was else None}, {"default_account": found.account}
    await record_change(session, access, "party", party.id, before=before, after=after, via=via)


async def end_account(
    session: AsyncSession, access: Access, party_id: int, account_id: int, *, via: str = "form"
) -> None:
    """No longer in use; of the others the oldest becomes the default.

    Raises:
        NotAllowed, NotFound.
    """
    party = await editable_party(session, access, party_id)
    found = await _of(session, party.id, account_id)
    ended = {"ended_at": datetime.now(UTC), "is_primary": False}
    await _change(session, party.id, BankAccount.id == account_id, **ended)
    left = await accounts_of(session, party.id)
    if found.is_primary and left:
        await _change(session, party.id, BankAccount.id == left[0].id, is_primary=True)
    told = {"account": f"{found.account}, {found.bic}"}
    await record_change(session, access, "party", party.id, before=told, after={}, via=via)


async def _of(session: AsyncSession, party_id: int, account_id: int) -> AccountInfo:
    for each in await accounts_of(session, party_id):
        if each.id == account_id:
            return each
    raise NotFound("account", account_id)


async def _change(session: AsyncSession, party_id: int, which: Any, **values: object) -> None:
    changed = {**values, "version": BankAccount.version + 1, "updated_at": func.now()}
    await session.execute(update(BankAccount).where(BankAccount.party_id == party_id, which).values(changed))
