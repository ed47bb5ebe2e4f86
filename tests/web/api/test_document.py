"""The OpenAPI document: it is valid, it equals the routes both ways, and the API behaves as it says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # the loader's own late import, made before threads share the interpreter
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from crm.granted_rights import RIGHTS, ROLE_CODES
from tests.web.api.company import Company
from web.app import route_table

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    ignored_auth,
]
MOST_ADDRESS = 8000  # characters of a request line
HYPOTHESIS = settings(
    max_examples=4,  # of each operation, kind of data and role
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


async def document_of(company: Company) -> dict[str, Any]:
    answer = await company.get("/api/v1/openapi.json", None)
    assert answer.status == 200
    document: dict[str, Any] = await answer.json()
    return document


async def test_the_document_names_every_route_and_no_other(company: Company) -> None:
    document = await document_of(company)
    described = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    }
    routes = {
        (line.method, re.sub(r"\{(\w+):.*\}", r"{\1}", line.path))
        for line in route_table()
        if line.path.startswith("/api/")
    }
    assert described == routes


async def test_the_document_names_the_right_of_every_route(company: Company) -> None:
    document = await document_of(company)
    for line in route_table():
        if line.path.startswith("/api/") and line.right in RIGHTS:
            operation = document["paths"][re.sub(r"\{(\w+):.*\}", r"{\1}", line.path)][line.method.lower()]
            assert operation["description"].endswith(f"Needs the right {line.right}.")


async def test_every_reference_of_the_document_leads_somewhere(company: Company) -> None:
    document = await document_of(company)
    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.rpartition("/")[2] in schemas
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        value = list(value.values())
    for each in value if isinstance(value, list) else []:
        yield from references(each)


async def test_operation_ids_are_unique(company: Company) -> None:
    document = await document_of(company)
    ids = [one["operationId"] for operations in document["paths"].values() for one in operations.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.slow
@pytest.mark.parametrize("mode", [*GenerationMode])
@pytest.mark.parametrize("role", ROLE_CODES)
async def test_the_api_behaves_as_the_document_says(
    company: Company, role: str, mode: GenerationMode
) -> None:
    document = await document_of(company)
    assert company.client is not None
    base = str(company.client.make_url("/")).rstrip("/")
    # Hypothesis and its client block: beside the loop that serves the answers.
    await asyncio.to_thread(try_document, document, base, company.tokens[role], mode)


def try_document(document: dict[str, Any], base: str, token: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(document)
    headers = {"Authorization": f"Bearer {token}"}

    def behaves(case: schemathesis.Case[Any]) -> None:
        # A longer address is refused by the HTTP parser, in its own plain words, before anything of ours sees it.
        asked = case.as_transport_kwargs(base_url=base)
        assume(len(quote(f"{asked['url']}?{asked['params']}")) < MOST_ADDRESS)
        response = case.call(base_url=base, headers=headers)
        case.validate_response(response, checks=CHECKS, headers=headers)

    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        takes_nothing = not operation.definition.raw["parameters"] and operation.method != "post"
        if mode is GenerationMode.NEGATIVE and takes_nothing:
            continue  # nothing to get wrong
        strategy = operation.as_strategy(generation_mode=mode)
        HYPOTHESIS(given(case=strategy)(behaves))()
