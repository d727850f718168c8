"""Every code that a request can cause, in three languages, and the declines that only an acquirer can say."""

from __future__ import annotations

from typing import Any

import pytest
from bamboo_cases import merchant, send
from tests.dialects.cases import Kept

from farebox.dialects.bamboo.errors import (
    ERRORS,
    LANGUAGES,
    decline_code,
    language_of,
    text_of,
    texts,
)
from farebox.domain.declines import DeclineReason, decline_for
from farebox.domain.errors import ErrorCode

pytestmark = pytest.mark.asyncio(loop_scope="session")
VISA = "4507990000004905"
PURCHASE, FLAT, CUSTOMER, TOKEN = "/v1/api/purchase", "/v3/api/purchase", "/v1/api/customer", "/api/Token"
PAYER = {"Email": "ana@shop.test"}
CARD = {"CardHolderName": "Ana", "Pan": VISA, "CVV": "123", "Expiration": "08/30", "Email": "ana@shop.test"}
BUY = {"TrxToken": "{ott}", "Order": "E-1", "Amount": 10000, "Currency": "UYU", "Customer": PAYER}
DIRECT = {**BUY, "TrxToken": None, "CardData": CARD}
PAY = {"Order": "E-1", "Amount": 10000, "Currency": "UYU", "TargetCountryISO": "UY", "Customer": PAYER}
MINT = {"Email": "ana@shop.test", "Pan": VISA, "CVV": "123", "Expiration": "08/30", "Titular": "Ana"}


def alternative(country: str, currency: str, medium: int, **more: Any) -> dict[str, Any]:
    return {
        "PaymentMediaId": medium,
        "Order": "E-1",
        "Amount": 1000000,
        "Currency": currency,
        "TargetCountryISO": country,
        "Customer": PAYER,
        **more,
    }


