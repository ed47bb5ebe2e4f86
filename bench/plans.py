"""Which growing tables a question reads from their beginning: none, in a small base as the tests ask, in a large one as `bench list` does."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from bench.asks import Ask
from crm.rights import Access

GROWING: Final = (
    "party", "person", "organisation", "party_kind_assignment", "party_lack", "party_region", "affiliation", "party_phone", "phone_number",
    "party_email", "email_address", "communication", "call", "participation", "call_note", "meeting", "comment", "lead",
    "stage_visit", "change_log", "duplicate_pair", "name_key", "bin_entry",
)  # fmt: skip


async def read_whole(
    session: AsyncSession, access: Access, ask: Ask, *, if_it_can_be_avoided: bool = False
) -> list[str]:
    """Each statement of the question that reads such a table whole, with its plan.

    Args:
        if_it_can_be_avoided: the base is so small that reading it whole may be cheaper; only what no index serves is told.
    """
    connection = await session.connection()
    asked_for: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked_for.append((statement, parameters))

    event.listen(connection.sync_connection, "before_cursor_execute", note)
    try:
        await ask(session, access)
    finally:
        event.remove(connection.sync_connection, "before_cursor_execute", note)
    if if_it_can_be_avoided:
        await connection.exec_driver_sql("set local enable_seqscan = off")
    found = []
    for statement, parameters in asked_for:
        if statement.lstrip().lower().startswith(("select", "with")):
            rows = await connection.exec_driver_sql("explain " + statement, parameters)
            plan = "\n".join(rows.scalars())
            if any(f"Seq Scan on {table} " in f"{plan} " for table in GROWING):
                found.append(f"{statement}\n{plan}")
    return found
