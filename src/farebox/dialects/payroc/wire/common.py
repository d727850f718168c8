"""What all families share: customers, fields, money, problems, pages.

A request's struct ignores members it does not know. An answer's leaves out what is None.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")

CURRENCIES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYR BZD "
    "CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP "
    "GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW "
    "KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL LVL LYD MAD MDL MGA MKD MMK MNT MOP MRO MRU MUR MVR MWK MXN MXV "
    "MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK "
    "SGD SHP SLL SOS SRD SSP STD STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN USS UYI "
    "UYU UZS VEF VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWL"
)
"""Source: Payroc API reference, Currency."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What every struct of the protocol is like."""


Currency = Annotated[str, msgspec.Meta(pattern=f"^({CURRENCIES.replace(' ', '|')})$")]
Amount = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
"""In the currency's smallest unit."""
Charge = Annotated[int, msgspec.Meta(ge=1, le=10**12)]
"""An amount that moves money."""
TerminalId = Annotated[str, msgspec.Meta(min_length=4, max_length=50)]
Operator = Annotated[str, msgspec.Meta(max_length=50)]
OrderId = Annotated[str, msgspec.Meta(min_length=1, max_length=24)]
Text = Annotated[str, msgspec.Meta(max_length=2000)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
ExpiryText = Annotated[str, msgspec.Meta(pattern="^(0[1-9]|1[0-2])[0-9]{2}$")]
"""MMYY."""
Day = Annotated[str, msgspec.Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
Channel = Literal["pos", "web", "moto"]
AccountType = Literal["checking", "savings"]
SecCode = Literal["web", "tel", "ccd", "ppd"]
MitAgreement = Literal["unscheduled", "recurring", "installment"]
Facts = dict[str, Any]


class CustomField(Wire, frozen=True, kw_only=True):
    name: Text
    value: Text


class IpAddress(Wire, frozen=True, kw_only=True):
    type: Literal["ipv4", "ipv6"]
    value: Annotated[str, msgspec.Meta(max_length=45)]


class Address(Wire, frozen=True, kw_only=True):
    address1: Text
    city: Text
    state: Text
    country: Country
    postal_code: Text
    address2: Text | None = None
    address3: Text | None = None


class Shipping(Wire, frozen=True, kw_only=True):
    recipient_name: Text | None = None
    address: Address | None = None


class Contact(Wire, frozen=True, kw_only=True):
    type: Literal["email", "phone", "mobile", "fax"]
    value: Text


class Customer(Wire, frozen=True, kw_only=True):
    first_name: Text | None = None
    last_name: Text | None = None
    date_of_birth: Day | None = None
    reference_number: Text | None = None
    billing_address: Address | None = None
    shipping_address: Shipping | None = None
    contact_methods: list[Contact] | None = None
    notification_language: Literal["en", "fr"] | None = None


class Link(Wire, frozen=True, kw_only=True):
    rel: str
    method: str
    href: str


class PageQuery(Wire, frozen=True, kw_only=True):
    before: str | None = None
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class PageOut(Wire, Generic[T], frozen=True, kw_only=True):
    limit: int
    count: int
    has_more: bool
    data: list[T]
    links: list[Link]


class ErrorItem(Wire, frozen=True, kw_only=True):
    parameter: str | None = None
    detail: str | None = None
    message: str | None = None


class ProblemOut(Wire, frozen=True, kw_only=True):
    """RFC 7807 with the members that the API adds."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    resource: str | None = None
    errors: list[ErrorItem] | None = None
    link: Link | None = None


class Anything(Wire, frozen=True, kw_only=True):
    """A body that is not looked at."""


class TokenOut(Wire, rename=None, frozen=True, kw_only=True):
    """OAuth's own names."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class PatchOperation(Wire, frozen=True, kw_only=True):
    """RFC 6902 §4."""

    op: Literal["add", "replace", "test", "remove", "move", "copy"]
    path: str
    value: Any = None
    from_: str | None = msgspec.field(default=None, name="from")


class TaxAmount(Wire, tag_field="type", tag="amount", frozen=True, kw_only=True):
    amount: Amount
    name: Text


class TaxRate(Wire, tag_field="type", tag="rate", frozen=True, kw_only=True):
    rate: float
    name: Text


Tax = TaxAmount | TaxRate


class PlainTaxRate(Wire, frozen=True, kw_only=True):
    """As bank transfers and subscriptions write it; the type may be missing."""

    rate: float
    name: Text
    type: Literal["rate"] = "rate"


class TaxOut(Wire, frozen=True, kw_only=True):
    name: str
    rate: float
    amount: int | None = None


class Tip(Wire, frozen=True, kw_only=True):
    type: Literal["percentage", "fixedAmount"]
    mode: Literal["prompted", "adjusted"] | None = None
    amount: Amount | None = None
    percentage: float | None = None


class Surcharge(Wire, frozen=True, kw_only=True):
    bypass: bool | None = None
    amount: Amount | None = None
    percentage: float | None = None


class ChoiceRate(Wire, frozen=True, kw_only=True):
    applied: bool
    rate: float
    amount: Amount


class DualPricing(Wire, frozen=True, kw_only=True):
    offered: bool
    choice_rate: ChoiceRate | None = None
    alternative_tender: Literal["card", "cash", "bankTransfer"] | None = None


class ConvenienceFee(Wire, frozen=True, kw_only=True):
    amount: Amount


class Item(Wire, frozen=True, kw_only=True):
    unit_price: Amount
    quantity: float
    commodity_code: Text | None = None
    product_code: Text | None = None
    description: Text | None = None
    unit_of_measure: Text | None = None
    discount_rate: float | None = None
    taxes: list[Tax] | None = None


class HealthcareExpense(Wire, frozen=True, kw_only=True):
    type: Literal["copay", "clinic", "dental", "prescription", "transit", "vision"]
    amount: Amount


class Breakdown(Wire, frozen=True, kw_only=True):
    subtotal: Amount
    cashback_amount: Amount | None = None
    tip: Tip | None = None
    surcharge: Surcharge | None = None
    dual_pricing: DualPricing | None = None
    taxes: list[Tax] | None = None
    duty_amount: Amount | None = None
    freight_amount: Amount | None = None
    convenience_fee: ConvenienceFee | None = None
    items: list[Item] | None = None
    healthcare_expenses: list[HealthcareExpense] | None = None


class SimpleBreakdown(Wire, frozen=True, kw_only=True):
    """Of bank transfers, plans and subscriptions."""

    subtotal: Amount
    tip: Tip | None = None
    surcharge: Surcharge | None = None
    convenience_fee: ConvenienceFee | None = None
    taxes: list[PlainTaxRate] | None = None


class SecureTokenSummary(Wire, frozen=True, kw_only=True):
    secure_token_id: str
    customer_name: str
    token: str
    status: str
    link: Link | None = None


class Summary(Wire, frozen=True, kw_only=True):
    """Of a payment or a refund, inside other things."""

    payment_id: str | None = None
    refund_id: str | None = None
    date_time: str
    currency: str
    amount: int
    status: str
    response_code: str
    response_message: str
    link: Link | None = None


class Result(Wire, frozen=True, kw_only=True):
    """A card transaction's `transactionResult`."""

    type: str | None = None
    status: str
    approval_code: str | None = None
    authorized_amount: int
    currency: str
    response_code: str
    response_message: str | None = None
    processor_response_code: str | None = None
    card_scheme_reference_id: str | None = None
    ebt_type: str | None = None
