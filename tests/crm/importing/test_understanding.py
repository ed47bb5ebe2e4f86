"""Headings guessed, dirty cells understood: what a price list holds is what is stored, or a word why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.importing.capitals import organisation_from_capitals, person_from_capitals
from crm.importing.cells import RowReader, clean, clean_name
from crm.importing.fields import FIELDS, guess_columns, guess_field, header_key, heading_row
from crm.importing.likeness import names_fit
from crm.importing.own_values import read_own
from crm.importing.plans import Capitals, Checked, OwnField, Rules
from crm.requisites import is_inn


def read(columns: list[str], *cells: str, **rules: object) -> Checked:
    return RowReader(Rules(columns=columns, **rules)).read(cells)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("Наименование", "organisation"), ("КОНТРАГЕНТ ", "organisation"), ("Ф.И.О.", "person"), ("Контактное лицо", "person"),
        ("Тел. 2", "phone"), ("Телефон (с кодом)", "phone"), ("Моб. телефон", "phone"), ("E-Mail", "email"), ("Эл. почта", "email"),
        ("ИНН", "inn"), ("Должность", "position"), ("Ответственный менеджер", "owner"), ("Примечания", "note"),
        ("Company", "organisation"), ("Phone number", "phone"), ("Цена за кг", ""), ("", ""),
    ],
)  # fmt: skip
def test_headings_are_guessed_in_both_languages(heading: str, field: str) -> None:
    assert guess_field(heading) == field


def test_a_title_above_the_heading_is_no_data() -> None:
    rows = [
        ["Прайс-лист компании"],
        ["на 20.11.2026"],
        ["Название", "Телефон", "Город"],
        ["Пример", "89161000001", "Тверь"],
    ]
    assert heading_row(rows) == 2


def test_without_a_heading_the_contents_tell() -> None:
    rows = [["Пример", "8 916 100-00-01", "a@example.org"], ["Ромашка", "8 916 100-00-02", "b@example.org"]]
    assert heading_row(rows) is None
    assert guess_columns(["", "", ""], rows) == ["", "phone", "email"]


def test_a_first_name_alone_is_the_person() -> None:
    assert guess_columns(["Имя", "Телефон"], []) == ["person", "phone"]
    assert guess_columns(["Фамилия", "Имя", "Телефон"], [])[:2] == ["last_name", "first_name"]


def test_the_same_heading_is_remembered_whatever_its_spelling() -> None:
    assert header_key(["Название", "E-mail"]) == header_key(["НАЗВАНИЕ ", "e mail"])


@pytest.mark.parametrize("nothing", ["", " ", "-", "—", "нет", "Н/Д", "0", "\u00a0", "#N/A"])
def test_a_cell_may_say_nothing_in_many_ways(nothing: str) -> None:
    assert clean(nothing) == ""


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ('"ООО ""Ромашка"""', 'ООО "Ромашка"'), ('"Ромашка"', "Ромашка"), ("  ООО   «Ромашка» ", "ООО «Ромашка»"),
        ('"Ромашка" и "Лютик"', '"Ромашка" и "Лютик"'), ('"Ромашка', "Ромашка"),
    ],
)  # fmt: skip
def test_quotation_marks_around_names_go(typed: str, name: str) -> None:
    assert clean_name(typed) == name


def test_a_cell_with_two_numbers_yields_each_with_its_extension() -> None:
    plan = read(["person", "phone"], "Анна", "8 916 111-11-11, 8(495)123-45-67 доб. 12").plan
    assert plan is not None
    assert plan.person is not None
    assert [phone.key for phone in plan.person.phones] == [("+79161111111", ""), ("+74951234567", "12")]


def test_what_no_number_was_made_of_is_told() -> None:
    checked = read(["person", "phone"], "Анна", "8 916 111-11-11; спросить 654321")
    assert (checked.plan is not None, [each.is_note for each in checked.problems]) == (True, [True])


