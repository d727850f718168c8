"""Monitors, credentials, addresses, headers and how bodies are read."""

from __future__ import annotations

import pytest
from tests.dialects.paysafe.talk import MASTERCARD, VISA, Shop

from farebox.domain.access import Mode

pytestmark = pytest.mark.asyncio(loop_scope="session")
PROFILES = "/customervault/v1/profiles"
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "api", ["cardpayments", "customervault", "directdebit", "threedsecure", "accountmanagement"]
)
async def test_monitors_need_no_credentials(shop: Shop, api: str) -> None:
    """Helpers report "up" only if the status is exactly this word."""
    body = await shop.ok("GET", f"/{api}/monitor", headers={"authorization": None})
    assert body == {"status": "READY"}


async def test_headers_of_every_answer(shop: Shop) -> None:
    """Nothing is cached, every answer has a name, and a correlation id comes back."""
    answer = await shop.ask("GET", "/customervault/monitor", headers={"x-internal-correlation-id": "abc-1"})
    assert answer.header("cache-control") == "max-age=0, no-cache, no-store"
    assert answer.header("pragma") == "no-cache"
    assert (answer.header("x-applicationuid") or "").startswith("GUID=")
    assert answer.header("x-internal-correlation-id") == "abc-1"
    assert answer.header("content-type") == "application/json"


async def test_credentials(shop: Shop) -> None:
    """A missing pair and a wrong one are told apart, with the documented challenge."""
    path = shop.cards + "/auths/" + NOBODY
    await shop.refused("5280", 401, "GET", path, headers={"authorization": None})
    await shop.refused("5279", 401, "GET", path, key="nobody:nothing")
    await shop.refused("5279", 401, "GET", path, headers={"authorization": "Basic %%%"})
    answer = await shop.ask("GET", path, key="nobody:nothing")
    assert answer.header("www-authenticate") == 'Basic realm="authSecurity"'


async def test_the_public_key_is_confined(shop: Shop) -> None:
    """It makes tokens and nothing else."""
    key = shop.public_key
    token = await shop.token()
    search = "/customervault/v1/singleusetokens/search"
    await shop.refused("5270", 403, "POST", search, {"paymentToken": token}, key=key)
    body = {"merchantCustomerId": "x", "locale": "en_US"}
    await shop.refused("5270", 403, "POST", PROFILES, body, key=key)
    refused = await shop.refused("5270", 403, "GET", f"{shop.cards}/auths/{NOBODY}", key=key)
    assert refused["error"]["details"] == [f"access to {{stpAccount:{shop.account}}} denied"]
    auth = {"merchantRefNum": "p", "amount": 100, "card": {"paymentToken": token}}
    await shop.refused("5270", 403, "POST", shop.cards + "/auths", auth, key=key)
    await shop.refused("5270", 403, "GET", f"{shop.debits}/purchases/{NOBODY}", key=key)


async def test_accounts(shop: Shop, running) -> None:
    """An account that nobody has is not found; somebody else's is denied."""
    _, shown = await running.services.merchants.create("Other", Mode.TEST)
    theirs = shown["paysafe"]["account_id"]
    body = {"merchantRefNum": "a", "card": {"cardNum": VISA, "cardExpiry": {"month": 1, "year": 2035}}}
    for account, code, status in (("42", "5016", 400), (theirs, "5270", 403)):
        base = f"/cardpayments/v1/accounts/{account}"
        await shop.refused(code, status, "POST", base + "/verifications", body)
        await shop.refused(code, status, "GET", f"{base}/auths/{NOBODY}")
        await shop.refused(code, status, "GET", f"/directdebit/v1/accounts/{account}/purchases/{NOBODY}")


async def test_addresses_are_read_generously(shop: Shop) -> None:
    """Trailing slashes, bare question marks, doubled slashes, bodies on GET: as the SDKs send them."""
    made = await shop.auth(merchantRefNum="ref 1")
    for path in (f"/auths/{made['id']}/", f"/auths/{made['id']}?", f"//auths//{made['id']}"):
        found = await shop.ok("GET", shop.cards + path, {"id": "x"})
        assert found["id"] == made["id"]
    for query in ("?merchantRefNum=ref%201", "/?merchantRefNum=ref+1&unknown=1"):
        listed = await shop.ok("GET", shop.cards + "/auths" + query)
        assert [one["id"] for one in listed["auths"]] == [made["id"]]
    profile = await shop.profile()
    answer = await shop.ask("DELETE", f"{PROFILES}/{profile['id']}/", {"id": profile["id"]})
    assert (answer.status, answer.body, answer.header("content-length")) == (200, b"", "0")
    assert answer.header("content-type") == "application/json"


