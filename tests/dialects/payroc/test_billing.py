"""Plans, subscriptions that bill, links, sharing events and event subscriptions."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from tests.dialects.payroc.client import ADA, Payroc, ach

from farebox.domain.money import Money

pytestmark = pytest.mark.asyncio(loop_scope="session")


def plan(name: str = "Premium", **more: Any) -> dict[str, Any]:
    return {
        "paymentPlanId": name,
        "name": f"{name} plan",
        "currency": "USD",
        "type": "automatic",
        "frequency": "monthly",
        "onUpdate": "update",
        "onDelete": "complete",
        "recurringOrder": {"amount": 1000, "description": "Monthly"},
        **more,
    }


async def today(payroc: Payroc) -> date:
    moved = await payroc.native("POST", "/v1/sandbox/clock", {"forward_s": 0})
    return date.fromisoformat(moved["now"][:10])


async def subscribe(payroc: Payroc, name: str = "S-1", token: Any = None, **more: Any) -> dict[str, Any]:
    found = token or await payroc.secure_token()
    return {
        "subscriptionId": name,
        "paymentPlanId": "Premium",
        "paymentMethod": {"type": "secureToken", "token": found["token"]},
        "startDate": (await today(payroc)).isoformat(),
        **more,
    }


async def bill(payroc: Payroc) -> int:
    """Let the job have its turns until nothing is due; give how many payments this merchant got."""
    before = (await payroc.get("/v1/payments?limit=100"))["count"]
    while await payroc.services.use_cases.subscriptions.bill_due():
        pass
    return (await payroc.get("/v1/payments?limit=100"))["count"] - before


async def test_a_plan_is_kept_patched_and_deleted(payroc: Payroc) -> None:
    """18.1."""
    path = f"{payroc.base}/payment-plans"
    setup = {"amount": 2500, "breakdown": {"subtotal": 2174, "taxes": [{"name": "Sales Tax", "rate": 15}]}}
    made = await payroc.post(path, plan(length=12, customFieldNames=["level"], setupOrder=setup))
    assert made["setupOrder"]["breakdown"]["taxes"] == [{"name": "Sales Tax", "rate": 15.0}]
    assert await payroc.get(f"{path}/Premium") == made
    again = await payroc.post(path, plan(), 409)
    assert again["link"]["href"].endswith("/payment-plans/Premium")
    await payroc.post(path, plan("Bare", recurringOrder=None), 400)
    await payroc.post(path, plan("Manual", type="manual", recurringOrder=None))
    page = await payroc.get(f"{path}?limit=1")
    assert page["links"][0]["href"].endswith("?limit=1&after=Manual")
    assert (await payroc.get(f"{path}?limit=1&after=Manual"))["data"] == [made]
    patched = await payroc.patch(
        f"{path}/Manual",
        {"op": "replace", "path": "/name", "value": "New"},
        {"op": "add", "path": "/setupOrder/amount", "value": 2999},
    )
    assert (patched["name"], patched["setupOrder"]) == ("New", {"amount": 2999})
    await payroc.patch(
        f"{path}/Manual", {"op": "replace", "path": "/paymentPlanId", "value": "X"}, status=400
    )
    assert (await payroc.ask("DELETE", f"{path}/Manual")).status == 204
    await payroc.get(f"{path}/Manual", 404)


@pytest.mark.parametrize(
    "wrong",
    [
        {"paymentPlanId": ""},
        {"currency": "INVALID"},
        {"recurringOrder": {"amount": -100}},
        {"setupOrder": {"amount": -500}},
        {"frequency": "daily"},
    ],
)
async def test_a_wrong_plan_is_refused(payroc: Payroc, wrong: dict[str, Any]) -> None:
    await payroc.post(f"{payroc.base}/payment-plans", plan(**wrong), 400)


async def test_a_subscription_bills_a_year_on_the_test_clock(payroc: Payroc) -> None:
    """18.2: setup at once, twelve instalments, each once whoever bills, then completed."""
    await payroc.post(f"{payroc.base}/payment-plans", plan(length=12, setupOrder={"amount": 2500}))
    path = f"{payroc.base}/subscriptions"
    made = await payroc.post(path, await subscribe(payroc, customFields=[{"name": "a", "value": "b"}]))
    assert made["currentState"] == {
        "status": "active",
        "nextDueDate": made["startDate"],
        "paidInvoices": 0,
        "outstandingInvoices": 12,
    }
    assert (made["paymentPlan"]["name"], made["secureToken"]["customerName"]) == ("Premium plan", ADA)
    assert await bill(payroc) == 1
    assert await bill(payroc) == 0
    for _ in range(12):
        await payroc.move_clock(31)
        billing = payroc.services.use_cases.subscriptions
        await asyncio.gather(billing.bill_due(), billing.bill_due(), billing.bill_due())
        await bill(payroc)
    ended = await payroc.get(f"{path}/S-1")
    assert ended["currentState"] == {"status": "completed", "paidInvoices": 12, "outstandingInvoices": 0}
    payments = (await payroc.get("/v1/payments?limit=100"))["data"]
    assert sorted(one["order"]["amount"] for one in payments) == [1000] * 12 + [2500]
    assert all(one["card"]["secureToken"]["token"] == made["secureToken"]["token"] for one in payments)


async def test_a_crash_between_payment_and_note_bills_nothing_twice(payroc: Payroc) -> None:
    """The payment of a period is found again by its key; without the note the period is still due."""
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    await payroc.post(f"{payroc.base}/subscriptions", await subscribe(payroc))
    billing = payroc.services.use_cases.subscriptions
    [(due, offset)] = [
        found
        for found in await payroc.services.storage.read(lambda uow: uow.subscriptions.due(100))
        if found[0].name == "S-1" and found[0].facts["processingTerminalId"] == payroc.terminal
    ]
    await billing._charge(
        due, Money(1000, "USD"), key=due.charge_key, reference=due.name, facts={}, offset=offset
    )
    assert (await payroc.get(f"{payroc.base}/subscriptions/S-1"))["currentState"]["paidInvoices"] == 0
    assert await bill(payroc) == 0
    assert (await payroc.get(f"{payroc.base}/subscriptions/S-1"))["currentState"]["paidInvoices"] == 1
    assert (await payroc.get("/v1/payments"))["count"] == 1


async def test_a_declined_instalment_is_tried_again_then_suspends(payroc: Payroc) -> None:
    """Retries by rule: after one, three and five days; then the merchant may reactivate."""
    await payroc.post(f"{payroc.base}/payment-plans", plan(recurringOrder={"amount": 4901}))
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc))
    for days in (0, 1, 3, 5):
        await payroc.move_clock(days)
        assert await bill(payroc) == 1
        assert await bill(payroc) == 0
    state = (await payroc.get(f"{path}/S-1"))["currentState"]
    assert state == {"status": "suspended", "paidInvoices": 0}
    statuses = [one["transactionResult"]["status"] for one in (await payroc.get("/v1/payments"))["data"]]
    assert statuses == ["declined"] * 4
    active = await payroc.act(f"{path}/S-1/reactivate")
    assert active["currentState"]["status"] == "active"


async def test_a_stolen_card_is_not_tried_again(payroc: Payroc) -> None:
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc))
    fault = {"trouble": "decline", "parameters": {"reason": "stolen_card"}}
    await payroc.native("POST", "/v1/sandbox/faults", fault)
    assert await bill(payroc) == 1
    assert (await payroc.get(f"{path}/S-1"))["currentState"]["status"] == "suspended"


async def test_an_erased_token_suspends(payroc: Payroc) -> None:
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    token = await payroc.secure_token()
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc, token=token))
    await payroc.ask("DELETE", f"{payroc.base}/secure-tokens/{token['secureTokenId']}")
    assert await bill(payroc) == 0
    assert (await payroc.get(f"{path}/S-1"))["currentState"]["status"] == "suspended"


async def test_a_declined_setup_begins_suspended(payroc: Payroc) -> None:
    await payroc.post(f"{payroc.base}/payment-plans", plan(setupOrder={"amount": 4901}))
    made = await payroc.post(f"{payroc.base}/subscriptions", await subscribe(payroc))
    assert made["currentState"]["status"] == "suspended"


async def test_own_terms_go_before_the_plans(payroc: Payroc) -> None:
    """18.2: name, amount, length and end; a pause skips periods, an end date wins over a length."""
    await payroc.post(f"{payroc.base}/payment-plans", plan(length=12))
    start = await today(payroc)
    body = await subscribe(
        payroc,
        name="Own",
        recurringOrder={"amount": 700},
        pauseCollectionFor=1,
        length=9,
        endDate=(start + timedelta(days=70)).isoformat(),
    )
    body["name"] = "Mine"
    made = await payroc.post(f"{payroc.base}/subscriptions", body)
    assert (made["name"], made["recurringOrder"]["amount"], made["length"]) == ("Mine", 700, 9)
    assert await bill(payroc) == 0
    for _ in range(12):
        await payroc.move_clock(31)
        await bill(payroc)
    ended = await payroc.get(f"{payroc.base}/subscriptions/Own")
    assert (ended["currentState"]["status"], ended["currentState"]["paidInvoices"]) == ("completed", 2)


async def test_a_plan_takes_its_subscriptions_along(payroc: Payroc) -> None:
    """18.1: onUpdate and onDelete."""
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    await payroc.post(f"{payroc.base}/payment-plans", plan("Still", onUpdate="continue", onDelete="continue"))
    token = await payroc.secure_token()
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc, "follows", token))
    await payroc.post(path, {**await subscribe(payroc, "stays", token), "paymentPlanId": "Still"})
    for name in ("Premium", "Still"):
        change = {"op": "replace", "path": "/recurringOrder/amount", "value": 1500}
        await payroc.patch(f"{payroc.base}/payment-plans/{name}", change)
    assert (await payroc.get(f"{path}/follows"))["recurringOrder"]["amount"] == 1500
    assert (await payroc.get(f"{path}/stays"))["recurringOrder"]["amount"] == 1000
    for name in ("Premium", "Still"):
        assert (await payroc.ask("DELETE", f"{payroc.base}/payment-plans/{name}")).status == 204
    assert (await payroc.get(f"{path}/follows"))["currentState"]["status"] == "completed"
    assert (await payroc.get(f"{path}/stays"))["currentState"]["status"] == "active"


async def test_a_manual_subscription_is_paid_once_a_period(payroc: Payroc) -> None:
    """18.2: also before its start, as the suites do; the order of somebody else's key is refused."""
    await payroc.post(f"{payroc.base}/payment-plans", plan(type="manual", frequency="fortnightly"))
    start = (await today(payroc)) + timedelta(days=1)
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc, startDate=start.isoformat()))
    body = {"order": {"orderId": "O-1", "amount": 105, "description": "Monthly"}, "operator": "Jane"}
    paid = await payroc.post_without_location(f"{path}/S-1/pay", body)
    assert (paid["payment"]["amount"], paid["currentState"]["paidInvoices"]) == (105, 1)
    await payroc.act(f"{path}/S-1/pay", body, 409)
    await payroc.move_clock(16)
    assert (await payroc.post_without_location(f"{path}/S-1/pay", body))["currentState"]["paidInvoices"] == 2
    assert await bill(payroc) == 0
    shown = await payroc.get(f"/v1/payments/{paid['payment']['paymentId']}")
    assert (shown["operator"], shown["order"]["orderId"]) == ("Jane", "O-1")


