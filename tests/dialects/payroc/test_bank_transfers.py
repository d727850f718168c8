"""Bank transfers: paid, returned, represented, refunded; and the questions about cards and accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.payroc.client import Payroc, ach, card, pad

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAYMENTS = "/v1/bank-transfer-payments"
REFUNDS = "/v1/bank-transfer-refunds"
RETURNS = "11101011"


def debit(payroc: Payroc, method: Any = None, amount: int = 4999, **more: Any) -> dict[str, Any]:
    order = {
        "orderId": "B-1",
        "amount": amount,
        "currency": "USD",
        "breakdown": {
            "subtotal": 4347,
            "taxes": [{"name": "Sales Tax", "rate": 5}],
            "tip": {"type": "percentage", "percentage": 10},
        },
    }
    return {
        "processingTerminalId": payroc.terminal,
        "order": order,
        "paymentMethod": method or ach(),
        **more,
    }


async def test_every_method_pays(payroc: Payroc) -> None:
    """12.1: account, secure token, single-use token; a token is made on the way."""
    made = await payroc.post(PAYMENTS, debit(payroc, credentialOnFile={"tokenize": True}))
    token = made["bankAccount"]["secureToken"]["token"]
    assert made["transactionResult"] == {
        "type": "payment",
        "status": "ready",
        "authorizedAmount": 4999,
        "currency": "USD",
        "responseCode": "A",
        "responseMessage": "NoError",
        "processorResponseCode": "0",
    }
    assert made["bankAccount"]["accountNumber"] == "*****1010"
    once = await payroc.single_use(ach())
    for method in (
        pad(),
        {"type": "secureToken", "token": token, "secCode": "web"},
        {"type": "singleUseToken", "token": once, "secCode": "tel"},
    ):
        paid = await payroc.post(PAYMENTS, debit(payroc, method))
        assert paid["transactionResult"]["status"] == "ready"
        assert await payroc.get(f"{PAYMENTS}/{paid['paymentId']}") == paid


async def test_a_card_is_no_account(payroc: Payroc) -> None:
    """8.2: and a bank payment is no card payment."""
    for method in (
        {"type": "singleUseToken", "token": await payroc.single_use()},
        {"type": "secureToken", "token": (await payroc.secure_token())["token"]},
    ):
        refused = await payroc.post(PAYMENTS, debit(payroc, method), 400)
        assert refused["errors"][0]["parameter"] == "paymentMethod.token"
    made = await payroc.post(PAYMENTS, debit(payroc))
    await payroc.get(f"/v1/payments/{made['paymentId']}", 404)
    await payroc.get(f"{PAYMENTS}/{(await payroc.pay())['paymentId']}", 404)


async def test_reverse_and_refund_in_an_open_batch(payroc: Payroc) -> None:
    """12.4: a refund becomes a reversal, with a positive amount and no refund."""
    made = await payroc.post(PAYMENTS, debit(payroc))
    path = f"{PAYMENTS}/{made['paymentId']}"
    missing = await payroc.act(f"{path}/refund", {}, 400)
    assert [item["parameter"] for item in missing["errors"]] == ["amount", "description"]
    done = await payroc.act(f"{path}/refund", {"amount": 4999, "description": "x"})
    assert (done["transactionResult"]["status"], done["transactionResult"]["authorizedAmount"]) == (
        "reversal",
        4999,
    )
    assert "refunds" not in done
    other = await payroc.post(PAYMENTS, debit(payroc))
    reversed_ = await payroc.act(f"{PAYMENTS}/{other['paymentId']}/reverse")
    assert reversed_["transactionResult"]["status"] == "reversal"
    await payroc.act(f"{PAYMENTS}/{other['paymentId']}/reverse", status=409)


async def test_a_closed_batch_refunds_pad_and_no_ach(payroc: Payroc) -> None:
    """12.4."""
    one = await payroc.post(PAYMENTS, debit(payroc))
    other = await payroc.post(PAYMENTS, debit(payroc, pad()))
    await payroc.close_batch()
    body = {"amount": 500, "description": "x"}
    refused = await payroc.act(f"{PAYMENTS}/{one['paymentId']}/refund", body, 400)
    assert "COMPLETE" in refused["detail"]
    done = await payroc.act(f"{PAYMENTS}/{other['paymentId']}/refund", body)
    assert (done["transactionResult"]["status"], done["refunds"][0]["amount"]) == ("complete", 500)
    refund = await payroc.get(f"{REFUNDS}/{done['refunds'][0]['refundId']}")
    assert (refund["transactionResult"]["type"], refund["payment"]["amount"]) == ("refund", 4999)


@pytest.mark.parametrize("by", ["account", "fault"])
async def test_a_returned_payment_is_represented_once(payroc: Payroc, by: str) -> None:
    """12.4: provoked by an account or by a fault; named by the return's own id."""
    if by == "fault":
        fault = {"trouble": "decline", "parameters": {"reason": "insufficient_funds", "code": "R01"}}
        await payroc.native("POST", "/v1/sandbox/faults", fault)
        made = await payroc.post(PAYMENTS, debit(payroc))
    else:
        made = await payroc.post(PAYMENTS, debit(payroc, ach(RETURNS)))
        assert made["transactionResult"]["status"] == "ready"
        await payroc.close_batch()
    shown = await payroc.get(f"{PAYMENTS}/{made['paymentId']}")
    assert shown["transactionResult"]["status"] == "returned"
    (returned,) = shown["returns"]
    assert (returned["returnCode"], returned["represented"], returned["closed"]) == ("R01", False, False)
    path = f"{PAYMENTS}/{returned['paymentId']}/represent"
    await payroc.act(path, {}, 400)
    again = await payroc.act(path, {"paymentMethod": ach()})
    assert again["transactionResult"]["status"] == "ready"
    shown = await payroc.get(f"{PAYMENTS}/{made['paymentId']}")
    assert shown["returns"][0]["represented"] is True
    assert shown["representment"]["paymentId"] == again["paymentId"]
    await payroc.act(path, {"paymentMethod": ach()}, 409)


