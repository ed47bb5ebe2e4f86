"""XLSX workbooks made by hand, so that they may be as wrong as a test wants."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from web.sheets import XlsxSheet

SHEET = "xl/worksheets/sheet1.xml"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def book_of(header: Sequence[str], *rows: Sequence[str]) -> bytes:
    """A good one."""
    sheet = XlsxSheet()
    return sheet.begin(header) + sheet.add(rows) + sheet.end()


def book_with(parts: Mapping[str, bytes], *, without: Sequence[str] = ()) -> bytes:
    """A good one with some parts replaced, added or left out."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book_of(["Название"]))) as good,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for name in good.namelist():
            if name not in parts and name not in without:
                made.writestr(name, good.read(name))
        for name, content in parts.items():
            made.writestr(name, content)
    return out.getvalue()


def sheet_xml(rows: str, before: str = "") -> bytes:
    return f'<?xml version="1.0"?>{before}<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'.encode()


def cell_xml(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(text)}</t></is></c>'
