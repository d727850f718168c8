"""3-D Secure 1 and 2, a browser's way through the challenge included."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.dialects.paysafe.talk import MASTERCARD, VISA, Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOBODY = "00000000-0000-7000-8000-000000000000"
EXPIRY = {"month": 9, "year": 2035}
CHALLENGED = "4000000000001091"


def enrollment(number: str, **card: Any) -> dict[str, Any]:
    return {
        "merchantRefNum": "3ds", "amount": 100, "currency": "USD", "customerIp": "10.0.0.1",
        "userAgent": "Mozilla/5.0", "acceptHeader": "*/*", "merchantUrl": "https://shop.example/",
        "card": card or {"cardNum": number, "cardExpiry": EXPIRY},
    }  # fmt: skip


def authentication(number: str, **more: Any) -> dict[str, Any]:
    return {
        "merchantRefNum": "3ds2", "amount": 100, "currency": "USD", "merchantUrl": "https://shop.example/done",
        "card": {"cardNum": number, "cardExpiry": EXPIRY, "holderName": "Ada"},
        "authenticationPurpose": "PAYMENT_TRANSACTION", "deviceChannel": "BROWSER",
        "messageCategory": "PAYMENT", "deviceFingerprintingId": NOBODY, **more,
    }  # fmt: skip


async def challenge(shop: Shop, address: str, form: dict[str, str], label: str) -> tuple[str, dict[str, str]]:
    """Go to the issuer's page and press a button; give where that goes and what it brings along."""
    path = address.removeprefix("http://farebox.test/paysafe")
    headers = {"authorization": None, "content-type": "application/x-www-form-urlencoded"}
    answer = await shop.ask("POST", path, raw=urlencode(form).encode(), headers=headers)
    assert answer.status == 200, answer.body
    page = answer.body.decode()
    assert "<script" not in page
    chosen = next(one for one in re.findall(r"<form.*?</form>", page, re.DOTALL) if f">{label}<" in one)
    fields = re.findall(r'name="([^"]+)" value="([^"]*)"', chosen)
    action = re.search(r'action="([^"]+)"', chosen)
    assert action is not None
    return html.unescape(action[1]), {name: html.unescape(value) for name, value in fields}


@pytest.mark.parametrize(
    ("label", "result", "eci", "status"),
    [
        ("Authenticate", "Y", 5, "COMPLETED"), ("Attempt only", "A", 6, "COMPLETED"),
        ("Fail", "N", 7, "FAILED"), ("Unavailable", "U", 7, "COMPLETED"),
    ],
)  # fmt: skip
async def test_version_1(shop: Shop, label: str, result: str, eci: int, status: str) -> None:
    """Enrolment, the issuer's page, its answer, and the payment that carries it."""
    check = await shop.ok("POST", shop.threeds + "/enrollmentchecks/", enrollment("4107857757053670"))
    assert (check["threeDEnrollment"], check["status"]) == ("Y", "COMPLETED")
    assert check["card"]["cardType"] == check["card"]["type"] == "VI"
    path = f"{shop.threeds}/enrollmentchecks/{check['id']}"
    assert await shop.ok("GET", path, {"id": check["id"]}) == check
    form = {"PaReq": check["paReq"], "TermUrl": "https://shop.example/term?a=1&b=2", "MD": "order 7"}
    where, fields = await challenge(shop, check["acsURL"], form, label)
    assert (where, fields["MD"]) == (form["TermUrl"], "order 7")
    body = {"merchantRefNum": "3ds-a", "paRes": fields["PaRes"]}
    made = await shop.ok("POST", path + "/authentications", body)
    assert (made["threeDResult"], made["eci"], made["status"]) == (result, eci, status)
    assert ("cavv" in made) == (result in "YA")
    found = f"{shop.threeds}/authentications/{made['id']}"
    assert await shop.ok("GET", found) == made
    expanded = await shop.ok("GET", found + "?fields=enrollmentchecks")
    assert expanded["enrollmentchecks"] == [check]
    used = {
        name: made[name] for name in ("eci", "cavv", "xid", "threeDResult", "signatureStatus") if name in made
    }
    assert (await shop.auth(authentication=used))["authentication"]["threeDResult"] == result


