"""What generation three and the payment links read and answer."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from farebox.dialects.bamboo.wire import (
    AntifraudIn,
    CardDataIn,
    DataUyIn,
    Json,
    LoyaltyIn,
    RedirectionIn,
    Request,
    Text,
)
from farebox.domain.sensitive import Sensitive


class Answer(Struct, frozen=True, kw_only=True, rename="pascal"):
    """An answer of generation three, or part of one."""


class ErrorOut(Answer, frozen=True, kw_only=True):
    """Why a request was refused, and nothing else."""

    error_code: str
    error_description: str


# --- requests --------------------------------------------------------------------------------------


class AddressIn(Request, frozen=True, kw_only=True):
    """A customer's address."""

    country: Text | None = None
    country_iso_code: str | None = None
    state: Text | None = None
    city: Text | None = None
    postal_code: Text | None = None
    address_detail: Text | None = None


class CustomerIn(Request, frozen=True, kw_only=True):
    """A customer, alone or within a purchase."""

    email: str | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    reference_code: Text | None = None
    external_customer_id: Text | None = None
    phone_number: Text | None = None
    document_number: Text | None = None
    document_type: Text | None = None
    address: AddressIn | None = None


class NetworkTokenIn(Request, frozen=True, kw_only=True):
    """A network's token in place of a card number; its cryptogram is a security code (SEC-03)."""

    token: Sensitive
    cryptogram: Sensitive
    expiration_month: int = field(name="Expiration_Month")
    expiration_year: int = field(name="Expiration_Year")
    card_holder_name: str


class CardOnFileIn(Request, frozen=True, kw_only=True):
    """Who starts the transaction, and what it goes back to."""

    transaction_type: str
    network_transaction_id: str | None = None


class ThreeDsIn(Request, frozen=True, kw_only=True):
    """What another party's 3-D Secure gave."""

    eci: str | None = None
    xid: str | None = None
    cavv: Sensitive | None = None
    version: str | None = None
    transaction_id: str | None = None


class PurchaseIn(Request, frozen=True, kw_only=True):
    """A purchase of generation three."""

    trx_token: str | None = None
    card_data: CardDataIn | None = None
    network_token: NetworkTokenIn | None = None
    payment_method: Text | None = None
    unique_id: Text | None = field(name="UniqueID", default=None)
    capture: bool | None = None
    target_country: str | None = field(name="TargetCountryISO", default=None)
    currency: str | None = None
    amount: int | None = None
    tip: int | None = None
    taxable_amount: int | None = None
    installments: int | None = None
    order: Text | None = None
    invoice_number: Text | None = None
    description: Text | None = None
    additional_data: Text | None = None
    metadata_in: Json | None = field(name="MetadataIn", default=None)
    customer: CustomerIn | None = None
    soft_descriptor: Text | None = None
    customer_user_agent: Text | None = None
    customer_ip: Text | None = field(name="CustomerIP", default=None)
    client_ip: Text | None = None
    antifraud_data: AntifraudIn | None = None
    redirection: RedirectionIn | None = None
    data_uy: DataUyIn | None = field(name="DataUY", default=None)
    loyalty_plan: LoyaltyIn | None = None
    card_on_file: CardOnFileIn | None = None
    three_ds_method: str | None = field(name="ThreeDSAuthMethod", default=None)
    three_ds: ThreeDsIn | None = field(name="ThreeDS", default=None)


class ValidateIn(Request, frozen=True, kw_only=True):
    """A card to validate."""

    card_data: CardDataIn
    customer: CustomerIn | None = None


# --- answers ---------------------------------------------------------------------------------------


class ActionOut(Answer, frozen=True, kw_only=True):
    """What the payer has to do."""

    session_id: str
    reason: str
    url: str = field(name="URL")


class MethodOut(Answer, frozen=True, kw_only=True):
    """What was paid with; empty members for alternative media."""

    brand: str | None
    card_owner: str | None
    bin: str | None
    issuer_bank: str | None
    type: str | None
    expiration: str | None
    last4: str | None


class PurchaseOut(Answer, frozen=True, kw_only=True):
    """A purchase, flat."""

    transaction_id: str
    result: str
    status: str
    error_code: str | None
    error_description: str | None
    created: str
    authorization_date: str | None
    authorization_code: str | None
    amount: int
    currency: str
    installments: int
    taxable_amount: int | None
    tip: int | None
    url: str
    metadata_out: Json | None = field(name="MetadataOut")
    action: ActionOut | None
    payment_method: MethodOut


class TransactionOut(PurchaseOut, frozen=True, kw_only=True):
    """A purchase or a refund; a refund's amount is below zero."""

    type: str


class RefundOut(Answer, frozen=True, kw_only=True):
    """A refund."""

    transaction_id: str
    result: str
    status: str
    error_code: str | None
    error_description: str | None
    created: str
    authorization_date: str | None
    authorization_code: str | None
    amount: int
    currency: str
    metadata_out: Json | None = field(name="MetadataOut")


class ValidatedMethodOut(Answer, frozen=True, kw_only=True):
    """What a validated card is."""

    brand: str | None
    issuer_bank: str | None
    type: str | None


class ValidationOut(Answer, frozen=True, kw_only=True):
    """What came of a validation."""

    status: str
    error_code: str | None
    error_description: str | None
    payment_method: ValidatedMethodOut


class DocumentOut(Answer, frozen=True, kw_only=True):
    """A customer's document."""

    document_type: str | None
    value: str | None
    abbreviation: str | None
    description: str | None


class CustomerOut(Answer, frozen=True, kw_only=True):
    """A customer, flat."""

    customer_id: int
    commerce_id: None = None
    commerce_account_id: None = None
    email: str | None
    first_name: str | None
    last_name: str | None
    external_customer_id: str | None
    phone_number: str | None
    born_place: None = None
    born_date: None = None
    is_anonymous: bool
    created: str
    document: DocumentOut | None
    country: str | None
    gender: None = None
    address: Json | None
    session_id: str
    payment_profiles: Any


# --- payment links ---------------------------------------------------------------------------------


class LinkAnswer(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An answer of the payment links' API."""


class LinkError(LinkAnswer, frozen=True, kw_only=True):
    """One reason of a refusal."""

    code: str
    message: str


class LinkRefusal(Struct, frozen=True, kw_only=True, rename="camel"):
    """A refusal."""

    is_success: bool
    errors: tuple[LinkError, ...]