async def test_an_automatic_subscription_is_not_paid_by_hand(payroc: Payroc) -> None:
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    await payroc.post(f"{payroc.base}/subscriptions", await subscribe(payroc))
    await payroc.act(f"{payroc.base}/subscriptions/S-1/pay", {"order": {"orderId": "O", "amount": 5}}, 409)


async def test_stop_and_go(payroc: Payroc) -> None:
    """18.2: what fell due meanwhile is not billed."""
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc))
    assert (await payroc.act(f"{path}/S-1/deactivate"))["currentState"] == {
        "status": "cancelled",
        "paidInvoices": 0,
    }
    await payroc.act(f"{path}/S-1/deactivate", status=409)
    await payroc.move_clock(100)
    assert await bill(payroc) == 0
    active = await payroc.act(f"{path}/S-1/reactivate")
    assert active["currentState"]["nextDueDate"] >= (await today(payroc)).isoformat()
    await payroc.act(f"{path}/S-1/reactivate", status=409)


async def test_a_subscription_is_patched(payroc: Payroc) -> None:
    """18.2."""
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc))
    changed = await payroc.patch(
        f"{path}/S-1",
        {"op": "replace", "path": "/name", "value": "New"},
        {"op": "replace", "path": "/recurringOrder/amount", "value": 1234},
        {"op": "add", "path": "/length", "value": 3},
    )
    assert (changed["name"], changed["recurringOrder"]["amount"], changed["length"]) == ("New", 1234, 3)
    await bill(payroc)
    assert (await payroc.get("/v1/payments"))["data"][0]["order"]["amount"] == 1234
    for operation in (
        {"op": "replace", "path": "/frequency", "value": "weekly"},
        {"op": "replace", "path": "/currentState/status", "value": "active"},
        {"op": "remove", "path": "/name"},
    ):
        await payroc.patch(f"{path}/S-1", operation, status=400)


