"""Every method id and every code of every country, through to the payer's decision."""

from __future__ import annotations

from typing import Any

import pytest
from bamboo_cases import merchant, send
from tests.dialects.cases import Kept

from farebox.dialects.bamboo.mapping_pages import barcode
from farebox.dialects.bamboo.presenting import clabe
from farebox.dialects.bamboo.tables import Medium, countries, media, medium_by_code

pytestmark = pytest.mark.asyncio(loop_scope="session")
ALTERNATIVE = [medium for medium in media() if not medium.is_card]
CARDS = [medium for medium in media() if medium.is_card]
METADATA = {
    "PaymentExpirationInMinutes": 30,
    "AddressStreet": "Rua A",
    "AddressNumber": "1",
    "AddressDistrict": "Centro",
    "financialInstitutionCode": "1007",
    "personType": "1",
    "identificationType": "CedulaDeCiudadania",
    "phoneNumber": "999999999",
    "otp": "123456",
}
FORM = {"content-type": "application/x-www-form-urlencoded", "authorization": None}


def named(medium: Medium) -> str:
    return f"{medium.country}-{medium.id}"


def amount_of(medium: Medium) -> int:
    lowest, highest = countries()[medium.country].limits.get(medium.limits_type, (100, 10**6))
    return max(lowest, min(highest, 50_000))


def common(medium: Medium, amount: int) -> dict[str, Any]:
    return {
        "Order": "M-1",
        "Amount": amount,
        "Currency": countries()[medium.country].currencies[0],
        "TargetCountryISO": medium.country,
        "Description": "Shoes",
        "MetadataIn": METADATA,
    }


async def decide(running: Any, url: str, decision: str, kept: Kept) -> None:
    path = url.partition("/bamboo")[2]
    answer = await send(
        running, {"method": "POST", "path": path, "raw": f"decision={decision}", "headers": FORM}, kept
    )
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("medium", ALTERNATIVE, ids=named)
async def test_an_alternative_medium_by_its_id(running: Any, medium: Medium) -> None:
    """It is pending with what the payer needs, has a page, and is what the payer makes of it."""
    kept = await merchant(running)
    payer = {"Email": "a@b.test", "PhoneNumber": "3001234567", "DocNumber": "123"}
    body = {"PaymentMediaId": medium.id, "Customer": payer, **common(medium, amount_of(medium))}
    for decision, word in (("approve", "Approved"), ("reject", "Rejected"), ("cancel", "Cancelled")):
        answer = await send(running, {"method": "POST", "path": "/v1/api/purchase", "body": body}, kept)
        assert answer.status == 200, answer.body
        purchase = answer.value["Response"]
        assert purchase["PaymentMediaId"] == medium.id
        if medium.is_final:
            assert purchase["Transaction"]["Status"] == "Approved"
            return
        assert purchase["Transaction"]["TransactionStatusId"] == 2
        shown = purchase["MetadataOut"]
        assert set(shown) == {name.partition(":")[0] for name in medium.out} | {"SandboxUrl"}
        assert (purchase["CommerceAction"] is not None) == (medium.result == "action")
        page = await send(
            running,
            {"method": "GET", "path": shown["SandboxUrl"].partition("/bamboo")[2], "headers": FORM},
            kept,
        )
        assert medium.name.replace("/", "/") in page.body.decode()
        await decide(running, shown["SandboxUrl"], decision, kept)
        path = f"/v1/api/purchase/{purchase['PurchaseId']}"
        answer = await send(running, {"method": "GET", "path": path}, kept)
        assert answer.value["Response"]["Transaction"]["Status"] == word


