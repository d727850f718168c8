"""Card payments and refunds: every method, every outcome, every filter."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from tests.dialects.payroc.client import ADA, Payroc, card

pytestmark = pytest.mark.asyncio(loop_scope="session")
SARAH = {
    "firstName": "Sarah",
    "lastName": "Hopper",
    "billingAddress": {
        "address1": "1 Example Ave.",
        "city": "Chicago",
        "state": "Illinois",
        "country": "US",
        "postalCode": "60056",
    },
}


def result(payment: Any) -> tuple[str, str, str, str | None]:
    found = payment["transactionResult"]
    return (
        found["status"],
        found["responseCode"],
        found["responseMessage"],
        found.get("processorResponseCode"),
    )


async def test_a_sale_is_ready_and_echoes_its_request(payroc: Payroc) -> None:
    """10.6, 10.8, A.11: taxes come back as rates."""
    order = {
        "orderId": "A-17",
        "amount": 4999,
        "currency": "USD",
        "description": "Large Pepperoni Pizza",
        "breakdown": {
            "subtotal": 4000,
            "tip": {"type": "percentage", "percentage": 10},
            "surcharge": {"bypass": False, "amount": 10, "percentage": 3},
            "taxes": [
                {"type": "amount", "amount": 200, "name": "City"},
                {"type": "rate", "rate": 5, "name": "State"},
            ],
            "items": [
                {"unitPrice": 2000, "quantity": 2, "taxes": [{"type": "rate", "rate": 5, "name": "S"}]}
            ],
        },
    }
    body = payroc.payment(customer=SARAH, customFields=[{"name": "a", "value": "b"}], operator="Jane")
    paid = await payroc.post("/v1/payments", {**body, "order": order})
    assert result(paid) == ("ready", "A", "APPROVAL", "00")
    assert paid["transactionResult"]["type"] == "sale"
    assert paid["transactionResult"]["authorizedAmount"] == 4999
    assert paid["order"]["breakdown"]["taxes"] == [
        {"name": "City", "rate": 5.0, "amount": 200},
        {"name": "State", "rate": 5.0},
    ]
    assert (paid["operator"], paid["customer"], paid["customFields"]) == (
        "Jane",
        SARAH,
        [{"name": "a", "value": "b"}],
    )
    assert paid["card"]["securityChecks"] == {"cvvResult": "M", "avsResult": "Y"}
    assert paid["supportedOperations"] == [
        "capture",
        "fullyReverse",
        "partiallyReverse",
        "incrementAuthorization",
        "adjustTip",
        "addSignature",
        "setAsPending",
    ]
    assert (await payroc.get(f"/v1/payments/{paid['paymentId']}"))["transactionResult"] == paid[
        "transactionResult"
    ]


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (4901, ("declined", "D", "Do Not Honor", "05")),
        (4902, ("referral", "R", "Refer to Card Issuer", "01")),
        (1403, ("declined", "D", "AVS FAILURE", "00")),
        (3999, ("ready", "A", "APPROVAL", "00")),
    ],
)
async def test_special_amounts(payroc: Payroc, amount: int, expected: tuple[str, ...]) -> None:
    """22: a decline is a payment, and it consumed its token."""
    token = await payroc.single_use(card("4111111111111111"))
    method = {"type": "singleUseToken", "token": token}
    paid = await payroc.pay(method, amount=amount, customer=SARAH)
    assert result(await payroc.get(f"/v1/payments/{paid['paymentId']}")) == expected
    await payroc.pay(method, status=400)


async def test_a_scripted_pick_up_and_a_partial_approval(payroc: Payroc) -> None:
    """10.8: C for a card to be retained."""
    fault = {"trouble": "decline", "parameters": {"reason": "stolen_card", "code": "43"}}
    await payroc.native("POST", "/v1/sandbox/faults", fault)
    assert result(await payroc.pay())[:2] == ("pickup", "C")


async def test_nobody_knows_is_pending(payroc: Payroc) -> None:
    """Unknown is not declined: E, until an inquiry or a reversal settles it."""
    await payroc.native("POST", "/v1/sandbox/faults", {"trouble": "drop_after_write"})
    paid = await payroc.pay()
    assert result(paid)[:2] == ("pending", "E")
    await payroc.services.use_cases.recovery.run_once()
    assert result(await payroc.get(f"/v1/payments/{paid['paymentId']}"))[0] in {"ready", "declined"}


async def test_a_wallet_pays_in_test_mode(payroc: Payroc) -> None:
    """15.2."""
    for provider in ("apple", "google"):
        method = {
            "type": "digitalWallet",
            "serviceProvider": provider,
            "encryptedData": "7B7D",
            "cardholderName": ADA,
        }
        assert result(await payroc.pay(method))[0] == "ready"
    await payroc.pay(
        {"type": "digitalWallet", "serviceProvider": "apple", "encryptedData": "no hex"}, status=400
    )


async def test_tokenizing_makes_a_secure_token(payroc: Payroc) -> None:
    """10.5: which then pays, and is shown with what it paid."""
    paid = await payroc.pay(
        credentialOnFile={"tokenize": True, "secureTokenId": "mine", "externalVault": False}
    )
    token = paid["card"]["secureToken"]
    assert (token["secureTokenId"], token["customerName"]) == ("mine", ADA)
    again = await payroc.pay({"type": "secureToken", "token": token["token"]})
    assert again["card"]["secureToken"] == token
    assert (await payroc.get(f"{payroc.base}/secure-tokens/mine"))["token"] == token["token"]


async def test_an_agreement_wants_standing_instructions(payroc: Payroc) -> None:
    """10.5."""
    on_file = {"tokenize": True, "mitAgreement": "recurring"}
    refused = await payroc.pay(status=400, credentialOnFile=on_file)
    assert refused["errors"][0]["parameter"] == "order.standingInstructions"
    body = payroc.payment(credentialOnFile=on_file)
    body["order"]["standingInstructions"] = {"sequence": "first", "processingModel": "recurring"}
    paid = await payroc.post("/v1/payments", body)
    assert paid["order"]["standingInstructions"]["sequence"] == "first"


@pytest.mark.parametrize(
    "secure",
    [
        {"serviceProvider": "gateway", "mpiReference": "0123456789abcdef0123"},
        {"serviceProvider": "thirdParty", "eci": "fullyAuthenticated", "cavv": "AAAB"},
    ],
)
async def test_both_shapes_of_three_d_secure(payroc: Payroc, secure: Any) -> None:
    """10.4."""
    assert result(await payroc.pay(threeDSecure=secure))[0] == "ready"
    await payroc.pay(status=400, threeDSecure={"serviceProvider": "nobody"})


async def test_offline_transactions(payroc: Payroc) -> None:
    """10.1, 10.8."""
    deferred = await payroc.pay(offlineProcessing={"operation": "deferredAuthorization"})
    assert result(deferred)[:2] == ("accepted", "E")
    stood_in = await payroc.pay(offlineProcessing={"operation": "offlineApproval", "approvalCode": "OK123"})
    assert stood_in["transactionResult"]["approvalCode"] == "OK123"
    refused = await payroc.pay(status=400, offlineProcessing={"operation": "offlineDecline"})
    assert refused["title"] == "Capabilities missing"


# --- moved -----------------------------------------------------------------------------------------


async def test_a_pre_authorization_is_captured_once(payroc: Payroc) -> None:
    """10.10."""
    paid = await payroc.pay(autoCapture=False)
    path = f"/v1/payments/{paid['paymentId']}"
    assert paid["transactionResult"]["type"] == "preAuthorization"
    too_much = await payroc.act(f"{path}/capture", {"amount": 5000}, 400)
    assert too_much["errors"][0]["parameter"] == "amount"
    done = await payroc.act(f"{path}/capture", {"amount": 1000})
    assert (done["transactionResult"]["type"], done["transactionResult"]["authorizedAmount"]) == (
        "preAuthorizationCompletion",
        1000,
    )
    assert (await payroc.act(f"{path}/capture", {}, 409))["type"].endswith("#cannot-be-modified")


async def test_a_sale_is_captured_as_the_suites_do(payroc: Payroc) -> None:
    """10.10: with another terminal and a breakdown that does not add up; for less, the rest is released."""
    paid = await payroc.pay()
    path = f"/v1/payments/{paid['paymentId']}/capture"
    body = {"processingTerminalId": "1234001", "amount": 3999, "breakdown": {"subtotal": 1, "dutyAmount": 7}}
    assert (await payroc.act(path, body))["transactionResult"]["authorizedAmount"] == 3999
    await payroc.act(path, {}, 409)


async def test_every_adjustment(payroc: Payroc) -> None:
    """10.11: up and down, status, customer, and a signature once."""
    paid = await payroc.pay()
    path = f"/v1/payments/{paid['paymentId']}/adjust"
    tip = {"tip": {"type": "fixedAmount", "amount": 500, "mode": "adjusted"}}
    raised = await payroc.act(path, {"adjustments": [{"type": "order", "amount": 5499, "breakdown": tip}]})
    assert raised["order"]["amount"] == raised["transactionResult"]["authorizedAmount"] == 5499
    assert raised["order"]["breakdown"]["tip"]["amount"] == 500
    lowered = await payroc.act(path, {"adjustments": [{"type": "order", "amount": 4000}]})
    assert lowered["transactionResult"]["authorizedAmount"] == 4000
    waiting = await payroc.act(path, {"adjustments": [{"type": "status", "toStatus": "pending"}]})
    assert waiting["transactionResult"]["status"] == "pending"
    assert "setAsReady" in waiting["supportedOperations"]
    contact = {"type": "customer", "contactMethods": [{"type": "mobile", "value": "0123"}]}
    assert (await payroc.act(path, {"adjustments": [contact]}))["customer"] == {
        "contactMethods": [{"type": "mobile", "value": "0123"}]
    }
    sign = {"adjustments": [{"type": "signature", "cardholderSignature": "a1b1"}], "operator": "Jane"}
    assert (await payroc.act(path, sign))["card"]["cardholderSignature"] == "a1b1"
    await payroc.act(path, sign, 409)
    await payroc.close_batch()
    shown = await payroc.get(f"/v1/payments/{paid['paymentId']}")
    assert shown["transactionResult"]["authorizedAmount"] == 4000


async def test_what_is_settled_at_once_cannot_be_adjusted(payroc: Payroc) -> None:
    """10.11."""
    paid = await payroc.pay(processAsSale=True, autoCapture=False)
    assert paid["transactionResult"]["type"] == "sale"
    body = {"adjustments": [{"type": "status", "toStatus": "pending"}]}
    await payroc.act(f"/v1/payments/{paid['paymentId']}/adjust", body, 409)


@pytest.mark.parametrize("auto_capture", [True, False])
async def test_reversals_in_part_and_whole(payroc: Payroc, auto_capture: bool) -> None:
    """10.12."""
    paid = await payroc.pay(autoCapture=auto_capture)
    path = f"/v1/payments/{paid['paymentId']}/reverse"
    part = await payroc.act(path, {"amount": 999})
    assert (part["transactionResult"]["status"], part["transactionResult"]["authorizedAmount"]) == (
        "ready",
        4000,
    )
    whole = await payroc.act(path)
    assert (whole["transactionResult"]["status"], whole.get("supportedOperations")) == ("reversal", None)
    await payroc.act(path, status=409)


async def test_a_captured_pre_authorization_is_reversed(payroc: Payroc) -> None:
    """10.12: what was captured is taken back."""
    paid = await payroc.pay(autoCapture=False)
    path = f"/v1/payments/{paid['paymentId']}"
    await payroc.act(f"{path}/capture")
    assert (await payroc.act(f"{path}/reverse"))["transactionResult"]["status"] == "reversal"


async def test_a_refund_before_and_after_settlement(payroc: Payroc) -> None:
    """10.13: an open batch is reversed in part, a closed one refunded."""
    paid = await payroc.pay()
    path = f"/v1/payments/{paid['paymentId']}"
    missing = await payroc.act(f"{path}/refund", {}, 400)
    assert [item["parameter"] for item in missing["errors"]] == ["amount", "description"]
    body = {"amount": 500, "description": "Returned"}
    opened = await payroc.act(f"{path}/refund", body)
    assert "refunds" not in opened
    assert opened["transactionResult"]["authorizedAmount"] == 4499
    await payroc.close_batch()
    await payroc.act(f"{path}/reverse", {}, 409)
    closed = await payroc.act(f"{path}/refund", body)
    assert (closed["transactionResult"]["status"], closed["refunds"][0]["amount"]) == ("complete", 500)
    too_much = await payroc.act(f"{path}/refund", {**body, "amount": 4000}, 400)
    assert too_much["errors"][0]["parameter"] == "amount"
    refund = await payroc.get(f"/v1/refunds/{closed['refunds'][0]['refundId']}")
    assert refund["payment"]["paymentId"] == paid["paymentId"]
    assert (refund["order"]["description"], refund["transactionResult"]["authorizedAmount"]) == (
        "Returned",
        -500,
    )


# --- listed ----------------------------------------------------------------------------------------


async def test_every_filter_of_payments(payroc: Payroc) -> None:
    """10.14: each alone, statuses and types repeated, all of them together."""
    start = payroc.services.clock.now().isoformat().replace("+00:00", "Z")
    settled = await payroc.pay(order_id="first", operator="Jane")
    await payroc.close_batch()
    middle = payroc.services.clock.now().isoformat().replace("+00:00", "Z")
    held = await payroc.pay(card("5001650000000000"), order_id="second", autoCapture=False)
    tipped = payroc.payment(order_id="third")
    tipped["order"]["breakdown"] = {
        "subtotal": 1,
        "tip": {"type": "fixedAmount", "mode": "prompted", "amount": 1},
    }
    third = await payroc.post("/v1/payments", tipped)
    declined = await payroc.pay(amount=4901, order_id="fourth")
    first_day = settled["order"]["dateTime"][:10]
    everything = [declined, third, held, settled]
    cases: dict[str, list[Any]] = {
        "": everything,
        f"processingTerminalId={payroc.terminal}": everything,
        "processingTerminalId=other": [],
        "orderId=second": [held],
        "operator=Jane": [settled],
        "cardholderName=Ada%20Byron": everything,
        "first6=500165": [held],
        "last4=7062": [declined, third, settled],
        "tender=ebt": [],
        "tender=creditDebit": everything,
        "tipMode=prompted": [third],
        "tipMode=noTip&tipMode=prompted": everything,
        "type=preAuthorization": [held],
        "type=sale&type=preAuthorization": everything,
        "status=declined&status=complete": [declined, settled],
        f"dateFrom={middle}": [declined, third, held],
        f"dateTo={middle.replace(':', '%3A')}": [settled],
        f"dateFrom={start}&dateTo={middle}": [settled],
        "settlementState=settled": [settled],
        "settlementState=unsettled&status=ready": [third, held],
        f"settlementDate={first_day}": [settled],
        "paymentLinkId=JZURRJBUPS": [],
        f"status=ready&type=sale&last4=7062&processingTerminalId={payroc.terminal}": [third],
    }
    for query, expected in cases.items():
        page = await payroc.get(f"/v1/payments?{query}")
        assert [one["paymentId"] for one in page["data"]] == [one["paymentId"] for one in expected], query
    for query in ("dateFrom=yesterday", "tender=cash", "limit=0", "limit=x"):
        await payroc.get(f"/v1/payments?{query}", 400)


async def test_links_lead_through_all_pages_in_both_directions(payroc: Payroc) -> None:
    """6, E.6: with their filters, absolute, and next exactly when there is more."""
    made = [(await payroc.pay(order_id="same"))["paymentId"] for _ in range(7)]
    await payroc.pay(order_id="other")
    page = await payroc.get("/v1/payments?orderId=same&limit=3")
    pages, rels = [page], []
    while next_links := [link for link in page["links"] if link["rel"] == "next"]:
        assert next_links[0]["href"].startswith(
            "http://farebox.test/payroc/v1/payments?orderId=same&limit=3&after="
        )
        page = await payroc.get(next_links[0]["href"].partition("/payroc")[2])
        pages.append(page)
    rels = [[link["rel"] for link in one["links"]] for one in pages]
    assert rels == [["next"], ["next", "previous"], ["previous"]]
    found = [item["paymentId"] for one in pages for item in one["data"]]
    assert found == made[::-1]
    backwards = [page["data"]]
    while links := [link for link in page["links"] if link["rel"] == "previous"]:
        page = await payroc.get(links[0]["href"].partition("/payroc")[2])
        backwards.insert(0, page["data"])
    assert [item["paymentId"] for data in backwards for item in data] == found
    await payroc.get(f"/v1/payments?before={made[0]}&after={made[0]}", 400)
    await payroc.get("/v1/payments?after=2571", 400)


async def test_an_unknown_payment(payroc: Payroc) -> None:
    for payment_id in ("2571", "AAAAAAAAAA", "x"):
        assert (await payroc.get(f"/v1/payments/{payment_id}", 404))["resource"] == "Payment"


# --- refunds ---------------------------------------------------------------------------------------


def refund(payroc: Payroc, method: Any = None, amount: int = 4999, **more: Any) -> dict[str, Any]:
    order = {"orderId": "R-1", "description": "Refund", "amount": amount, "currency": "USD"}
    return {
        "channel": "web",
        "processingTerminalId": payroc.terminal,
        "order": order,
        "refundMethod": method or card(),
        **more,
    }


async def test_an_unreferenced_refund(payroc: Payroc) -> None:
    """11: to a card or a secure token; adjusted, then reversed."""
    made = await payroc.post("/v1/refunds", refund(payroc, operator="Jane"))
    assert result(made)[:3] == ("ready", "A", "APPROVAL")
    assert made["transactionResult"]["authorizedAmount"] == -4999
    path = f"/v1/refunds/{made['refundId']}"
    contact = {"type": "customer", "contactMethods": [{"type": "mobile", "value": "0123"}]}
    adjusted = await payroc.act(f"{path}/adjust", {"adjustments": [contact], "operator": "Joe"})
    assert (result(adjusted)[0], adjusted["operator"]) == ("ready", "Joe")
    held = await payroc.act(f"{path}/adjust", {"adjustments": [{"type": "status", "toStatus": "pending"}]})
    assert result(held)[0] == "pending"
    assert result(await payroc.act(f"{path}/reverse"))[0] == "reversal"
    await payroc.act(f"{path}/adjust", {"adjustments": [contact]}, 409)
    await payroc.act(f"{path}/reverse", status=409)
    token = await payroc.secure_token()
    again = await payroc.post("/v1/refunds", refund(payroc, {"type": "secureToken", "token": token["token"]}))
    assert again["card"]["secureToken"]["token"] == token["token"]
    declined = await payroc.post("/v1/refunds", refund(payroc, amount=4901))
    assert result(declined)[0] == "declined"
    await payroc.get("/v1/refunds/AAAAAAAAAA", 404)


async def test_every_filter_of_refunds(payroc: Payroc) -> None:
    """11."""
    one = await payroc.post("/v1/refunds", refund(payroc, operator="Jane"))
    await payroc.close_batch()
    other = await payroc.post("/v1/refunds", refund(payroc, card("5001650000000000")))
    cases = {
        "": [other, one],
        "orderId=R-1": [other, one],
        "orderId=R-2": [],
        "operator=Jane": [one],
        "first6=500165": [other],
        "last4=7062": [one],
        "status=ready": [other],
        "status=ready&status=complete": [other, one],
        "settlementState=settled": [one],
        f"settlementDate={one['order']['dateTime'][:10]}": [one],
        "dateTo=2001-01-01T00:00:00Z": [],
        f"cardholderName=Ada%20Byron&processingTerminalId={payroc.terminal}": [other, one],
        "tender=ebt": [],
    }
    for query, expected in cases.items():
        page = await payroc.get(f"/v1/refunds?{query}")
        assert [item["refundId"] for item in page["data"]] == [item["refundId"] for item in expected], query
    first = await payroc.get("/v1/refunds?limit=1")
    assert first["links"][0]["href"].endswith(f"?limit=1&after={other['refundId']}")


async def test_keys_of_refunds_are_like_all_others(payroc: Payroc) -> None:
    key, body = str(uuid4()), refund(payroc)
    first = await payroc.ask("POST", "/v1/refunds", body, key=key)
    assert (await payroc.ask("POST", "/v1/refunds", body, key=key)).body == first.body
