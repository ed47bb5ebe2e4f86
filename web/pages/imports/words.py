"""The words of imports: fields, states, verdicts, and what is wrong with a row, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from crm.importing.batches import COULD_NOT
from crm.importing.needs import WHY as NEEDED
from crm.importing.plans import Capitals, Clash, Faulty, Known, New, RowProblem, SameName
from crm.importing.undoing import MAY_NOT, TOUCHED, WAS_THERE
from web.i18n import gettext as _
from web.i18n import marked as N_  # noqa: N812 - the usual name of the marker

FIELD_WORDS: Final[Mapping[str, str]] = {
    "organisation": N_("Organisation: name"),
    "full_name": N_("Organisation: full name"),
    "inn": N_("INN"),
    "kpp": N_("KPP"),
    "ogrn": N_("OGRN"),
    "person": N_("Contact: whole name"),
    "last_name": N_("Contact: last name"),
    "first_name": N_("Contact: first name"),
    "middle_name": N_("Contact: middle name"),
    "birth_date": N_("Contact: date of birth"),
    "position": N_("Contact: position"),
    "phone": N_("Phone"),
    "office_phone": N_("Phone of the organisation"),
    "email": N_("E-mail"),
    "kind": N_("Kind"),
    "owner": N_("Responsible"),
    "source": N_("Source"),
    "city": N_("City"),
    "website": N_("Website"),
    "industry": N_("Industry"),
    "note": N_("Note"),
}
STATE_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "uploaded": (N_("Columns to be named"), "grey"),
    "mapped": (N_("Being checked"), "blue"),
    "previewed": (N_("Checked"), "violet"),
    "running": (N_("Running"), "blue"),
    "stopped": (N_("Stopped"), "orange"),
    "finished": (N_("Finished"), "green"),
    "undoing": (N_("Being undone"), "orange"),
    "undo_stopped": (N_("Undoing stopped"), "orange"),
    "undone": (N_("Undone"), "grey"),
}
# What the preview expects, then what became of the rows: code → (word, tone).
VERDICT_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "new": (N_("New client"), "green"),
    "known": (N_("Known client"), "blue"),
    "repeat": (N_("Repeats a row"), "violet"),
    "same_name": (N_("Only the name is the same"), "orange"),
    "skipped": (N_("Left alone"), "grey"),
    "refused": (N_("Will not get in"), "red"),
}
OUTCOME_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "created": (N_("Created"), "green"),
    "updated": (N_("Added to"), "blue"),
    "skipped": (N_("Left alone"), "grey"),
    "refused": (N_("Not imported"), "red"),
    "undone": (N_("Undone"), "grey"),
    "kept": (N_("Stays"), "orange"),
}
POLICY_WORDS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "known": (
        N_("If the client is there already"),
        {
            Known.FILL: N_("fill in what is empty, add numbers and contacts"),
            Known.REPLACE: N_("replace by what stands in the file"),
            Known.SKIP: N_("leave it alone"),
        },
    ),
    "new": (
        N_("If the client is new"),
        {New.CREATE: N_("create it"), New.SKIP: N_("leave the row out")},
    ),
    "same_name": (
        N_("If only the name is the same"),
        {
            SameName.SKIP: N_("leave the row out and list it"),
            SameName.KNOWN: N_("take it for the same client"),
            SameName.CREATE: N_("create another one"),
        },
    ),
    "faulty": (
        N_("If a value is wrong"),
        {
            Faulty.REFUSE: N_("refuse the row"),
            Faulty.LEAVE_OUT: N_("import the row without the value"),
        },
    ),
    "clash": (
        N_("If a number belongs to somebody of another name"),
        {
            Clash.REFUSE: N_("refuse the row"),
            Clash.SHARE: N_("mark the number as shared by both"),
        },
    ),
    "capitals": (
        N_("If a name is written in capitals"),
        {
            Capitals.KEEP: N_("leave it as it is written"),
            Capitals.PEOPLE: N_("of people: “Smith John” instead of “SMITH JOHN”"),
            Capitals.ALL: N_("of people and of organisations, but for abbreviations"),
        },
    ),
}
# Sentences of `crm.importing`, which has no catalogue of its own.
_SENTENCES: Final = (
    N_("There is neither an organisation nor a person in this row."),
    N_("“%(value)s” is no date. Write it as 20.11.2026."),
    N_("There are more than %(most)d numbers in this row."),
    N_("Excel has cut the number “%(value)s”. Give the column the format “Text” and enter it again."),
    N_("Not everything in “%(value)s” is a complete number; the rest is left out."),
    N_("There is no kind “%(kind)s”. Write one that there is, or let the administrator add it."),
    N_("Several users are called “%(name)s”. Write the login instead."),
    N_("There is no active user “%(name)s”. Write a login or a whole name."),
    N_("The same client as in row %(row)d."),
    N_("This client is there already: “%(name)s”."),
    N_("This client is new, and by the rules it is left out."),
    N_("“%(name)s” is there already, and by the rules it is left alone."),
    N_("The file took longer than %(seconds)d s to arrive."),
    N_("Choose a file."),
    N_("“%(name)s” is in the bin. Restore it first."),
    N_("This is “%(name)s” (responsible: %(owner)s), which you may not change."),
    N_("Several organisations have the INN %(inn)s. Add the KPP."),
    N_("“%(name)s” has the same INN and another KPP: this becomes a branch of its own."),
    N_("There is a client of this name already: “%(name)s”. Whether it is the same, nothing tells."),
    N_("The numbers and addresses of this row belong to several clients: %(names)s."),
    N_(
        "%(value)s belongs to “%(name)s”, who has another name. Correct the row, or let such numbers be shared."
    ),
    N_("This row could not be stored together with what others entered at the same moment. Import it again."),
    N_("Somebody has worked with this client since; it stays."),
    N_("This client is another one's meanwhile, and you may not delete it; it stays."),
    N_("This client was there before the import; what changed in it stays."),
    N_("The kinds of this client need this field. Fill it in, or give the client another kind."),
    N_("“%(value)s” is no number. Write digits alone, as 1234,5."),
    N_("“%(value)s” is neither yes nor no. Write one of the two."),
    N_("“%(value)s” is none of the choices. There are: %(options)s."),
    N_("The file is larger than %(most)d MiB. Divide it into several."),
    N_("This is an old .xls file, or one with a password. Save it as .xlsx without a password."),
    N_("There is no sheet in this workbook."),
    N_("There are too many parts in this workbook: %(parts)d."),
    N_("The file is protected by a password. Save it without one."),
    N_(
        "This is an archive or a table of another program (.ods, .numbers), but no XLSX workbook. Save the table as XLSX."
    ),
    N_("Unpacked, this file would be far larger than any table. It is refused."),
    N_("This workbook has definitions of its own (DTD), which no Excel file has. It is refused."),
    N_("This is neither an XLSX workbook nor a text. Save the table as XLSX or CSV."),
    N_("The file has more than %(most)d rows. Divide it into several."),
    N_("The workbook is damaged and cannot be read. Open it in Excel and save it anew as XLSX."),
    N_("There is nothing in this file."),
    N_("The file has %(columns)d columns; at most %(most)d are read. Remove those you do not need."),
    N_("A cell has more than %(most)d characters. Shorten it, or check the quotation marks of the file."),
    N_(
        "Reading this file takes more time or memory than any table needs. "
        "Copy its rows into a new workbook, or save it as CSV."
    ),
    N_("The file has %(width)d columns: say of each what it means, or nothing."),
    N_("There is no field “%(name)s”."),
    N_("Two columns cannot both be “%(name)s”."),
    N_("Say which column has the name of the organisation or of the person."),
    N_("This import is in another state meanwhile (%(state)s). Reload the page."),
    N_("The user who began this import is blocked or may no longer import. Somebody else can go on with it."),
    N_("The rows could not be checked: the process that reads them ended. Save the columns once more."),
    N_("The import stopped by itself; the log tells why. Continue to try again."),
)
assert {COULD_NOT, TOUCHED, MAY_NOT, WAS_THERE, NEEDED} <= set(_SENTENCES), (
    "what rows are told stands in the catalogues"
)


def told_problem(problem: RowProblem) -> str:
    """What is wrong with a row, named by its field: «ИНН: …»."""
    sentence = _(problem.why) % problem.values if problem.values else _(problem.why)
    word = problem.label or _(FIELD_WORDS.get(problem.field, ""))
    return f"{word}: {sentence}" if word else sentence


def told_problems(problems: Iterable[RowProblem]) -> str:
    return " ".join(map(told_problem, problems))
