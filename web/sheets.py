"""Tables for people's spreadsheets, CSV or XLSX, written while their rows are read; formulas in them are harmless.

An XLSX cell is written as text, so that `=cmd|…` is a text and nothing else. A CSV has no types: a cell that a spreadsheet
would take for a formula gets an apostrophe in front. A telephone number (`+7 …`) is none and stays readable.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
import zipfile
from collections.abc import AsyncIterable, Iterable, Sequence
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import hdrs, web

Row = Sequence[str]

# What spreadsheets begin a formula with, also full-width and behind blanks; tab and CR let a cell begin anew.
_FORMULA: Final = re.compile(r"[\s\u00a0\u200b]*[=+\-@＝＋－＠|]|[\t\r\n]")
_NUMBER: Final = re.compile(r"[+\-]?[\d ().,\u00a0-]+(?:доб\. \d+)?")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
MOST_SHEET_ROWS: Final = 1_048_576  # of an XLSX sheet
MOST_CELL: Final = 32_767  # characters of a cell in Excel


class SheetFormat(StrEnum):
    """What a table is written as."""

    XLSX = "xlsx"
    CSV = "csv"


CONTENT_TYPES: Final = {
    SheetFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    SheetFormat.CSV: "text/csv",
}


class Sheet(Protocol):
    """Writes a table piece by piece; each call gives the bytes that are ready."""

    def begin(self, header: Row) -> bytes: ...

    def add(self, rows: Iterable[Row]) -> bytes: ...

    def end(self) -> bytes: ...


def open_sheet(wanted: SheetFormat) -> Sheet:
    return XlsxSheet() if wanted is SheetFormat.XLSX else CsvSheet()


class CsvSheet:
    """As Russian Excel opens it: UTF-8 with its mark, semicolons, CRLF."""

    def begin(self, header: Row) -> bytes:
        return b"\xef\xbb\xbf" + self.add([header])

    def add(self, rows: Iterable[Row]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
        writer.writerows([harmless(cell) for cell in row] for row in rows)
        return out.getvalue().encode("utf-8", "replace")

    def end(self) -> bytes:
        return b""


def harmless(cell: str) -> str:
    """The cell as a spreadsheet reads it without carrying anything out."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


class XlsxSheet:
    """One sheet of text cells with a bold heading that stays in view; packed while it is written, so of any length."""

    def __init__(self) -> None:
        self._out = _Pieces()
        self._archive = zipfile.ZipFile(self._out, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        self._rows = 0

    def begin(self, header: Row) -> bytes:
        for name, content in _PARTS.items():
            self._archive.writestr(name, _XML + content)
        self._part = self._archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True)
        self._part.write((_XML + _SHEET_BEGIN).encode())
        return self._write([header], ' s="1"')

    def add(self, rows: Iterable[Row]) -> bytes:
        return self._write(rows, "")

    def end(self) -> bytes:
        self._part.write(b"</sheetData></worksheet>")
        self._part.close()
        self._archive.close()
        return self._out.taken()

    def _write(self, rows: Iterable[Row], style: str) -> bytes:
        for row in rows:
            if self._rows == MOST_SHEET_ROWS:
                break
            self._rows += 1
            cells = "".join(_cell(cell, style) for cell in row)
            self._part.write(f"<row>{cells}</row>".encode("utf-8", "replace"))
        return self._out.taken()


def _cell(text: str, style: str) -> str:
    if not text:
        return f"<c{style}/>"
    shown = escape(_NOT_XML.sub("\ufffd", text[:MOST_CELL]))
    return f'<c t="inlineStr"{style}><is><t xml:space="preserve">{shown}</t></is></c>'


class _Pieces(io.RawIOBase):
    """A file that cannot be sought: what was written is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


async def send_sheet(
    request: web.Request, wanted: SheetFormat, name: str, header: Row, pages: AsyncIterable[Iterable[Row]]
) -> web.StreamResponse:
    """The table as a download, sent while its pages are read; writing it costs the loop nothing.

    Args:
        name: without its ending.
    """
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: CONTENT_TYPES[wanted],
            hdrs.CONTENT_DISPOSITION: f"attachment; filename*=UTF-8''{quote(f'{name}.{wanted}')}",
            hdrs.CACHE_CONTROL: "no-store",
        }
    )
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    sheet = open_sheet(wanted)
    await response.write(await asyncio.to_thread(sheet.begin, header))
    async for page in pages:
        if written := await asyncio.to_thread(sheet.add, page):
            await response.write(written)
    await response.write(await asyncio.to_thread(sheet.end))
    await response.write_eof()
    return response


_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET_BEGIN: Final = (
    f'<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" '
    'activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetFormatPr defaultRowHeight="15" '
    'defaultColWidth="22"/><sheetData>'
)
_PARTS: Final = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets><sheet name="ringcard" sheetId="1" r:id="rId1"/>'
        "</sheets></workbook>"
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" Type="{_OFFICE}/worksheet" '
        f'Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="{_OFFICE}/styles" Target="styles.xml"/>'
        "</Relationships>"
    ),
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}"><fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
        '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
        '</fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="2"><xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs></styleSheet>'
    ),
}