async def test_media_types(shop: Shop) -> None:
    """What is no JSON is refused with 406, whichever side of it."""
    path = shop.cards + "/verifications"
    await shop.refused("5272", 406, "POST", path, {}, headers={"content-type": "text/plain"})
    await shop.refused("5271", 406, "POST", path, {}, headers={"accept": "text/html"})
    for accept in ("*/*", "application/json;charset=utf-8", "text/html, image/gif, *; q=.2, */*; q=.2"):
        await shop.ok("GET", "/cardpayments/monitor", headers={"accept": accept})


async def test_nowhere(shop: Shop) -> None:
    """Unknown paths, methods that are not supported, ids of nothing."""
    await shop.refused("5273", 404, "GET", "/cardpayments/v1/nothing")
    await shop.refused("5273", 404, "GET", "/")
    await shop.refused("5281", 405, "DELETE", f"{shop.cards}/auths/{NOBODY}")
    refused = await shop.refused("5269", 404, "GET", f"{shop.cards}/auths/{NOBODY}")
    assert refused["error"]["message"].endswith(f": {NOBODY}")
    await shop.refused("5269", 404, "GET", f"{shop.cards}/auths/not-an-id")
    for collection in ("settlements", "voidauths", "refunds", "verifications", "standalonecredits"):
        await shop.refused("5269", 404, "GET", f"{shop.cards}/{collection}/{NOBODY}")


async def test_malformed_bodies(shop: Shop) -> None:
    """What is no JSON object is refused with what is wrong, and nothing of it is repeated."""
    for raw in (b"{", b"[]", b'"x"', b"\xff"):
        refused = await shop.refused("5023", 400, "POST", shop.cards + "/auths", raw=raw)
        assert refused["error"]["details"]


async def test_every_wrong_field_is_named(shop: Shop) -> None:
    """In the words of the service's own validator."""
    body = {
        "merchantRefNum": "w",
        "amount": "many",
        "card": {"cardNum": VISA, "cardExpiry": {"month": 13}},
        "description": 'no "quotes"',
        "customerIp": "x" * 40,
    }
    refused = await shop.refused("5068", 400, "POST", shop.cards + "/auths", body)
    found = {one["field"]: one["error"] for one in refused["error"]["fieldErrors"]}
    assert set(found) == {"amount", "card.cardExpiry.year", "description", "customerIp"}
    assert found["card.cardExpiry.year"] == "may not be null"
    assert found["customerIp"] == "size must be between 0 and 39"
    body = {
        "merchantRefNum": "w",
        "amount": 1,
        "card": {"cardNum": "4530910000012346", "cardExpiry": {"month": 1, "year": 2035}},
    }
    refused = await shop.refused("5068", 400, "POST", shop.cards + "/auths", body)
    assert refused["error"]["fieldErrors"] == [{"field": "card.cardNum", "error": "Luhn checksum failed"}]
    assert refused["error"]["links"][0]["rel"] == "errorinfo"


async def test_texts_for_numbers_and_back(shop: Shop) -> None:
    """Node and Python send what the caller set: everything as a text, or security codes as numbers."""
    texts = await shop.auth(
        "1099",  # type: ignore[arg-type]
        settleWithAuth="false",
        dupCheck="true",
        preAuth="TRUE",
        card={"cardNum": VISA, "cardExpiry": {"month": "09", "year": "2031"}, "cvv": 123},
        billingDetails={"street": "1 X", "zip": 12345, "country": "US"},
        profile=None,
        unknown={"a": 1},
    )
    assert (texts["amount"], texts["settleWithAuth"], texts["preAuth"]) == (1099, False, True)
    assert texts["card"]["cardExpiry"] == {"month": 9, "year": 2031}
    assert texts["billingDetails"]["zip"] == "12345"
    whole = await shop.auth(1098.0)  # type: ignore[arg-type]
    assert whole["amount"] == 1098
    body = {"merchantRefNum": "f", "amount": 10.5, "card": {"paymentToken": "SCx"}}
    await shop.refused("5068", 400, "POST", shop.cards + "/auths", body)


async def test_cors(shop: Shop) -> None:
    """Any page may make a token."""
    answer = await shop.ask(
        "OPTIONS",
        "/customervault/v1/singleusetokens",
        headers={"origin": "https://shop.example", "access-control-request-method": "POST"},
    )
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == "*"
    assert "authorization" in (answer.header("access-control-allow-headers") or "")


async def test_no_card_number_comes_back(shop: Shop) -> None:
    """Not from a refusal and not from an answer, wherever it was put."""
    for field in ("merchantRefNum", "description", "customerIp"):
        body = {
            "merchantRefNum": "n",
            "amount": 100,
            "card": {"cardNum": MASTERCARD, "cardExpiry": {"month": 1, "year": 2035}},
            field: VISA,
        }
        answer = await shop.ask("POST", shop.cards + "/auths", body)
        assert VISA.encode() not in answer.body
        assert MASTERCARD.encode() not in answer.body