@pytest.mark.parametrize("medium", [one for one in ALTERNATIVE if one.code], ids=named)
async def test_an_alternative_medium_by_its_codes(running: Any, medium: Medium) -> None:
    """Generation three names it by a code or an alias, and says what the payer has to do."""
    kept = await merchant(running)
    payer = {"Email": "a@b.test", "PhoneNumber": "3001234567", "DocumentNumber": "123"}
    for code in (medium.code, *medium.aliases):
        assert medium_by_code(medium.country, code) == medium
        body = {"PaymentMethod": code, "Customer": payer, **common(medium, amount_of(medium))}
        answer = await send(running, {"method": "POST", "path": "/v3/api/purchase", "body": body}, kept)
        assert answer.status == 200, answer.body
        found = answer.value
        expected = "COMPLETED" if medium.result == "completed" else "ACTION_REQUIRED"
        assert found["Result"] == expected
        assert found["Status"] == ("APPROVED" if medium.is_final else "PENDING")
        assert (found["Action"] is not None) == (medium.result == "action")


@pytest.mark.parametrize("medium", CARDS, ids=named)
async def test_a_card_medium_needs_a_card(running: Any, medium: Medium) -> None:
    """The id of a card brand alone pays nothing."""
    kept = await merchant(running)
    body = {"PaymentMediaId": medium.id, "Customer": {"Email": "a@b.test"}, **common(medium, 50_000)}
    answer = await send(running, {"method": "POST", "path": "/v1/api/purchase", "body": body}, kept)
    assert answer.value["Errors"][0]["ErrorCode"] == "TK007"
    if medium.code:
        assert medium_by_code(medium.country, medium.code) is not None


@pytest.mark.parametrize(
    ("country", "currency", "number", "medium"),
    [
        ("UY", "UYU", "4507990000004905", 1),
        ("UY", "UYU", "4659105569051157", 6),
        ("UY", "UYU", "4000148147058142", 7),
        ("UY", "UYU", "5299910010000015", 2),
        ("UY", "UYU", "5558460000000001", 13),
        ("UY", "UYU", "5572400000000001", 14),
        ("UY", "UYU", "5429910000000001", 4),
        ("BR", "BRL", "6062111122223339", 62),
        ("BR", "BRL", "6362970000457013", 63),
        ("BR", "BRL", "30111122223331", 12),
        ("MX", "MXN", "5062541600005232", 113),
        ("PE", "PEN", "4000000000000004", 1),
        ("AR", "ARS", "373953192351004", 3),
    ],
)
async def test_a_card_is_its_medium(
    running: Any, country: str, currency: str, number: str, medium: int
) -> None:
    """Documented test cards, those with wrong check digits too, pay as the medium their digits say."""
    kept = await merchant(running)
    code = "1234" if number.startswith("37") else "123"
    body = {
        "CardData": {"CardHolderName": "A", "Pan": number, "CVV": code, "Expiration": "12/30"},
        "Order": "C-1",
        "Amount": 50_000,
        "Currency": currency,
        "TargetCountryISO": country,
        "Description": "Shoes",
        "Customer": {"Email": "a@b.test"},
    }
    answer = await send(running, {"method": "POST", "path": "/v2/api/purchase", "body": body}, kept)
    assert answer.status == 200, answer.body
    purchase = answer.value["Response"]
    assert purchase["PaymentMediaId"] == medium
    assert purchase["Transaction"]["Status"] == "Approved"


async def test_a_wrong_check_digit_is_no_test_card(running: Any) -> None:
    """Only the documented ones are taken, and only in test mode."""
    kept = await merchant(running)
    body = {"Email": "a@b.test", "Pan": "5385300000000002", "CVV": "123", "Expiration": "12/30"}
    answer = await send(
        running, {"method": "POST", "path": "/api/Token?commerceKey={private_key}", "body": body}, kept
    )
    assert answer.value["Error"]["ErrorCode"] == "TK001"


async def test_a_barcode_has_its_standards_shape() -> None:
    """ISO/IEC 16390: start of two narrow bars, five bars a pair, stop of a wide and a narrow one."""
    bars = barcode("1234")
    assert len(bars) == 2 + 5 * 2 + 2
    assert [width for _, width in bars[:2]] == [1, 1]
    assert [width for _, width in bars[-2:]] == [3, 1]
    assert sum(width == 3 for _, width in bars[2:7]) == 2, "two of five are wide"


async def test_a_clabe_has_its_check_digit() -> None:
    """The example of the article "CLABE" in Wikipedia."""
    assert clabe("03218000011835971") == "032180000118359719"
