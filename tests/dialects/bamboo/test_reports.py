"""Lists and reports that depend on what day it is."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from bamboo_cases import merchant, move_clock, send

pytestmark = pytest.mark.asyncio(loop_scope="session")
CARD = {"CardHolderName": "Ana", "Pan": "4507990000004905", "CVV": "123", "Expiration": "08/30"}
BUY = {
    "CardData": CARD,
    "Order": "R-1",
    "Amount": 10000,
    "Currency": "UYU",
    "TargetCountryISO": "UY",
    "Customer": {"Email": "ana@shop.test", "FirstName": "Ana", "LastName": "Prieto"},
    "UniqueID": "r-1",
}


async def test_a_day_is_reported_when_it_is_over(running: Any) -> None:
    """A purchase and its refund; not today's, and page by page; the list knows its day as well."""
    kept = await merchant(running)
    bought = await send(running, {"method": "POST", "path": "/v2/api/purchase", "body": BUY}, kept)
    purchase = bought.value["Response"]
    refund = f"/v1/api/purchase/{purchase['PurchaseId']}/refund"
    await send(running, {"method": "POST", "path": refund, "body": {"Amount": 2500}}, kept)
    day = date.fromisoformat(purchase["Created"][:10])

    async def report(page: int = 1, size: int = 100) -> Any:
        path = f"/v2/api/Reporting/payin-transactions?From={day}&To={day}&Page={page}&PageSize={size}"
        answer = await send(running, {"method": "GET", "path": path}, kept)
        assert answer.status == 200, answer.body
        return answer.value["Response"]

    assert (await report())["Data"] == [], "today is not over"
    await move_clock(running, timedelta(days=1), kept)
    whole = await report()
    assert whole["Total"] == 2
    rows = whole["Data"]
    assert [(row["Type"], row["Amount"], row["Status"]) for row in rows] == [
        ("PURCHASE", 10000, "Approved"),
        ("REFUND", -2500, "Approved"),
    ]
    assert rows[0]["Customer_name"] == "Ana Prieto"
    assert (rows[0]["Unique_id"], rows[0]["Order"], rows[0]["Card_last4"]) == ("r-1", "R-1", "4905")
    assert [(await report(page, 1))["Data"] for page in (1, 2, 3)] == [rows[:1], rows[1:], []]
    path = f"/v1/api/purchase?From={day:%Y%m%d}&To={day:%Y%m%d}"
    listed = await send(running, {"method": "GET", "path": path}, kept)
    assert [one["PurchaseId"] for one in listed.value["Response"]] == [purchase["PurchaseId"]]
    today = await send(running, {"method": "GET", "path": "/v1/api/purchase"}, kept)
    assert today.value["Response"] == []
