"""What generations one and two read and answer, field by field.

Field names are the wire's in PascalCase; where the wire deviates the field says so. Requests are read
leniently: unknown members are ignored, names in any case, scalars as texts or numbers.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from farebox.domain.sensitive import Sensitive

Text = str | int | float | bool
"""A text that clients also send as a number."""
Json = dict[str, Any]


class Request(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A body or query."""


class Answer(Struct, frozen=True, kw_only=True, rename="pascal"):
    """An answer, or part of one."""


class Nothing(Request, frozen=True, kw_only=True):
    """An endpoint that looks at no body, or at no query."""


# --- requests --------------------------------------------------------------------------------------


class CrossBorderIn(Request, frozen=True, kw_only=True):
    """Where the payer is, as it was nested before September 2023."""

    target_country: str | None = field(name="TargetCountryISO", default=None)


class TokenQuery(Request, frozen=True, kw_only=True):
    """The private key, which authenticates and is looked at nowhere else."""

    commerce_key: str | None = field(name="commerceKey", default=None)


class TokenIn(Request, frozen=True, kw_only=True):
    """A card to tokenize; with a customer it becomes a commerce token."""

    email: str = ""
    pan: Sensitive = Sensitive("")
    cvv: Sensitive = field(name="CVV", default=Sensitive(""))
    expiration: str = ""
    titular: str | None = None
    cross_border_data: CrossBorderIn | None = None
    customer_id: Text | None = None


class CardDataIn(Request, frozen=True, kw_only=True):
    """A card in the purchase itself."""

    card_holder_name: str | None = None
    pan: Sensitive = Sensitive("")
    cvv: Sensitive | None = field(name="CVV", default=None)
    expiration: str = ""
    email: str | None = None
    document: Text | None = None
    target_country: str | None = field(name="TargetCountryISO", default=None)


class AddressIn(Request, frozen=True, kw_only=True):
    """An address of a customer."""

    address_type: Text | None = None
    country: Text | None = None
    state: Text | None = None
    city: Text | None = None
    address_detail: Text | None = None
    postal_code: Text | None = None


class CustomerIn(Request, frozen=True, kw_only=True):
    """A customer, alone or within a purchase."""

    commerce_customer_id: Text | None = None
    owner: str | None = None
    email: str | None = None
    first_name: Text | None = None
    last_name: Text | None = None
    phone_number: Text | None = None
    document_type_id: Text | None = None
    doc_number: Text | None = None
    enabled: bool | None = None
    additional_data: Text | None = None
    billing_address: AddressIn | None = None
    shipping_address: AddressIn | None = None


class ProfileIn(Request, frozen=True, kw_only=True):
    """Which payment profile, and what changes of it."""

    payment_profile_id: int
    expiration: Text | None = None
    enabled: bool | None = None


class ActivationIn(Request, frozen=True, kw_only=True):
    """The code that a cardholder found on the statement."""

    token: str
    activation_code: Text


class DataUyIn(Request, frozen=True, kw_only=True):
    """What Uruguay's law wants with a purchase."""

    is_final_consumer: bool | None = None
    invoice: Text | None = None
    taxable_amount: int | None = None


class RedirectionIn(Request, frozen=True, kw_only=True):
    """Where the payer comes back to, and where the notification goes."""

    approved: str | None = field(name="Url_Approved", default=None)
    rejected: str | None = field(name="Url_Rejected", default=None)
    canceled: str | None = field(name="Url_Canceled", default=None)
    pending: str | None = field(name="Url_Pending", default=None)
    notify: str | None = field(name="Url_Notify", default=None)


class AntifraudIn(Request, frozen=True, kw_only=True):
    """What the risk engine of the payfac model reads."""

    fingerprint_id: Text | None = field(name="AntifraudFingerprintId", default=None)
    metadata: Json | None = field(name="AntifraudMetadataIn", default=None)
    client_ip: str | None = field(name="ClientIP", default=None)


class LoyaltyIn(Request, frozen=True, kw_only=True):
    """Points to pay with."""

    loyalty_plan_id: Text | None = None
    amount: Text | None = None
    user_identification: Text | None = field(name="LoyaltyPlanUserIdentification", default=None)


