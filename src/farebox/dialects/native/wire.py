"""What the native API reads and answers, field by field.

Amounts are integers in minor units; instants are RFC 3339 in UTC; durations are whole seconds.
Request structs refuse unknown fields; answer structs keep their field order on the wire.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from farebox.domain.sensitive import Sensitive

Text = Annotated[str, Meta(max_length=255)]
ShortText = Annotated[str, Meta(max_length=64)]
Metadata = dict[str, str]


class Request(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A body or query of the native API."""


class Answer(Struct, frozen=True, kw_only=True):
    """An answer of the native API."""


# --- instruments -----------------------------------------------------------------------------------


class CardIn(Request, frozen=True, kw_only=True):
    """A card in the clear."""

    number: Sensitive
    exp_month: int
    exp_year: int
    cvc: Sensitive | None = None
    holder_name: str | None = None


class AchIn(Request, frozen=True, kw_only=True, tag_field="type", tag="ach"):
    """A United States bank account."""

    routing_number: str
    account_number: Sensitive
    account_type: str = "checking"
    sec_code: str = "WEB"
    holder_name: str | None = None


class PadIn(Request, frozen=True, kw_only=True, tag_field="type", tag="pad"):
    """A Canadian bank account."""

    institution_number: str
    transit_number: str
    account_number: Sensitive
    holder_name: str | None = None


class BacsIn(Request, frozen=True, kw_only=True, tag_field="type", tag="bacs"):
    """A United Kingdom bank account."""

    sort_code: str
    account_number: Sensitive
    mandate_reference: str | None = None
    holder_name: str | None = None


class SepaIn(Request, frozen=True, kw_only=True, tag_field="type", tag="sepa"):
    """An account in the single euro payments area."""

    iban: Sensitive
    bic: str | None = None
    mandate_reference: str | None = None
    holder_name: str | None = None


BankAccountIn = AchIn | PadIn | BacsIn | SepaIn


class BillingAddressIn(Request, frozen=True, kw_only=True):
    """The payer's address, as far as known."""

    line1: Text | None = None
    line2: Text | None = None
    city: Text | None = None
    state: Text | None = None
    postal_code: Annotated[str, Meta(max_length=16)] | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    """ISO 3166-1 alpha-2."""


class BillingAddressOut(Answer, frozen=True, kw_only=True):
    """The payer's address as it was given."""

    line1: str | None
    line2: str | None
    city: str | None
    state: str | None
    postal_code: str | None
    country: str | None


class CardOut(Answer, frozen=True, kw_only=True):
    """What may be shown of a card."""

    brand: str | None
    bin: str | None
    last_four: str
    exp_month: int | None
    exp_year: int | None
    holder_name: str | None


class BankAccountOut(Answer, frozen=True, kw_only=True):
    """What may be shown of a bank account.

    `bank` is the routing number, institution and transit, or sort code.
    """

    type: str
    last_four: str
    bank: str | None
    account_type: str | None
    holder_name: str | None


# --- single-use tokens -----------------------------------------------------------------------------


class MintIn(Request, frozen=True, kw_only=True):
    """Exactly one of `card` and `bank_account`."""

    card: CardIn | None = None
    bank_account: BankAccountIn | None = None
    billing_address: BillingAddressIn | None = None
    lifetime_s: int | None = None
    """60 to 3600; 600 when left out."""
    customer: str | None = None
    metadata: Metadata | None = None


class SingleUseTokenOut(Answer, frozen=True, kw_only=True):
    """A single-use token. `token` is the bearer string that pays, once."""

    object: Literal["single_use_token"] = "single_use_token"
    token: str
    id: str
    status: Literal["minted", "reserved", "spent", "expired", "revoked"]
    mode: Literal["test", "live"]
    created_at: datetime
    expires_at: datetime
    expires_in_s: int
    card: CardOut | None
    bank_account: BankAccountOut | None
    billing_address: BillingAddressOut | None
    customer: str | None
    metadata: Metadata
    operation: str | None
    """The operation that holds or spent the token."""


