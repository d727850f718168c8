"""Customer Vault: tokens, profiles, addresses, cards, bank accounts and mandates."""

from __future__ import annotations

import asyncio

import pytest
from tests.dialects.paysafe.talk import ADDRESS, MASTERCARD, VISA, Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")
VAULT = "/customervault/v1"
PROFILES = VAULT + "/profiles"
NOBODY = "00000000-0000-7000-8000-000000000000"
EXPIRY = {"month": 9, "year": 2035}
ACH = {
    "accountHolderName": "A BIRD", "accountNumber": "123456789", "routingNumber": "123456789",
    "accountType": "CHECKING",
}  # fmt: skip
EFT = {
    "accountHolderName": "A BIRD", "accountNumber": "123456789", "transitNumber": "12345",
    "institutionId": "123",
}  # fmt: skip
BACS = {"accountHolderName": "A BIRD", "accountNumber": "12345678", "sortCode": "123456"}
SEPA = {"accountHolderName": "A BIRD", "iban": "DE89370400440532013000", "bic": "COBADEFFXXX"}
ACCOUNTS = {"ach": ACH, "eft": EFT, "bacs": BACS, "sepa": SEPA}


async def test_a_single_use_token(shop: Shop) -> None:
    """The address moves to the top, the security code is gone, and the life counts down."""
    body = {
        "card": {
            "holderName": "ADA BIRD", "cardNum": MASTERCARD, "cardExpiry": {"month": 4, "year": 2030},
            "cvv": "111", "billingAddress": ADDRESS,
        }
    }  # fmt: skip
    made = await shop.ok("POST", VAULT + "/singleusetokens", body, key=shop.public_key)
    assert set(made) == {"id", "paymentToken", "timeToLiveSeconds", "billingAddress", "card"}
    assert made["timeToLiveSeconds"] == 899
    assert made["billingAddress"] == ADDRESS
    assert made["card"] == {
        "cardBin": "519133", "lastDigits": "4415", "holderName": "ADA BIRD",
        "cardExpiry": {"year": 2030, "month": 4}, "cardType": "MC", "cardCategory": "CREDIT",
    }  # fmt: skip
    assert made["paymentToken"].startswith("SC")
    await shop.later(seconds=100)
    found = await shop.ok("POST", VAULT + "/singleusetokens/search", {"paymentToken": made["paymentToken"]})
    assert 790 <= found["timeToLiveSeconds"] <= 799
    assert found["billingAddress"] == ADDRESS
    assert (found["card"], found["isFromMultiUseToken"]) == (made["card"], False)


async def test_single_use_refusals(shop: Shop) -> None:
    """Each with the field at fault."""
    path = VAULT + "/singleusetokens"
    card = {"cardNum": VISA, "cardExpiry": EXPIRY}
    wrong = await shop.refused("5068", 400, "POST", path, {"card": {**card, "cardNum": "4530910000012346"}})
    assert wrong["error"]["fieldErrors"][0]["field"] == "card.cardNum"
    await shop.refused("5068", 400, "POST", path, {})
    await shop.refused("5068", 400, "POST", path, {"card": {"cardNum": VISA}})
    await shop.refused("5068", 400, "POST", path, {"card": {**card, "billingAddress": {"country": "CA"}}})
    await shop.refused("5068", 400, "POST", path, {"card": {**card, "cvv": "1"}})
    await shop.refused("7508", 400, "POST", path, {"card": {**card, "cardNum": "9999999999999995"}})
    search = path + "/search"
    await shop.refused("5502", 400, "POST", search, {"paymentToken": "SCnothing"})
    token = await shop.token()
    await shop.auth(card={"paymentToken": token})
    await shop.refused("5502", 400, "POST", search, {"paymentToken": token})


