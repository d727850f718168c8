"""Who may ask, how a body must come, and what every refusal looks like."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from tests.dialects.payroc.client import Payroc, card, merchant

from farebox.dialects.payroc.declaration import PAYROC
from farebox.domain.access import ApiKeyKind, Mode, Scope

pytestmark = pytest.mark.asyncio(loop_scope="session")
DOCS = "https://docs.payroc.com/api/errors#"


@pytest.mark.parametrize("path", ["/authorize", "/v1/authorize"])
async def test_a_key_gets_a_bearer_of_an_hour(payroc: Payroc, path: str) -> None:
    """2.1: no body, no idempotency key; several bearers of one key live at once."""
    answer = await payroc.raw("POST", path, headers={"x-api-key": payroc.api_key})
    assert answer.status == 200
    assert (answer.value["token_type"], answer.value["expires_in"]) == ("Bearer", 3600)
    assert answer.value["access_token"] != payroc.token
    await payroc.get("/v1/payments")


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "unknown"}])
async def test_a_strange_key_gets_none(payroc: Payroc, headers: dict[str, str]) -> None:
    """2.1: 401 in the problem shape."""
    answer = await payroc.raw("POST", "/authorize", headers=headers)
    assert (answer.status, answer.value["type"]) == (401, f"{DOCS}not-authorized")


@pytest.mark.parametrize("authorization", [None, "Bearer unknown", "Basic x"])
async def test_without_a_bearer_nothing_is_answered(payroc: Payroc, authorization: str | None) -> None:
    """2.2: missing, malformed, unknown; and the key itself is no bearer."""
    headers = {"authorization": authorization} if authorization else {}
    assert (await payroc.raw("GET", "/v1/payments", headers=headers)).status == 401
    key = {"authorization": f"Bearer {payroc.api_key}"}
    assert (await payroc.raw("GET", "/v1/payments", headers=key)).status == 401


async def test_a_bearer_can_do_what_its_key_can(running: Any, payroc: Payroc) -> None:
    """2.2: 403 for what the key lacks."""
    found = [one for one in await running.services.merchants.all() if one.mode is Mode.TEST]
    string = "narrow" + uuid4().hex
    access = running.services.access
    key = access.key_record(
        found[-1].tenant,
        ApiKeyKind.SECRET,
        "payroc",
        string,
        scopes=frozenset({Scope.TOKENS_MINT}),
        attributes={"processing_terminal_id": payroc.terminal},
    )
    await running.services.storage.write(lambda uow: uow.merchants.insert_key(key))
    answer = await payroc.raw("POST", "/authorize", headers={"x-api-key": string})
    bearer = {"authorization": f"Bearer {answer.value['access_token']}"}
    refused = await payroc.raw("GET", "/v1/payments", headers=bearer)
    assert (refused.status, refused.value["type"]) == (403, f"{DOCS}forbidden")
    assert refused.value["resource"] == "Payment"


async def test_another_merchants_terminal_is_forbidden(running: Any, payroc: Payroc) -> None:
    """2.2: but the terminals that differ in the last three digits are one merchant's."""
    other = await merchant(running)
    await payroc.get(f"{other.base}/payment-plans", status=403)
    answer = await payroc.ask(
        "POST", "/v1/payments", {**payroc.payment(), "processingTerminalId": other.terminal}
    )
    assert answer.status == 403
    await payroc.get(f"/v1/processing-terminals/{payroc.terminal[:-3]}002/payment-plans")


async def test_a_strangers_payment_is_unknown(running: Any, payroc: Payroc) -> None:
    """I12: an id of somebody else's is an id of nothing."""
    other = await merchant(running)
    paid = await other.pay()
    assert (await payroc.get(f"/v1/payments/{paid['paymentId']}", 404))["resource"] == "Payment"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/merchant-platforms",
        "/v1/processing-terminals/1234001",
        "/v1/funding-recipients",
        "/v1/transactions",
        "/v1/devices/1/payment-instructions",
        "/v1/processing-accounts/1/attachments",
        "/v1/nothing",
    ],
)
async def test_other_families_answer_404_in_the_same_shape(payroc: Payroc, path: str) -> None:
    """Boarding, funding, reporting and the cloud terminals are not served."""
    assert (await payroc.get(path, 404))["type"] == f"{DOCS}not-found"


