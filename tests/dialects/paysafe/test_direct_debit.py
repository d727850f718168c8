"""Direct Debit: purchases and credits of four schemes."""

from __future__ import annotations

import pytest
from tests.dialects.paysafe.talk import ADDRESS, Shop
from tests.dialects.paysafe.test_vault import ACH, BACS, EFT, PROFILES, SEPA

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOBODY = "00000000-0000-7000-8000-000000000000"
PERSON = {"firstName": "Ada", "lastName": "Bird", "ssn": "123456789"}
CLEAR = {
    "ach": {**ACH, "payMethod": "PPD"},
    "eft": EFT,
    "bacs": {**BACS, "mandateReference": "ABCDE12345"},
    "sepa": {**SEPA, "mandateReference": "SEPA-1"},
}
CURRENCIES = {"ach": "USD", "eft": "CAD", "bacs": "GBP", "sepa": "EUR"}


def bill(shop: Shop, scheme: str, **account: object) -> dict[str, object]:
    return {
        "merchantRefNum": shop.ref(),
        "amount": 95000,
        scheme: {**CLEAR[scheme], **account},
        "profile": PERSON,
        "billingDetails": ADDRESS,
    }


@pytest.mark.parametrize("scheme", ["ach", "eft", "bacs", "sepa"])
@pytest.mark.parametrize("collection", ["purchases", "standalonecredits"])
async def test_life(shop: Shop, scheme: str, collection: str) -> None:
    """Pending until the batch; what is personal is masked; a cancelled one stays cancelled."""
    path = f"{shop.debits}/{collection}"
    body = bill(shop, scheme)
    made = await shop.ok("POST", path + "/", body)
    assert (made["status"], made["currencyCode"], made["amount"]) == ("PENDING", CURRENCIES[scheme], 95000)
    assert made["profile"]["ssn"] == "*******89"
    assert made[scheme]["lastDigits"] == ("00" if scheme == "sepa" else made[scheme]["accountNumber"][-2:])
    assert "123456789" not in str(made[scheme].get("accountNumber"))
    assert made["links"][0]["href"].endswith(f"{path}/{made['id']}")
    assert await shop.ok("GET", f"{path}/{made['id']}", {"id": made["id"]}) == made
    key = {"standalonecredits": "standaloneCredits"}.get(collection, collection)
    listed = await shop.ok("GET", f"{path}?merchantRefNum={body['merchantRefNum']}")
    assert listed[key] == [made]
    cancelled = await shop.ok("PUT", f"{path}/{made['id']}", {"status": "CANCELLED", "id": made["id"]})
    assert set(cancelled) == {"id", "txnTime", "status", "links"}
    second = await shop.ok("POST", path, bill(shop, scheme))
    await shop.close_batch()
    assert (await shop.ok("GET", f"{path}/{made['id']}"))["status"] == "CANCELLED"
    assert (await shop.ok("GET", f"{path}/{second['id']}"))["status"] == "COMPLETED"
    await shop.refused("3415", 402, "PUT", f"{path}/{second['id']}", {"status": "CANCELLED"})


async def test_without_the_account(shop: Shop) -> None:
    """One documented path leaves the account out."""
    made = await shop.ok("POST", f"{shop.debits}/standalonecredits", bill(shop, "ach"))
    path = f"/directdebit/v1/standalonecredits/{made['id']}"
    assert (await shop.ok("PUT", path, {"status": "CANCELLED"}))["status"] == "CANCELLED"