# --- payments --------------------------------------------------------------------------------------


class SourceIn(Request, frozen=True, kw_only=True):
    """Exactly one of the three tokens; `cvc` only with `payment_token` or `recurrence_token`."""

    single_use_token: str | None = None
    payment_token: str | None = None
    recurrence_token: str | None = None
    cvc: Sensitive | None = None


SaveIn = Literal["payment_token", "recurrence_token"]
ReasonIn = Literal[
    "recurring",
    "installment",
    "unscheduled",
    "resubmission",
    "delayed_charge",
    "reauthorization",
    "no_show",
    "incremental",
]


class PayIn(Request, frozen=True, kw_only=True):
    """A payment to make."""

    amount_minor: int
    currency: str
    """ISO 4217, upper case."""
    source: SourceIn
    capture: bool = True
    """False authorizes only."""
    initiator: Literal["customer", "merchant"] = "customer"
    reason: ReasonIn | None = None
    reference: Text | None = None
    save: SaveIn | None = None
    agreement: str | None = None
    """With `save: recurrence_token`: an agreement made before, instead of a new one."""
    customer: str | None = None
    network_transaction_id: ShortText | None = None
    metadata: Metadata | None = None


class VerifyIn(Request, frozen=True, kw_only=True):
    """A verification: amount zero, and the single-use token stays unspent."""

    source: SourceIn
    currency: str = "USD"
    reference: Text | None = None
    customer: str | None = None
    metadata: Metadata | None = None


class CreditIn(Request, frozen=True, kw_only=True):
    """Money to an instrument, without a payment before it."""

    amount_minor: int
    currency: str
    source: SourceIn
    reference: Text | None = None
    customer: str | None = None
    metadata: Metadata | None = None


class FollowUpIn(Request, frozen=True, kw_only=True):
    """A capture or a refund; without an amount, all that is left."""

    amount_minor: int | None = None
    reference: Text | None = None


class VoidIn(Request, frozen=True, kw_only=True):
    """A void; `operation` names the capture or refund to take back, otherwise what is uncaptured goes."""

    amount_minor: int | None = None
    operation: str | None = None
    reference: Text | None = None


class ChecksOut(Answer, frozen=True, kw_only=True):
    """What the issuer made of address and security code."""

    avs: str
    cvc: str


class DeclineOut(Answer, frozen=True, kw_only=True):
    """Why the answer was no, what to do, and the processor's own code."""

    reason: str
    advice: str
    processor_code: str | None


class OperationOut(Answer, frozen=True, kw_only=True):
    """One request to a processor."""

    object: Literal["operation"] = "operation"
    id: str
    kind: str
    status: str
    amount_minor: int
    approved_minor: int
    created_at: datetime
    settled_at: datetime | None
    target: str | None
    reference: str | None
    authorization_code: str | None
    decline: DeclineOut | None


class SourceOut(Answer, frozen=True, kw_only=True):
    """What a payment was paid with."""

    type: Literal["single_use_token", "payment_token", "recurrence_token", "instrument"]
    id: str | None
    card: CardOut | None
    bank_account: BankAccountOut | None


class PaymentOut(Answer, frozen=True, kw_only=True):
    """A payment. A decline is a payment too: `status` is `declined` and `decline` says why."""

    object: Literal["payment", "verification", "credit"]
    id: str
    status: str
    mode: Literal["test", "live"]
    amount_minor: int
    authorized_minor: int
    captured_minor: int
    refunded_minor: int
    voided_minor: int
    currency: str
    created_at: datetime
    source: SourceOut
    initiator: str
    reason: str | None
    reference: str | None
    checks: ChecksOut
    decline: DeclineOut | None
    authorization_code: str | None
    network_transaction_id: str | None
    operations: list[OperationOut] | None
    """Oldest first; null in lists, unless `expand=operations`."""
    payment_token: str | None
    """What the payment stored: the bearer string in the first answer, the id afterwards."""
    recurrence_token: str | None
    agreement: str | None
    customer: str | None
    metadata: Metadata


