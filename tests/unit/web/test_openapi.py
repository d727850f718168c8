"""The OpenAPI document says what the routes say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from farebox.dialects.dialect import AnyRoute, NoBody, NoQuery
from farebox.dialects.native.declaration import NATIVE
from farebox.web.openapi import openapi

DOCUMENT = openapi(NATIVE, version="1.2.3")
ids = [f"{route.method} {route.path}" for route in NATIVE.api]


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set[str]()
        return own.union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set[str]().union(*(references(item) for item in value))
    return set()


def test_it_says_what_it_is() -> None:
    """Version 3.1, and Farebox's own."""
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert sum(map(len, DOCUMENT["paths"].values())) == len(NATIVE.api)


def test_every_reference_leads_somewhere() -> None:
    """And nothing is described that nothing refers to."""
    wanted = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}
    queries = {route.query.__name__ for route in NATIVE.api if route.query is not NoQuery}
    assert wanted | queries == set(DOCUMENT["components"]["schemas"]) | (wanted & queries)
    assert wanted <= set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("route", NATIVE.api, ids=ids)
def test_a_route_is_described_as_it_is(route: AnyRoute) -> None:
    """Status, body, parameters and idempotency key come from the declaration."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    assert operation["summary"] == route.summary
    assert set(operation["responses"]) == {str(route.status), "4XX", "5XX"}
    assert ("requestBody" in operation) is (route.body is not NoBody)
    names = {(parameter["in"], parameter["name"]) for parameter in operation["parameters"]}
    expected = {("path", name) for name in re.findall(r"\{(\w+)\}", route.path)}
    if route.query is not NoQuery:
        expected |= {("query", name) for name in route.query.__struct_fields__}
    if route.is_idempotent:
        expected.add(("header", "Idempotency-Key"))
    assert names == expected
    assert ("content" in operation["responses"][str(route.status)]) is (route.status != 204)


def test_operation_ids_are_distinct() -> None:
    """Generated clients name their functions by them."""
    found = [operation["operationId"] for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len(set(found)) == len(NATIVE.api)


def test_secrets_are_write_only() -> None:
    """SEC-03: a card number goes in and never comes out."""
    schemas = DOCUMENT["components"]["schemas"]
    secrets = {
        (name, field)
        for name, schema in schemas.items()
        for field, value in schema.get("properties", {}).items()
        if "writeOnly" in repr(value)
    }
    assert {("CardIn", "number"), ("CardIn", "cvc"), ("SourceIn", "cvc"), ("SepaIn", "iban")} <= secrets
    assert all(name.endswith("In") for name, _ in secrets)
    assert "number" not in schemas["CardOut"]["properties"]
    assert "cvc" not in schemas["CardOut"]["properties"]
