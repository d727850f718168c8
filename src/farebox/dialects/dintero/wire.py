"""What this dialect reads and answers, field by field.

Amounts are whole minor units, instants ISO 8601 in UTC with milliseconds. Requests ignore what they do not
know, because the plugins of four shops send more than is documented; what is only kept and given back (items,
addresses, configuration) stays a JSON object. Answers leave absent fields out: typed clients have no nulls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field

from farebox.domain.facts import Facts

Amount = int | float
"""PHP computes amounts as floats: 1998.9999999999998 is 1999."""
Object = Mapping[str, object] | Sequence[object]
"""An opaque object; PHP writes an empty one as a list."""
Number = int | float


class In(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A body or query of this dialect."""


class Out(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer of this dialect; what has no value is left out."""


class Ignored(In, frozen=True, kw_only=True):
    """A body that is not looked at: `{}`, `{"id": …}`, nothing."""


def kept(struct: Struct) -> dict[str, Any]:
    """Give a struct as the JSON object it came from, as far as it is known."""
    return msgspec.to_builtins(struct)


def members(value: Object | None) -> Facts:
    """Give the members of an opaque object; an empty list is an empty object."""
    return value if isinstance(value, Mapping) else {}


# --- errors -----------------------------------------------------------------------------------------------


class ProblemOut(Out, frozen=True, kw_only=True):
    """One thing that is wrong with a request."""

    code: str
    path: list[str]
    description: str
    message: str


class ErrorOut(Out, frozen=True, kw_only=True):
    """A refusal. `cause` and `session_details` belong to a session that cannot be paid any more."""

    message: str
    code: str
    errors: list[ProblemOut] | None = None
    cause: str | None = None
    session_details: Facts | None = None


class ErrorsOut(Out, frozen=True, kw_only=True):
    """The envelope of every refusal."""

    error: ErrorOut
    success: bool | None = None


# --- access -----------------------------------------------------------------------------------------------


class TokenIn(In, frozen=True, kw_only=True):
    """A request for an access token."""

    grant_type: str
    audience: str


class AccessTokenOut(Out, frozen=True, kw_only=True, omit_defaults=False):
    """An access token."""

    access_token: str
    token_type: str
    expires_in: int


# --- sessions ---------------------------------------------------------------------------------------------


class OrderIn(In, frozen=True, kw_only=True):
    """An order. Of a token session only currency and references are read."""

    amount: Amount | None = None
    currency: str | None = None
    merchant_reference: str | int | None = None
    merchant_reference_2: str | int | None = None
    event_reference: str | None = None
    payout_destination_id: str | None = None
    vat_amount: Amount | None = None
    partial_payment: bool | None = None
    items: Sequence[Mapping[str, object]] | None = None
    shipping_address: Object | None = None
    billing_address: Object | None = None
    shipping_option: Object | None = None
    store: Object | None = None
    discount_lines: Sequence[object] | None = None
    discount_codes: Sequence[str] | None = None
    gift_cards: Sequence[object] | None = None


class UrlIn(In, frozen=True, kw_only=True):
    """Where the buyer and the news go."""

    return_url: str | None = None
    callback_url: str | None = None
    merchant_terms_url: str | None = None


class TokenOfIn(In, frozen=True, kw_only=True):
    """The tokens of one product."""

    payment_token: str | None = None
    recurrence_token: str | None = None


class TokensIn(In, frozen=True, kw_only=True):
    """Stored cards by product; the names hold a dot."""

    payex: TokenOfIn | None = field(name="payex.creditcard", default=None)
    bambora: TokenOfIn | None = field(name="bambora.creditcard", default=None)
    dintero_psp: TokenOfIn | None = field(name="dintero_psp.creditcard", default=None)


class CustomerIn(In, frozen=True, kw_only=True):
    """Who buys."""

    customer_id: str | int | None = None
    email: str | None = None
    phone_number: str | int | None = None
    tokens: TokensIn | Sequence[object] | None = None


class SessionIn(In, frozen=True, kw_only=True):
    """A session to create."""

    url: UrlIn | None = None
    order: OrderIn | None = None
    customer: CustomerIn | Sequence[object] | None = None
    profile_id: str | None = None
    configuration: Object | None = None
    express: Object | None = None
    merchant: Object | None = None
    expires_at: str | None = None
    checkboxes: Sequence[Mapping[str, object]] | None = None
    metadata: Object | None = None


class SessionUpdateIn(In, frozen=True, kw_only=True):
    """What changes of a session."""

    order: OrderIn | None = None
    express: Object | None = None
    remove_lock: bool = True


class TokenProviderIn(In, frozen=True, kw_only=True):
    """Which tokens a session without purchase is to make."""

    payment_product_type: str | None = None
    token_types: Sequence[str] | None = None


class TokenSessionIn(In, frozen=True, kw_only=True):
    """A session that only makes tokens."""

    session: SessionIn | None = None
    token_provider: TokenProviderIn | None = None


class ChargeOfIn(In, frozen=True, kw_only=True):
    """How a merchant-initiated payment is made."""

    payment_product_type: str | None = None
    operation: str | None = None


class ChargeIn(In, frozen=True, kw_only=True):
    """A merchant-initiated payment."""

    session: SessionIn | None = None
    payment: ChargeOfIn | None = None


class QrIn(In, frozen=True, kw_only=True):
    """How a QR code is to look."""

    format: str = "png"
    size: int = 300


class SessionCreatedOut(Out, frozen=True, kw_only=True):
    """A session was created."""

    id: str
    url: str
    session: Facts | None = None


class CreateQuery(In, frozen=True, kw_only=True):
    """Of the endpoints that create a session."""

    include_session: bool = False


class IncludesQuery(In, frozen=True, kw_only=True):
    """Which parts an answer holds beside the usual ones; a list, or texts with commas."""

    includes: list[str] = field(default_factory=list[str])


class UpdateQuery(In, frozen=True, kw_only=True):
    """Of a session's update."""

    update_without_lock: bool = False
    force_shipping_address_callback: bool = False


class SessionsQuery(In, frozen=True, kw_only=True):
    """Which sessions to list."""

    limit: int = 10
    starting_after: str | None = None
    id: list[str] | None = None
    search: str | None = None
    transaction_id: list[str] | None = None
    created_at_gte: str | None = field(name="created_at.gte", default=None)
    created_at_lte: str | None = field(name="created_at.lte", default=None)
    store_id: list[str] | None = None
    plugin_name: list[str] | None = field(name="initiating_system.dintero_system_plugin_name", default=None)
    payment_operation: str | None = None


# --- transactions -----------------------------------------------------------------------------------------


class CaptureIn(In, frozen=True, kw_only=True):
    """What to capture."""

    amount: Amount
    items: Sequence[Mapping[str, object]] | None = None
    capture_reference: str | None = None
    final_capture: bool = False
    metadata: Object | None = None


class RefundIn(In, frozen=True, kw_only=True):
    """What to refund."""

    amount: Amount
    items: Sequence[Mapping[str, object]] | None = None
    refund_reference: str | None = None
    reason: str | None = None
    metadata: Object | None = None


class AuthorizationIn(In, frozen=True, kw_only=True):
    """What to make of an authorization."""

    amount: Amount | None = None
    items: Sequence[Mapping[str, object]] | None = None
    final_authorization: bool | None = None
    description: str | None = None
    reason: str | None = None
    reference: str | None = None


class TransactionUpdateIn(In, frozen=True, kw_only=True):
    """What changes of a transaction."""

    merchant_reference_2: str | int | None = None


class TransactionsQuery(In, frozen=True, kw_only=True):
    """Which transactions to list; lists are repeated parameters, or texts with commas."""

    limit: int = 10
    starting_after: str | None = None
    id: list[str] | None = None
    status: list[str] | None = None
    payment_product: list[str] | None = None
    payment_product_type: list[str] | None = None
    card_brand: list[str] | None = None
    merchant_reference: str | None = None
    merchant_reference_2: str | None = None
    session_id: list[str] | None = None
    store_id: list[str] | None = None
    payout_correlation_id: list[str] | None = None
    payout_destination_id: list[str] | None = None
    terminal_id: list[str] | None = None
    channel: list[str] | None = None
    currency: list[str] | None = None
    amount: int | None = None
    amount_gte: int | None = field(name="amount.gte", default=None)
    amount_lte: int | None = field(name="amount.lte", default=None)
    created_at_gte: str | None = field(name="created_at.gte", default=None)
    created_at_lte: str | None = field(name="created_at.lte", default=None)
    captured_at_gte: str | None = field(name="captured_at.gte", default=None)
    captured_at_lte: str | None = field(name="captured_at.lte", default=None)
    refunded_at_gte: str | None = field(name="refunded_at.gte", default=None)
    refunded_at_lte: str | None = field(name="refunded_at.lte", default=None)
    search: str | None = None
    payment_operation: str | None = None
    customer_id: str | None = None
    token_id: list[str] | None = None
    includes: list[str] = field(default_factory=list[str])


class RetryPolicyOut(Out, frozen=True, kw_only=True):
    """Whether a declined payment may be tried again."""

    retry_codes: list[str]
    retry_after: str | None = None


class EventErrorOut(Out, frozen=True, kw_only=True):
    """Why something did not happen."""

    message: str
    code: str
    type: list[str]
    result_code: str | None = None
    retry_policy: RetryPolicyOut | None = None


class EventOut(Out, frozen=True, kw_only=True):
    """One thing that happened to a transaction."""

    id: str
    event: str
    transaction_status: str
    success: bool
    amount: int
    created_at: str
    created_by: str
    request_id: str
    items: Sequence[object] | None = None
    event_reference: str | None = None
    error: EventErrorOut | None = None
    metadata: Facts | None = None
    request_headers: Facts | None = None


class CardOut(Out, frozen=True, kw_only=True):
    """The card of a transaction."""

    brand: str
    masked_pan: str
    expiry_date: str | None = None
    acquirer_transaction_type: str | None = None
    payment_token: str | None = None
    payment_token_id: str | None = None
    recurrence_token: str | None = None
    recurrence_token_id: str | None = None
    card_holder_tokenization_consent: str | None = None


class ActionOut(Out, frozen=True, kw_only=True):
    """What a gateway said."""

    source: str
    code: str
    type: str


class TransactionOut(Out, frozen=True, kw_only=True):
    """A transaction; a merchant-initiated payment answers one with `success`, `actions` and its tokens."""

    id: str
    session_id: str | None = None
    account_id: str
    success: bool | None = None
    actions: list[ActionOut] | None = None
    version: int
    amount: int
    currency: str
    status: str
    payment_product: str
    payment_product_type: str
    payment_operation: str | None = None
    merchant_reference: str
    merchant_reference_2: str | None = None
    channel: str
    settlement_status: str
    customer: Facts | None = None
    customer_ip: str | None = None
    user_agent: str | None = None
    initiating_system_request_headers: Facts | None = None
    shipping_address: object | None = None
    billing_address: object | None = None
    shipping_option: object | None = None
    store: object | None = None
    checkboxes: object | None = None
    gift_cards: object | None = None
    items: Sequence[object] | None = None
    url: Facts | None = None
    card: CardOut | None = None
    events: list[EventOut]
    metadata: Facts | None = None
    session: Facts | None = None
    payout_destination_id: object | None = None
    created_at: str
    updated_at: str


# --- card tokens ------------------------------------------------------------------------------------------


class CardTokensQuery(In, frozen=True, kw_only=True):
    """Which card tokens to list."""

    customer_id: str | None = None
    relationship_id: str | None = None
    status: list[str] | None = None
    include_deleted: bool = False
    limit: int = 10
    starting_after: str | None = None


class CardTokenDeletionIn(In, frozen=True, kw_only=True):
    """Who wants a card token deleted, and why."""

    reason: str | None = None
    requestor: str | None = None


class CardTokenOut(Out, frozen=True, kw_only=True):
    """A stored card."""

    id: str
    type: str
    status: str
    card_brand: str
    account_id: str
    payment_product_type: str
    created_at: str
    updated_at: str
    token: str | None = None
    masked_pan: str | None = None
    pan_expiry_date: str | None = None
    customer_id: str | None = None
    transaction_id: str | None = None
    created_by: str | None = None
    deleted_at: str | None = None
    deleted_by: str | None = None


# --- accounts ---------------------------------------------------------------------------------------------


class ProfileIn(In, frozen=True, kw_only=True):
    """A profile's configuration."""

    profile_id: str | None = None
    description: str
    configuration: Object
    url: Object | None = None
    merchant: Object | None = None
    checkboxes: Sequence[object] | None = None


class ProfileOut(Out, frozen=True, kw_only=True):
    """A profile."""

    id: str
    profile_id: str
    description: str
    configuration: Facts
    url: object | None = None
    merchant: object | None = None
    checkboxes: object | None = None
    created_at: str | None = None
    """The account's own default was made by nobody, at no time."""
    created_by: str | None = None
    updated_at: str | None = None
    deleted_at: str | None = None
    deleted_by: str | None = None


class PageQuery(In, frozen=True, kw_only=True):
    """Which part of a list."""

    limit: int = 10
    starting_after: str | None = None
    include_deleted: bool = False
    total: bool = False


class AnyQuery(In, frozen=True, kw_only=True):
    """Whatever it says is not read."""


class OutcomeQuery(In, frozen=True, kw_only=True):
    """What the web SDK says of a session that ended."""

    error: str | None = None
    language: str | None = None


class SignatureOfOut(Out, frozen=True, kw_only=True):
    """The secret that signs callbacks."""

    type: str
    secret: str


class SignatureOut(Out, frozen=True, kw_only=True):
    """The account's signature."""

    id: str
    created_at: str
    created_by: str
    signature: SignatureOfOut


def with_charge(
    out: TransactionOut, *, success: bool, actions: list[ActionOut], customer: Facts
) -> TransactionOut:
    """Say how a merchant-initiated payment went, and with which tokens."""
    return msgspec.structs.replace(out, success=success, actions=actions, customer=customer)
