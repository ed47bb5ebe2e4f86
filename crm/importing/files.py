"""Tables out of files that anybody may have made: XLSX and CSV, bounded in every direction. Runs in a child process.

Limits: `MOST_BYTES` of the file, `MOST_UNPACKED` of an XLSX once unpacked (counted while unpacking, before anything is
parsed), rows, columns, characters of a cell. What an XLSX takes in memory is the child's own limit (`crm.importing.child`).
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from python_calamine import CalamineError, CalamineWorkbook

from crm.errors import Invalid

MOST_BYTES: Final = 50 * 1024 * 1024
MOST_UNPACKED: Final = 512 * 1024 * 1024  # 200,000 rows of 20 columns have some 200 MiB of XML
MOST_RATIO: Final = 200  # text packs twenty to one; a bomb a thousand to one
RATIO_FROM: Final = 8 * 1024 * 1024  # smaller parts may be as dense as they like
MOST_PARTS: Final = 5_000
MOST_ROWS: Final = 200_000
MOST_COLUMNS: Final = 200
MOST_CHARACTERS: Final = 32 * 1024
_CHUNK: Final = 1024 * 1024
_SEPARATORS: Final = ";,\t|"
_SAMPLE_LINES: Final = 50
_SAMPLE_BYTES: Final = 1000
_OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A file opened: what it is, and its rows with their numbers as a person counts them; empty rows are left out."""

    details: dict[str, str]  # format; encoding and separator, or the sheet's name
    rows: Iterator[tuple[int, list[str]]]