@pytest.mark.parametrize(("scheme", "account"), [("ach", ACH), ("eft", EFT)])
async def test_bank_single_use_tokens(shop: Shop, scheme: str, account: dict[str, str]) -> None:
    """For the two schemes that have them; once for a profile, once for a payment."""
    key = f"{scheme}BankAccount"
    body = {"profile": {"firstName": "Ada"}, key: account, "billingAddress": ADDRESS}
    path = f"{VAULT}/{scheme}singleusetokens"
    made = await shop.ok("POST", path, body, key=shop.public_key)
    assert made["paymentToken"].startswith("SA")
    assert made["profile"] == {"firstName": "Ada"}
    assert "accountNumber" not in made[key]
    profile = await shop.ok(
        "POST",
        PROFILES,
        {"merchantCustomerId": f"c-{scheme}", key: {"singleUseToken": made["paymentToken"]}},
        status=201,
    )
    (kept,) = profile[f"{scheme}BankAccounts"]
    assert (kept["singleUseToken"], kept["lastDigits"]) == (made["paymentToken"], "89")
    assert kept["billingAddressId"] == profile["addresses"][0]["id"]
    again = {"merchantCustomerId": "other", key: {"singleUseToken": made["paymentToken"]}}
    await shop.refused("5502", 400, "POST", PROFILES, again)
    await shop.refused("5068", 400, "POST", path, {**body, key: None})
    short = {**ADDRESS, "street": None}
    await shop.refused("5068", 400, "POST", path, {**body, "billingAddress": short})
    await shop.refused("7510", 400, "POST", path, {**body, key: {**account, "accountNumber": "12"}})


async def test_wallets(shop: Shop) -> None:
    """In test mode either shape stands for a test card; what has not the shape is refused."""
    flat = {"version": "EC_v1", "data": "AA==", "signature": "AA==", "header": {"transactionId": "1"}}
    kit = {"token": {"paymentData": flat, "paymentMethod": {"network": "MasterCard"}}}
    path = VAULT + "/applepaysingleusetokens"
    for given, brand in ((flat, "VI"), (kit, "MC")):
        made = await shop.ok("POST", path, {"applePayPaymentToken": given}, key=shop.public_key)
        assert made["card"]["cardType"] == brand
    token = made["paymentToken"]
    verify = {"merchantRefNum": shop.ref(), "card": {"paymentToken": token}}
    await shop.refused("5502", 400, "POST", shop.cards + "/verifications", verify)
    await shop.auth(card={"paymentToken": token})
    await shop.refused("7513", 400, "POST", path, {"applePayPaymentToken": {"data": "x"}})
    google = {
        "apiVersion": 2,
        "paymentMethodData": {"info": {"cardNetwork": "VISA"}, "tokenizationData": {"token": "x"}},
    }
    for name in ("googlepaysingleusetokens", "paywithgooglesingleusetokens"):
        made = await shop.ok("POST", f"{VAULT}/{name}", {"googlePayPaymentToken": google})
        assert made["googlePayPaymentToken"]["paymentMethod"] == "TOKENIZED_CARD"
        await shop.refused("5068", 400, "POST", f"{VAULT}/{name}", {"googlePayPaymentToken": {}})


async def test_a_profile(shop: Shop) -> None:
    """Made, shown, found, replaced, deleted."""
    body = {
        "merchantCustomerId": "cust-77", "locale": "en_GB", "firstName": "Ada", "lastName": "Bird",
        "email": "ada@example.com", "dateOfBirth": {"year": 1990, "month": 1, "day": 2}, "gender": "F",
    }  # fmt: skip
    answer = await shop.ask("POST", PROFILES + "/", body)
    assert answer.status == 201
    made = answer.value
    assert answer.header("location") == f"http://farebox.test/paysafe{PROFILES}/{made['id']}"
    assert {name: made[name] for name in body} == body
    assert made["status"] == "ACTIVE"
    assert made["paymentToken"].startswith("P")
    answer = await shop.ask("GET", f"{PROFILES}/{made['id']}")
    assert answer.value == made
    assert answer.header("etag")
    assert (await shop.ok("GET", PROFILES + "?merchantCustomerId=cust-77"))["id"] == made["id"]
    path = f"{PROFILES}/{made['id']}"
    changed = await shop.ok("PUT", path, {"merchantCustomerId": "cust-78", "locale": "en_US", "id": "x"})
    assert "firstName" not in changed
    assert (changed["merchantCustomerId"], changed["status"]) == ("cust-78", "ACTIVE")
    await shop.refused("5068", 400, "PUT", path, {"merchantCustomerId": "cust-78"})
    await shop.refused("5269", 404, "GET", PROFILES + "?merchantCustomerId=cust-77")
    await shop.refused("7516", 400, "GET", PROFILES)
    await shop.profile(merchantCustomerId="cust-77")
    await shop.ok("DELETE", path)
    await shop.refused("5269", 404, "GET", path)
    await shop.profile(merchantCustomerId="cust-78")


