"""Tables handed out: nothing in them is carried out, and every reader finds in them what was put in (T20)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from web.sheets import CsvSheet, SheetFormat, harmless, open_sheet

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=30)


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1+cmd|' /C calc'!A0", "-2+3*cmd", "@SUM(A1)", "\t=1", "\t1", "\r=1", " =1", "＝1+1", "＋1+1", '=HYPERLINK("x")'],
)  # fmt: skip
def test_t20_a_formula_is_no_formula_in_a_csv(cell: str) -> None:
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["+7 495 100-00-01", "+7 495 100-00-01 доб. 12", "-5", "ООО «Ромашка»", "a=b", ""]
)
def test_numbers_and_words_stay_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell


@pytest.mark.parametrize("written_as", list(SheetFormat))
def test_a_sheet_may_be_written_in_pieces(written_as: SheetFormat) -> None:
    sheet = open_sheet(written_as)
    content = sheet.begin(["Имя", "Телефон"])
    for n in range(3):
        content += sheet.add([[f"Пример {n}", "+7 495 100-00-01"]] * 700)
    content += sheet.end()
    rows = read_xlsx(content) if written_as is SheetFormat.XLSX else read_csv(content)
    assert (len(rows), rows[0], rows[-1]) == (2101, ["Имя", "Телефон"], ["Пример 2", "+7 495 100-00-01"])


def read_xlsx(content: bytes) -> list[Any]:
    return list(CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).iter_rows())


def read_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5))
def test_t20_no_cell_of_a_csv_begins_a_formula(rows: list[list[str]]) -> None:
    sheet = CsvSheet()
    for row, read in zip(rows, read_csv(sheet.begin(["a", "b"]) + sheet.add(rows))[1:], strict=True):
        assert [cell.removeprefix("'") for cell in read] == [cell.removeprefix("'") for cell in row]
        assert not any(cell.startswith(("=", "@", "\t")) for cell in read)


@given(st.lists(CELLS, min_size=1, max_size=5))
def test_t20_a_workbook_holds_texts_only(cells: list[str]) -> None:
    sheet = open_sheet(SheetFormat.XLSX)
    content = sheet.begin(["x"] * len(cells)) + sheet.add([cells]) + sheet.end()
    assert all(isinstance(cell, str) for cell in read_xlsx(content)[-1])