class PurchaseIn(Request, frozen=True, kw_only=True):
    """A purchase of generation one or two."""

    trx_token: str | None = None
    payment_media_id: int | None = None
    card_data: CardDataIn | None = None
    order: Text | None = None
    amount: int | None = None
    currency: str | None = None
    target_country: str | None = field(name="TargetCountryISO", default=None)
    installments: int | None = None
    capture: bool | None = None
    customer: CustomerIn | None = None
    tip: int | None = None
    taxable_amount: int | None = None
    description: Text | None = None
    unique_id: Text | None = field(name="UniqueID", default=None)
    additional_data: Text | None = None
    customer_user_agent: Text | None = None
    customer_ip: Text | None = field(name="CustomerIP", default=None)
    client_ip: Text | None = None
    metadata_in: Json | None = field(name="MetadataIn", default=None)
    data_uy: DataUyIn | None = field(name="DataUY", default=None)
    data_do: Json | None = field(name="DataDO", default=None)
    redirection: RedirectionIn | None = None
    antifraud_data: AntifraudIn | None = None
    loyalty_plan: LoyaltyIn | None = None
    cross_border_data: CrossBorderIn | None = None
    device_fingerprint_id: Text | None = None
    is_first_recurrent_purchase: bool | None = None


class AmountIn(Request, frozen=True, kw_only=True):
    """How much of a purchase a follow-up moves; nothing is all of it."""

    amount: int | None = None
    metadata_in: Json | None = field(name="MetadataIn", default=None)


class PurchaseQuery(Request, frozen=True, kw_only=True):
    """Which purchases to list."""

    authorized: bool | None = None
    first_day: str | None = field(name="From", default=None)
    last_day: str | None = field(name="To", default=None)
    order_number: str | None = None
    payment_media_id: int | None = None
    customer_id: int | None = field(name="CustomerID", default=None)


class EmailQuery(Request, frozen=True, kw_only=True):
    """Whose customers."""

    email: str = field(name="email", default="")


# --- answers ---------------------------------------------------------------------------------------


class ErrorOut(Answer, frozen=True, kw_only=True):
    """Why a request was refused."""

    error_code: str
    created: str
    message: str
    detail: str | None = None


class Envelope(Answer, frozen=True, kw_only=True):
    """Every answer of generations one and two."""

    response: Any
    errors: tuple[ErrorOut, ...] = ()


class TokenOut(Answer, frozen=True, kw_only=True):
    """A token of either kind; all but the error is empty when there is none."""

    token_id: str | None = None
    id_commerce_token: int = 0
    created: str | None = None
    type: str | None = None
    brand: str | None = None
    owner: str | None = None
    last4: str | None = None
    bin: str | None = None
    card_exp_month: int | None = None
    card_exp_year: int | None = None
    error: ErrorOut | None = None
    issuer_bank: str | None = None
    commerce_action: None = None
    card_type: str | None = None
    installments: str | None = None
    payment_media_id: int | None = None
    affinity_group: None = None
    card_id: None = None


class AddressOut(Answer, frozen=True, kw_only=True):
    """An address, with ids of our making."""

    address_id: int
    address_type: int
    country: str | None
    state: str | None
    address_detail: str | None
    postal_code: str | None
    city: str | None


class ProfileOut(Answer, frozen=True, kw_only=True):
    """An instrument of a customer."""

    payment_profile_id: int
    payment_media_id: int
    created: str
    last_update: str | None
    brand: str | None
    card_owner: str | None
    bin: str | None
    issuer_bank: str | None
    installments: str | None
    type: str | None
    id_commerce_token: int
    token: str | None
    expiration: str | None
    last4: str | None
    enabled: bool | None
    document_number: str | None = None
    document_type_id: int | None = None
    external_value: None = None
    affinity_group: None = None


