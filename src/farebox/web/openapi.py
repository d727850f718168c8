"""OpenAPI 3.1 out of a dialect's route table; nothing is described twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from inspect import getdoc
from typing import Any, get_type_hints

import msgspec

from farebox.dialects.dialect import AnyRoute, Dialect, NoBody, NoQuery
from farebox.domain.sensitive import Sensitive

_PARAMETER = re.compile(r"\{([a-z_]+)\}")
_SECRET = {"type": "string", "writeOnly": True, "description": "Never shown, logged or echoed."}


def openapi(dialect: Dialect, *, version: str) -> dict[str, Any]:
    """Describe a dialect.

    Args:
        dialect: the declaration.
        version: Farebox's own version.
    """
    routes = dialect.api
    answers = {route: _answer(route) for route in routes}
    problem = _annotation(dialect.write_error)
    bodies = {route.body for route in routes if route.body is not NoBody}
    queries = {route.query for route in routes if route.query is not NoQuery}
    types = [*bodies, *queries, *(answer for answer in answers.values() if answer), problem]
    types = sorted(set(types), key=lambda type_: type_.__name__)
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=_schema_of, ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        answer = answers[route]
        operation = _operation(dialect, route, by_type, components, answer, by_type[problem])
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{dialect.title} API",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": dict(dialect.authentication.description)},
        },
    }


def _schema_of(type_: type[Any]) -> dict[str, Any]:
    if type_ is Sensitive:
        return dict(_SECRET)
    raise NotImplementedError


def _annotation(function: Any) -> Any:
    return get_type_hints(function)["return"]


def _answer(route: AnyRoute) -> Any:
    """Give the struct that a route's writer returns; nothing for one that answers without a body."""
    annotated = _annotation(route.write)
    return annotated if isinstance(annotated, type) and issubclass(annotated, msgspec.Struct) else None


def _operation(
    dialect: Dialect,
    route: AnyRoute,
    schemas: Mapping[Any, Any],
    components: Mapping[str, Any],
    answer: Any,
    problem: Any,
) -> dict[str, Any]:
    media_type = dialect.error_media_type.decode()
    good: dict[str, Any] = {"description": _first_line(answer) if answer else "Done."}
    if answer:
        good["content"] = {"application/json": {"schema": schemas[answer]}}
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": _parameters(dialect, route, components),
        "responses": {
            str(route.status): good,
            "4XX": {
                "description": "Refused; `code` says why.",
                "content": {media_type: {"schema": problem}},
            },
            "5XX": {
                "description": "Not done, or not known to be done; repeat with the same idempotency key.",
                "content": {media_type: {"schema": problem}},
            },
        },
    }
    if route.body is not NoBody:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[route.body]}},
        }
    return operation


def _parameters(dialect: Dialect, route: AnyRoute, components: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    if route.query is not NoQuery:
        properties: dict[str, Any] = components[route.query.__name__]["properties"]
        found += [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]
    if route.is_idempotent and dialect.idempotency is not None:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Makes a repetition safe: the same key gets the same answer for 30 days.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
            }
        )
    return found


def _operation_id(route: AnyRoute) -> str:
    return f"{route.method.lower()}_{_words(route.path)}"


def _words(path: str) -> str:
    return "_".join(part.strip("{}") for part in path.strip("/").split("/") if part != "v1")


def _first_line(type_: Any) -> str:
    return (getdoc(type_) or "").partition("\n")[0]