async def test_what_a_subscription_needs(payroc: Payroc) -> None:
    """18.2."""
    path = f"{payroc.base}/subscriptions"
    await payroc.post(path, await subscribe(payroc), 400)
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    past = ((await today(payroc)) - timedelta(days=1)).isoformat()
    await payroc.post(path, await subscribe(payroc, startDate=past), 400)
    unknown = {**await subscribe(payroc), "paymentMethod": {"type": "secureToken", "token": "2967"}}
    await payroc.post(path, unknown, 400)
    await payroc.post(path, await subscribe(payroc))
    again = await payroc.post(path, await subscribe(payroc), 409)
    assert again["type"].endswith("#resource-already-exists")
    await payroc.get(f"{path}/nobody", 404)


async def test_every_filter_of_subscriptions(payroc: Payroc) -> None:
    """18.2."""
    await payroc.post(f"{payroc.base}/payment-plans", plan())
    await payroc.post(f"{payroc.base}/payment-plans", plan("Weekly", frequency="weekly"))
    path = f"{payroc.base}/subscriptions"
    end = ((await today(payroc)) + timedelta(days=300)).isoformat()
    one = await payroc.post(path, await subscribe(payroc, "one", endDate=end))
    bank = await payroc.secure_token(ach())
    other = await payroc.post(path, {**await subscribe(payroc, "other", bank), "paymentPlanId": "Weekly"})
    cases = {
        "": ["other", "one"],
        "customerName=Ada%20Byron": ["one"],
        "last4=1010": ["other"],
        "paymentPlan=Weekly%20plan": ["other"],
        "frequency=monthly": ["one"],
        "status=active": ["other", "one"],
        "status=cancelled": [],
        f"endDate={end}": ["one"],
        f"nextDueDate={other['startDate']}&limit=5": ["other", "one"],
    }
    for query, expected in cases.items():
        page = await payroc.get(f"{path}?{query}")
        assert [item["subscriptionId"] for item in page["data"]] == expected, query
    assert (await payroc.get(f"{path}?limit=1&after=other"))["data"] == [one]
    assert await bill(payroc) == 1
    debits = await payroc.get(f"/v1/bank-transfer-payments?processingTerminalId={payroc.terminal}")
    assert [item["order"]["amount"] for item in debits["data"]] == [1000]