async def test_a_merchants_id_is_unique(shop: Shop) -> None:
    """Also when many ask at once; who has it is told."""
    made = await shop.profile(merchantCustomerId="one")
    body = {"merchantCustomerId": "one", "locale": "en_US"}
    refused = await shop.refused("7505", 409, "POST", PROFILES, body)
    assert refused["error"]["message"].endswith(f" - {made['id']}")
    link = {"rel": "existing_entity", "href": f"http://farebox.test/paysafe{PROFILES}/{made['id']}"}
    assert refused["links"] == [link]
    other = await shop.profile(merchantCustomerId="two")
    await shop.refused("7505", 409, "PUT", f"{PROFILES}/{other['id']}", body)
    body["merchantCustomerId"] = "three"
    answers = await asyncio.gather(*(shop.ask("POST", PROFILES, body) for _ in range(5)))
    assert sorted(one.status for one in answers) == [201, 409, 409, 409, 409]
    for _ in range(2):
        await shop.native("POST", "/v1/customers", {"reference": "several"})
    refused = await shop.refused("7521", 409, "GET", PROFILES + "?merchantCustomerId=several")
    assert len(refused["links"]) == 2


async def test_profile_refusals(shop: Shop) -> None:
    """Each with its field."""
    await shop.refused("5068", 400, "POST", PROFILES, {"merchantCustomerId": "x"})
    await shop.refused("5068", 400, "POST", PROFILES, {"locale": "en_US"})
    await shop.refused("5068", 400, "POST", PROFILES, {"merchantCustomerId": "x", "locale": "de_DE"})
    await shop.refused("5068", 400, "POST", PROFILES, {"merchantCustomerId": "x" * 101, "locale": "en_US"})
    hidden = {"merchantCustomerId": "x", "locale": "en_US", "firstName": VISA}
    await shop.refused("5068", 400, "POST", PROFILES, hidden)
    for method in ("GET", "PUT", "DELETE"):
        body = {"merchantCustomerId": "x", "locale": "en_US"} if method == "PUT" else None
        await shop.refused("5269", 404, method, f"{PROFILES}/{NOBODY}", body)


async def test_an_inactive_profile_does_not_pay(shop: Shop) -> None:
    """INITIAL blocks its tokens, deletion ends them."""
    profile = await shop.profile(status="INITIAL", card={"singleUseToken": await shop.token()})
    token = profile["cards"][0]["paymentToken"]
    body = {"merchantRefNum": shop.ref(), "amount": 100, "card": {"paymentToken": token}}
    await shop.refused("5502", 400, "POST", shop.cards + "/auths", body)
    path = f"{PROFILES}/{profile['id']}"
    update = {"merchantCustomerId": profile["merchantCustomerId"], "locale": "en_US", "status": "ACTIVE"}
    await shop.ok("PUT", path, update)
    await shop.ok("POST", shop.cards + "/auths", body)
    await shop.ok("DELETE", path)
    body["merchantRefNum"] = shop.ref()
    await shop.refused("5502", 400, "POST", shop.cards + "/auths", body)


async def test_a_refused_profile_spends_no_token(shop: Shop) -> None:
    """All of it or nothing: card, address and profile are stored together."""
    await shop.profile(merchantCustomerId="taken")
    token = await shop.token(billingAddress=ADDRESS)
    body = {"merchantCustomerId": "taken", "locale": "en_US", "card": {"singleUseToken": token}}
    await shop.refused("7505", 409, "POST", PROFILES, body)
    profile = await shop.profile(card={"singleUseToken": token})
    assert len(profile["cards"]) == len(profile["addresses"]) == 1
    again = {"merchantCustomerId": "again", "locale": "en_US", "card": {"singleUseToken": token}}
    await shop.refused("5502", 400, "POST", PROFILES, again)
    await shop.refused("5269", 404, "GET", PROFILES + "?merchantCustomerId=again")