async def test_a_wrong_method_is_a_problem_too(payroc: Payroc) -> None:
    answer = await payroc.ask("DELETE", "/v1/payments")
    assert (answer.status, answer.header("allow")) == (405, "GET, POST")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/json", 200),
        ("application/*", 200),
        ("application/problem+json", 200),
        ("text/html", 406),
    ],
)
async def test_accept_is_looked_at(payroc: Payroc, accept: str, status: int) -> None:
    """3.3."""
    assert (await payroc.ask("GET", "/v1/payments", accept=accept)).status == status


async def test_only_json_is_read_and_nothing_needs_no_type(payroc: Payroc) -> None:
    """3.1, 3.3: 415 never for an empty body, whatever its type."""
    headers = {"authorization": f"Bearer {payroc.token}", "idempotency-key": str(uuid4())}
    refused = await payroc.raw("POST", "/v1/payments", b"x", {**headers, "content-type": "text/plain"})
    assert (refused.status, refused.value["type"]) == (415, f"{DOCS}unsupported-media-type")
    paid = await payroc.pay()
    path = f"/v1/payments/{paid['paymentId']}/capture"
    assert (await payroc.raw("POST", path, b"", {**headers, "content-type": "text/plain"})).status == 200


async def test_a_charset_and_a_patch_type_are_taken(payroc: Payroc) -> None:
    """3.1."""
    token = await payroc.secure_token()
    path = f"{payroc.base}/secure-tokens/{token['secureTokenId']}"
    patch = json.dumps([{"op": "add", "path": "/customer/firstName", "value": "Zoe"}]).encode()
    for media_type in ("application/json; charset=utf-8", "application/json-patch+json"):
        headers = {
            "authorization": f"Bearer {payroc.token}",
            "idempotency-key": str(uuid4()),
            "content-type": media_type,
        }
        assert (await payroc.raw("PATCH", path, patch, headers)).status == 200


async def test_every_problem_is_named(payroc: Payroc) -> None:
    """4.1: each wrong member with its place, inside unions too."""
    body = {
        "channel": "fax",
        "order": {"orderId": "x" * 25, "amount": "5", "currency": "XXX"},
        "paymentMethod": {
            "type": "card",
            "cardDetails": {
                "entryMethod": "keyed",
                "keyedData": {"dataFormat": "plainText", "expiryDate": "13"},
            },
        },
    }
    answer = await payroc.ask("POST", "/v1/payments", body)
    assert (answer.status, answer.value["title"]) == (400, "Bad request")
    keyed = "paymentMethod.cardDetails.keyedData"
    assert [(item["parameter"], item["detail"]) for item in answer.value["errors"]] == [
        ("channel", "Invalid value"),
        ("processingTerminalId", "Required field not populated"),
        ("order.orderId", "Invalid value"),
        ("order.amount", "Invalid value"),
        ("order.currency", "Invalid value"),
        (f"{keyed}.cardNumber", "Required field not populated"),
        (f"{keyed}.expiryDate", "Invalid value"),
    ]
    assert answer.value["instance"] == "http://farebox.test/payroc/v1/payments"


async def test_a_wrong_card_is_named_where_it_stands_and_never_repeated(payroc: Payroc) -> None:
    """SEC-19."""
    answer = await payroc.ask("POST", "/v1/payments", payroc.payment(card("4539858876047063")))
    assert answer.status == 400
    assert answer.value["errors"][0]["parameter"] == "paymentMethod.cardDetails.keyedData.cardNumber"
    assert b"4539858876047063" not in answer.body


async def test_nulls_are_absent_and_unknown_members_are_passed_over(payroc: Payroc) -> None:
    """E.4, 7."""
    paid = await payroc.pay(operator=None, customer={"firstName": None}, surprise=[None, 1])
    assert "operator" not in paid


async def test_every_code_has_a_problem_type() -> None:
    """4.3: the table is total, and every entry has a fragment and a title."""
    assert all(wire.code and wire.title and 400 <= wire.status < 600 for wire in PAYROC.errors.values())


# --- idempotency -----------------------------------------------------------------------------------