async def test_version_1_refusals(shop: Shop) -> None:
    """Cards that take no part, and answers that belong to something else."""
    path = shop.threeds + "/enrollmentchecks"
    assert (await shop.ok("POST", path, enrollment(VISA)))["threeDEnrollment"] == "N"
    unknown = await shop.ok("POST", path, enrollment("4000000000001034"))
    assert (unknown["threeDEnrollment"], "acsURL" in unknown) == ("U", False)
    token = await shop.token("5186750368967720")
    check = await shop.ok("POST", path, enrollment("", paymentToken=token))
    assert check["card"]["cardType"] == "MC"
    await shop.auth(card={"paymentToken": token})
    refused = await shop.refused(
        "5068", 400, "POST", f"{path}/{check['id']}/authentications", {"merchantRefNum": "x", "paRes": "e30="}
    )
    assert refused["status"] == "FAILED"
    assert "links" not in refused["error"]
    await shop.refused("5269", 404, "GET", f"{path}/{NOBODY}")
    await shop.refused("5269", 404, "GET", f"{shop.threeds}/authentications/{NOBODY}")
    await shop.refused("5001", 400, "POST", path, {**enrollment(VISA), "currency": "XXY"})
    await shop.refused("5068", 400, "POST", path, {"merchantRefNum": "x", "amount": 1, "currency": "USD"})


@pytest.mark.parametrize(
    ("number", "result", "status"),
    [
        ("4000000000000051", "Y", "COMPLETED"), (VISA, "Y", "COMPLETED"), (MASTERCARD, "Y", "COMPLETED"),
        ("4000000000001026", "A", "COMPLETED"), ("4000000000001018", "N", "FAILED"),
        ("4000000000001042", "R", "FAILED"), ("4000000000001034", "U", "COMPLETED"),
        (CHALLENGED, "C", "PENDING"), ("4000000000002503", "C", "PENDING"),
    ],
)  # fmt: skip
async def test_version_2_outcomes(shop: Shop, number: str, result: str, status: str) -> None:
    """Each by its card."""
    made = await shop.ok("POST", shop.threeds2 + "/authentications/", authentication(number))
    assert (made["threeDResult"], made["status"], made["threeDSecureVersion"]) == (result, status, "2.1.0")
    assert ("acsUrl" in made) == ("sdkChallengePayload" in made) == (result == "C")
    assert made["card"]["lastDigits"] == number[-4:]
    assert await shop.ok("GET", f"{shop.threeds2}/authentications/{made['id']}") == made


@pytest.mark.parametrize(("label", "result"), [("Authenticate", "Y"), ("Fail", "N"), ("Unavailable", "U")])
async def test_a_challenge(shop: Shop, label: str, result: str) -> None:
    """The browser brings the issuer's answer with the public key, once."""
    device = await shop.ok(
        "POST",
        "/threedsecure/v2/jwt",
        {"accountId": shop.account, "card": {"cardBin": "400000"}, "sdk": {"type": "IOS", "version": "1"}},
        key=shop.public_key,
    )
    assert len(device["jwt"].split(".")) == 3
    assert device["card"] == {"cardBin": "400000"}
    made = await shop.ok(
        "POST",
        shop.threeds2 + "/authentications",
        authentication(CHALLENGED, deviceFingerprintingId=device["deviceFingerprintingId"]),
    )
    form = {"creq": made["payload"], "threeDSSessionData": "s"}
    where, fields = await challenge(shop, made["acsUrl"], form, label)
    assert (where, fields["threeDSSessionData"]) == ("https://shop.example/done", "s")
    path = f"{shop.threeds2}/authentications/{made['id']}"
    body = {"payload": fields["cres"]}
    ended = await shop.ok("POST", path + "/finalize", body, key=shop.public_key)
    assert ended == {"status": "FAILED" if result == "N" else "COMPLETED"}
    found = await shop.ok("GET", path)
    assert (found["threeDResult"], "acsUrl" in found) == (result, False)
    await shop.refused("5068", 400, "POST", path + "/finalize", body, key=shop.public_key)


async def test_version_2_refusals(shop: Shop) -> None:
    """Fields that must be there, things that are not, and a key that may not."""
    path = shop.threeds2 + "/authentications"
    good = authentication(VISA)
    await shop.refused("5270", 403, "POST", path, good, key=shop.public_key)
    for name in ("currency", "merchantUrl", "card", "deviceChannel", "deviceFingerprintingId"):
        refused = await shop.refused("5068", 400, "POST", path, {**good, name: None})
        assert refused["error"]["fieldErrors"][0]["field"] == name
    await shop.refused("5269", 404, "GET", f"{path}/{NOBODY}")
    await shop.refused("5068", 400, "POST", f"{path}/{NOBODY}/finalize", {"payload": "e30="})
    await shop.refused("5023", 400, "POST", path, raw=b"{")
    assert (await shop.ok("POST", "/threedsecure/v2/log", {"eventType": "SUCCESS"}, key=shop.public_key))[
        "status"
    ]
    acs = "/threedsecure/v2/acs"
    await shop.refused("5068", 400, "POST", acs, {"creq": "e30="}, headers={"authorization": None})