async def test_tokens(shop: Shop) -> None:
    """A single-use token pays once and may become a permanent one; other schemes' tokens do not pay."""
    path = shop.debits + "/purchases"
    body = {"achBankAccount": ACH, "billingAddress": ADDRESS}

    async def token() -> str:
        return (await shop.ok("POST", "/customervault/v1/achsingleusetokens", body))["paymentToken"]

    first = await token()
    ach = {"paymentToken": first, "payMethod": "WEB"}
    made = await shop.ok("POST", path, {"merchantRefNum": "t1", "amount": 100, "ach": ach})
    assert made["ach"]["routingNumber"] == "123456789"
    assert made["billingDetails"]["street"] == ADDRESS["street"]
    await shop.refused("5502", 400, "POST", path, {"merchantRefNum": "t2", "amount": 100, "ach": ach})
    kept = {**ach, "paymentToken": await token(), "replaceWithMultiUsePaymentToken": True}
    asked = {"merchantRefNum": "t3", "amount": 100, "ach": kept, "merchantCustomerId": "mc"}
    permanent = (await shop.ok("POST", path, asked))["ach"]["multiUsePaymentToken"]
    assert permanent.startswith("D")
    again = {"merchantRefNum": "t4", "amount": 100, "ach": {"paymentToken": permanent, "payMethod": "TEL"}}
    await shop.ok("POST", path, again)
    other = {"merchantRefNum": "t5", "amount": 100, "eft": {"paymentToken": permanent}}
    await shop.refused("2017", 400, "POST", path, other)
    card = {"merchantRefNum": "t6", "amount": 100, "eft": {"paymentToken": await shop.token()}}
    await shop.refused("5502", 400, "POST", path, card)


async def test_what_a_mandate_is_needed_for(shop: Shop) -> None:
    """A SEPA account's own token is credited, and debited by its mandate's only."""
    profile = await shop.profile()
    base = f"{PROFILES}/{profile['id']}"
    address = await shop.ok("POST", base + "/addresses", ADDRESS, status=201)
    body = {**SEPA, "billingAddressId": address["id"], "mandates": [{"reference": "SEPA-9"}]}
    account = await shop.ok("POST", base + "/sepabankaccounts", body, status=201)
    own = {"paymentToken": account["paymentToken"]}
    mandate = {"paymentToken": account["mandates"][0]["paymentToken"]}
    purchases, credits_ = shop.debits + "/purchases", shop.debits + "/standalonecredits"
    await shop.refused("5502", 400, "POST", purchases, {"merchantRefNum": "a", "amount": 1, "sepa": own})
    await shop.ok("POST", credits_, {"merchantRefNum": "b", "amount": 1, "sepa": own})
    made = await shop.ok("POST", purchases, {"merchantRefNum": "c", "amount": 1, "sepa": mandate})
    assert made["profile"] == {"firstName": "Ada"}
    without = bill(shop, "bacs", mandateReference=None)
    await shop.refused("2011", 400, "POST", purchases, without)


async def test_refusals(shop: Shop) -> None:
    """Each with its own code."""
    path = shop.debits + "/purchases"
    good = bill(shop, "ach")
    await shop.refused("5042", 400, "POST", path, {**good, "merchantRefNum": None})
    await shop.refused("5003", 400, "POST", path, {**good, "amount": 0})
    await shop.refused("5068", 400, "POST", path, {**good, "ach": None})
    await shop.refused("5068", 400, "POST", path, {**good, "eft": EFT})
    await shop.refused("5068", 400, "POST", path, {**good, "profile": None})
    await shop.refused("5068", 400, "POST", path, {**good, "billingDetails": None})
    await shop.refused("5068", 400, "POST", path, bill(shop, "ach", payMethod=None))
    await shop.refused("5068", 400, "POST", path, bill(shop, "ach", accountNumber="1"))
    await shop.refused("5068", 400, "POST", path, bill(shop, "ach", paymentDescriptor="x" * 13))
    credit = bill(shop, "ach", payMethod="WEB")
    await shop.refused("5068", 400, "POST", shop.debits + "/standalonecredits", credit)
    await shop.ok("POST", path, good)
    await shop.refused("5031", 409, "POST", path, good)
    await shop.ok("POST", path, {**good, "dupCheck": "false"})
    await shop.refused("5269", 404, "GET", f"{path}/{NOBODY}")
    await shop.fault("decline", "purchase", reason="risk_rule")
    refused = await shop.refused("4002", 402, "POST", path, bill(shop, "ach"))
    assert (await shop.ok("GET", f"{path}/{refused['id']}"))["status"] == "FAILED"
