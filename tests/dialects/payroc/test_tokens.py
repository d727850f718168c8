"""Single-use tokens and secure tokens."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.dialects.payroc.client import ADA, VISA, Payroc, ach, card, pad

from farebox.domain.access import Mode
from farebox.domain.cards import luhn_valid

pytestmark = pytest.mark.asyncio(loop_scope="session")
DEVICE = {"model": "paxA920", "serialNumber": "1850010868"}
ENCRYPTING = {**DEVICE, "dataKsn": "FFFF5B09910001000061"}


def details(**members: Any) -> dict[str, Any]:
    return {"type": "card", "cardDetails": members}


SOURCES = {
    "keyed": (card(), "453985******7062", "1230"),
    "keyed and fully encrypted": (
        details(
            entryMethod="keyed",
            keyedData={
                "dataFormat": "fullyEncrypted",
                "device": ENCRYPTING,
                "encryptedData": "00AA",
                "firstDigitOfPan": "5",
            },
        ),
        "500165******0000",
        "1230",
    ),
    "keyed and partially encrypted": (
        details(
            entryMethod="keyed",
            keyedData={
                "dataFormat": "partiallyEncrypted",
                "device": ENCRYPTING,
                "encryptedPan": "00AA",
                "maskedPan": "340000******0000",
                "expiryDate": "0131",
            },
        ),
        "340000******0000",
        "0131",
    ),
    "track 2": (
        details(
            entryMethod="swiped",
            swipedData={
                "dataFormat": "plainText",
                "device": DEVICE,
                "trackData": ";4539858876047062=3012201000000000000?",
            },
        ),
        "453985******7062",
        "1230",
    ),
    "track 1": (
        details(
            entryMethod="swiped",
            swipedData={
                "dataFormat": "plainText",
                "device": DEVICE,
                "trackData": "%B4539858876047062^BYRON/ADA^3012201000000000000?",
                "fallback": True,
            },
        ),
        "453985******7062",
        "1230",
    ),
    "swiped and encrypted": (
        details(
            entryMethod="swiped",
            swipedData={"dataFormat": "encrypted", "device": ENCRYPTING, "encryptedData": "A3770E6D"},
        ),
        "453985******7062",
        "1230",
    ),
    "chip in clear": (
        details(entryMethod="icc", device=ENCRYPTING, iccData="5A0845398588760470625F2403301231"),
        "453985******7062",
        "1230",
    ),
    "chip, encrypted": (
        details(entryMethod="icc", device=ENCRYPTING, iccData="DF7903312E30", firstDigitOfPan="6"),
        "601100******0004",
        "1230",
    ),
    "raw": (details(entryMethod="raw", device=DEVICE, rawData="C0FFEE12"), "453985******7062", "1230"),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
async def test_every_card_source_becomes_a_token(payroc: Payroc, source: tuple[Any, str, str]) -> None:
    """8.1: 128 hexadecimal characters; the echo is masked."""
    body, masked, expiry = source
    made = await payroc.post(
        f"{payroc.base}/single-use-tokens", {"channel": "pos", "source": body, "operator": "Jane"}
    )
    assert re.fullmatch("[0-9a-f]{128}", made["token"])
    assert (made["source"]["cardNumber"], made["source"]["expiryDate"]) == (masked, expiry)
    assert made["operator"] == "Jane"
    paid = await payroc.pay({"type": "singleUseToken", "token": made["token"]})
    assert paid["card"]["cardNumber"] == masked


@pytest.mark.parametrize(("source", "kind"), [(ach(), "ach"), (pad(), "pad")])
async def test_every_bank_source_becomes_a_token(payroc: Payroc, source: Any, kind: str) -> None:
    """8.1: but it pays no card payment."""
    made = await payroc.post(f"{payroc.base}/single-use-tokens", {"channel": "web", "source": source})
    assert (made["source"]["type"], made["source"]["accountNumber"]) == (kind, "*****1010")
    method = {"type": "singleUseToken", "token": made["token"]}
    refused = await payroc.pay(method, status=400)
    assert refused["errors"][0]["parameter"] == "paymentMethod.token"


async def test_entry_and_name_of_what_was_read_are_shown(payroc: Payroc) -> None:
    """A.5: a stripe tells its name, and that the chip failed."""
    paid = await payroc.pay(SOURCES["track 1"][0])
    assert (paid["card"]["entryMethod"], paid["card"]["cardholderName"]) == ("swipedFallback", "ADA BYRON")


async def test_a_token_lives_exactly_half_an_hour_and_once(payroc: Payroc) -> None:
    """8.2."""
    before = payroc.services.clock.now()
    made = await payroc.post(f"{payroc.base}/single-use-tokens", {"channel": "web", "source": card()})
    lives = datetime.fromisoformat(made["expiresAt"]) - before
    assert timedelta(minutes=30) - timedelta(milliseconds=2) <= lives < timedelta(minutes=30, seconds=5)
    await payroc.native("POST", "/v1/sandbox/clock", {"forward_s": 1801})
    refused = await payroc.pay({"type": "singleUseToken", "token": made["token"]}, status=400)
    assert refused["errors"][0]["message"].endswith("The token has expired.")


async def test_an_unknown_token_is_a_bad_request(payroc: Payroc) -> None:
    """8.2: 400 with the parameter, for both kinds of tokens."""
    for method in ({"type": "singleUseToken", "token": "0" * 128}, {"type": "secureToken", "token": "2967"}):
        refused = await payroc.pay(method, status=400)
        assert refused["errors"][0]["parameter"] == "paymentMethod.token"


async def test_encrypted_data_is_refused_where_money_is_real(running: Any) -> None:
    """ADR 0018: in live mode nobody is charged for a card that was not read."""
    from tests.dialects.payroc.client import merchant

    live = await merchant(running, Mode.LIVE.value)
    body = {"channel": "pos", "source": SOURCES["raw"][0]}
    answer = await live.ask("POST", f"{live.base}/single-use-tokens", body)
    assert (answer.status, answer.value["title"]) == (400, "Capabilities missing")


async def test_a_pin_is_kept_nowhere(payroc: Payroc) -> None:
    """SEC-03: PIN blocks have no field; they are passed over."""
    body = card()
    body["cardDetails"]["pinDetails"] = {"dataFormat": "dukpt", "pin": "0123456789abcdef", "pinKsn": "00"}
    paid = await payroc.pay(body)
    assert "pin" not in str(paid).lower().replace("shipping", "")


# --- secure tokens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [card(), ach(), pad()], ids=["card", "ach", "pad"])
async def test_a_secure_token_is_made_shown_and_deleted(payroc: Payroc, source: Any) -> None:
    """9.1, 9.2, 9.3, 9.8."""
    made = await payroc.secure_token(
        source, customer={"firstName": "Sarah"}, customFields=[{"name": "a", "value": "b"}]
    )
    assert re.fullmatch("MREF_[0-9a-f-]{36}", made["secureTokenId"])
    assert re.fullmatch("296753[0-9]{12}", made["token"])
    assert luhn_valid(made["token"])
    assert (made["mitAgreement"], made["status"]) == ("unscheduled", "notValidated")
    path = f"{payroc.base}/secure-tokens/{made['secureTokenId']}"
    shown = await payroc.get(path)
    assert shown["token"] == made["token"]
    if source["type"] != "card":
        assert shown["source"]["accountType"] == "checking"
        assert "accountType" not in made["source"]
    assert (await payroc.ask("DELETE", path)).status == 204
    await payroc.get(path, 404)
    assert (await payroc.ask("DELETE", path)).status == 404


async def test_a_secure_token_from_a_single_use_token(payroc: Payroc) -> None:
    """9.1: which it consumes."""
    token = await payroc.single_use()
    source = {"type": "singleUseToken", "token": token}
    made = await payroc.secure_token(source, secureTokenId="mine-1")
    assert (made["secureTokenId"], made["source"]["cardholderName"]) == ("mine-1", ADA)
    refused = await payroc.ask("POST", f"{payroc.base}/secure-tokens", {"source": source})
    assert (refused.status, refused.value["errors"][0]["parameter"]) == (400, "source.token")


async def test_a_secure_token_id_is_given_once(payroc: Payroc) -> None:
    """9.1, 9.8: also not again after it was deleted."""
    await payroc.secure_token(secureTokenId="once")
    path = f"{payroc.base}/secure-tokens"
    for _ in range(2):
        refused = await payroc.ask("POST", path, {"source": card(), "secureTokenId": "once"})
        assert (refused.status, refused.value["type"].partition("#")[2]) == (409, "resource-already-exists")
        assert refused.value["link"]["href"].endswith(f"{path}/once")
        await payroc.ask("DELETE", f"{path}/once")


async def test_a_name_is_needed_by_the_model(payroc: Payroc) -> None:
    """9.2: an empty text where the request had no name."""
    body = card()
    del body["cardDetails"]["cardholderName"]
    assert (await payroc.secure_token(body))["source"]["cardholderName"] == ""


async def test_every_filter_of_the_list(payroc: Payroc) -> None:
    """9.5."""
    contacts = [{"type": "email", "value": "a@b.example"}, {"type": "phone", "value": "0123"}]
    one = await payroc.secure_token(
        secureTokenId="one", customer={"firstName": "Sarah", "lastName": "Hopper", "contactMethods": contacts}
    )
    other = await payroc.secure_token(card("5001650000000000"), secureTokenId="other")
    path = f"{payroc.base}/secure-tokens"
    filters = {
        "secureTokenId=one": one,
        f"token={one['token']}": one,
        "first6=453985": one,
        "last4=7062": one,
        "email=a%40b.example": one,
        "phone=0123": one,
        "customerName=Sarah%20Hopper": one,
        "first6=500165": other,
    }
    for query, expected in filters.items():
        page = await payroc.get(f"{path}?{query}")
        assert [item["secureTokenId"] for item in page["data"]] == [expected["secureTokenId"]], query
    assert (await payroc.get(f"{path}?customerName=Ada%20Byron"))["count"] == 2
    assert (await payroc.get(f"{path}?email=nobody"))["data"] == []


async def test_paging_by_the_merchants_ids(payroc: Payroc) -> None:
    """6: cursors are the items' own ids."""
    for number in range(3):
        await payroc.secure_token(secureTokenId=f"t{number}")
    path = f"{payroc.base}/secure-tokens"
    first = await payroc.get(f"{path}?limit=2")
    assert [item["secureTokenId"] for item in first["data"]] == ["t2", "t1"]
    assert first["links"][0]["href"].endswith(f"{path}?limit=2&after=t1")
    last = await payroc.get(f"{path}?limit=2&after=t1")
    assert ([item["secureTokenId"] for item in last["data"]], last["hasMore"]) == (["t0"], False)
    assert [link["rel"] for link in last["links"]] == ["previous"]
    await payroc.get(f"{path}?after=nobody", 400)


