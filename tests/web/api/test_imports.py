"""A program imports a file and takes lists out."""

from __future__ import annotations

import csv
import io

import pytest

from cti.daemon.imports import Imports
from tests.crm.importing.office import csv_of
from tests.web.api.company import Company

IMPORTS = "/api/v1/imports"
FILE = csv_of(("Название", "Телефон"), ("ООО «Из программы»", "8 916 300-00-01"), ("Пример", "12"))


async def test_a_program_imports_a_file_and_undoes_it(company: Company) -> None:
    sent = await company.ask(
        "POST", IMPORTS + "?name=erp.csv", data=FILE, headers={"Content-Type": "text/csv"}
    )
    assert sent.status == 201, await sent.text()
    made, job = await sent.json(), sent.headers["Location"]
    assert (made["file_name"], made["columns"], made["total_rows"]) == (
        "erp.csv",
        ["organisation", "phone"],
        2,
    )
    named = await company.ask(
        "PUT", f"{job}/columns", json={"columns": made["columns"], "policy": {"known": "skip"}}
    )
    assert (await named.json())["state"] == "mapped"
    await Imports(company.database).work()
    rows = await company.told(f"{job}/rows?show=refused&limit=1")
    assert (rows["items"][0]["row"], rows["items"][0]["problems"][0]["field"], rows["next"]) == (
        3,
        "phone",
        None,
    )
    assert (await company.post(f"{job}/actions", {"action": "start"})).status == 200
    again = await company.post(f"{job}/actions", {"action": "start"})
    assert (again.status, (await again.json(content_type=None))["code"]) == (409, "WrongState")
    await Imports(company.database).work()
    done = await company.told(job)
    assert (done["state"], done["counts"]) == ("finished", {"refused": 1, "created": 1})
    assert job.endswith(str((await company.told(IMPORTS))["items"][0]["id"]))
    await company.post(f"{job}/actions", {"action": "undo"})
    await Imports(company.database).work()
    undone = await company.told(job)
    assert (undone["counts"]["undone"], undone["undone_rows"], undone["rows_to_undo"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("content_type", "content", "status"),
    [("application/json", b"{}", 415), ("text/csv", b"", 422), ("application/octet-stream", b"\0" * 50, 422)],
)
async def test_what_is_no_file_is_refused(
    company: Company, content_type: str, content: bytes, status: int
) -> None:
    answer = await company.ask("POST", IMPORTS, data=content, headers={"Content-Type": content_type})
    assert answer.status == status
    assert answer.content_type == "application/problem+json"


async def test_lists_are_taken_out_as_files(company: Company) -> None:
    for path in ("/api/v1/parties/export", "/api/v1/calls/export?from=2020-01-01T00:00:00Z"):
        answer = await company.get(path)
        rows = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig")), delimiter=";"))
        assert (answer.status, answer.content_type) == (200, "text/csv")
        assert len(rows) > 5
    assert (await company.get("/api/v1/parties/export?format=xlsx&kind=client")).status == 200
    assert (await company.get("/api/v1/parties/export?kind=none")).status == 422
    assert (await company.get("/api/v1/parties/export", "agent")).status == 404
