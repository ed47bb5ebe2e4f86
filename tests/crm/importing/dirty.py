"""A price-list-quality workbook, as sales departments keep them for years: made by rules, so that a test knows what is right.

Every tenth row is one of the kinds of dirt in `DIRT`; the rest are plain firms with a contact, their numbers in eight spellings.
All firms and people are invented.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from tests.crm.importing.books import SHEET, book_with

ROWS = 5_000
HEADER = (
    "№ п/п",
    "Наименование организации",
    "ИНН / КПП",
    "Контактное лицо",
    "Должность",
    "Телефоны",
    "Эл. почта",
    "Тип",
    "Менеджер",
    "Комментарий",
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TRADES = ("Торг", "Сервис", "Строй", "Монтаж", "Оптима", "Ресурс", "Гарант", "Партнёр")
_FORMS: tuple[Callable[[str], str], ...] = (
    lambda name: f'ООО "{name}"',
    lambda name: f"ООО «{name}»",
    lambda name: f'Общество с ограниченной ответственностью "{name}"',
    lambda name: f'"{name}" ООО',
    lambda name: f"  {name}   ООО ",
    lambda name: f'АО ""{name}""',
    lambda name: name.upper(),
)
_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda n: f"8 ({n[:3]}) {n[3:6]}-{n[6:8]}-{n[8:]}",
    lambda n: f"+7 {n[:3]} {n[3:6]} {n[6:8]} {n[8:]}",
    lambda n: f"8{n}",
    lambda n: f"7{n}",
    lambda n: n,
    lambda n: f"тел. 8-{n[:3]}-{n[3:6]}-{n[6:]}",
    lambda n: f"+7({n[:3]}){n[3:6]}.{n[6:8]}.{n[8:]} (моб)",
    lambda n: f"8\u00a0{n[:3]}\u00a0{n[3:]}",
)
Cells = tuple[str, ...]


def inn_of(n: int) -> str:
    """Ten digits with the right check digit."""
    digits = f"77{n:07d}"
    weights = (2, 4, 10, 3, 5, 9, 4, 6, 8)
    total = sum(int(each) * weight for each, weight in zip(digits, weights, strict=True))
    return digits + str(total % 11 % 10)


def plain(n: int) -> Cells:
    """A firm with a contact, as good as such files get."""
    name = _FORMS[n % len(_FORMS)](f"Пример{_TRADES[n % len(_TRADES)]} {n}")
    inn = inn_of(n)
    spaced = (inn, f"{inn[:4]} {inn[4:]}", f"{inn} / 770101001", "", f"ИНН {inn}")[n % 5]
    number = _SPELLINGS[n % len(_SPELLINGS)](f"9{n + 100_000_000:09d}")
    person = ("Примерова Анна", "Иван Примеров", "примеров и. и.", "")[n % 4]
    email = (f"Zakaz{n}@Example.org", "", "-", f"zakaz{n}@example.org; buh{n}@example.org")[n % 4]
    return (str(n), name, spaced, person, "снабжение", number, email, "Клиент", "", "")


def two_numbers(n: int) -> Cells:
    row = list(plain(n))
    row[5] = f"8 (495) 7{n:06d}, 8 916 6{n:06d} доб. 12"
    return tuple(row)


def wrong_inn(n: int) -> Cells:
    row = list(plain(n))
    row[2] = "7707083890"
    return tuple(row)


def short_number(n: int) -> Cells:
    row = list(plain(n))
    row[5] = f"2-{n % 100:02d}-{n % 89 + 10}"
    return tuple(row)


def nobody(n: int) -> Cells:
    return (str(n), "", "", "", "", f"8 916 5{n:06d}", "", "", "", "звонил, не представился")


def bad_address(n: int) -> Cells:
    row = list(plain(n))
    row[6] = "нет почты!"
    return tuple(row)


def again(n: int) -> Cells:
    """The same firm as the row before, spelled otherwise, with another contact."""
    row = list(plain(n - 1))
    row[1], row[2] = f'ооо "пример{_TRADES[(n - 1) % len(_TRADES)].lower()} {n - 1}"', inn_of(n - 1)
    row[0], row[3], row[5], row[6] = str(n), "Вторая Вера", f"8-916-4{n:06d}", ""
    return tuple(row)


def cut_by_excel(n: int) -> Cells:
    row = list(plain(n))
    row[5] = "7,91612E+10"
    return tuple(row)


def unknown_manager(n: int) -> Cells:
    row = list(plain(n))
    row[8] = "Неизвестный Н. Н."
    return tuple(row)


def other_kind(n: int) -> Cells:
    row = list(plain(n))
    row[7] = "VIP"
    return tuple(row)


# What a row is, and whether it can be stored.
DIRT: tuple[tuple[Callable[[int], Cells], bool], ...] = (
    (two_numbers, True),
    (wrong_inn, False),
    (short_number, False),
    (nobody, False),
    (bad_address, False),
    (again, True),
    (cut_by_excel, False),
    (unknown_manager, False),
    (other_kind, False),
)


def row_of(n: int) -> tuple[Cells, bool]:
    """The row with this number, and whether it can be stored."""
    if n % 10 != 9:
        return plain(n), True
    make, is_good = DIRT[n // 10 % len(DIRT)]
    return make(n), is_good


def dirty_rows(rows: int = ROWS) -> list[tuple[Cells, bool]]:
    return [row_of(n) for n in range(1, rows + 1)]


def dirty_book(rows: Sequence[Cells]) -> bytes:
    """With a title over all columns, a line of contacts of our own, an empty one, then the heading; every fiftieth row is empty.

    What Excel takes for numbers are numbers.
    """
    lines = [("Клиентская база (не менять!)",), ("обновлено 20.11.2026",), (), HEADER]
    for index, row in enumerate(rows):
        lines += [row, ()] if index % 50 == 49 else [row]
    body = "".join(_line(number, cells) for number, cells in enumerate(lines, 1))
    merged = '<mergeCells count="2"><mergeCell ref="A1:J1"/><mergeCell ref="A2:J2"/></mergeCells>'
    xml = f'<?xml version="1.0"?><worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData>{merged}</worksheet>'
    return book_with({SHEET: xml.encode()})


def _line(number: int, cells: Cells) -> str:
    return f'<row r="{number}">{"".join(_cell(f"{chr(65 + index)}{number}", text) for index, text in enumerate(cells))}</row>'


def _cell(place: str, text: str) -> str:
    if not text:
        return ""
    if text.isdecimal() and len(text) < 16:
        return f'<c r="{place}"><v>{text}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'
