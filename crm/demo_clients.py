"""Who calls in the demo: invented companies whose numbers are those of the recorded calls.

Nobody here exists. Contacts are named for what they do. Some numbers of the recordings are left out on purpose: a
demo without unknown callers would promise too much.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoContact:
    name: str
    position: str = ""
    number: str = ""
    extension: str = ""  # «доб.» of the number
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFirm:
    """An organisation; `owner` is the extension of the responsible user, "" for nobody."""

    name: str
    kind: str = "client"
    city: str = "Москва"
    owner: str = "101"
    number: str = ""
    contacts: tuple[DemoContact, ...] = ()
    note: str = ""


# Numbers of one recorded stream each; what rings where stands in the streams.
FIRMS: Final = (
    DemoFirm(
        name="ООО «Пример-Трейд»",
        note="Отгрузка только по предоплате.",
        contacts=(
            DemoContact(
                name="Отдел закупок",
                position="Закупки",
                number="+79161234501",
                email="zakupki@primer.example",
            ),
            DemoContact(name="Бухгалтерия", position="Сверки и счета", number="+79161234541"),
        ),
    ),
    DemoFirm(
        name="АО «Вымышленный завод № 7»",
        city="Тула",
        owner="102",
        contacts=(
            DemoContact(name="Снабжение", position="Снабжение", number="+79161234502"),
            DemoContact(name="Главный инженер", position="Техника", number="+79161234562"),
        ),
    ),
    DemoFirm(
        name="ООО «Ромашка и Лютик»",
        owner="104",
        contacts=(DemoContact(name="Администратор салона", position="Салон", number="+79161234504"),),
    ),
    DemoFirm(
        name="ООО «Небывалые чаи»",
        city="Сочи",
        contacts=(DemoContact(name="Кладовщик", position="Склад", number="+79161234506"),),
    ),
    DemoFirm(
        name="ООО «Условный склад»",
        owner="104",
        contacts=(DemoContact(name="Диспетчер", position="Рейсы", number="+79161234507"),),
        note="Звонят из машины, связь плохая.",
    ),
    DemoFirm(
        name="ИП «Понарошку Софт»",
        kind="supplier",
        owner="102",
        contacts=(DemoContact(name="Техподдержка", position="Поддержка", number="+79161234509"),),
    ),
    DemoFirm(
        name="ООО «Выдуманные окна»",
        owner="101",
        contacts=(
            DemoContact(name="Замерщик", position="Замеры", number="+79161234524"),
            DemoContact(name="Секретарь", position="Приёмная", number="+79261234569"),
        ),
    ),
    DemoFirm(
        name="ООО «Макет-Сервис»",
        city="Казань",
        owner="105",
        contacts=(DemoContact(name="Мастер смены", position="Сервис", number="+79161234518"),),
    ),
    DemoFirm(
        name="ООО «Несуществующие двери»",
        kind="prospect",
        owner="101",
        contacts=(DemoContact(name="Менеджер зала", position="Шоурум", number="+79161234566"),),
        note="Ждут образцы до конца месяца.",
    ),
    DemoFirm(
        name="ООО «Демо-Мебель»",
        owner="106",
        contacts=(DemoContact(name="Отдел доставки", position="Доставка", number="+79161234567"),),
    ),
    DemoFirm(
        name="ООО «Тестовая логистика»",
        city="Тверь",
        owner="103",
        contacts=(DemoContact(name="Логист", position="Маршруты", number="+79161235514"),),
    ),
    DemoFirm(
        name="АО «Образец-Строй»",
        city="Рязань",
        owner="102",
        number="+74952345678",
        contacts=(
            DemoContact(name="Прораб", position="Участок 1", number="+79161235520"),
            DemoContact(name="Сметный отдел", position="Сметы", number="+74952345678", extension="12"),
        ),
    ),
    DemoFirm(
        name="ООО «Мнимая аптека»",
        owner="105",
        contacts=(DemoContact(name="Провизор", position="Заказы", number="+79161235527"),),
    ),
    DemoFirm(
        name="ООО «Абстрактные сети»",
        kind="supplier",
        owner="102",
        contacts=(DemoContact(name="Дежурный", position="Мониторинг", number="+79261234510"),),
    ),
    DemoFirm(
        name="ООО «Картонный дом»",
        kind="agent",
        owner="103",
        contacts=(DemoContact(name="Партнёрский отдел", position="Партнёры", number="+79261234516"),),
    ),
    DemoFirm(
        name="ООО «Пустая полка»",
        kind="prospect",
        owner="",
        contacts=(DemoContact(name="Товаровед", position="Ассортимент", number="+79261234570"),),
    ),
    DemoFirm(
        name="ООО «Бумажный кораблик»",
        owner="104",
        contacts=(DemoContact(name="Капитан склада", position="Склад", number="+79161234503"),),
    ),
    DemoFirm(
        name="ООО «Сказочный автосервис»",
        owner="106",
        contacts=(DemoContact(name="Приёмщик", position="Приёмка", number="+79161234542"),),
    ),
    DemoFirm(
        name="ООО «Придуманный отель»",
        city="Суздаль",
        owner="105",
        contacts=(DemoContact(name="Портье", position="Ресепшен", number="+79161234561"),),
    ),
    DemoFirm(
        name="ООО «Нарисованные сады»",
        owner="101",
        contacts=(DemoContact(name="Садовник", position="Озеленение", number="+79161234515"),),
    ),
)

# One reception for three firms: a call from it is anybody's, and nobody is picked silently.
RECEPTION: Final = "+74957654321"
TENANTS: Final = (
    DemoFirm(name="БЦ «Образцовый»: дирекция", owner="102"),
    DemoFirm(name="ООО «Этаж третий, воображаемый»", owner="101"),
    DemoFirm(name="ООО «Соседи напротив»", kind="prospect", owner="104"),
)

FORMER: Final = DemoFirm(
    name="ООО «Вчерашний день»",
    owner="101",
    contacts=(DemoContact(name="Отдел возвратов", position="Возвраты", number="+79161234505"),),
    note="Договор расторгнут, расчёты закрыты.",
)
ARCHIVED: Final = DemoFirm(
    name="ООО «Давно закрыто»",
    owner="102",
    contacts=(DemoContact(name="Ликвидатор", position="Ликвидация", number="+79161234563"),),
)
PRIVATE: Final = (
    DemoContact(name="Частный Покупатель", number="+79161234516"),
    DemoContact(name="Частный Заказчик", number="+79161234517"),
)
BURST: Final = range(0, 60, 4)  # of +79165550000 …: every fourth caller of a rush is known
UNKNOWN_OF_THE_RECORDINGS: Final = ("+79161234568", "+79161234539", "+79165550001")

NOTES: Final = (
    "Просили прислать счёт до пятницы.",
    "Уточнили адрес доставки, всё в силе.",
    "Перезвонить после 15:00.",
    "Нужен сертификат на партию.",
    "Спрашивали про скидку от 100 штук.",
    "Договорились о встрече на складе.",
    "Жалоба на упаковку, отправили замену.",
    "Ждут коммерческое предложение.",
)
