"""The OpenAPI 3.1 document, made from what the endpoints declare: it cannot say anything else than they do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from web.api.contract import Endpoint
from web.api.reading import BIGGEST_ID, NoQuery
from web.api.refusing import Problem
from web.routes import OPEN, SIGNED_IN

VERSION: Final = "1"
_PARAMETER: Final = re.compile(r"\{(\w+)(?::((?:[^{}]|\{\d+\})+))?\}")
_REF: Final = "#/components/schemas/{name}"
_NUMBER: Final = "[0-9]+"
_TEXT: Final = {"type": "string"}
_CHALLENGE: Final = {"WWW-Authenticate": {"required": True, "schema": {"type": "string", "enum": ["Bearer"]}}}
_SECURITY: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "`ringcard token create LOGIN --name N`"},
}
_DESCRIPTION: Final = (
    "A list answers `items` and `next`: hand the cursor back for the next page, null is the end. "
    "An error is a problem document (RFC 9457). What a user may not see or do is 404, as if it were not there. "
    "400: the request cannot be read; 422: it holds a value that does not fit. Clients ignore fields they do not know."
)


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The whole document."""
    endpoints = list(endpoints)
    types = [Problem, *(one.answer for one in endpoints), *(one.body for one in endpoints if one.body)]
    _schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(path_of(endpoint), {})
        operations[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ringcard",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def path_of(endpoint: Endpoint) -> str:
    """The path as the document writes it, parameters without their patterns."""
    return _PARAMETER.sub(r"{\1}", endpoint.path)


_UUID: Final = {"type": "string", "format": "uuid"}
_VERSION: Final = {"type": "string", "pattern": r'^(\*|"[0-9]{1,9}([.][0-9]{1,18})?")$'}  # an ETag


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "description": _description(endpoint),
        "parameters": [
            *_path_parameters(endpoint),
            *_query_parameters(endpoint),
            *_header_parameters(endpoint),
        ],
        "responses": _responses(endpoint),
    }
    if endpoint.right == OPEN:
        operation["security"] = []
    if endpoint.body is not None:
        content = {"application/json": {"schema": _schema(endpoint.body)}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.takes:
        operation["requestBody"] = {"required": True, "content": _files(endpoint.takes)}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    words = re.sub(r"\W+", "_", _PARAMETER.sub(r"\1", endpoint.path.removeprefix("/api/v1/"))).strip("_")
    return f"{endpoint.method.lower()}_{words}"


def _description(endpoint: Endpoint) -> str:
    needs = "" if endpoint.right in {OPEN, SIGNED_IN} else f"Needs the right {endpoint.right}."
    return f"{endpoint.description} {needs}".strip()


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(pattern)}
        for name, pattern in _PARAMETER.findall(endpoint.path)
    ]


def _path_schema(pattern: str) -> dict[str, Any]:
    if pattern == _NUMBER:
        return {"type": "integer", "minimum": 1, "maximum": BIGGEST_ID}
    return {"type": "string", "format": "uuid"}


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    if endpoint.query is NoQuery:
        return []
    _top, components = msgspec.json.schema_components([endpoint.query], ref_template=_REF)
    described = components[endpoint.query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in described.get("required", ()),
            "schema": _resolved(schema, components),
        }
        for name, schema in described["properties"].items()
    ]


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    """An enumeration of a parameter stands in its place: the document has no component for it."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return dict(components[name] if name else schema)


def _header_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": purpose,
            "schema": _VERSION if name == "If-Match" else _UUID,
        }
        for name, purpose in endpoint.headers.items()
    ]


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    told = _files(endpoint.gives) or {"application/json": {"schema": _schema(endpoint.answer)}}
    done: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase, "content": told}
    if endpoint.sends:
        done["headers"] = {
            name: {"required": True, "description": tells, "schema": _TEXT}
            for name, tells in endpoint.sends.items()
        }
    answers: dict[str, Any] = {str(int(endpoint.status)): done}
    if endpoint.moves:
        answers["301"] = {
            "description": "This record went into another one.",
            "headers": {"Location": {"required": True, "schema": _TEXT}},
        }
    return answers | {str(int(status)): _problem(status) for status in _refusals(endpoint)}


def _refusals(endpoint: Endpoint) -> list[HTTPStatus]:
    statuses = [HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR]
    if endpoint.right != OPEN:
        statuses.append(HTTPStatus.UNAUTHORIZED)
    has_body = endpoint.body is not None or bool(endpoint.takes)
    if endpoint.query is not NoQuery or has_body:
        statuses.append(HTTPStatus.UNPROCESSABLE_ENTITY)
    if has_body:
        statuses += [
            HTTPStatus.FORBIDDEN,
            HTTPStatus.CONFLICT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    elif endpoint.method == "DELETE":
        statuses += [HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT]
    return sorted(statuses)


def _files(types: Iterable[str]) -> dict[str, Any]:
    return {each: {"schema": {"type": "string", "format": "binary"}} for each in types}


def _problem(status: HTTPStatus) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": status.phrase,
        "content": {"application/problem+json": {"schema": _schema(Problem)}},
    }
    if status is HTTPStatus.UNAUTHORIZED:
        told["headers"] = _CHALLENGE
    return told


def _schema(of: Any) -> dict[str, Any]:
    (schema,), _components = msgspec.json.schema_components([of], ref_template=_REF)
    return schema