async def test_a_patch_changes_what_it_may(payroc: Payroc) -> None:
    """9.6: every operation, missing parents made, unknown places passed over."""
    made = await payroc.secure_token(customer={"firstName": "Sarah"})
    path = f"{payroc.base}/secure-tokens/{made['secureTokenId']}"
    changed = await payroc.patch(
        path,
        {"op": "test", "path": "/customer/firstName", "value": "Sarah"},
        {"op": "copy", "from": "/customer/firstName", "path": "/customer/lastName"},
        {"op": "move", "from": "/customer/firstName", "path": "/customer/referenceNumber"},
        {"op": "add", "path": "/customer/shippingAddress/recipientName", "value": "Zoe"},
        {"op": "replace", "path": "/source/expiryDate", "value": "0233"},
        {"op": "replace", "path": "/source/cardholderName", "value": "Zoe Byron"},
        {"op": "replace", "path": "/mitAgreement", "value": "recurring"},
        {"op": "add", "path": "/setupOrder/amount", "value": 5},
    )
    assert changed["customer"] == {
        "lastName": "Sarah",
        "referenceNumber": "Sarah",
        "shippingAddress": {"recipientName": "Zoe"},
    }
    assert (changed["source"]["expiryDate"], changed["source"]["cardholderName"]) == ("0233", "Zoe Byron")
    assert changed["mitAgreement"] == "recurring"
    assert await payroc.get(path) == changed
    removed = await payroc.patch(path, {"op": "remove", "path": "/customer"})
    assert "customer" not in removed


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": "/token", "value": "1"}, 400),
        ({"op": "remove", "path": "/source/cardNumber"}, 400),
        ({"op": "replace", "path": "/source", "value": {}}, 400),
        ({"op": "move", "from": "/status", "path": "/customer"}, 400),
        ({"op": "remove", "path": "/customer/nothing"}, 400),
        ({"op": "replace", "path": "/mitAgreement", "value": "sometimes"}, 400),
        ({"op": "replace", "path": "/source/expiryDate", "value": "1399"}, 400),
        ({"op": "test", "path": "/mitAgreement", "value": "recurring"}, 409),
        ({"op": "turn", "path": "/customer"}, 400),
    ],
)
async def test_a_patch_that_may_not_be_changes_nothing(payroc: Payroc, operation: Any, status: int) -> None:
    """9.6, RFC 6902 §5: all or nothing."""
    made = await payroc.secure_token()
    path = f"{payroc.base}/secure-tokens/{made['secureTokenId']}"
    first = {"op": "add", "path": "/customer/firstName", "value": "Zoe"}
    await payroc.patch(path, first, operation, status=status)
    assert "customer" not in await payroc.get(path)