async def test_a_key_is_required_and_is_a_uuid_4(payroc: Payroc) -> None:
    """5.1."""
    headers = {"authorization": f"Bearer {payroc.token}", "content-type": "application/json"}
    body = json.dumps(payroc.payment()).encode()
    missing = await payroc.raw("POST", "/v1/payments", body, headers)
    assert (missing.status, missing.value["type"]) == (400, f"{DOCS}idempotency-key-missing")
    for key in ("order-1", "8e03978e-40d5-13e8-bc93-6894a57f9324"):
        answer = await payroc.raw("POST", "/v1/payments", body, {**headers, "idempotency-key": key})
        assert (answer.status, answer.value["type"]) == (400, f"{DOCS}bad-request")


async def test_a_repetition_gets_the_first_answer_byte_for_byte(payroc: Payroc) -> None:
    """5.1, 5.2: in either case of the key, with its Location, and also when its token is spent."""
    token = await payroc.single_use()
    body, key = payroc.payment({"type": "singleUseToken", "token": token}), str(uuid4())
    first = await payroc.ask("POST", "/v1/payments", body, key=key)
    again = await payroc.ask("POST", "/v1/payments", body, key=key.upper())
    assert (first.status, first.body) == (again.status, again.body)
    assert first.header("location") == again.header("location")
    assert again.header("idempotent-replayed") == "true"
    spent = await payroc.ask("POST", "/v1/payments", body)
    assert (spent.status, spent.value["errors"][0]["parameter"]) == (400, "paymentMethod.token")


async def test_a_repetition_of_what_its_first_made_impossible_is_answered(payroc: Payroc) -> None:
    """5.1: the state that a second capture is refused for is the first one's work."""
    paid, key = await payroc.pay(), str(uuid4())
    path = f"/v1/payments/{paid['paymentId']}/capture"
    first = await payroc.ask("POST", path, {}, key=key)
    assert first.status == 200
    assert (await payroc.ask("POST", path, {}, key=key)).body == first.body
    conflict = await payroc.ask("POST", path, {})
    assert (conflict.status, conflict.value["type"]) == (409, f"{DOCS}cannot-be-modified")


async def test_another_body_or_another_address_is_a_conflict(payroc: Payroc) -> None:
    """5.1: a key is unique among all requests."""
    key = str(uuid4())
    assert (await payroc.ask("POST", "/v1/payments", payroc.payment(), key=key)).status == 201
    for path, body in (
        ("/v1/payments", payroc.payment(amount=5000)),
        (f"{payroc.base}/single-use-tokens", {"channel": "web", "source": card()}),
    ):
        answer = await payroc.ask("POST", path, body, key=key)
        assert (answer.status, answer.value["type"]) == (409, f"{DOCS}idempotency-key-in-use")


async def test_a_refused_body_keeps_its_key(payroc: Payroc) -> None:
    """5.1: the same wrong body is refused the same way, the corrected one conflicts."""
    key = str(uuid4())
    wrong = await payroc.ask("POST", "/v1/payments", {"channel": "fax"}, key=key)
    again = await payroc.ask("POST", "/v1/payments", {"channel": "fax"}, key=key)
    assert (wrong.status, wrong.body) == (400, again.body)
    corrected = await payroc.ask("POST", "/v1/payments", payroc.payment(), key=key)
    assert (corrected.status, corrected.value["type"]) == (409, f"{DOCS}idempotency-key-in-use")


WITHOUT_KEY = {
    ("POST", "/authorize"),
    ("POST", "/v1/authorize"),
    ("POST", "/v1/cards/balance"),
    ("POST", "/v1/cards/bin-lookup"),
    ("POST", "/v1/fx-rates"),
    ("POST", "/v1/payment-links/{paymentLinkId}/deactivate"),
    *(
        ("POST", f"/v1/processing-terminals/{{processingTerminalId}}/{tail}")
        for tail in (
            "apple-pay-sessions",
            "subscriptions/{subscriptionId}/deactivate",
            "subscriptions/{subscriptionId}/reactivate",
        )
    ),
}


async def test_which_requests_take_a_key() -> None:
    """5.3: every POST and PATCH but these."""
    without = {
        (route.method, route.path)
        for route in PAYROC.routes
        if route.method in {"POST", "PATCH"} and not route.is_idempotent
    }
    assert without == WITHOUT_KEY
    assert not any(route.is_idempotent for route in PAYROC.routes if route.method not in {"POST", "PATCH"})