# --- stored credentials ----------------------------------------------------------------------------


class StoreIn(Request, frozen=True, kw_only=True):
    """A stored credential, made of a single-use token, which this spends."""

    single_use_token: str
    kind: SaveIn = "payment_token"
    customer: str | None = None
    agreement: str | None = None
    network_transaction_id: ShortText | None = None
    label: Text | None = None
    metadata: Metadata | None = None


class StoredTokenUpdateIn(Request, frozen=True, kw_only=True):
    """What is left out stays."""

    label: Text | None = None
    customer: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    metadata: Metadata | None = None


class StoredTokenOut(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """A payment token or a recurrence token; the string that pays is in the answer that made it, once."""

    object: Literal["payment_token", "recurrence_token"]
    id: str
    status: Literal["active", "deleted"]
    mode: Literal["test", "live"]
    created_at: datetime
    card: CardOut | None
    bank_account: BankAccountOut | None
    billing_address: BillingAddressOut | None
    customer: str | None
    agreement: str | None
    network_transaction_id: str | None
    label: str | None
    metadata: Metadata
    token: str | UnsetType = UNSET


class AgreementIn(Request, frozen=True, kw_only=True):
    """What the customer consented to."""

    reason: ReasonIn
    consented_at: datetime | None = None
    customer: str | None = None
    network_transaction_id: ShortText | None = None
    reference: Text | None = None
    description: Text | None = None
    metadata: Metadata | None = None


class AgreementOut(Answer, frozen=True, kw_only=True):
    """An agreement under which the merchant alone may use a recurrence token."""

    object: Literal["agreement"] = "agreement"
    id: str
    status: Literal["active", "ended"]
    mode: Literal["test", "live"]
    reason: str
    consented_at: datetime
    created_at: datetime
    customer: str | None
    network_transaction_id: str | None
    reference: str | None
    description: str | None
    metadata: Metadata


# --- customers and events --------------------------------------------------------------------------


class CustomerIn(Request, frozen=True, kw_only=True):
    """A customer; every field may be left out."""

    reference: Text | None = None
    name: Text | None = None
    email: Text | None = None
    phone: ShortText | None = None
    metadata: Metadata | None = None


class CustomerUpdateIn(Request, frozen=True, kw_only=True):
    """What is left out stays, null clears."""

    reference: Text | UnsetType | None = UNSET
    name: Text | UnsetType | None = UNSET
    email: Text | UnsetType | None = UNSET
    phone: ShortText | UnsetType | None = UNSET
    metadata: Metadata | None = None


class CustomerOut(Answer, frozen=True, kw_only=True):
    """A customer."""

    object: Literal["customer"] = "customer"
    id: str
    mode: Literal["test", "live"]
    created_at: datetime
    is_deleted: bool
    reference: str | None
    name: str | None
    email: str | None
    phone: str | None
    metadata: Metadata


Snapshot = PaymentOut | StoredTokenOut | CustomerOut | AgreementOut
# msgspec writes no schema of a union whose members share a shape, but these are told apart by `object`.
_AnySnapshot = Annotated[
    Any,
    Meta(
        extra_json_schema={
            "anyOf": [
                *[{"$ref": f"#/components/schemas/{member.__name__}"} for member in get_args(Snapshot)],
                {"type": "null"},
            ]
        }
    ),
]


class EventOut(Answer, frozen=True, kw_only=True):
    """One thing that happened to one object."""

    object: Literal["event"] = "event"
    id: str
    type: str
    mode: Literal["test", "live"]
    created_at: datetime
    subject: str
    """The id of the object it happened to."""
    sequence: int
    """Orders what happened to one object; of a payment's operations, to one payment."""
    data: dict[str, str | int | bool | None]
    snapshot: _AnySnapshot = UNSET
    """The object as it stood when the event was told, or now: in webhooks, and where it was asked for."""


# --- lists -----------------------------------------------------------------------------------------


class PageQuery(Request, frozen=True, kw_only=True):
    """A part of a list, newest first."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    starting_after: ShortText | None = None
    ending_before: ShortText | None = None


class PaymentQuery(PageQuery, frozen=True, kw_only=True):
    """Payments, narrowed."""

    status: ShortText | None = None
    reference: Text | None = None
    customer: ShortText | None = None
    agreement: ShortText | None = None
    payment_token: ShortText | None = None
    expand: Literal["operations"] | None = None


class StoredTokenQuery(PageQuery, frozen=True, kw_only=True):
    """Stored credentials, narrowed."""

    kind: SaveIn | None = None
    customer: ShortText | None = None
    agreement: ShortText | None = None


class AgreementQuery(PageQuery, frozen=True, kw_only=True):
    """Agreements, narrowed."""

    customer: ShortText | None = None
    status: Literal["active", "ended"] | None = None


class CustomerQuery(PageQuery, frozen=True, kw_only=True):
    """Customers, narrowed."""

    reference: Text | None = None
    email: Text | None = None


class EventQuery(PageQuery, frozen=True, kw_only=True):
    """Events, narrowed."""

    type: ShortText | None = None
    subject: ShortText | None = None
    expand: Literal["snapshot"] | None = None


class EventExpandQuery(Request, frozen=True, kw_only=True):
    """How much of an event to show."""

    expand: Literal["snapshot"] | None = None


class PaymentListOut(Answer, frozen=True, kw_only=True):
    """A page of payments."""

    object: Literal["list"] = "list"
    data: list[PaymentOut]
    has_more: bool
    next_url: str | None


class StoredTokenListOut(Answer, frozen=True, kw_only=True):
    """A page of stored credentials."""

    object: Literal["list"] = "list"
    data: list[StoredTokenOut]
    has_more: bool
    next_url: str | None


class AgreementListOut(Answer, frozen=True, kw_only=True):
    """A page of agreements."""

    object: Literal["list"] = "list"
    data: list[AgreementOut]
    has_more: bool
    next_url: str | None


class CustomerListOut(Answer, frozen=True, kw_only=True):
    """A page of customers."""

    object: Literal["list"] = "list"
    data: list[CustomerOut]
    has_more: bool
    next_url: str | None


class EventListOut(Answer, frozen=True, kw_only=True):
    """A page of events."""

    object: Literal["list"] = "list"
    data: list[EventOut]
    has_more: bool
    next_url: str | None


# --- sandbox ---------------------------------------------------------------------------------------


class ClockIn(Request, frozen=True, kw_only=True):
    """How far to move this merchant's clock; 0 only reads it."""

    forward_s: int = 0


class ClockOut(Answer, frozen=True, kw_only=True):
    """A merchant's clock."""

    object: Literal["clock"] = "clock"
    now: datetime
    offset_s: int


class FaultIn(Request, frozen=True, kw_only=True):
    """Trouble for the next requests to the sandbox acquirer."""

    trouble: ShortText
    operation: (
        Literal["authorization", "purchase", "capture", "void", "refund", "verification", "credit"] | None
    ) = None
    count: Annotated[int, Meta(ge=1, le=1000)] = 1
    delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    parameters: dict[str, Text] | None = None


class FaultOut(Answer, frozen=True, kw_only=True):
    """Trouble that is queued."""

    object: Literal["fault"] = "fault"
    trouble: str
    operation: str | None
    count: int
    delay_s: float
    parameters: dict[str, str]


class BatchOut(Answer, frozen=True, kw_only=True):
    """What the closed batch settled."""

    object: Literal["batch"] = "batch"
    settled: list[OperationOut]


# --- errors ----------------------------------------------------------------------------------------


class ProblemOut(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A refusal as RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    doc_url: str
    param: str | None = None