CAUSES: list[tuple[str, str, str, Any]] = [
    ("TK001", "POST", TOKEN, {**MINT, "Pan": "4507990000004906"}),
    ("TK001", "POST", TOKEN, {**MINT, "Pan": 4507990000004906}),
    ("TK002", "POST", TOKEN, {**MINT, "CVV": "12"}),
    ("TK003", "POST", TOKEN, {**MINT, "Expiration": "13/30"}),
    ("TK003", "POST", TOKEN, {**MINT, "Expiration": "01/20"}),
    ("TK003", "POST", TOKEN, {**MINT, "Expiration": "0830"}),
    ("TK005", "POST", TOKEN, {**MINT, "Email": "nobody"}),
    ("TK011", "POST", TOKEN, {**MINT, "CustomerId": 12345}),
    ("TK011", "POST", TOKEN, {**MINT, "CustomerId": "x"}),
    ("TK015", "POST", TOKEN, {**MINT, "Pan": "6011111111111117", "CVV": "123"}),
    ("TK013", "POST", TOKEN, {**MINT, "Titular": {"a": 1}}),
    ("TK006", "POST", "/v1/api/LoyaltyPlan/1/Balance", {"TrxToken": "OT__gone"}),
    ("LP0001", "POST", "/v1/api/LoyaltyPlan/1/Balance", {}),
    ("LP004", "POST", "/v1/api/LoyaltyPlan/1/Balance", {"TrxToken": "{ott}"}),
    ("LP0002", "POST", PURCHASE, {**BUY, "LoyaltyPlan": {"LoyaltyPlanId": 1}}),
    ("TK007", "POST", PURCHASE, alternative("UY", "UYU", 1)),
    ("TK009", "POST", CUSTOMER + "/{customer}/activate", {"Token": "x", "ActivationCode": "1"}),
    ("TK010", "POST", CUSTOMER + "/{customer}/activate", {"Token": "CT__x", "ActivationCode": "ABC123"}),
    ("TK015", "POST", PURCHASE, alternative("UY", "UYU", 61)),
    ("TK019", "POST", FLAT, {**PAY, "PaymentMethod": "ZZZ"}),
    ("TK007", "POST", FLAT, {**PAY, "PaymentMethod": "VSC"}),
    ("TK021", "POST", FLAT, {**PAY, "CardData": CARD, "ThreeDSAuthMethod": "EXTERNAL"}),
    (
        "TK022",
        "POST",
        FLAT,
        {**PAY, "CardData": CARD, "ThreeDSAuthMethod": "EXTERNAL", "ThreeDS": {"Eci": "05"}},
    ),
    ("TR043", "POST", FLAT, {**PAY, "CardData": CARD, "ThreeDSAuthMethod": "OURS"}),
    ("TR016", "POST", PURCHASE, alternative("BR", "BRL", 31)),
    ("TR016", "POST", PURCHASE, alternative("BR", "BRL", 66)),
    ("TR016", "POST", PURCHASE, alternative("CO", "COP", 538, Amount=50000000)),
    ("TR016", "POST", PURCHASE, alternative("CO", "COP", 68)),
    (
        "TR016",
        "POST",
        PURCHASE,
        alternative("MX", "MXN", 73, MetadataIn={"PaymentExpirationInMinutes": 43201}),
    ),
    (
        "TR016",
        "POST",
        PURCHASE,
        alternative("PE", "PEN", 26, Amount=10000, MetadataIn={"PaymentExpirationInMinutes": "9"}),
    ),
    ("TR017", "POST", FLAT, {**PAY, "CardData": CARD, "CardOnFile": {"TransactionType": "XXX"}}),
    ("TR025", "POST", "/v3/api/card/validate", {"CardData": {**CARD, "TargetCountryISO": "AR"}}),
    ("TR039", "POST", FLAT, {**PAY, "CardData": CARD, "Amount": 0}),
    ("TR040", "POST", FLAT, {**PAY, "CardData": {**CARD, "Email": None}, "Customer": {"Email": "x"}}),
    ("TR302", "POST", PURCHASE, {**BUY, "CustomerIP": "192.0.2.1", "AntifraudData": {}}),
    ("PR016", "POST", PURCHASE, {**BUY, "AntifraudData": {"AntifraudFingerprintId": "f"}}),
    ("PR001", "POST", PURCHASE, {**BUY, "TrxToken": None}),
    ("PR001", "POST", PURCHASE, {**BUY, "TrxToken": "OT__unknown"}),
    ("PR001", "POST", PURCHASE, {**BUY, "TrxToken": "CT__unknown"}),
    ("PR001", "POST", "/v2/api/purchase", {**DIRECT, "PaymentMediaId": 10}),
    ("PR001", "POST", FLAT, {**PAY, "CardData": CARD, "TrxToken": "OT__x"}),
    ("PR002", "POST", PURCHASE, {**BUY, "Order": ""}),
    ("PR002", "POST", PURCHASE, {**BUY, "Order": f"order {VISA}"}),
    ("PR002", "POST", FLAT, {**PAY, "CardData": CARD, "Order": int(VISA)}),
    ("TR016", "POST", PURCHASE, {**BUY, "MetadataIn": {"note": [VISA]}}),
    ("TR016", "POST", PURCHASE, {**BUY, "Description": VISA}),
    ("PR003", "POST", PURCHASE, {**BUY, "Amount": 0}),
    ("PR003", "POST", PURCHASE, {**BUY, "Amount": "ten"}),
    ("PR003", "POST", PURCHASE, {**BUY, "Amount": 1050, "Currency": "PYG", "TargetCountryISO": "PY"}),
    ("PR003", "POST", PURCHASE, {**alternative("EC", "USD", 29), "Amount": 49}),
    ("PR004", "POST", PURCHASE, {**BUY, "Currency": "XXY"}),
    ("PR004", "POST", PURCHASE, {**BUY, "Currency": None}),
    ("PR004", "POST", PURCHASE, {**BUY, "Currency": "BRL", "TargetCountryISO": "UY"}),
    ("PR005", "POST", PURCHASE, {**BUY, "DataUY": {"Invoice": "A1"}}),
    ("PR006", "GET", PURCHASE + "/x", None),
    ("PR007", "GET", "/v3/api/purchase/x", None),
    ("PR008", "GET", PURCHASE + "/7", None),
    ("PR008", "GET", "/v3/api/transaction/7531369439858809733", None),
    ("PR009", "POST", PURCHASE + "/{purchase}/commit", {}),
    ("PR010", "POST", PURCHASE, {**BUY, "DataUY": {"IsFinalConsumer": True, "Invoice": "1"}}),
    ("PR011", "POST", PURCHASE, {**BUY, "DataUY": {"IsFinalConsumer": "true", "TaxableAmount": 1}}),
    ("PR013", "POST", PURCHASE, {**BUY, "Installments": -1}),
    ("PR013", "POST", PURCHASE, {**BUY, "Currency": "MXN", "TargetCountryISO": "MX", "Installments": 2}),
    (
        "PR013",
        "POST",
        PURCHASE,
        alternative("UY", "UYU", 10, Installments=2, Customer={**PAYER, "DocNumber": 1}),
    ),
    ("PR014", "POST", PURCHASE, {**BUY, "Currency": "BRL", "TargetCountryISO": "BR"}),
    ("PR014", "POST", PURCHASE, alternative("UY", "UYU", 532)),
    ("PR017", "POST", PURCHASE, {**BUY, "DataUY": {"TaxableAmount": 10001}}),
    ("PR018", "GET", PURCHASE + "?From=20240101", None),
    ("PR019", "GET", PURCHASE + "?From=20240101&To=20240201", None),
    ("PR034", "POST", PURCHASE, {**BUY, "TargetCountryISO": "FR"}),
    ("PR034", "POST", FLAT, {**PAY, "CardData": CARD, "TargetCountryISO": None}),
    ("CS001", "POST", CUSTOMER, {"Email": "nobody"}),
    ("CS001", "POST", PURCHASE, {**BUY, "Customer": {}}),
    ("CS002", "POST", CUSTOMER, {**PAYER, "BillingAddress": {"AddressType": 3}}),
    ("CS003", "GET", CUSTOMER + "/7", None),
    ("CS003", "GET", CUSTOMER + "/x", None),
    ("CS005", "POST", CUSTOMER, {"Email": "taken@shop.test"}),
    ("CS006", "POST", CUSTOMER, {**PAYER, "AdditionalData": "no pairs"}),
    ("CS007", "POST", CUSTOMER, {**PAYER, "DocNumber": "---"}),
    ("CS007", "POST", PURCHASE, alternative("UY", "UYU", 5)),
    ("CS008", "POST", CUSTOMER, {**PAYER, "DocumentTypeId": 999}),
    (
        "CS008",
        "POST",
        PURCHASE,
        {**BUY, "TargetCountryISO": "UY", "Customer": {**PAYER, "DocumentTypeId": 24}},
    ),
    ("CS010", "POST", CUSTOMER + "/{customer}/PaymentProfileDelete", {"PaymentProfileId": 1}),
    ("CS011", "POST", CUSTOMER + "/{customer}/PaymentProfileDelete", {"PaymentProfileId": "x"}),
    ("ERR999", "GET", "/v1/api/nothing", None),
]
CAUSED_ELSEWHERE = set("TK012 CS009 CS012 PR021 TR008 TR035 TR036".split())
"""In the case files, where they need a life before them."""
_NO_3DS, _WITH_CUSTOMERS = "there is no authentication of ours", "documents are checked with customers"
NOT_CAUSED = {
    "TK004": "the capture pages are not served",
    "TK008": "no request names an issuer",
    "TK014": "the sandbox takes every instrument",
    "TK016": "live cards only: too many of one shape",
    "TK017": _WITH_CUSTOMERS,
    "TK018": _WITH_CUSTOMERS,
    **dict.fromkeys(("TK020", "TK023", "TK024"), _NO_3DS),
    "TK999": "a defect of ours",
    "CS004": "storing either happens or is refused for its own reason",
}