async def test_addresses(shop: Shop) -> None:
    """Added, shown, replaced, deleted; of this profile only."""
    profile, other = await shop.profile(), await shop.profile()
    path = f"{PROFILES}/{profile['id']}/addresses"
    answer = await shop.ask("POST", path + "/", ADDRESS)
    made = answer.value
    assert answer.status == 201
    assert answer.header("location") == f"http://farebox.test/paysafe{path}/{made['id']}"
    assert made == {**ADDRESS, "id": made["id"], "status": "ACTIVE", "defaultShippingAddressIndicator": False}
    assert await shop.ok("GET", f"{path}/{made['id']}") == made
    replaced = await shop.ok(
        "PUT", f"{path}/{made['id']}", {"country": "FR", "zip": "75001", "state": "Paris"}
    )
    assert "street" not in replaced
    await shop.refused("5269", 404, "GET", f"{PROFILES}/{other['id']}/addresses/{made['id']}")
    await shop.ok("DELETE", f"{path}/{made['id']}")
    await shop.refused("5269", 404, "GET", f"{path}/{made['id']}")
    await shop.refused("5068", 400, "POST", path, {"zip": "1"})
    await shop.refused("5068", 400, "POST", path, {"country": "CA"})
    await shop.refused("5068", 400, "POST", path, {**ADDRESS, "state": "Quebec"})
    await shop.refused("5068", 400, "POST", path, {**ADDRESS, "street": 'a "b"'})
    await shop.refused("5269", 404, "POST", f"{PROFILES}/{NOBODY}/addresses", ADDRESS)


async def test_cards(shop: Shop) -> None:
    """Added in the clear or from a token; replaced; the default moves; deleted."""
    profile = await shop.profile()
    path = f"{PROFILES}/{profile['id']}/cards"
    address = await shop.ok("POST", f"{PROFILES}/{profile['id']}/addresses", ADDRESS, status=201)
    body = {
        "cardNum": VISA, "cardExpiry": EXPIRY, "holderName": "ADA", "nickName": "mine",
        "billingAddressId": address["id"],
    }  # fmt: skip
    answer = await shop.ask("POST", path + "/", body)
    made = answer.value
    assert answer.status == 201
    assert answer.header("location") == f"http://farebox.test/paysafe{path}/{made['id']}"
    assert made == {
        "status": "ACTIVE", "id": made["id"], "cardBin": "453091", "lastDigits": "2345",
        "cardExpiry": {"year": 2035, "month": 9}, "holderName": "ADA", "nickName": "mine",
        "billingAddressId": address["id"], "cardType": "VI", "cardCategory": "CREDIT",
        "paymentToken": made["paymentToken"], "defaultCardIndicator": True,
        "storedCredentialTokenStatus": "UNVERIFIED",
    }  # fmt: skip
    assert made["paymentToken"].startswith("C")
    assert await shop.ok("GET", f"{path}/{made['id']}") == made
    refused = await shop.refused("7503", 409, "POST", path, body)
    assert refused["error"]["message"] == f"Card number already in use - {made['id']}"
    href = f"http://farebox.test/paysafe{VAULT}/cards/{made['id']}"
    assert refused["links"] == [{"rel": "existing_entity", "href": href}]
    token = await shop.token(MASTERCARD, billingAddress=ADDRESS)
    second = await shop.ok("POST", path, {"singleUseToken": token, "defaultCardIndicator": True}, status=201)
    assert (second["defaultCardIndicator"], second["cardType"]) == (True, "MC")
    assert second["billingAddressId"] != address["id"]
    shown = await shop.ok("GET", f"{PROFILES}/{profile['id']}?fields=cards,addresses")
    assert [card["defaultCardIndicator"] for card in shown["cards"]] == [False, True]
    assert len(shown["addresses"]) == 2
    update = {"cardExpiry": {"month": 1, "year": 2036}, "holderName": "ADA B", "defaultCardIndicator": "true"}
    changed = await shop.ok("PUT", f"{path}/{made['id']}", {**update, "id": made["id"], "cardNum": VISA})
    assert (changed["paymentToken"], changed["defaultCardIndicator"]) == (made["paymentToken"], True)
    assert changed["cardExpiry"] == {"year": 2036, "month": 1}
    assert not {"billingAddressId", "nickName"} & set(changed)
    third = await shop.token("370123456789017")
    renewed = await shop.ok("PUT", f"{path}/{made['id']}", {"singleUseToken": third})
    assert (renewed["id"], renewed["cardType"]) == (made["id"], "AM")
    assert renewed["paymentToken"] == made["paymentToken"]
    paid = await shop.auth(card={"paymentToken": made["paymentToken"]})
    assert paid["card"]["type"] == "AM"
    assert (await shop.ok("GET", f"{path}/{made['id']}"))["storedCredentialTokenStatus"] == "VERIFIED"
    await shop.ok("DELETE", f"{path}/{made['id']}")
    await shop.refused("5269", 404, "GET", f"{path}/{made['id']}")
    body = {"merchantRefNum": "gone", "amount": 100, "card": {"paymentToken": made["paymentToken"]}}
    await shop.refused("5502", 400, "POST", shop.cards + "/auths", body)


