"""The OpenAPI 3.1 document, made from what the endpoints declare: it cannot say anything else than they do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from web.api.contract import Endpoint, NoQuery
from web.routes import SIGNED_IN

VERSION: Final = "1"
_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]+)?\}")
_REF: Final = "#/components/schemas/{name}"


class Problem(msgspec.Struct, omit_defaults=True):
    """Problem details (RFC 9457): what was wrong, with which field, what to try."""

    type: str
    title: str
    status: int
    detail: str | None = None
    field: str | None = None
    code: str | None = None
    version: int | None = None
    party: dict[str, Any] | None = None
    incident: str | None = None


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document."""
    endpoints = list(endpoints)
    types = [Problem, *(one.answer for one in endpoints), *(one.body for one in endpoints if one.body)]
    _schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(_PARAMETER.sub(r"{\1}", endpoint.path), {})[endpoint.method.lower()] = _operation(
            endpoint
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ringcard",
            "version": VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    right = "" if endpoint.right == SIGNED_IN else f"Needs the right {endpoint.right}."
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "description": right,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(endpoint.body)}},
        }
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = re.sub(r"\W+", "_", _PARAMETER.sub(r"\1", endpoint.path.removeprefix("/api/v1/"))).strip("_")
    return f"{endpoint.method.lower()}_{words}"


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found = re.findall(r"\{(\w+)(?::([^{}]+))?\}", endpoint.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(pattern)}
        for name, pattern in found
    ]


def _path_schema(pattern: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0} if pattern == r"\d+" else {"type": "string", "format": "uuid"}


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is NoQuery:
        return []
    _top, components = msgspec.json.schema_components([endpoint.query], ref_template=_REF)
    described = components[endpoint.query.__name__]
    return [
        {"name": name, "in": "query", "required": name in described.get("required", ()), "schema": schema}
        for name, schema in described["properties"].items()
    ]


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    answers: dict[str, Any] = {
        str(endpoint.status): {
            "description": HTTPStatus(endpoint.status).phrase,
            "content": {"application/json": {"schema": _schema(endpoint.answer)}},
        }
    }
    statuses = [HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND]
    if endpoint.body is not None:
        statuses += [
            HTTPStatus.FORBIDDEN,
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNPROCESSABLE_ENTITY,
        ]
    for status in statuses:
        content = {"application/problem+json": {"schema": _schema(Problem)}}
        answers[str(int(status))] = {"description": status.phrase, "content": content}
    return answers


def _schema(of: Any) -> dict[str, Any]:
    (schema,), _components = msgspec.json.schema_components([of], ref_template=_REF)
    return schema