async def prepared(running: Any) -> Kept:
    """A merchant with a token, a customer and a purchase."""
    kept = await merchant(running)
    answer = await send(
        running, {"method": "POST", "path": TOKEN + "?commerceKey={private_key}", "body": MINT}, kept
    )
    kept["ott"] = answer.value["TokenId"]
    answer = await send(
        running, {"method": "POST", "path": CUSTOMER, "body": {"Email": "taken@shop.test"}}, kept
    )
    kept["customer"] = str(answer.value["Response"]["CustomerId"])
    answer = await send(running, {"method": "POST", "path": "/v2/api/purchase", "body": DIRECT}, kept)
    kept["purchase"] = str(answer.value["Response"]["PurchaseId"])
    return kept


def code_and_text(value: Any) -> tuple[str, str]:
    """Read either shape of a refusal."""
    if "ErrorDescription" in value:
        return value["ErrorCode"], value["ErrorDescription"]
    error = value.get("Error") or value["Errors"][0]
    return error["ErrorCode"], error["Message"]


@pytest.mark.parametrize(("code", "method", "path", "body"), CAUSES)
async def test_a_request_causes_its_code_in_three_languages(
    running: Any, code: str, method: str, path: str, body: Any
) -> None:
    """A refusal has its documented code, the text of the language asked for, and a failing status."""
    kept = await prepared(running)
    if path == TOKEN:
        path += "?commerceKey={private_key}"
    for language in (*LANGUAGES, "fr", ""):
        request: dict[str, Any] = {"method": method, "path": path, "headers": {"lang": language}}
        if body is not None:
            request["body"] = body
        answer = await send(running, request, kept)
        assert 400 <= answer.status < 500, answer.body
        shown = language if language in LANGUAGES else "en"
        assert code_and_text(answer.value) == (code, text_of(code, shown))


