"""Unknown is not failed: what Bamboo's programs see while nobody knows, and afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bamboo_cases import merchant, send
from tests.dialects.cases import Kept

pytestmark = pytest.mark.asyncio(loop_scope="session")
CARD = {"CardHolderName": "Ana", "Pan": "4507990000004905", "CVV": "123", "Expiration": "08/30"}
BUY = {
    "Order": "D-1",
    "Amount": 10000,
    "Currency": "UYU",
    "TargetCountryISO": "UY",
    "Customer": {"Email": "ana@shop.test"},
}
FAULTS = "/v1/sandbox/faults"


async def token(running: Any, kept: Kept) -> str:
    body = {"Email": "a@b.test", "Pan": CARD["Pan"], "CVV": "123", "Expiration": "08/30", "Titular": "A"}
    path = "/api/Token?commerceKey={private_key}"
    answer = await send(running, {"method": "POST", "path": path, "body": body}, kept)
    return answer.value["TokenId"]


@pytest.mark.parametrize("trouble", ["drop_after_write", "lost_request", "garbled"])
async def test_a_purchase_in_doubt_is_pending_until_it_is_known(running: Any, trouble: str) -> None:
    """Pending, then what the acquirer says; a repetition under the same `UniqueID` never pays twice."""
    kept = await merchant(running)
    body = {**BUY, "TrxToken": await token(running, kept), "UniqueID": "d-1"}
    fault = {"trouble": trouble, "operation": "purchase"}
    await send(running, {"as": "native", "method": "POST", "path": FAULTS, "body": fault}, kept)
    request = {"method": "POST", "path": "/v1/api/purchase", "body": body}
    answer = await send(running, request, kept)
    assert (answer.status, answer.value["Errors"]) == (200, [])
    purchase = answer.value["Response"]
    assert (purchase["Transaction"]["Status"], purchase["Transaction"]["ErrorCode"]) == ("Pending", "")
    refused = await send(running, {**request, "body": {**body, "UniqueID": "d-2"}}, kept)
    assert refused.value["Errors"][0]["ErrorCode"] == "PR001", "the token is not free"
    await running.services.use_cases.recovery.run_once()
    path = f"/v1/api/purchase/{purchase['PurchaseId']}"
    answer = await send(running, {"method": "GET", "path": path}, kept)
    transaction = answer.value["Response"]["Transaction"]
    if trouble == "lost_request":
        assert (transaction["Status"], transaction["ErrorCode"]) == ("Rejected", "TR997")
    else:
        assert (transaction["Status"], transaction["ErrorCode"]) == ("Approved", "")
    again = await send(running, request, kept)
    assert again.value["Response"]["PurchaseId"] == purchase["PurchaseId"]


async def test_nothing_was_sent_and_the_same_key_may_try_again(running: Any) -> None:
    """503 with a filled `Errors`; the token and the `UniqueID` are free."""
    kept = await merchant(running)
    body = {**BUY, "TrxToken": await token(running, kept), "UniqueID": "n-1"}
    fault = {"trouble": "drop_before_write", "operation": "purchase"}
    await send(running, {"as": "native", "method": "POST", "path": FAULTS, "body": fault}, kept)
    request = {"method": "POST", "path": "/v1/api/purchase", "body": body}
    answer = await send(running, request, kept)
    assert (answer.status, answer.value["Errors"][0]["ErrorCode"]) == (503, "TR001")
    answer = await send(running, request, kept)
    assert answer.value["Response"]["Transaction"]["Status"] == "Approved"


async def test_one_token_pays_one_of_many_purchases_at_once(running: Any) -> None:
    """Of ten requests through three generations one is approved; the others are `PR001`."""
    kept = await merchant(running)
    one = await token(running, kept)
    paths = ["/v1/api/purchase", "/v2/api/purchase", "/v3/api/purchase"] * 3 + ["/v1/api/purchase"]
    answers = await asyncio.gather(
        *[
            send(running, {"method": "POST", "path": path, "body": {**BUY, "TrxToken": one}}, kept)
            for path in paths
        ]
    )
    approved = [answer for answer in answers if answer.status == 200]
    assert len(approved) == 1
    codes = {
        answer.value.get("ErrorCode") or answer.value["Errors"][0]["ErrorCode"]
        for answer in answers
        if answer.status != 200
    }
    assert codes == {"PR001"}