async def test_bank_accounts_are_patched_too(payroc: Payroc) -> None:
    """9.6."""
    for source, name, value in ((ach(), "accountType", "savings"), (pad(), "institutionNumber", "002")):
        made = await payroc.secure_token(source)
        path = f"{payroc.base}/secure-tokens/{made['secureTokenId']}"
        await payroc.patch(
            path,
            {"op": "replace", "path": f"/source/{name}", "value": value},
            {"op": "replace", "path": "/source/nameOnAccount", "value": "Zoe"},
        )
        shown = (await payroc.get(path))["source"]
        assert (shown[name], shown["nameOnAccount"]) == (value, "Zoe")


async def test_an_account_is_updated_by_a_single_use_token(payroc: Payroc) -> None:
    """9.7: id and token stay."""
    made = await payroc.secure_token()
    path = f"{payroc.base}/secure-tokens/{made['secureTokenId']}/update-account"
    body = {"type": "singleUseToken", "token": await payroc.single_use(card("5001650000000000"))}
    updated = await payroc.act(path, body)
    assert (updated["token"], updated["source"]["cardNumber"]) == (made["token"], "500165******0000")
    paid = await payroc.pay({"type": "secureToken", "token": made["token"]})
    assert paid["card"]["cardNumber"] == "500165******0000"
    refused = await payroc.ask("POST", path, body)
    assert (refused.status, refused.value["errors"][0]["parameter"]) == (400, "token")


async def test_a_deleted_token_pays_no_more(payroc: Payroc) -> None:
    """9.8."""
    made = await payroc.secure_token()
    await payroc.ask("DELETE", f"{payroc.base}/secure-tokens/{made['secureTokenId']}")
    await payroc.pay({"type": "secureToken", "token": made["token"]}, status=400)


async def test_a_secure_token_pays_through_the_native_api(payroc: Payroc) -> None:
    """One vault: what one protocol stored, another spends."""
    made = await payroc.secure_token()
    body = {"amount_minor": 100, "currency": "USD", "source": {"payment_token": made["token"]}}
    assert (await payroc.native("POST", "/v1/payments", body))["status"] == "captured"
    assert VISA[-4:] == made["source"]["cardNumber"][-4:]