class CustomerOut(Answer, frozen=True, kw_only=True):
    """A customer with their payment profiles."""

    customer_id: int
    created: str | None
    commerce_customer_id: str | None
    owner: str
    email: str | None
    enabled: bool
    shipping_address: AddressOut | None
    billing_address: AddressOut | None
    plans: None = None
    additional_data: str | None
    payment_profiles: tuple[ProfileOut, ...] | None
    capture_url: str | None = field(name="CaptureURL")
    unique_id: str | None = field(name="UniqueID")
    url: str | None = field(name="URL")
    first_name: str | None
    last_name: str | None
    doc_number: str | None
    document_type_id: int | None
    phone_number: str | None
    external_value: None = None


class StepOut(Answer, frozen=True, kw_only=True):
    """One exchange with the acquirer."""

    step: str
    created: str
    status: str
    response_code: str | None
    response_message: str | None
    error: str
    authorization_code: str | None
    unique_id: str | None = field(name="UniqueID")
    acquirer_response_detail: str


class TransactionOut(Answer, frozen=True, kw_only=True):
    """The transaction of a purchase; its id under two names, because the PHP SDK looks for the second."""

    transaction_id: int = field(name="TransactionID")
    transaction_id_again: int = field(name="TransactionId")
    created: str
    authorization_date: str
    transaction_status_id: int
    status: str
    error_code: str | None
    description: str | None
    approval_code: str | None
    steps: tuple[StepOut, ...]


class RefundOut(Answer, frozen=True, kw_only=True):
    """A refund in the list of its purchase."""

    purchase_refund_id: int
    created: str
    unique_id: None = field(name="UniqueID", default=None)
    amount: int
    currency: str
    status: str


class RefundReceiptOut(Answer, frozen=True, kw_only=True):
    """A refund as generation two answers it."""

    purchase_refund_id: int
    created: str
    amount: int
    currency: str
    status_id: int
    status: str
    authorization_code: str | None
    code: str | None
    description: str | None
    metadata_out: Json | None = field(name="MetadataOut", default=None)


class ActionOut(Answer, frozen=True, kw_only=True):
    """What the payer has to do."""

    action_type: int
    action_reason: str
    action_url: str = field(name="ActionURL")
    action_body: None = None
    action_session_id: str


class DataUyOut(Answer, frozen=True, kw_only=True):
    """What was sent for Uruguay."""

    is_final_consumer: bool
    invoice: str | None
    taxable_amount: int


class DataDoOut(Answer, frozen=True, kw_only=True):
    """What was sent for the Dominican Republic."""

    invoice: str | None
    tax: int


class AcquirerOut(Answer, frozen=True, kw_only=True):
    """Who processed it."""

    acquirer_id: int = field(name="AcquirerID")
    name: str
    commerce_number: None = None


class PurchaseOut(Answer, frozen=True, kw_only=True):
    """A purchase as generations one and two show it."""

    purchase_id: int
    created: str
    trx_token: None = None
    order: str
    transaction: TransactionOut
    capture: bool
    amount: int
    original_amount: int
    taxable_amount: int
    tip: int
    installments: int
    currency: str
    description: str | None
    customer: CustomerOut
    refund_list: tuple[RefundOut, ...] | None
    plan_id: None = field(name="PlanID", default=None)
    unique_id: str | None = field(name="UniqueID")
    additional_data: str | None
    customer_user_agent: str | None
    customer_ip: str | None = field(name="CustomerIP")
    url: str = field(name="URL")
    data_uy: DataUyOut = field(name="DataUY")
    data_do: DataDoOut = field(name="DataDO")
    acquirer: AcquirerOut
    commerce_action: ActionOut | None
    purchase_payment_profile_id: int
    loyalty_plan: Json | None
    device_fingerprint_id: str | None
    metadata_in: Json | None = field(name="MetadataIn")
    metadata_out: Json | None = field(name="MetadataOut")
    cross_border_data: Json | None
    cross_border_data_response: None = None
    redirection: Json | None
    antifraud_data: Json | None
    payment_media_id: int
    target_country: str = field(name="TargetCountryISO")
    purchase_type: int = 1
    is_first_recurrent_purchase: bool
    has_cvv: bool | None = field(name="HasCvv")