@pytest.mark.parametrize(
    ("inn", "stored"),
    [("7707083893", "7707083893"), ("7707083893.0", None), ("500100732259", "500100732259"), ("77", None)],
)
def test_an_inn_is_checked_by_its_digits(inn: str, stored: str | None) -> None:
    plan = read(["organisation", "inn"], "Пример", inn).plan
    assert (plan.organisation.inn if plan and plan.organisation else None) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "7707083893/770101001",
        "7707083893 / 770101001",
        "ИНН 7707 083893, КПП 770101001",
        "ИНН: 7707083893 КПП: 770101001",
        "7707083893; 770101001",
    ],
)
def test_an_inn_may_bring_its_kpp(typed: str) -> None:
    plan = read(["organisation", "inn"], "Пример", typed).plan
    assert plan is not None
    assert plan.organisation is not None
    assert (plan.organisation.inn, plan.organisation.kpp) == ("7707083893", "770101001")


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        ("number", "1 234,50", 1234.5),
        ("number", "-7", -7),
        ("number", "0", 0),
        ("date", "01.02.2020", "2020-02-01"),
        ("flag", "Да", True),
        ("flag", "нет", False),
        ("choice", " СЕВЕР ", "Север"),
        ("text", "  две   строки ", "две строки"),
        ("number", "—", None),
        ("flag", "н/д", None),
    ],
)
def test_an_own_field_is_read_as_people_write_it(kind: str, typed: str, stored: object) -> None:
    field = OwnField(key="own", name="Своё", type=kind, options=["Север", "Юг"] if kind == "choice" else [])
    value = read_own(field, typed)
    assert (value, type(value)) == (stored, type(stored))


def test_a_zero_that_excel_dropped_comes_back() -> None:
    with_zero = next(f"0{n}" for n in range(100000001, 100001000) if is_inn(f"0{n}"))
    plan = read(["organisation", "inn"], "Пример", with_zero[1:]).plan
    assert plan is not None
    assert plan.organisation is not None
    assert plan.organisation.inn == with_zero


def test_a_number_that_excel_cut_is_told_as_such() -> None:
    assert "Excel has cut" in read(["person", "phone"], "Анна", "7,91612E+10").problems[0].why


def test_a_line_of_ours_is_no_clients_number() -> None:
    checked = read(["person", "phone"], "Анна", "84950000001", own_lines={"+74950000001": "Продажи"})
    assert checked.plan is None
    assert checked.problems[0].values["line"] == "Продажи"


@pytest.mark.parametrize(
    ("typed", "stored"), [("20.11.1990", "1990-11-20"), ("1990-11-20 00:00:00", "1990-11-20")]
)
def test_dates_are_read_as_people_write_them(typed: str, stored: str) -> None:
    plan = read(["person", "birth_date"], "Анна", typed).plan
    assert plan is not None
    assert plan.person is not None
    assert plan.person.detail["birth_date"] == stored
    assert read(["person", "birth_date"], "Анна", "31.02.1990").plan is None


def test_owners_are_named_by_login_or_name() -> None:
    rules = {"owners": {"anna": 3, "белова анна": 3}, "namesakes": ["иванов иван"]}
    for name in ("anna", "Белова Анна", "ANNA"):
        plan = read(["person", "owner"], "Пример", name, **rules).plan
        assert plan is not None
        assert plan.owner_id == 3
    assert "Several users" in read(["person", "owner"], "Пример", "Иванов Иван", **rules).problems[0].why


@pytest.mark.parametrize(
    ("one", "other", "fit"),
    [
        ("иванов и и", "иванов иван иванович", True), ("анна", "белова анна", True), ("анна белова", "белова анна", True),
        ("иванова", "петров", False), ("иванов иван", "иванов петр", False), ("", "иванов", False),
    ],
)  # fmt: skip
def test_names_of_one_client_fit(one: str, other: str, fit: bool) -> None:
    assert names_fit(one, other) is fit


@given(st.lists(st.text(max_size=40), min_size=len(FIELDS), max_size=len(FIELDS)))
def test_no_row_breaks_the_reader(cells: list[str]) -> None:
    checked = read(list(FIELDS), *cells)
    assert checked.plan is not None or checked.problems


def test_a_source_is_called_as_the_directory_calls_it() -> None:
    sources = {"site": "Наш сайт", "наш сайт": "Наш сайт"}
    for typed, stored in (("SITE", "Наш сайт"), (" наш Сайт", "Наш сайт"), ("Знакомые", "Знакомые")):
        plan = read(["organisation", "source"], "Первая", typed, sources=sources).plan
        assert plan is not None
        assert plan.sides[0].party["source"] == stored


