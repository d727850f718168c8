"""What a purchase would cost, and what was paid: the preview and the report of transactions.

Sources: documentation, "Purchase preview" and "Reporting".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec

from farebox.dialects.bamboo import wire
from farebox.dialects.bamboo.errors import refusal
from farebox.dialects.bamboo.mapping_v1 import LISTED_MAX
from farebox.dialects.bamboo.presenting import (
    country_of,
    error_of,
    medium_of_payment,
    state_of,
    state_of_operation,
)
from farebox.dialects.bamboo.reading import AnyCall
from farebox.dialects.bamboo.tables import Country, brand_name, countries, medium_by_id, type_name
from farebox.dialects.bamboo.values import PLAIN, hundredths_of, object_of, timestamp
from farebox.dialects.dialect import Answer, Call
from farebox.domain.access import Mode
from farebox.domain.errors import ErrorCode, Forbidden
from farebox.domain.operations import Operation, OperationKind
from farebox.domain.payments import Payment
from farebox.ports.storage import Page, PageRequest
from farebox.services.commands import Command, Give, ListPayments, PaymentView, Then

REPORTED_DAYS_MAX = 31
PAGE_SIZE_MAX = 100


class PreviewIn(wire.Request, frozen=True, kw_only=True, rename="camel"):
    """What to preview; the amount is in major units."""

    base_amount: float | None = None
    currency: str | None = None
    country_iso: str | None = None
    payment_media_id: int | None = None


class ReportQuery(wire.Request, frozen=True, kw_only=True):
    """Which days to report, and which page."""

    first_day: str | None = msgspec.field(name="From", default=None)
    last_day: str | None = msgspec.field(name="To", default=None)
    page: int = 1
    page_size: int = PAGE_SIZE_MAX


# --- preview ---------------------------------------------------------------------------------------


def read_preview(call: Call[PreviewIn, wire.Nothing]) -> Command[Country]:
    """Read what to preview; the sandbox's rates are for test mode.

    Raises:
        WireRefusal: `PR003`, `PR004`, `PR034` or `TK015`.
        Forbidden: `mode_mismatch`.
    """
    body = call.body
    if call.principal.tenant.mode is not Mode.TEST:
        raise Forbidden(ErrorCode.MODE_MISMATCH)
    country = countries().get((body.country_iso or "").upper())
    if country is None:
        raise refusal("PR034")
    if (body.currency or "").upper() not in country.currencies:
        raise refusal("PR004")
    if _hundredths(body.base_amount) < 1:
        raise refusal("PR003")
    if body.payment_media_id is not None and medium_by_id(country.code, body.payment_media_id) is None:
        raise refusal("TK015")
    return Give(country)


def _hundredths(amount: float | None) -> int:
    return round((amount or 0) * 100)


def write_preview(country: Country, call: Call[PreviewIn, wire.Nothing]) -> Answer:
    """Show the amount in the local currency, by the sandbox's rate and without taxes."""
    sent = (call.body.currency or "").upper()
    local = country.currencies[0]
    rate = 100 if sent == local else country.sandbox_rate
    total = _hundredths(call.body.base_amount) * rate // 100
    now = timestamp(call.now)
    data = {
        "Date": now,
        "Currency": local,
        "ExchangeRate": {
            "Value": rate / 100,
            "FromCurrencyIsoCode": sent,
            "ToCurrencyIsoCode": local,
            "TypeCode": "SANDBOX",
            "Date": now,
        },
        "TotalAmount": total / 100,
        "TaxDetails": [],
        "AmountDetails": [
            {
                "CurrencyCode": local,
                "AmountCategoryCode": "BASE",
                "Amount": total / 100,
                "Sign": "+",
                "ResponsableType": "CUSTOMER",
            }
        ],
    }
    return Answer({"Response": {"Success": True, "Data": data}, "Errors": None})


# --- report ----------------------------------------------------------------------------------------


def _day(text: str | None) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        raise refusal("PR018") from None


def read_report(call: Call[wire.Nothing, ReportQuery]) -> Command[Sequence[PaymentView]]:
    """Read which days to report; today is not over and is left out.

    Raises:
        WireRefusal: `PR018`, `PR019` for more than 31 days, `TR016` for a page that is none.
    """
    query = call.query
    first, last = _day(query.first_day), _day(query.last_day)
    if last < first:
        raise refusal("PR018")
    if (last - first).days >= REPORTED_DAYS_MAX:
        raise refusal("PR019")
    if query.page < 1 or not 1 <= query.page_size <= PAGE_SIZE_MAX:
        raise refusal("TR016")
    today = datetime.combine(call.now.astimezone(UTC).date(), time(), UTC)
    page = PageRequest(
        limit=LISTED_MAX,
        since=datetime.combine(first, time(), UTC),
        until=min(today, datetime.combine(last, time(), UTC) + timedelta(days=1)),
    )

    def oldest_first(found: Page[PaymentView]) -> Command[Sequence[PaymentView]]:
        return Give(tuple(reversed(found.items)))

    return Then(ListPayments(page, with_operations=True), oldest_first)


_REPORTED = frozenset({OperationKind.PURCHASE, OperationKind.AUTHORIZATION, OperationKind.REFUND})


def write_report(views: Sequence[PaymentView], call: Call[wire.Nothing, ReportQuery]) -> Answer:
    """Show purchases and refunds, oldest purchase first."""
    rows = [
        _row(view.payment, operation, call)
        for view in views
        for operation in view.operations
        if operation.kind in _REPORTED
    ]
    query = call.query
    start = (query.page - 1) * query.page_size
    response = {
        "Data": rows[start : start + query.page_size],
        "Page": query.page,
        "PageSize": query.page_size,
        "Total": len(rows),
    }
    return Answer({"Response": response, "Errors": []})


def _row(payment: Payment, operation: Operation, call: AnyCall) -> dict[str, Any]:
    facts, summary = payment.facts, payment.summary
    customer = object_of(facts, "customer")
    _, medium = medium_of_payment(payment)
    is_refund = operation.kind is OperationKind.REFUND
    state = state_of_operation(operation) if is_refund else state_of(payment)
    amount = hundredths_of(operation.money.amount_minor, payment.currency)
    names = [customer.get("first_name"), customer.get("last_name")]
    return {
        "TransactionId": PLAIN.number_of(operation.id),
        "Type": "REFUND" if is_refund else "PURCHASE",
        "Created": timestamp(operation.created_at),
        "Status": state.word,
        "Error_code": None if is_refund else error_of(payment, call)[0],
        "Amount": -amount if is_refund else amount,
        "Currency": payment.currency,
        "Country": country_of(payment),
        "Transaction_source": "API",
        "Tenant": None,
        "Merchant_account": None,
        "Payment_method_type": type_name(summary, medium),
        "Payment_method": brand_name(summary, medium),
        "Card_bin": summary.bin,
        "Card_last4": summary.last_four or None,
        "Order": payment.reference,
        "Unique_id": facts.get("unique_id"),
        "Authorization_code": operation.authorization_code,
        "Installments": facts.get("installments", 1),
        "Issuer": None,
        "Customer_name": " ".join(str(name) for name in names if name) or None,
        "Customer_document_type": customer.get("document_type"),
        "Customer_document_number": customer.get("document"),
        "Customer_email": customer.get("email"),
    }
