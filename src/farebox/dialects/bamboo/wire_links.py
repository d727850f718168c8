"""What the payment links' API (host-to-host, "Checkout Pro") and its neighbours read and answer."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from farebox.dialects.bamboo.wire import Json, Request, Text


class LinkRequest(Struct, frozen=True, kw_only=True, rename="camel"):
    """A body or query in camelCase."""


class LinkAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An answer: data at the root beside `isSuccess`."""

    is_success: bool = True
    errors: tuple[Any, ...] = ()


class Part(Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an answer."""


# --- requests --------------------------------------------------------------------------------------


class AddressIn(LinkRequest, frozen=True, kw_only=True):
    """An address."""

    detail: Text | None = None
    country: Text | None = None
    state: Text | None = None
    city: Text | None = None
    postal_code: Text | None = None


class CustomerIn(LinkRequest, frozen=True, kw_only=True):
    """Who pays, under the merchant's own name for them."""

    identifier: Text | None = None
    email: str | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    document_type_id: Text | None = None
    document_number: Text | None = None
    phone_number: Text | None = None
    billing_address: AddressIn | None = None
    shipping_address: AddressIn | None = None


class CountryDataIn(LinkRequest, frozen=True, kw_only=True):
    """What Uruguay's law wants."""

    invoice_number: Text | None = None
    taxable_amount: int | None = None
    is_final_customer: bool | None = None


class LinkIn(LinkRequest, frozen=True, kw_only=True):
    """A payment link to make: in the PHP SDK's words and in the documentation's."""

    amount: int | None = None
    currency_code: str | None = None
    payment_type: str | None = None
    order_number: Text | None = None
    line_items: list[Json] | None = None
    customer: CustomerIn | None = None
    on_success_result_url: str | None = None
    on_error_result_url: str | None = None
    on_cancel_result_url: str | None = None
    metadata: Json | None = None
    metadata_in: Json | None = None
    country_data: CountryDataIn | None = None
    valid_for_minutes: int = 15
    notification_url: str | None = None


class LinkAmountIn(LinkRequest, frozen=True, kw_only=True):
    """How much to refund; nothing is all of it."""

    amount: int | None = None


class LinkPatchIn(LinkRequest, frozen=True, kw_only=True):
    """Who pays, told later."""

    customer: CustomerIn | None = None


class AccountLinkIn(LinkRequest, frozen=True, kw_only=True):
    """Whose account to link."""

    customer: CustomerIn | None = None
    account_link_type: str | None = None
    valid_for_minutes: int = 15


class RateQuery(LinkRequest, frozen=True, kw_only=True):
    """What to convert, in hundredths of a US dollar."""

    amount: int = 0


class LoyaltyIn(Request, frozen=True, kw_only=True):
    """Whose points to ask for."""

    loyalty_plan_id: Text | None = None
    user_identification: Text | None = field(name="LoyaltyPlanUserIdentification", default=None)
    trx_token: str | None = None


# --- answers ---------------------------------------------------------------------------------------


class LinkOut(LinkAnswer, frozen=True, kw_only=True):
    """A payment link."""

    payment_id: str
    redirect_url: str
    valid_for_minutes: int


class LinkStateOut(LinkAnswer, frozen=True, kw_only=True):
    """What became of a payment link."""

    payment_status: str
    transaction_status: str
    purchase_id: int
    metadata: Json


class LinkRefundOut(LinkAnswer, frozen=True, kw_only=True):
    """What became of a refund."""

    status: str


class CurrencyOut(Part, frozen=True, kw_only=True):
    """A currency."""

    iso: str


class MethodTypeOut(Part, frozen=True, kw_only=True):
    """A type of payment methods."""

    id: int
    name: str
    description: str


class MethodOut(Part, frozen=True, kw_only=True):
    """A payment method."""

    id: int
    name: str
    type: MethodTypeOut
    logo_url: None = None
    flow: str


class CountryMethodsOut(Part, frozen=True, kw_only=True):
    """A country with its payment methods."""

    name: str
    iso_code: str
    flag_url: None = None
    local_currency: CurrencyOut
    payment_methods: tuple[MethodOut, ...]


class MethodsOut(LinkAnswer, frozen=True, kw_only=True):
    """Every country's payment methods."""

    country_payment_methods: tuple[CountryMethodsOut, ...]


class DocumentTypeOut(Part, frozen=True, kw_only=True):
    """A type of document."""

    id: int
    description: str
    abbreviation: str
    is_physical_person: bool


class CountryOut(Part, frozen=True, kw_only=True):
    """A country."""

    id: int
    name: str
    iso_code: str
    phone_prefix: str
    keywords: tuple[str, ...]


class CountryWithDocumentsOut(CountryOut, frozen=True, kw_only=True):
    """A country with its types of documents."""

    document_types: tuple[DocumentTypeOut, ...]


class CountriesOut(LinkAnswer, frozen=True, kw_only=True):
    """Every country."""

    countries: tuple[CountryOut, ...]


class OneCountryOut(LinkAnswer, frozen=True, kw_only=True):
    """One country."""

    country: CountryWithDocumentsOut


class DocumentTypesOut(LinkAnswer, frozen=True, kw_only=True):
    """A country's types of documents."""

    document_types: tuple[DocumentTypeOut, ...]


class BankOut(Part, frozen=True, kw_only=True):
    """A bank that issues cards."""

    id: int
    name: str


class BanksOut(LinkAnswer, frozen=True, kw_only=True):
    """A country's banks that issue cards."""

    issuer_banks: tuple[BankOut, ...]


class RateOut(LinkAnswer, frozen=True, kw_only=True):
    """What an amount is in the local currency."""

    amount: int


class AccountLinkOut(LinkAnswer, frozen=True, kw_only=True):
    """Where a customer links an account."""

    customer_id: str
    redirect_url: str
    valid_for_minutes: int


class LinkCustomerOut(LinkAnswer, frozen=True, kw_only=True):
    """A customer."""

    customer: Json


class PseBankOut(Part, frozen=True, kw_only=True):
    """A bank of Colombia's PSE."""

    code: int
    name: str