async def test_card_refusals(shop: Shop) -> None:
    """Each with its own code; the date is not looked at before a payment."""
    profile = await shop.profile()
    path = f"{PROFILES}/{profile['id']}/cards"
    card = {"cardNum": VISA, "cardExpiry": {"month": 1, "year": 2020}}
    await shop.refused("7511", 404, "POST", path, {**card, "billingAddressId": NOBODY})
    await shop.refused("7511", 404, "POST", path, {**card, "billingAddressId": "nothing"})
    await shop.refused("5502", 400, "POST", path, {"singleUseToken": "SCnothing"})
    await shop.refused("5068", 400, "POST", path, {"cardExpiry": EXPIRY})
    await shop.refused("7508", 400, "POST", path, {**card, "cardNum": "9999999999999995"})
    await shop.refused("5068", 400, "POST", path, {**card, "nickName": MASTERCARD})
    made = await shop.ok("POST", path, card, status=201)
    body = {"merchantRefNum": "old", "amount": 100, "card": {"paymentToken": made["paymentToken"]}}
    await shop.refused("3006", 400, "POST", shop.cards + "/auths", body)
    for method in ("GET", "PUT", "DELETE"):
        await shop.refused("5269", 404, method, f"{path}/{NOBODY}", card if method == "PUT" else None)


async def test_a_profile_for_a_browser(shop: Shop) -> None:
    """Its cards have tokens that pay once; the permanent ones stay where they are."""
    profile = await shop.profile(card={"singleUseToken": await shop.token()})
    made = await shop.ok("POST", f"{PROFILES}/{profile['id']}/singleuseprofiles", {})
    (card,) = made["cards"]
    assert made["profileId"] == profile["id"]
    assert card["cardId"] == profile["cards"][0]["id"]
    assert card["paymentToken"].startswith("SC")
    search = VAULT + "/singleusetokens/search"
    assert (await shop.ok("POST", search, {"paymentToken": card["paymentToken"]}))["isFromMultiUseToken"]
    await shop.auth(card={"paymentToken": card["paymentToken"], "cvv": "123"})
    body = {"merchantRefNum": "once", "amount": 100, "card": {"paymentToken": card["paymentToken"]}}
    await shop.refused("5502", 400, "POST", shop.cards + "/auths", body)
    path = f"{PROFILES}/{profile['id']}/singleuseprofiles"
    await shop.refused("5270", 403, "POST", path, key=shop.public_key)


@pytest.mark.parametrize("scheme", ["ach", "eft", "bacs", "sepa"])
async def test_bank_accounts(shop: Shop, scheme: str) -> None:
    """Added, shown without their number, replaced, deleted."""
    profile = await shop.profile()
    address = await shop.ok("POST", f"{PROFILES}/{profile['id']}/addresses", ADDRESS, status=201)
    path = f"{PROFILES}/{profile['id']}/{scheme}bankaccounts"
    body = {**ACCOUNTS[scheme], "billingAddressId": address["id"], "nickName": "rent"}
    made = await shop.ok("POST", path + "/", body, status=201)
    assert made["paymentToken"].startswith("D")
    assert (made["nickName"], made["billingAddressId"], len(made["lastDigits"])) == ("rent", address["id"], 2)
    hidden = {"accountNumber", "iban"}
    assert not hidden & set(made)
    for name in set(ACCOUNTS[scheme]) - hidden:
        assert made[name] == ACCOUNTS[scheme][name]
    assert await shop.ok("GET", f"{path}/{made['id']}") == made
    refused = await shop.refused("7506", 409, "POST", path, body)
    assert refused["links"][0]["rel"] == "existing_entity"
    shown = await shop.ok("GET", f"{PROFILES}/{profile['id']}?fields={scheme}bankaccounts")
    assert shown[f"{scheme}BankAccounts"] == shown[f"{scheme}bankaccounts"] == [made]
    update = {"accountHolderName": "B BIRD", "billingAddressId": address["id"]}
    changed = await shop.ok("PUT", f"{path}/{made['id']}", {**update, "id": "x", "profile": {"id": "y"}})
    assert (changed["accountHolderName"], changed["paymentToken"]) == ("B BIRD", made["paymentToken"])
    assert "nickName" not in changed
    changed = await shop.ok("PUT", f"{path}/{made['id']}", {**ACCOUNTS[scheme], **update})
    assert changed["id"] == made["id"]
    await shop.ok("DELETE", f"{path}/{made['id']}")
    await shop.refused("5269", 404, "GET", f"{path}/{made['id']}")
    await shop.refused("7511", 404, "POST", path, {**body, "billingAddressId": NOBODY})
    await shop.refused("5068", 400, "POST", path, ACCOUNTS[scheme])
    number = "iban" if scheme == "sepa" else "accountNumber"
    await shop.refused("7510", 400, "POST", path, {**body, number: "1"})
    await shop.refused("5068", 400, "POST", path, {**body, "accountHolderName": "x" * 33})