# --- links -----------------------------------------------------------------------------------------


def link(**more: Any) -> dict[str, Any]:
    return {
        "type": "multiUse",
        "merchantReference": "LinkRef6543",
        "order": {"description": "Donation", "charge": {"type": "prompt", "currency": "USD"}},
        "authType": "sale",
        "paymentMethods": ["card", "bankTransfer"],
        "customLabels": [{"element": "paymentButton", "label": "SUPPORT <US>"}],
        **more,
    }


async def test_links_of_both_kinds(payroc: Payroc) -> None:
    """19."""
    path = f"{payroc.base}/payment-links"
    made = await payroc.post(path, link())
    assert (made["status"], made["createdOn"]) == ("active", (await today(payroc)).isoformat())
    assert made["assets"]["paymentButton"].endswith(">SUPPORT &lt;US&gt;</a>")
    end = ((await today(payroc)) + timedelta(days=3)).isoformat()
    order = {"orderId": "O-1", "charge": {"type": "preset", "amount": 4999, "currency": "USD"}}
    once = await payroc.post(
        path, link(type="singleUse", order=order, expiresOn=end, paymentMethods=["card"])
    )
    assert await payroc.get(f"/v1/payment-links/{once['paymentLinkId']}") == once
    for wrong in ({"type": "singleUse"}, {"expiresOn": "2001-01-01"}, {"authType": "preAuthorization"}):
        await payroc.post(path, link(**wrong), 400)
    ids = {"multi": made["paymentLinkId"], "single": once["paymentLinkId"]}
    cases = {
        "": ["single", "multi"],
        "linkType=singleUse": ["single"],
        "chargeType=prompt": ["multi"],
        "status=active&merchantReference=LinkRef6543": ["single", "multi"],
        f"expiresOn={end}": ["single"],
        f"createdOn={made['createdOn']}&status=deactivated": [],
    }
    for query, expected in cases.items():
        page = await payroc.get(f"{path}?{query}")
        assert [item["paymentLinkId"] for item in page["data"]] == [ids[name] for name in expected], query
    await payroc.move_clock(5)
    assert (await payroc.get(f"/v1/payment-links/{once['paymentLinkId']}"))["status"] == "expired"


