"""Whatever is sent: JSON in the generation's shape, never a 500, and never an echo of a card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from bamboo_cases import merchant, send
from tests.dialects.cases import Kept

from farebox.dialects.bamboo.declaration import BAMBOO
from farebox.dialects.dialect import AnyRoute

pytestmark = pytest.mark.asyncio(loop_scope="session")
PLANTED = "4242424242424242"
VALUES: list[Any] = [
    None,
    "",
    "x",
    "é\u2028" * 200,
    PLANTED,
    -1,
    0,
    1.5,
    10**18,
    int(PLANTED),
    True,
    [],
    {},
    [PLANTED],
    {"a": PLANTED},
]
WHOLE = ["[1]", '"x"', "5", "true", "{}", "{", "[[[[", '{"a":1,"a":2}', '{"Amount":1e400}', "\u0000"]
GOOD: dict[str, Any] = {
    "Order": "H-1",
    "Amount": 10000,
    "Currency": "UYU",
    "TargetCountryISO": "UY",
    "Customer": {"Email": "a@b.test"},
    "CardData": {"CardHolderName": "A", "Pan": PLANTED, "CVV": "123", "Expiration": "12/30"},
    "Email": "a@b.test",
    "amount": 100,
    "currencyCode": "UYU",
    "customer": {"identifier": "i"},
    "accountLinkType": "qr",
    "Token": "CT__x",
    "ActivationCode": "ABC123",
    "PaymentProfileId": 1,
    "baseAmount": 1,
    "currency": "UYU",
    "countryIso": "UY",
}
ROUTES = [route for route in BAMBOO.routes if route.path != "/{session}"]


def filled(path: str, kept: Kept) -> str:
    for name in ("purchase_id", "transaction_id", "customer_id"):
        path = path.replace("{" + name + "}", kept[name])
    for name, value in {"email": "a@b.test", "country": "UY", "plan": "1"}.items():
        path = path.replace("{" + name + "}", value)
    for name in ("order", "unique_id", "payment_id", "identifier"):
        path = path.replace("{" + name + "}", "00000000-0000-0000-0000-000000000000")
    return f"{path}?commerceKey={{private_key}}" if path.lower() == "/api/token" else path


def bodies(route: AnyRoute) -> Iterator[str]:
    """Give bad wholes, and for every field every bad value, beside what is good."""
    yield from WHOLE
    names = [field.encode_name for field in msgspec.structs.fields(route.body)]
    good = {name: GOOD[name] for name in names if name in GOOD}
    for name in names:
        for value in VALUES:
            yield json.dumps({**good, name: value})
    for name, inner in good.items():
        if isinstance(inner, dict):
            for key in (*inner, "Address", "BillingAddress", "CVV", "Unknown"):
                for value in VALUES:
                    yield json.dumps({**good, name: {**inner, key: value}})


async def things(running: Any) -> Kept:
    kept = await merchant(running)
    bought = await send(running, {"method": "POST", "path": "/v2/api/purchase", "body": GOOD}, kept)
    kept["purchase_id"] = str(bought.value["Response"]["PurchaseId"])
    kept["transaction_id"] = kept["purchase_id"]
    made = await send(
        running, {"method": "POST", "path": "/v1/api/customer", "body": {"Email": "c@b.test"}}, kept
    )
    kept["customer_id"] = str(made.value["Response"]["CustomerId"])
    return kept


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_nothing_breaks_an_endpoint(running: Any, route: AnyRoute) -> None:
    """Every field of every endpoint with every wrong kind of value."""
    kept = await things(running)
    for body in bodies(route):
        request = {"method": route.method, "path": filled(route.path, kept)}
        headers = {"content-type": "application/json"}
        answer = await send(
            running, {**request, "raw": body.replace("{private_key}", ""), "headers": headers}, kept
        )
        assert answer.status < 500, (body[:300], answer.body)
        value = answer.value
        assert PLANTED not in answer.body.decode()
        if answer.status >= 400 and route.path.startswith("/v1"):
            assert value["Errors"], body[:300]


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if "{" in route.path], ids=lambda route: route.path
)
@pytest.mark.parametrize("segment", ["0", "-1", "x", "%F0%9F%92%B3", "9" * 19, "9" * 40, "1.5", "%00", "%2F"])
async def test_nothing_in_a_path_breaks_an_endpoint(running: Any, route: AnyRoute, segment: str) -> None:
    """A number that is none, too long a one, another script, an escape."""
    kept = await merchant(running)
    head, _, rest = route.path.partition("{")
    path = f"{head}{segment}{rest.partition('}')[2]}"
    answer = await send(running, {"method": route.method, "path": path}, kept)
    assert answer.status < 500, answer.body
    assert answer.status == 200 or answer.value


@pytest.mark.parametrize(
    "query", ["From=%FF", "From", "a=1&a=2", "PaymentMediaId=x", "From=20240101&To=99999999", "&" * 60]
)
async def test_nothing_in_a_query_breaks_the_list(running: Any, query: str) -> None:
    """A bad encoding, no value, a name twice, a text for a number, a day that is none, too many names."""
    kept = await merchant(running)
    answer = await send(running, {"method": "GET", "path": f"/v1/api/purchase?{query}"}, kept)
    assert answer.status < 500
    assert answer.status == 200 or answer.value["Errors"]
