"""The story of a call in Russian: every line that a recorded call ever gets is known, and says the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami_adapter.replay import replay_calls
from web.i18n import read_catalogues, speaking
from web.pages.calls.story_words import told_story

CAPTURES = Path(__file__).parents[2] / "captures"
RUSSIAN = read_catalogues()["ru"]


def test_every_line_of_the_recorded_calls_is_told_in_russian() -> None:
    lines = {
        line
        for path in sorted(CAPTURES.glob("*/*.ami.xz"))
        if "burst" not in path.name
        for call in replay_calls(path)
        for line in call["story"]
    }
    assert len(lines) > 200
    with speaking(RUSSIAN):
        told = told_story(tuple(sorted(lines)))
    assert [line.text for line in told if line.language] == []


@pytest.mark.parametrize(
    ("line", "russian"),
    [
        (
            "+0.0 s: +79161234567 (IVANOV) calls +74951234502",
            "+0,0 с: +79161234567 (IVANOV) звонит на +74951234502",
        ),
        (
            "+1.2 s: 101 stops ringing: answered elsewhere by 102",
            "+1,2 с: 101 перестаёт звонить: ответил 102",
        ),
        ("(+3.0 s: 103 dials 101)", "(+3,0 с: 103 набирает 101)"),
        (
            "the call ended while nobody listened (the caller gave up waiting)",
            "звонок закончился, пока связи с АТС не было (звонящий не дождался)",
        ),
        ("+4.6 s: the customer hangs up: answered", "+4,6 с: клиент кладёт трубку: отвечен"),
    ],
)
def test_a_line_says_the_same_in_russian(line: str, russian: str) -> None:
    with speaking(RUSSIAN):
        assert [told.text for told in told_story((line,))] == [russian]


def test_an_unknown_line_stays_as_it_is_and_says_its_language() -> None:
    with speaking(RUSSIAN):
        [told] = told_story(("+1.0 s: something new",))
    assert (told.text, told.language) == ("+1.0 s: something new", "en")