async def test_a_link_is_patched_and_deactivated(payroc: Payroc) -> None:
    """19: unrelated paths change nothing."""
    made = await payroc.post(f"{payroc.base}/payment-links", link())
    path = f"/v1/payment-links/{made['paymentLinkId']}"
    assert await payroc.patch(path, {"op": "add", "path": "/setupOrder/amount", "value": 2999}) == made
    patched = await payroc.patch(path, {"op": "replace", "path": "/customLabels/0/label", "value": "PAY"})
    assert patched["assets"]["paymentButton"].endswith(">PAY</a>")
    await payroc.patch(path, {"op": "replace", "path": "/order/description", "value": "x"}, status=400)
    assert (await payroc.act(f"{path}/deactivate"))["status"] == "deactivated"
    await payroc.act(f"{path}/deactivate", status=409)
    await payroc.patch(path, {"op": "add", "path": "/expiresOn", "value": "2099-01-01"}, status=409)
    await payroc.get("/v1/payment-links/AAAAAAAAAA", 404)


async def test_sharing_events(payroc: Payroc) -> None:
    """19."""
    made = await payroc.post(f"{payroc.base}/payment-links", link())
    path = f"/v1/payment-links/{made['paymentLinkId']}/sharing-events"
    body = {
        "sharingMethod": "email",
        "recipients": [{"name": "Sarah", "email": "s@example.com"}],
        "message": "Hi",
    }
    shared = await payroc.post(path, body)
    assert shared["merchantCopy"] is False
    await payroc.post(path, {**body, "recipients": []}, 400)
    assert (await payroc.get(f"{path}?recipientName=Sarah&recipientEmail=s%40example.com"))["data"] == [
        shared
    ]
    assert (await payroc.get(f"{path}?recipientName=Joe"))["data"] == []
    links = await payroc.get(f"{payroc.base}/payment-links?recipientEmail=s%40example.com")
    assert [one["paymentLinkId"] for one in links["data"]] == [made["paymentLinkId"]]
    assert (await payroc.get(f"{payroc.base}/payment-links?recipientName=Joe"))["data"] == []


# --- event subscriptions ---------------------------------------------------------------------------


def events(*, enabled: bool = True) -> dict[str, Any]:
    hook = {
        "type": "webhook",
        "uri": "https://hooks.example.com/endpoint",
        "secret": "abcd1234567890123456",
        "supportEmailAddress": "support@example.com",
    }
    return {
        "enabled": enabled,
        "eventTypes": ["processingAccount.status.changed"],
        "notifications": [hook],
        "metadata": {"mine": "value"},
    }


async def test_the_life_of_an_event_subscription(payroc: Payroc) -> None:
    """20: after its deletion a 401, as the live service answers."""
    path = "/v1/event-subscriptions"
    made = await payroc.post(path, events())
    assert 0 < made["id"] < 2**31
    assert made["notifications"][0]["secret"] == "****1234567890123456"
    one = f"{path}/{made['id']}"
    patched = await payroc.patch(
        one, {"op": "replace", "path": "/notifications/0/supportEmailAddress", "value": "new@example.com"}
    )
    assert patched["notifications"][0]["supportEmailAddress"] == "new@example.com"
    await payroc.patch(one, {"op": "replace", "path": "/id", "value": 5}, status=400)
    assert (await payroc.ask("PUT", one, events(enabled=False))).status == 204
    shown = await payroc.get(one)
    assert (shown["enabled"], shown["status"]) == (False, "suspended")
    assert (await payroc.get(f"{path}?status=suspended&event=processingAccount.status.changed&limit=5"))[
        "data"
    ] == [shown]
    assert (await payroc.get(f"{path}?status=registered"))["data"] == []
    assert (await payroc.ask("DELETE", one)).status == 204
    await payroc.get(one, 401)
    await payroc.get(f"{path}/5", 404)
    await payroc.get(f"{path}/five", 404)
    await payroc.post(path, {**events(), "notifications": [{"type": "pigeon"}]}, 400)
