"""What running programs tell the pages of one user about a task, when the transaction commits."""

from __future__ import annotations

from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from crm.changes import notify

TASK_CHANNEL: Final = "ringcard_task"  # payload: "USER WORD TASK"
Word = Literal["assigned", "changed", "reminder"]
WORDS: Final = ("assigned", "changed", "reminder")


async def tell_task(session: AsyncSession, user_id: int, word: Word, task_id: int) -> None:
    """`reminder`: one is due, or was answered in another tab."""
    await notify(session, TASK_CHANNEL, f"{user_id} {word} {task_id}")


def read_news(payload: str) -> tuple[int, str, int]:
    """User, word and task of a payload. Raises ValueError: it is none."""
    user_id, word, task_id = payload.split(" ")
    if word not in WORDS:
        raise ValueError(word)
    return int(user_id), word, int(task_id)