async def test_mandates(shop: Shop) -> None:
    """A Bacs one is lodged over three days, a SEPA one is active at once."""
    profile = await shop.profile()
    base = f"{PROFILES}/{profile['id']}"
    address = await shop.ok("POST", base + "/addresses", ADDRESS, status=201)
    bacs = await shop.ok(
        "POST", base + "/bacsbankaccounts", {**BACS, "billingAddressId": address["id"]}, status=201
    )
    mandates = f"{base}/bacsbankaccounts/{bacs['id']}/mandates"
    made = await shop.ok("POST", mandates, {"reference": "ABCDE12345"}, status=201)
    assert made["paymentToken"].startswith("M")
    assert (made["status"], made["bankAccountId"]) == ("PENDING", bacs["id"])
    await shop.refused("7507", 409, "POST", mandates, {"reference": "ABCDE12345"})
    await shop.refused("5068", 400, "POST", mandates, {"reference": "abc"})
    await shop.refused("5068", 400, "POST", mandates, {"reference": "ABCDEFGHIJK"})
    await shop.refused("7509", 409, "PUT", f"{base}/bacsbankaccounts/{bacs['id']}", BACS)
    await shop.refused("7509", 409, "DELETE", f"{base}/bacsbankaccounts/{bacs['id']}")
    path = f"{base}/mandates/{made['id']}"
    assert await shop.ok("GET", path, {"id": made["id"]}) == made
    debit = {"merchantRefNum": "m", "amount": 100, "bacs": {"paymentToken": made["paymentToken"]}}
    await shop.refused("2012", 400, "POST", shop.debits + "/purchases", debit)
    await shop.later(days=1)
    assert (await shop.ok("GET", path))["status"] == "BATCHED"
    await shop.later(days=2)
    assert (await shop.ok("GET", path))["status"] == "ACTIVE"
    await shop.ok("POST", shop.debits + "/purchases", debit)
    body = {"id": made["id"], "status": "CANCELLED"}
    assert (await shop.ok("PUT", path, body))["status"] == "CANCELLED"
    debit["merchantRefNum"] = "m2"
    await shop.refused("2013", 400, "POST", shop.debits + "/purchases", debit)
    await shop.refused("2013", 400, "PUT", path, body)
    await shop.refused("5068", 400, "PUT", path, {"status": "ACTIVE"})
    await shop.ok("DELETE", path)
    await shop.refused("5269", 404, "GET", path)
    sepa = {**SEPA, "billingAddressId": address["id"], "mandates": [{"reference": "SEPA-1"}]}
    account = await shop.ok("POST", base + "/sepabankaccounts", sepa, status=201)
    (mandate,) = account["mandates"]
    assert (mandate["status"], mandate["reference"]) == ("ACTIVE", "SEPA-1")
    second = f"{base}/sepabankaccounts/{account['id']}/mandates"
    await shop.ok("POST", second, {"reference": "SEPA-2"}, status=201)
    shown = await shop.ok("GET", f"{base}/sepabankaccounts/{account['id']}")
    assert [one["reference"] for one in shown["mandates"]] == ["SEPA-1", "SEPA-2"]