async def test_a_returned_payment_is_represented_from_its_token_or_closed(payroc: Payroc) -> None:
    """12.4."""
    made = await payroc.post(PAYMENTS, debit(payroc, ach(RETURNS), credentialOnFile={"tokenize": True}))
    other = await payroc.post(PAYMENTS, debit(payroc, ach(RETURNS)))
    ready = await payroc.post(PAYMENTS, debit(payroc))
    await payroc.close_batch()
    assert (await payroc.act(f"{PAYMENTS}/{made['paymentId']}/represent"))["paymentId"] != made["paymentId"]
    closed = await payroc.act(f"{PAYMENTS}/{other['paymentId']}/close")
    assert closed["returns"][0]["closed"] is True
    await payroc.act(f"{PAYMENTS}/{other['paymentId']}/represent", {"paymentMethod": ach()}, 409)
    await payroc.act(f"{PAYMENTS}/{ready['paymentId']}/close", status=409)


async def test_every_filter_of_bank_payments(payroc: Payroc) -> None:
    """12: the terminal is required."""
    one = await payroc.post(PAYMENTS, debit(payroc))
    await payroc.close_batch()
    other = await payroc.post(PAYMENTS, debit(payroc, pad(), order_id="x"))
    await payroc.get(PAYMENTS, 400)
    base = f"{PAYMENTS}?processingTerminalId={payroc.terminal}"
    cases = {
        "": [other, one],
        "&orderId=B-1": [other, one],
        "&orderId=B-2": [],
        "&nameOnAccount=Sarah%20Hazel%20Hopper": [other, one],
        "&last4=1010&type=payment": [other, one],
        "&type=accountVerification": [],
        "&status=complete": [one],
        "&status=ready&status=complete": [other, one],
        "&settlementState=unsettled": [other],
        f"&settlementDate={one['order']['dateTime'][:10]}": [one],
        "&dateFrom=2999-01-01T00:00:00Z": [],
        "&paymentLinkId=X": [],
    }
    for query, expected in cases.items():
        page = await payroc.get(base + query)
        assert [item["paymentId"] for item in page["data"]] == [item["paymentId"] for item in expected], query


async def test_unreferenced_bank_refunds(payroc: Payroc) -> None:
    """12.3: accounts of both kinds and secure tokens; reversed while the batch is open."""
    token = (await payroc.secure_token(ach()))["token"]
    order = {"orderId": "R", "description": "Refund", "amount": 4999, "currency": "USD"}
    base = {"processingTerminalId": payroc.terminal, "order": order}
    made = [
        await payroc.post(REFUNDS, {**base, "refundMethod": method})
        for method in (ach(), pad(), {"type": "secureToken", "token": token})
    ]
    for one in made:
        assert (one["transactionResult"]["type"], one["transactionResult"]["authorizedAmount"]) == (
            "unreferencedRefund",
            -4999,
        )
    listed = await payroc.get(
        f"{REFUNDS}?processingTerminalId={payroc.terminal}&type=unreferencedRefund&status=ready"
    )
    assert [one["refundId"] for one in listed["data"]] == [one["refundId"] for one in made[::-1]]
    assert (await payroc.get(f"{REFUNDS}?processingTerminalId={payroc.terminal}&type=refund"))["data"] == []
    done = await payroc.act(f"{REFUNDS}/{made[0]['refundId']}/reverse")
    assert done["transactionResult"]["status"] == "reversal"
    await payroc.get(f"/v1/refunds/{made[0]['refundId']}", 404)