def test_a_source_that_the_directory_does_not_have_is_told() -> None:
    sources = {"site": "Наш сайт", "наш сайт": "Наш сайт"}
    for typed, unknown in (("SITE", ""), ("Наш сайт", ""), ("", ""), ("Знакомые", "Знакомые")):
        assert read(["organisation", "source"], "Первая", typed, sources=sources).unknown_source == unknown


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("ИВАНОВ ИВАН ИВАНОВИЧ", "Иванов Иван Иванович"), ("ИВАНОВ Иван", "Иванов Иван"), ("Иванов И.И.", "Иванов И.И."),
        ("ИВАНОВ И.И.", "Иванов И.И."), ("ИВАНОВ И. И.", "Иванов И. И."), ("ИВАНОВ ИИ", "Иванов ИИ"), ("ЛИ ЯН", "Ли Ян"),
        ("ПЕТРОВ-ВОДКИН КУЗЬМА", "Петров-Водкин Кузьма"), ("О'НИЛ ШОН", "О'Нил Шон"), ("МАМЕДОВ АЛИ ГАСАН ОГЛЫ", "Мамедов Али Гасан оглы"),
        ("SMITH JOHN", "Smith John"), ("ЁЛКИНА АННА", "Ёлкина Анна"), ("Мак-Дональд", "Мак-Дональд"), ("", ""), ("8 ОТДЕЛ", "8 Отдел"),
        ("МАИ\u0306ОРОВ ИВАН", "Маи\u0306оров Иван"),
    ],
)  # fmt: skip
def test_people_in_capitals(typed: str, written: str) -> None:
    last, _, rest = typed.partition(" ")
    first, _, middle = rest.partition(" ")
    names = person_from_capitals({"last_name": last, "first_name": first, "middle_name": middle})
    assert " ".join(filter(None, names.values())) == written


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ('ООО "РОМАШКА"', 'ООО "Ромашка"'), ("ИП ИВАНОВ ИВАН", "ИП Иванов Иван"), ("ООО Ромашка", "ООО Ромашка"),
        ("ЗАО СМУ-15", "ЗАО СМУ-15"), ("АО ВТБ", "АО ВТБ"), ("ООО ТД МИР ЛЕСА", "ООО ТД Мир Леса"), ("ДОМ И САД", "Дом и Сад"),
        ("ОБЩЕСТВО С ОГРАНИЧЕННОЙ ОТВЕТСТВЕННОСТЬЮ «СЕВЕРО-ЗАПАД»", "Общество с ограниченной ответственностью «Северо-Запад»"),
        ("ФГУП ПОЧТА РОССИИ", "ФГУП Почта России"), ("ООО", "ООО"), ("", ""),
        ("ИП ИВАНОВ И.И.", "ИП Иванов И.И."), ("ИП ИВАНОВ С. В.", "ИП Иванов С. В."), ("ИП ИВАНОВ С В", "ИП Иванов С В"),
        ("ИП ИВАНОВА О", "ИП Иванова О"), ("БЛОК-С", "Блок-С"), ('ЗАВОД "К"', 'Завод "К"'), ("АПТЕКА К ДОМУ", "Аптека к Дому"),
    ],
)  # fmt: skip
def test_organisations_in_capitals(typed: str, written: str) -> None:
    assert organisation_from_capitals(typed) == written


@given(st.text(max_size=60))
def test_capitals_change_letters_only_and_once(name: str) -> None:
    for once in (organisation_from_capitals(name), person_from_capitals({"last_name": name})["last_name"]):
        assert once.upper() == name.upper() or once.casefold() == name.casefold()
        assert organisation_from_capitals(once) == once


@pytest.mark.parametrize(
    ("capitals", "names"),
    [
        ("keep", ('ООО "РОМАШКА"', "ИВАНОВ ИВАН")),
        ("people", ('ООО "РОМАШКА"', "Иванов Иван")),
        ("all", ('ООО "Ромашка"', "Иванов Иван")),
    ],
)
def test_capitals_are_changed_by_the_rules(capitals: str, names: tuple[str, str]) -> None:
    checked = read(["organisation", "person"], 'ООО "РОМАШКА"', "ИВАНОВ ИВАН", capitals=Capitals(capitals))
    assert checked.plan is not None
    assert tuple(side.name for side in checked.plan.sides) == names
    assert checked.is_in_capitals
    split = read(["last_name", "first_name"], "ИВАНОВ", "ИВАН", capitals=Capitals(capitals)).plan
    assert split is not None
    assert split.sides[0].name == names[1]
