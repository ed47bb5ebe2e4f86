"""Files as people and attackers make them: read for what they are, or refused in time with a word (T19)."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import pytest

from crm.errors import Invalid
from crm.importing.children import read_file
from crm.importing.files import MOST_BYTES, MOST_CHARACTERS
from tests.crm.importing.books import SHEET, book_of, book_with, cell_xml, sheet_xml

SOON = 20.0  # seconds, on a machine that others use as well
TABLE = "Название;Телефон\r\nООО «Ромашка»;8 916 100-00-01\r\n"
ROWS = [(1, ["Название", "Телефон"]), (2, ["ООО «Ромашка»", "8 916 100-00-01"])]


async def read(folder: Path, content: bytes) -> tuple[dict[str, str], list[tuple[int, list[str]]]]:
    path = folder / "file"
    path.write_bytes(content)
    details: dict[str, str] = {}
    rows: list[tuple[int, list[str]]] = []
    async for said in read_file(path):
        if isinstance(said, dict):
            details = said
        else:
            rows += said
    return details, rows


async def why_refused(folder: Path, content: bytes) -> str:
    began = time.monotonic()
    with pytest.raises(Invalid) as refused:
        await read(folder, content)
    assert time.monotonic() - began < SOON
    return refused.value.why


@pytest.mark.parametrize("encoding", ["cp1251", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
async def test_encoding_and_separator_are_found(tmp_path: Path, encoding: str, separator: str) -> None:
    details, rows = await read(tmp_path, TABLE.replace(";", separator).encode(encoding))
    assert rows == ROWS
    assert details["separator"] == separator


async def test_excel_may_name_the_separator_itself(tmp_path: Path) -> None:
    _, rows = await read(tmp_path, ("sep=|\r\n" + TABLE.replace(";", "|")).encode())
    assert [cells for _, cells in rows] == [cells for _, cells in ROWS]


async def test_quoted_cells_keep_separators_and_line_breaks(tmp_path: Path) -> None:
    _, rows = await read(tmp_path, 'Имя;Примечание\r\n"Анна";"одно; другое\nтретье"\r\n'.encode())
    assert rows[1][1] == ["Анна", "одно; другое\nтретье"]


async def test_a_quotation_mark_too_many_does_not_swallow_the_file(tmp_path: Path) -> None:
    lines = "".join(
        f'"Ромашка {n};8916100{n:04}\r\n' if n == 3 else f"Пример {n};8916100{n:04}\r\n" for n in range(3000)
    )
    _, rows = await read(tmp_path, lines.encode("cp1251"))
    assert len(rows) == 3000


async def test_empty_rows_and_numbers_of_rows_are_those_of_the_file(tmp_path: Path) -> None:
    _, rows = await read(tmp_path, "Имя\r\n\r\n;;\r\nАнна\r\n".encode())
    assert rows == [(1, ["Имя"]), (4, ["Анна"])]


async def test_a_workbook_is_read_with_numbers_and_dates_as_people_write_them(tmp_path: Path) -> None:
    row = f'<row r="3">{cell_xml("A3", "Анна")}<c r="B3"><v>89161000001</v></c><c r="C3"><v>1.5</v></c></row>'
    details, rows = await read(tmp_path, book_with({SHEET: sheet_xml(row)}))
    assert rows == [(3, ["Анна", "89161000001", "1.5"])]
    assert details == {"format": "xlsx", "sheet": "ringcard"}


async def test_formulas_are_texts(tmp_path: Path) -> None:
    cells = ["=HYPERLINK(1)", "+cmd|' /C calc'!A0", "@x"]
    _, rows = await read(tmp_path, book_of(["a", "b", "c"], cells))
    assert rows[1][1] == cells


async def test_t19_a_bomb_is_counted_while_it_is_unpacked(tmp_path: Path) -> None:
    bomb = book_with({SHEET: sheet_xml(" " * (80 * 1024 * 1024))})
    assert len(bomb) < 1024 * 1024
    assert "far larger than any table" in await why_refused(tmp_path, bomb)


async def test_t19_a_far_cell_does_not_take_the_memory(tmp_path: Path) -> None:
    rows = f'<row r="1">{cell_xml("A1", "x")}</row><row r="1048576">{cell_xml("XFD1048576", "x")}</row>'
    why = await why_refused(tmp_path, book_with({SHEET: sheet_xml(rows)}))
    assert "more time or memory" in why or "columns" in why


async def test_t19_too_many_columns_are_refused(tmp_path: Path) -> None:
    assert "columns" in await why_refused(tmp_path, ("a;" * 1_000_000).encode() + b"a")
    row = f'<row r="1">{"".join(cell_xml("", str(n)) for n in range(3000))}</row>'
    why = await why_refused(tmp_path, book_with({SHEET: sheet_xml(row)}))
    assert "columns" in why or "damaged" in why


async def test_t19_entities_are_refused_unread(tmp_path: Path) -> None:
    dtd = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname"><!ENTITY b "&a;&a;">]>'
    row = f'<row r="1">{cell_xml("A1", "")}</row>'.replace("<t></t>", "<t>&b;</t>")
    assert "DTD" in await why_refused(tmp_path, book_with({SHEET: sheet_xml(row, dtd)}))


@pytest.mark.parametrize("cut", [10, 200, -30])
async def test_a_broken_workbook_is_refused(tmp_path: Path, cut: int) -> None:
    assert "damaged" in await why_refused(tmp_path, book_of(["a"], ["b"])[:cut])


async def test_a_damaged_part_is_refused(tmp_path: Path) -> None:
    assert "damaged" in await why_refused(
        tmp_path, book_with({SHEET: b"<worksheet><sheetData><row><c></row>"})
    )
    content = bytearray(book_of(["a"], *[[str(n)] for n in range(3000)]))
    content[len(content) // 2] ^= 0xFF
    assert await why_refused(tmp_path, bytes(content))


async def test_an_archive_is_no_workbook(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../etc/clients.csv", "a;b")
    assert "archive" in await why_refused(tmp_path, out.getvalue())


@pytest.mark.parametrize(
    "content",
    [b"a;b\0c\r\n" * 20, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20, b"\xff\xfe\x00\xd8\x00"],
    ids=["nul", "picture", "half a letter"],
)
async def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "neither an XLSX workbook nor a text" in await why_refused(tmp_path, content)


async def test_one_endless_line_is_refused(tmp_path: Path) -> None:
    assert "characters" in await why_refused(tmp_path, b"x" * (MOST_CHARACTERS + 1))
    assert "characters" in await why_refused(tmp_path, b'"' + b"x" * (40 * 1024 * 1024))


async def test_a_file_larger_than_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(4 * MOST_BYTES)  # 200 MiB
    with pytest.raises(Invalid, match="larger than"):
        async for _ in read_file(path):
            pass


async def test_too_many_rows_are_refused(tmp_path: Path) -> None:
    assert "rows" in await why_refused(tmp_path, b"a\r\n" * 200_001)


@pytest.mark.parametrize("content", [b"", b"\r\n;;\r\n", b"\xef\xbb\xbf"])
async def test_an_empty_file_says_so(tmp_path: Path, content: bytes) -> None:
    if content == b"\r\n;;\r\n":
        assert (await read(tmp_path, content))[1] == []
    else:
        assert "nothing in this file" in await why_refused(tmp_path, content)