@pytest.mark.parametrize("code", sorted(one for one in texts() if one[:2] in {"TR", "PR", "LP"}))
async def test_a_decline_has_its_text_in_three_languages(running: Any, code: str) -> None:
    """What an acquirer says is HTTP 200, `Rejected`, with the code's text and empty `Errors`."""
    kept = await merchant(running)
    for language in LANGUAGES:
        fault = {"trouble": "decline", "parameters": {"reason": "other", "code": code}}
        await send(
            running, {"as": "native", "method": "POST", "path": "/v1/sandbox/faults", "body": fault}, kept
        )
        answer = await send(
            running,
            {"method": "POST", "path": "/v2/api/purchase", "body": DIRECT, "headers": {"lang": language}},
            kept,
        )
        assert (answer.status, answer.value["Errors"]) == (200, [])
        transaction = answer.value["Response"]["Transaction"]
        assert (transaction["Status"], transaction["TransactionStatusId"]) == ("Rejected", 4)
        assert (transaction["ErrorCode"], transaction["Description"]) == (code, text_of(code, language))


async def test_every_code_is_caused_or_its_absence_has_a_reason() -> None:
    """Every published code is caused by a request, said by an acquirer, or listed with a reason."""
    said = {code for code in texts() if code[:2] in {"TR", "PR", "LP"}}
    caused = {code for code, *_ in CAUSES} | CAUSED_ELSEWHERE
    missing = set(texts()) - said - caused - set(NOT_CAUSED)
    assert not missing
    assert not caused & set(NOT_CAUSED), "what is caused needs no excuse"


async def test_every_refusal_and_every_decline_has_a_published_code() -> None:
    """The tables are total, and name nothing that has no text."""
    assert set(ERRORS) == set(ErrorCode)
    assert {error.code for error in ERRORS.values()} <= set(texts())
    assert {decline_code(decline_for(reason)) for reason in DeclineReason} <= set(texts())
    assert all(len({*row}) >= 1 and all(row) for row in texts().values())
    assert language_of({b"lang": b"PT-br"}) == "pt"