# --- questions -------------------------------------------------------------------------------------


async def test_a_card_is_verified(payroc: Payroc) -> None:
    """13: without money."""
    body = {"processingTerminalId": payroc.terminal, "operator": "Jane", "card": card()}
    found = await payroc.act("/v1/cards/verify", body)
    assert (found["verified"], found["operator"]) == (True, "Jane")
    await payroc.native("POST", "/v1/sandbox/faults", {"trouble": "decline"})
    assert (await payroc.act("/v1/cards/verify", body))["verified"] is False


async def test_a_bank_account_is_verified(payroc: Payroc) -> None:
    """13."""
    for account in (ach(), pad()):
        body = {"processingTerminalId": payroc.terminal, "bankAccount": account}
        assert (await payroc.act("/v1/bank-accounts/verify", body))["verified"] is True


async def test_an_ebt_balance(payroc: Payroc) -> None:
    """13: a token is used up by it, like by a payment."""
    body = {"processingTerminalId": payroc.terminal, "currency": "USD", "card": card()}
    assert len((await payroc.act("/v1/cards/balance", body))["card"]["balances"]) == 2
    cash = card()
    cash["cardDetails"]["ebtDetails"] = {"benefitCategory": "cash"}
    (balance,) = (await payroc.act("/v1/cards/balance", {**body, "card": cash}))["card"]["balances"]
    assert balance["benefitCategory"] == "cash"
    token = {"type": "singleUseToken", "token": await payroc.single_use()}
    await payroc.act("/v1/cards/balance", {**body, "card": token})
    refused = await payroc.act("/v1/cards/balance", {**body, "card": token}, 400)
    assert refused["errors"][0]["parameter"] == "card.token"
    await payroc.pay(token, status=400)


async def test_a_bin_is_looked_up(payroc: Payroc) -> None:
    """13: by card, BIN, secure token or wallet, and without expiry."""
    number = card()
    del number["cardDetails"]["keyedData"]["expiryDate"]
    token = (await payroc.secure_token())["token"]
    wallet = {"type": "digitalWallet", "serviceProvider": "apple", "encryptedData": "7B7D"}
    for one in (
        number,
        {"type": "cardBin", "bin": "453985"},
        {"type": "secureToken", "token": token},
        wallet,
    ):
        assert (await payroc.act("/v1/cards/bin-lookup", {"card": one}))["type"] == "Visa"
    await payroc.act("/v1/cards/bin-lookup", {"card": {"type": "secureToken", "token": "2967"}}, 404)
    await payroc.act("/v1/cards/bin-lookup", {"card": {"type": "cardBin", "bin": "45"}}, 400)


async def test_no_conversion_is_offered_without_rates(payroc: Payroc) -> None:
    """13."""
    body = {
        "channel": "web",
        "processingTerminalId": payroc.terminal,
        "baseAmount": 10000,
        "baseCurrency": "USD",
        "paymentMethod": card(),
    }
    found = await payroc.act("/v1/fx-rates", body)
    assert found["inquiryResult"] == {
        "dccOffered": False,
        "causeOfRejection": "No exchange rates are configured.",
    }
    assert "dccOffer" not in found


async def test_sessions(payroc: Payroc) -> None:
    """14.1, 15.1: a hosted-fields session reads nothing; the Apple answer is JSON."""
    path = f"{payroc.base}/hosted-fields-sessions"
    body = {"libVersion": "1.7.0.261457", "scenario": "payment"}
    session = await payroc.post(path, body)
    bearer = {"authorization": f"Bearer {session['token']}"}
    assert (await payroc.raw("GET", "/v1/payments", headers=bearer)).status == 401
    refused = await payroc.post(path, {**body, "libVersion": "latest"}, 400)
    assert "Invalid libVersion" in refused["errors"][0]["message"]
    await payroc.post(path, {**body, "scenario": "tokenization", "secureTokenId": "nobody"}, 404)
    token = await payroc.secure_token()
    await payroc.post(path, {**body, "scenario": "tokenization", "secureTokenId": token["secureTokenId"]})
    apple = await payroc.act(
        f"{payroc.base}/apple-pay-sessions",
        {"appleDomainId": "DUHDZJHGYY", "appleValidationUrl": "https://apple-pay-gateway.example/session"},
    )
    assert json.loads(apple["startSessionResponse"])["merchantSessionIdentifier"].startswith("SSH")