def open_table(path: Path) -> Table:
    """Open a file, whatever its name says; the rows are read while one asks for them.

    Raises:
        Invalid: no table that can be read, or larger than the limits; also while the rows are read.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise refused("The file is larger than %(most)d MiB. Divide it into several.", most=MOST_BYTES >> 20)
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(_OLD_EXCEL):
        raise refused(
            "This is an old .xls file, or one with a password. Save it as .xlsx without a password."
        )
    return _open_xlsx(path) if start.startswith(b"PK") else _open_csv(path)


def refused(why: str, **values: Any) -> Invalid:
    """The whole file cannot be taken; `why` is a message id."""
    return Invalid("file", "", why, **values)


def _open_xlsx(path: Path) -> Table:
    _check_parts(path)
    try:
        book = CalamineWorkbook.from_path(path)
        names = book.sheet_names
        if not names:
            raise refused("There is no sheet in this workbook.")
        sheets = (book.get_sheet_by_name(name) for name in names)
        sheet = next((each for each in sheets if each.height), None)
    except (CalamineError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise _broken() from error
    if sheet is None:
        raise _empty()
    if sheet.width > MOST_COLUMNS:
        raise _too_wide(sheet.width)
    rows = ((number, [cell_text(value) for value in row]) for number, row in enumerate(sheet.iter_rows(), 1))
    return Table(details={"format": "xlsx", "sheet": sheet.name[:100]}, rows=_bounded(rows))


def _check_parts(path: Path) -> None:
    """Unpack everything once into nothing, counting: a directory of a zip says what its author wants it to say."""
    unpacked = 0
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS:
                raise refused("There are too many parts in this workbook: %(parts)d.", parts=len(parts))
            for part in parts:
                if part.flag_bits & 0x1:
                    raise refused("The file is protected by a password. Save it without one.")
                unpacked += _unpacked_size(archive, part, MOST_UNPACKED - unpacked)
            if not any(part.filename.endswith("workbook.xml") for part in parts):
                raise refused(
                    "This is an archive or a table of another program (.ods, .numbers), but no XLSX workbook. Save the table as XLSX."
                )
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, RuntimeError) as error:
        raise _broken() from error
    except Exception as error:
        if type(error).__name__ == "error":  # zlib.error, lzma.LZMAError have no base of their own
            raise _broken() from error
        raise


def _unpacked_size(archive: zipfile.ZipFile, part: zipfile.ZipInfo, most: int) -> int:
    size, tail = 0, b""
    with archive.open(part) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            is_dense = size > RATIO_FROM and size > MOST_RATIO * max(part.compress_size, 1)
            if size > most or is_dense:
                raise refused("Unpacked, this file would be far larger than any table. It is refused.")
            if b"<!DOCTYPE" in tail + chunk or b"<!ENTITY" in tail + chunk:
                raise refused(
                    "This workbook has definitions of its own (DTD), which no Excel file has. It is refused."
                )
            tail = chunk[-16:]
    return size


def _open_csv(path: Path) -> Table:
    text, encoding = _decoded(path.read_bytes())
    if not text.strip():
        raise _empty()
    text, separator = _separator(text)
    details = {"format": "csv", "encoding": encoding, "separator": separator}
    return Table(details=details, rows=_bounded(_csv_rows(text, separator)))


def _decoded(content: bytes) -> tuple[str, str]:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _strictly(content, encoding), encoding.removesuffix("-sig")
    sample = content[:_SAMPLE_BYTES]
    if sample.count(0) > len(sample) // 5:  # Latin letters, digits and separators have a zero byte each
        encoding = "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
        return _strictly(content, encoding), "utf-16"
    try:
        return _without_nul(content.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        return _without_nul(content.decode("cp1251", "replace")), "cp1251"


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return _without_nul(content.decode(encoding))
    except UnicodeDecodeError as error:
        raise refused(
            "This is neither an XLSX workbook nor a text. Save the table as XLSX or CSV."
        ) from error


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise refused("This is neither an XLSX workbook nor a text. Save the table as XLSX or CSV.")
    return text


def _separator(text: str) -> tuple[str, str]:
    """The separator that divides the first lines most evenly; Excel may name it itself."""
    first, _newline, rest = text.partition("\n")
    named = first.strip().strip('"').lower()
    if named.startswith("sep=") and len(named) == 5:
        return rest, named[4]
    lines = [line for line in islice(io.StringIO(text), _SAMPLE_LINES) if line.strip()]
    return text, max(_SEPARATORS, key=lambda each: _evenness(lines, each))


def _evenness(lines: Sequence[str], separator: str) -> tuple[int, int]:
    """How many lines have as many columns as the usual one, and how many columns that is."""
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=separator)]
    except csv.Error:
        return 0, 0
    usual = max(set(widths), key=widths.count, default=1)
    return (widths.count(usual), usual) if usual > 1 else (0, 1)


def _csv_rows(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(MOST_CHARACTERS)
    quoting: Any = csv.QUOTE_MINIMAL if _is_quoted_well(text, separator) else csv.QUOTE_NONE
    lines = io.StringIO(text, newline="")
    try:
        yield from enumerate(csv.reader(lines, delimiter=separator, quoting=quoting), 1)
    except csv.Error as error:
        raise _too_long() from error


def _is_quoted_well(text: str, separator: str) -> bool:
    """A single quotation mark too many would swallow the rest of the file as one cell."""
    try:
        for _row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            pass
    except csv.Error:
        return False
    return True


def _bounded(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, without the empty cells at their ends."""
    taken = 0
    for number, cells in rows:
        while cells and not cells[-1].strip():
            cells.pop()
        if not cells:
            continue
        if len(cells) > MOST_COLUMNS:
            raise _too_wide(len(cells))
        if any(len(cell) > MOST_CHARACTERS for cell in cells):
            raise _too_long()
        taken += 1
        if taken > MOST_ROWS:
            raise refused("The file has more than %(most)d rows. Divide it into several.", most=MOST_ROWS)
        yield number, [_plain(cell) for cell in cells]


def cell_text(value: Any) -> str:
    """A cell as a person would read it aloud: whole numbers without a point, dates as 20.11.2026."""
    match value:
        case str():
            return value
        case bool():
            return "1" if value else "0"
        case float() if value.is_integer() and abs(value) < 1e16:
            return str(int(value))
        case float():
            return f"{value:.15g}"
        case datetime():
            return value.strftime("%d.%m.%Y") if value.time().isoformat() == "00:00:00" else str(value)
        case date():
            return value.strftime("%d.%m.%Y")
        case _:
            return str(value)


def _plain(text: str) -> str:
    """What the database can keep: no control characters but tab and line break, no halves of letters."""
    if text.isprintable():
        return text
    kept = "".join(each if each >= " " or each in "\t\n" else " " for each in text.replace("\r\n", "\n"))
    return kept.encode("utf-8", "replace").decode()


def _broken() -> Invalid:
    return refused("The workbook is damaged and cannot be read. Open it in Excel and save it anew as XLSX.")


def _empty() -> Invalid:
    return refused("There is nothing in this file.")


def _too_wide(columns: int) -> Invalid:
    why = "The file has %(columns)d columns; at most %(most)d are read. Remove those you do not need."
    return refused(why, columns=columns, most=MOST_COLUMNS)


def _too_long() -> Invalid:
    why = "A cell has more than %(most)d characters. Shorten it, or check the quotation marks of the file."
    return refused(why, most=MOST_CHARACTERS)
