"""Who calls: answers beside the first picture, from memory while the database is away, and never the end of the program."""

from __future__ import annotations

import asyncio
from typing import TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from crm.database import Database, make_database
from crm.direct_reading import DirectReader
from crm.matching import MatchOutcome, MatchResult, as_agent_said, find_by_number
from crm.numbers import NumberValues
from crm.parties import create_party, person_values
from crm.rights import command_access
from cti.daemon.recognition import MOST_WAITING, Question, Recognition
from cti.numbers import to_e164

T = TypeVar("T")
CALL = UUID("019aa0c2-0000-7000-8000-000000000001")


def question(presented: str = "+79000000001") -> Question:
    return Question(connection_id=1, call_id=CALL, number=to_e164(presented), line_id=None)


async def answers_of(recognition: Recognition, heard: list[T], count: int) -> list[T]:
    working = asyncio.create_task(recognition.run())
    try:
        async with asyncio.timeout(10):
            while len(heard) < count:
                await asyncio.sleep(0.01)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return heard


async def test_i18_a_listener_that_raises_costs_its_own_answer_only(database: Database) -> None:
    heard: list[MatchResult] = []

    def tell(asked: Question, result: MatchResult) -> None:
        heard.append(result)
        if len(heard) == 1:
            raise RuntimeError("a broken window")

    recognition = Recognition(database, tell)
    recognition.ask(question())
    recognition.ask(question("+79000000002"))
    found = await answers_of(recognition, heard, 2)
    assert [one.outcome for one in found] == [MatchOutcome.UNKNOWN, MatchOutcome.UNKNOWN]


async def test_i13_a_name_once_found_is_shown_while_the_database_is_away(
    database: Database, session: AsyncSession
) -> None:
    values = person_values("Пример")
    await create_party(session, command_access(), values, numbers=[NumberValues(presented="+79000000003")])
    await session.commit()
    heard: list[MatchResult] = []
    recognition = Recognition(database, lambda _asked, result: heard.append(result))
    recognition.ask(question("+79000000003"))
    await answers_of(recognition, heard, 1)
    away = make_database("postgresql://nobody@127.0.0.1:1/nowhere")
    recognition._readers = [DirectReader(away)]
    recognition.ask(question("+79000000003"))
    found = await answers_of(recognition, heard, 2)
    await away.close()
    assert [party.name for party in found[1].parties] == [party.name for party in found[0].parties] != []


async def test_i10_too_many_questions_cost_the_oldest(database: Database) -> None:
    given_up: list[Question] = []
    recognition = Recognition(database, lambda _asked, _result: None, given_up.append)
    for number in range(MOST_WAITING + 10):
        recognition.ask(question(f"+79000{number:06}"))
    assert recognition._waiting.qsize() == MOST_WAITING
    assert given_up == [question(f"+79000{number:06}") for number in range(10)]


async def test_a_question_that_nobody_answers_is_given_up(database: Database) -> None:
    away, given_up = make_database("postgresql://nobody@127.0.0.1:1/nowhere"), list[Question]()
    recognition = Recognition(database, lambda _asked, _result: None, given_up.append)
    recognition._readers = [DirectReader(away)]
    recognition.ask(question("+79000000005"))
    await answers_of(recognition, given_up, 1)
    await away.close()
    assert given_up == [question("+79000000005")]


async def test_after_a_warm_up_a_first_call_asks_nothing_that_was_not_planned(database: Database) -> None:
    recognition = Recognition(database, lambda _asked, _result: None)
    await recognition.warm_up()
    for reader in recognition._readers:
        planned = await statements_of(reader)
        for presented in ("+79000000004", "777", "4012233", "anonymous"):
            found = await find_by_number(reader, to_e164(presented), line_id=1, connection_id=1)
            await as_agent_said(reader, CALL, found)
        assert await statements_of(reader) == planned != set()
        reader.close()


async def statements_of(reader: DirectReader) -> set[str]:
    """What the server has planned for this reader's connection, besides this question."""
    rows = await reader.execute(text("select statement from pg_prepared_statements"), {})
    return {row.statement for row in rows.all() if "pg_prepared_statements" not in row.statement}
