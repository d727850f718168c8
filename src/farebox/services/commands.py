"""Every verb Farebox knows, each typed by what it yields: the table of contents of the use cases.

A command is a frozen value in domain words. `scope` is what the caller's key must be allowed; whether a
command may carry an idempotency key is for the dialect to say. A dialect reads requests into
commands and writes results into responses; `application.execute` is the only door between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime, timedelta
from typing import ClassVar, Generic, Literal, TypeVar

from farebox.domain.access import CredentialUse, Principal, Scope
from farebox.domain.checkout import CheckoutSession, CheckoutTerms
from farebox.domain.credentials_on_file import Agreement
from farebox.domain.customers import Customer
from farebox.domain.declines import DeclineReason
from farebox.domain.documents import Document
from farebox.domain.events import Event
from farebox.domain.facts import Facts
from farebox.domain.frozen import frozen
from farebox.domain.ids import (
    AgreementId,
    CheckoutSessionId,
    CustomerId,
    DeliveryId,
    DocumentId,
    EventId,
    IdRange,
    Numbering,
    OperationId,
    PaymentId,
    RequestId,
    StoredTokenId,
    WebhookEndpointId,
)
from farebox.domain.instruments import InstrumentSummary, PayerDetails, PaymentInstrument
from farebox.domain.money import Money
from farebox.domain.operations import Initiator, Operation, OperationKind, Reason
from farebox.domain.payments import Payment
from farebox.domain.sensitive import Sensitive
from farebox.domain.subscriptions import Frequency, Subscription
from farebox.domain.tokens import SingleUseToken, StoredToken, StoredTokenKind, TokenRules, TokenString
from farebox.domain.webhooks import CallbackUrl, Delivery, DeliveryAttempt, WebhookEndpoint
from farebox.ports.processors import Fault
from farebox.ports.storage import Page, PageRequest

R = TypeVar("R")
Q = TypeVar("Q")


class Command(Generic[R]):
    """A request of one caller, yielding an `R`. A scope of None is for what everybody may ask."""

    __slots__ = ()
    scope: ClassVar[Scope | None]


@frozen
class Then(Command[R], Generic[Q, R]):
    """Look first, then decide what to do: `first` only reads, and `then` is a pure function of what it gave.

    An idempotency key belongs to the last command, so what comes before it may run again.
    """

    scope: ClassVar[Scope | None] = None
    first: Command[Q]
    then: Callable[[Q], Command[R]]


@frozen
class Give(Command[R]):
    """Give a value: the end of a chain that needs to do nothing more, and the answer of a monitor."""

    scope: ClassVar[Scope | None] = None
    value: R


@frozen
class Attempt(Command[R | None], Generic[R]):
    """Give what `command`, which only reads, gives; nothing where there is no such thing."""

    scope: ClassVar[Scope | None] = None
    command: Command[R]


@frozen
class Mapped(Command[R], Generic[Q, R]):
    """Act, then answer with something made of the result and of what was looked at before."""

    scope: ClassVar[Scope | None] = None
    act: Command[Q]
    into: Callable[[Q], R]


@frozen
class IdempotencyRequest:
    """The caller's key, the kind of request it belongs to, and the whole request in canonical form."""

    key: str
    kind: str
    canonical: bytes
    comes_first: bool = False
    """A repetition is answered before a chain of commands looks at anything."""


@frozen
class Context(Generic[R]):
    """What surrounds a command.

    `render` turns the result into the bytes that are answered; with an idempotency key those bytes are
    stored in the transaction that makes the result true, and given again to a repetition.
    """

    principal: Principal
    dialect: str
    rules: TokenRules
    request_id: RequestId
    render: Callable[[R], bytes]
    idempotency: IdempotencyRequest | None = None


@frozen
class Executed(Generic[R]):
    """A fresh result and the rendered answer if it was stored (then exactly these bytes are sent)."""

    result: R
    answer: bytes | None = None


@frozen
class Replayed:
    """The first answer of a repeated request, byte for byte."""

    answer: bytes


# --- results ---------------------------------------------------------------------------------------


@frozen
class SingleUseTokenView:
    """A single-use token as its merchant sees it.

    `token.state` is the effective one: a minted token past its expiry is shown `expired`. `details` is
    nothing once the payload is gone. `now` is the merchant's clock, for `expires_in_s`.
    """

    token: SingleUseToken
    string: TokenString
    details: PayerDetails | None
    now: datetime


@frozen
class StoredTokenView:
    """A stored credential; `string` is there only in the answer that created it."""

    token: StoredToken
    details: PayerDetails | None = None
    string: TokenString | None = None


@frozen
class PaymentView:
    """A payment (or verification, or credit) with its operations, oldest first."""

    payment: Payment
    operations: Sequence[Operation]
    saved: StoredTokenView | None = None
    """The credential stored by this payment; with its string in the first answer only."""
    also_saved: Sequence[StoredTokenView] = ()
    """What it stored beside that one."""
    operation: Operation | None = None
    """The operation this command made, on commands that make one."""
    credential: StoredTokenView | None = None
    """The credential it was paid with."""


@frozen
class CheckoutSessionView:
    """A checkout session as its merchant, or its buyer, sees it.

    `session.state` is the effective one: an unpaid session past its time is shown `expired`.
    """

    session: CheckoutSession
    now: datetime
    """By the merchant's clock."""
    merchant_name: str = ""
    payment: PaymentView | None = None
    """Of the latest attempt."""
    stored: InstrumentSummary | None = None
    """The stored card that is offered for confirmation; nothing when it is gone meanwhile."""
    address: str | None = None
    """The secret that opens the buyer's page; only in the answer that made the session."""
    saved: Mapping[StoredTokenId, TokenString] = field(default_factory=dict[StoredTokenId, TokenString])
    """The strings of the tokens its payment stored; for the merchant alone."""
    made_attempt: bool = False
    """This command has tried to pay, whatever came of it."""


@frozen
class ClockView:
    """A test-mode merchant's clock."""

    now: datetime
    offset: timedelta


@frozen
class BatchView:
    """What a batch closing settled."""

    operations: Sequence[Operation]


@frozen
class AccessTokenView:
    """A bearer session as it is shown, once."""

    string: str
    lifetime_s: int
    scopes: frozenset[Scope]
    expires_at: datetime
    """By the merchant's clock."""


Subject = (
    PaymentView
    | StoredTokenView
    | CheckoutSessionView
    | SingleUseToken
    | Customer
    | Agreement
    | Document
    | WebhookEndpoint
)


@frozen
class Notice:
    """An event with what it is about, as that stood when the notice was put together."""

    event: Event
    subject: Subject | None
    """For an operation its payment, with the operation as `operation`; nothing when it is gone."""
    delivery_id: DeliveryId | None = None

    @property
    def payment(self) -> PaymentView | None:
        """Give the payment it is about, if it is about one."""
        return self.subject if isinstance(self.subject, PaymentView) else None


@frozen
class WebhookEndpointView:
    """An endpoint; `secret` is there only where it was just made, or where it was asked for."""

    endpoint: WebhookEndpoint
    secret: str | None = None


@frozen
class AccountSecretView:
    """The secret that signs everything a dialect sends to a merchant."""

    secret: str
    created_at: datetime
    number: int


@frozen
class DeliveryView:
    """A delivery with its attempts, oldest first; in lists without them."""

    delivery: Delivery
    attempts: Sequence[DeliveryAttempt] = ()


# --- single-use tokens -----------------------------------------------------------------------------


@frozen
class MintSingleUseToken(Command[SingleUseTokenView]):
    """Seal an instrument and give a token for it."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_MINT
    instrument: PaymentInstrument
    details: PayerDetails = field(default_factory=PayerDetails)
    lifetime_s: int | None = None
    """None takes the dialect's default."""
    customer_id: CustomerId | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with it; never card data."""


@frozen
class MintCopies(Command[Sequence[SingleUseTokenView]]):
    """Give a single-use token for each of some stored ones, so that a browser can hold it instead."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    token_ids: Sequence[StoredTokenId]


@frozen
class LookAtSingleUseToken(Command[SingleUseTokenView]):
    """Look at a token without any effect (I11)."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_READ
    token: TokenString


@frozen
class RevokeSingleUseToken(Command[SingleUseTokenView]):
    """End a token's life now and erase what it stood for."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    token: TokenString


@frozen
class ConsumeSingleUseToken(Command[SingleUseTokenView]):
    """Use a token up for a question that is answered here, and erase what it stood for."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    token: TokenString


# --- payments --------------------------------------------------------------------------------------


@frozen
class FromSingleUseToken:
    """Pay with a single-use token; `cvc` is what the customer typed this time, if it was minted without."""

    token: TokenString
    cvc: Sensitive | None = None


@frozen
class FromStoredToken:
    """Pay with a stored credential; `cvc` is what the customer typed this time."""

    token: TokenString
    kind: StoredTokenKind | None = None
    """The kind the request names, or either."""
    cvc: Sensitive | None = None


@frozen
class FromInstrument:
    """Pay with clear details, for dialects that take them in the payment itself."""

    instrument: PaymentInstrument
    details: PayerDetails = field(default_factory=PayerDetails)


@frozen
class FromCredential:
    """Pay with a stored credential under an agreement that names it: what a schedule does."""

    token_id: StoredTokenId
    agreement_id: AgreementId


@frozen
class FromKnownToken:
    """Pay with a stored credential that a use case found before; a dialect names credentials by string."""

    token_id: StoredTokenId
    cvc: Sensitive | None = None


Source = FromSingleUseToken | FromStoredToken | FromInstrument | FromKnownToken | FromCredential


@frozen
class UniqueReference:
    """A reference that may be used once in a scope for a time, as some gateways check for duplicates."""

    scope: str
    """What it is unique among: the dialect's word for the account and the kind of request."""
    reference: str
    kept: timedelta


@frozen
class SaveCredential:
    """Store the instrument of an approved payment."""

    kind: StoredTokenKind
    reason: Reason = Reason.UNSCHEDULED
    """For a recurrence token: what the agreement allows."""
    agreement_id: AgreementId | None = None
    """An agreement made before; otherwise a recurrence token gets one made for it."""
    name: str | None = None
    """The merchant's own, unique one."""
    customer_reference: str | None = None
    """The merchant's own name of the customer, where the dialect keeps no customers."""
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with the credential; never card data."""


@frozen
class VisitorPage:
    """A page for the payer of this payment; its address holds a visitor's credential.

    The string is kept with the payment's facts under `session`, because protocols show the address
    whenever the payment is read: what it opens must be harmless to whoever reads the database.
    """

    prefix: str
    lifetime: timedelta


@frozen
class Pay(Command[PaymentView]):
    """Open a payment.

    `kind` is PURCHASE (capture at once), AUTHORIZATION, VERIFICATION (amount zero, looks at the token)
    or CREDIT. A decline is a result, not an error. `attributes` reach the processor as they are:
    a dialect's own facts, never card data.
    """

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    kind: OperationKind
    money: Money
    source: Source
    initiator: Initiator = Initiator.CUSTOMER
    reason: Reason | None = None
    reference: str | None = None
    save: SaveCredential | None = None
    also_save: Sequence[SaveCredential] = ()
    """More credentials for the same instrument; needs `save`."""
    customer_id: CustomerId | None = None
    new_customer: CreateCustomer | None = None
    """Store this customer together with the payment, as whose it counts."""
    visitor_page: VisitorPage | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with it; never card data."""
    unique_reference: UniqueReference | None = None
    """Refuse the reference when it was used in this scope and its time is not over."""
    network_transaction_id: str | None = None
    """Of a first transaction made elsewhere, for imported agreements."""
    payer: PayerDetails | None = None
    """What the payer said this time, in place of what is stored with the token; for this payment only."""
    family: str | None = None
    """The list that the operation belongs to, by which `ListOperations` finds it."""
    callback: CallbackUrl | None = None
    """Who else is told of this payment and what follows it."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    replaces: PaymentId | None = None
    """An earlier payment whose place this one takes, as only one can; its facts name this one's id."""


@frozen
class FollowUp(Command[PaymentView]):
    """Capture, void, refund or increment.

    Without `amount_minor`: all that is left. Without `target_id`: a void takes what is uncaptured, or the
    whole purchase; a refund takes from what was captured.
    """

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    payment_id: PaymentId
    kind: OperationKind
    amount_minor: int | None = None
    target_id: OperationId | None = None
    reference: str | None = None
    family: str | None = None
    """The list that the operation belongs to, by which `ListOperations` finds it."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with it; never card data."""
    releases_rest: bool = False
    """Of a capture: void what it leaves uncaptured, by an operation of its own."""
    unique_reference: UniqueReference | None = None
    """Refuse the reference when it was used in this scope and its time is not over."""
    payment_facts: Facts | None = None
    """Replaces the payment's facts when the follow-up is approved."""


@frozen
class AmendPayment(Command[PaymentView]):
    """Replace a payment's facts; nothing that is a matter of money.

    `version` is the one that was read, so that a change made meanwhile is not overwritten.
    """

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    payment_id: PaymentId
    version: int
    facts: Facts
    operation_id: OperationId | None = None
    """The one of its operations that this is about, for the view."""


@frozen
class ResolveId(Command[str]):
    """Find the only id of this tenant within a range."""

    scope: ClassVar[Scope | None] = None
    ids: IdRange


@frozen
class ListOperations(Command[Page[PaymentView]]):
    """List operations with their payments, newest first; filters as in `ports.storage.Operations.page`."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    page: PageRequest


@frozen
class GetPayment(Command[PaymentView]):
    """Show a payment, a verification or a credit."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    payment_id: PaymentId


@frozen
class GetOperation(Command[PaymentView]):
    """Show the payment that an operation belongs to, and which operation that is."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    operation_id: OperationId


@frozen
class GetPaymentByKey(Command[PaymentView]):
    """Show the payment that was made under an idempotency key, while the key is remembered."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    kind: str
    """The kind of request the key belongs to."""
    key: str


@frozen
class ListPayments(Command[Page[PaymentView]]):
    """List payments, newest first; filters as in `ports.storage.Payments.page`."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    page: PageRequest
    with_operations: bool = False


# --- stored credentials ----------------------------------------------------------------------------


@frozen
class StoreCredential(Command[StoredTokenView]):
    """Turn a single-use token, which it spends, or clear details into a stored credential."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    source: FromSingleUseToken | FromInstrument | FromStoredToken
    """A stored token is copied: another name for the same instrument, with a mandate."""
    kind: StoredTokenKind = StoredTokenKind.PAYMENT_TOKEN
    is_unique: bool = False
    """Refuse an instrument that the customer has stored already."""
    mandate_reference: str | None = None
    """What the holder of a bank account signed."""
    customer_id: CustomerId | None = None
    agreement_id: AgreementId | None = None
    network_transaction_id: str | None = None
    label: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with it; never card data."""
    name: str | None = None
    """The merchant's own, unique one."""


@frozen
class GetStoredToken(Command[StoredTokenView]):
    """Show a stored credential by its id or its string, or by its name when `by_name`."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_READ
    token: str
    by_name: bool = False
    with_deleted: bool = False


@frozen
class ListStoredTokens(Command[Page[StoredTokenView]]):
    """List active stored credentials, or all of them, newest first."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_READ
    page: PageRequest
    with_deleted: bool = False
    with_details: bool = False
    """Opens the payer's details of each."""


@frozen
class ShowTokenStrings(Command[Mapping[StoredTokenId, TokenString]]):
    """Show the strings of active stored credentials again; those that were never sealed are left out.

    Each one shown is audited before it is opened.
    """

    scope: ClassVar[Scope | None] = Scope.TOKENS_SHOW
    token_ids: Sequence[StoredTokenId]


@frozen
class UpdateStoredToken(Command[StoredTokenView]):
    """Change label, metadata, customer, facts or what is sealed; what is None stays."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    token: str
    label: str | None = None
    metadata: Mapping[str, str] | None = None
    customer_id: CustomerId | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    facts: Facts | None = None
    change: Callable[[PaymentInstrument, PayerDetails], tuple[PaymentInstrument, PayerDetails]] | None = None
    """A pure function of what is sealed; its result is sealed in its place."""
    source: FromSingleUseToken | FromInstrument | None = None
    """Replaces what is sealed by what this stands for; a single-use token is spent."""
    version: int | None = None
    """Refuse when it is not the stored one."""


@frozen
class DeleteStoredToken(Command[StoredTokenView]):
    """Erase a stored credential."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    token: str
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with its end, beside the facts it has; never card data."""


@frozen
class CreateAgreement(Command[Agreement]):
    """Record what the customer consented to; `network_transaction_id` for one made elsewhere."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    reason: Reason
    consented_at: datetime | None = None
    """None means now."""
    customer_id: CustomerId | None = None
    network_transaction_id: str | None = None
    reference: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@frozen
class GetAgreement(Command[Agreement]):
    """Show an agreement."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_READ
    agreement_id: AgreementId


@frozen
class ListAgreements(Command[Page[Agreement]]):
    """List agreements, newest first."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_READ
    page: PageRequest


@frozen
class EndAgreement(Command[Agreement]):
    """End an agreement: its recurrence tokens are refused from now on."""

    scope: ClassVar[Scope | None] = Scope.TOKENS_WRITE
    agreement_id: AgreementId


# --- customers and events --------------------------------------------------------------------------


@frozen
class CreateCustomer(Command[Customer]):
    """Store a customer."""

    scope: ClassVar[Scope | None] = Scope.CUSTOMERS_WRITE
    reference: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    has_unique_email: bool = False
    """Refuse an e-mail address that another customer of the merchant has."""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with it; never card data."""
    has_unique_reference: bool = False
    """Refuse a reference that another customer of this kind has."""


@frozen
class NewDocument:
    """A document that comes with a customer; `key` is how the credentials of the same request name it."""

    key: str
    kind: str
    facts: Facts
    state: str = ""


@frozen
class NewCredential:
    """A credential that comes with a customer, whose it becomes.

    `links` names facts of the credential that are ids of what the same request made: a document by its key,
    an earlier credential as `credential:0`.
    """

    store: StoreCredential
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    unique_reference: UniqueReference | None = None


@frozen
class Enrolled:
    """A customer and what was stored for them."""

    customer: Customer
    documents: Mapping[str, Document]
    credentials: Sequence[StoredTokenView]


@frozen
class Enrol(Command[Enrolled]):
    """Store a customer, documents and credentials of theirs: all of it or nothing.

    A refused request spends no token.
    """

    scope: ClassVar[Scope | None] = Scope.CUSTOMERS_WRITE
    customer: CreateCustomer | CustomerId
    """A new one, or one that is there."""
    documents: Sequence[NewDocument] = ()
    credentials: Sequence[NewCredential] = ()


@frozen
class GetCustomer(Command[Customer]):
    """Show a customer."""

    scope: ClassVar[Scope | None] = Scope.CUSTOMERS_READ
    customer_id: CustomerId


@frozen
class ListCustomers(Command[Page[Customer]]):
    """List customers, newest first."""

    scope: ClassVar[Scope | None] = Scope.CUSTOMERS_READ
    page: PageRequest


@frozen
class UpdateCustomer(Command[Customer]):
    """Change a customer; what is not in `changes` stays, None clears.

    `changes` holds any of `reference`, `name`, `email`, `phone`; `metadata` replaces when given.
    """

    scope: ClassVar[Scope | None] = Scope.CUSTOMERS_WRITE
    customer_id: CustomerId
    changes: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    metadata: Mapping[str, str] | None = None
    facts: Facts | None = None
    has_unique_reference: bool = False
    """Refuse a reference that another customer of this kind has."""


@frozen
class DeleteCustomer(Command[Customer]):
    """Delete a customer and every credential stored for them."""

    scope: ClassVar[Scope | None] = Scope.CUSTOMERS_WRITE
    customer_id: CustomerId
    document_kinds: tuple[str, ...] = ()
    """Kinds of documents of theirs that go as well."""


@frozen
class FindNumbered(Command[str]):
    """Find the id of the thing that has a number; `prefix` names what kind of thing it is."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    prefix: Literal["pay", "op", "cus", "pt"]
    numbering: Numbering
    number: int


@frozen
class GetEvent(Command[Event]):
    """Show one event."""

    scope: ClassVar[Scope | None] = Scope.EVENTS_READ
    event_id: EventId


@frozen
class ListEvents(Command[Page[Event]]):
    """List what happened, newest first."""

    scope: ClassVar[Scope | None] = Scope.EVENTS_READ
    page: PageRequest


@frozen
class GetNotice(Command[Notice]):
    """Show one event with what it is about."""

    scope: ClassVar[Scope | None] = Scope.EVENTS_READ
    event_id: EventId


@frozen
class ListNotices(Command[Page[Notice]]):
    """List events with what they are about, newest first."""

    scope: ClassVar[Scope | None] = Scope.EVENTS_READ
    page: PageRequest


# --- webhooks --------------------------------------------------------------------------------------


@frozen
class CreateWebhookEndpoint(Command[WebhookEndpointView]):
    """Have an address told what happens, signed with a secret that is shown now."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    url: str
    kind: str
    """Which of the dialect's declared callbacks it gets."""
    event_types: Sequence[str] = ()
    """None means all."""
    is_enabled: bool = True
    description: str | None = None
    facts: Facts = field(default_factory=dict[str, object])
    secret: str | None = None
    """The caller's own; without one it is made."""


@frozen
class GetWebhookEndpoint(Command[WebhookEndpointView]):
    """Show an endpoint.

    With `with_secret`, for protocols that show it again, its secret too if the caller may also change it.
    """

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_READ
    endpoint_id: WebhookEndpointId
    with_secret: bool = False


@frozen
class ListWebhookEndpoints(Command[Page[WebhookEndpointView]]):
    """List configured endpoints, newest first; filters as in `ports.storage.Webhooks.page_endpoints`."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_READ
    page: PageRequest


@frozen
class UpdateWebhookEndpoint(Command[WebhookEndpointView]):
    """Change an endpoint; what is None stays. Enabling also ends what disabled it."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    endpoint_id: WebhookEndpointId
    url: str | None = None
    event_types: Sequence[str] | None = None
    is_enabled: bool | None = None
    description: str | None = None
    facts: Facts | None = None
    secret: str | None = None
    """Replaces the secret at once."""


@frozen
class DeleteWebhookEndpoint(Command[WebhookEndpointView]):
    """Delete an endpoint and its secrets; what is still on its way to it is cancelled."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    endpoint_id: WebhookEndpointId


@frozen
class RotateWebhookSecret(Command[WebhookEndpointView]):
    """Give an endpoint a new secret; the old one signs too until the overlap is over."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    endpoint_id: WebhookEndpointId
    overlap: timedelta = timedelta(days=1)


@frozen
class PingWebhookEndpoint(Command[Event]):
    """Send an endpoint an event that tells of nothing."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    endpoint_id: WebhookEndpointId


@frozen
class RotateAccountSecret(Command[AccountSecretView]):
    """Give the merchant a new secret in this dialect; the old one ends with the overlap."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    overlap: timedelta = timedelta(0)
    secret: str | None = None
    """The caller's own; without one it is made."""


@frozen
class GetAccountSecret(Command[AccountSecretView | None]):
    """Show the merchant's secret in this dialect, for protocols that show it again; nothing without one."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE


@frozen
class GetDelivery(Command[DeliveryView]):
    """Show a delivery with its attempts."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_READ
    delivery_id: DeliveryId


@frozen
class ListDeliveries(Command[Page[DeliveryView]]):
    """List deliveries, newest first; filters as in `ports.storage.Webhooks.page_deliveries`."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_READ
    page: PageRequest


@frozen
class ReplayDelivery(Command[DeliveryView]):
    """Send a delivery again, the same bytes under the same ids, from the beginning of its schedule."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    delivery_id: DeliveryId


@frozen
class ResendEvent(Command[Sequence[DeliveryView]]):
    """Tell an event again to every open endpoint that wants it, or to one of them."""

    scope: ClassVar[Scope | None] = Scope.WEBHOOKS_WRITE
    event_id: EventId
    endpoint_id: WebhookEndpointId | None = None


# --- documents and sessions ------------------------------------------------------------------------


@frozen
class CreateDocument(Command[Document]):
    """Keep a thing beside payments; `name` is unique within its kind."""

    scope: ClassVar[Scope | None] = Scope.DOCUMENTS_WRITE
    kind: str
    facts: Facts
    state: str = ""
    parent_id: str | None = None
    name: str | None = None


@frozen
class GetDocument(Command[Document]):
    """Show a document by its id, or by its name when `by_name`."""

    scope: ClassVar[Scope | None] = Scope.DOCUMENTS_READ
    kind: str
    document: str
    by_name: bool = False
    with_deleted: bool = False
    """Show a deleted one too."""


@frozen
class ListDocuments(Command[Page[Document]]):
    """List documents of a kind, newest first; filters: `parent_id`, `state`, `name`."""

    scope: ClassVar[Scope | None] = Scope.DOCUMENTS_READ
    kind: str
    page: PageRequest


@frozen
class UpdateDocument(Command[Document]):
    """Change a document that was just read; what is None stays.

    `version` is the one that was read, so that a change made meanwhile is not overwritten.
    """

    scope: ClassVar[Scope | None] = Scope.DOCUMENTS_WRITE
    kind: str
    document_id: DocumentId
    version: int
    facts: Facts | None = None
    state: str | None = None
    parent_id: str | None = None


@frozen
class DeleteDocument(Command[Document]):
    """Delete a document; with `frees_name` another one may take its name."""

    scope: ClassVar[Scope | None] = Scope.DOCUMENTS_WRITE
    kind: str
    document_id: DocumentId
    frees_name: bool = True


@frozen
class AnswerDocument(Command[Document]):
    """Record what a payer's browser says about a document that waits for it.

    A key that lives in a browser may do this and no more: the document must be in the state it waits in.
    """

    scope: ClassVar[Scope | None] = Scope.TOKENS_MINT
    kind: str
    document_id: DocumentId
    waits_in: str
    state: str
    facts: Facts
    """Added to those that are there."""


@frozen
class FindAccount(Command[bool]):
    """Tell whether the caller's merchant has an account of this name in a dialect."""

    scope: ClassVar[Scope | None] = None
    dialect: str
    name: str


@frozen
class IssueAccessToken(Command[AccessTokenView]):
    """Give a bearer string for the caller's key, with all of the key's scopes, for at most an hour."""

    scope: ClassVar[Scope | None] = None
    lifetime_s: int = 3600
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """More facts that go with the session, beside the key's own."""
    use: CredentialUse = CredentialUse.ACCESS_TOKEN
    """`VISITOR` for what is handed to a browser."""
    scopes: frozenset[Scope] | None = None
    """Fewer than the key has."""


# --- subscriptions ---------------------------------------------------------------------------------


@frozen
class SubscriptionView:
    """A subscription, its plan, what it bills to, and the payment a collection made."""

    subscription: Subscription
    token: StoredTokenView | None
    plan: Document | None
    payment: PaymentView | None = None


@frozen
class CreateSubscription(Command[SubscriptionView]):
    """Bill a stored credential by a schedule, from now on without the customer.

    `setup`, if there is one, is charged at once; a subscription whose setup is declined begins suspended.
    """

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    name: str
    plan: Document
    token: StoredToken
    is_automatic: bool
    money: Money
    """Of an instalment."""
    frequency: Frequency
    start_on: date
    end_on: date | None = None
    length: int = 0
    skipped: int = 0
    setup: Money | None = None
    setup_reference: str | None = None
    facts: Facts = field(default_factory=dict[str, object])
    payment_facts: Facts = field(default_factory=dict[str, object])


@frozen
class GetSubscription(Command[SubscriptionView]):
    """Show a subscription by the merchant's name for it."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    name: str


@frozen
class ListSubscriptions(Command[Page[SubscriptionView]]):
    """List subscriptions, newest first; filters as in `ports.storage.Subscriptions.page`."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_READ
    page: PageRequest


@frozen
class ChangeSubscription(Command[SubscriptionView]):
    """Change a subscription that was just read, by a pure function of what is stored.

    `version` is the one that was read, so that a change made meanwhile is not overwritten.
    """

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    name: str
    version: int
    change: Callable[[Subscription, date], Subscription]
    """Takes the stored subscription and today by the merchant's clock; may refuse."""


@frozen
class CollectInstalment(Command[SubscriptionView]):
    """Collect the current period's instalment of a subscription that has no schedule of its own."""

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    name: str
    amount_minor: int | None = None
    reference: str | None = None
    facts: Facts = field(default_factory=dict[str, object])


@frozen
class ChangePlan(Command[Document]):
    """Change or delete a plan, which is a document, and its subscriptions with it.

    Without `facts` the plan is deleted. `change` is applied to each of its active subscriptions.
    """

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    plan: Document
    facts: Facts | None
    change: Callable[[Subscription], Subscription] | None = None


# --- checkout sessions ------------------------------------------------------------------------------


@frozen
class CreateCheckoutSession(Command[CheckoutSessionView]):
    """Make an order that a buyer is sent to pay.

    `token` is the stored credential that is offered for confirmation; an unknown one is refused unless
    `token_may_be_unknown`, and then there is none. `address_of` makes the address of the buyer's page out of
    the session's id, where a protocol wants it so; otherwise it is a fresh secret of 256 bits.
    """

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_WRITE
    kind: OperationKind
    terms: CheckoutTerms
    lifetime: timedelta | None = None
    """None takes a day."""
    expires_at: datetime | None = None
    """By the merchant's clock, in place of a lifetime."""
    reference: str | None = None
    customer_id: CustomerId | None = None
    token: TokenString | None = None
    token_may_be_unknown: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with the session; never card data."""
    payment_facts: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with the payment; `checkout.SESSION_FACT` is added, the session's id."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """What reaches the processor as it is."""
    note: Facts = field(default_factory=dict[str, object])
    """What the dialect wants back with the first entry of the session's history."""
    address_of: Callable[[CheckoutSessionId], str] | None = None
    callback: CallbackUrl | None = None
    """Who else is told of this session, its payment and what follows it."""


@frozen
class PayNewCheckoutSession(Command[CheckoutSessionView]):
    """Make a session and pay it at once with a stored credential, as merchants do when no buyer is there.

    A failed attempt ends the session. The session is found by whoever asks for it later.
    """

    scope: ClassVar[Scope | None] = Scope.PAYMENTS_WRITE
    session: CreateCheckoutSession
    source: FromStoredToken
    initiator: Initiator = Initiator.MERCHANT
    reason: Reason | None = None
    unique_reference: UniqueReference | None = None
    """Refuse the reference when it was used in this scope and its time is not over."""


@frozen
class GetCheckoutSession(Command[CheckoutSessionView]):
    """Show a session to its merchant, with the strings of the tokens it stored."""

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_READ
    session_id: CheckoutSessionId


@frozen
class ListCheckoutSessions(Command[Page[CheckoutSessionView]]):
    """List sessions, newest first; filters: `state`, `reference`, `customer_id`, `payment_id`.

    Without payments, stored cards and strings. A filter by state goes by what is stored: a session past its
    time may still be found as open for a few seconds.
    """

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_READ
    page: PageRequest


@frozen
class UpdateCheckoutSession(Command[CheckoutSessionView]):
    """Change what is asked of the buyer; what is None stays.

    `version` is the one that was read, where the change was made out of it.
    """

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_WRITE
    session_id: CheckoutSessionId
    terms: CheckoutTerms | None = None
    facts: Facts | None = None
    payment_facts: Facts | None = None
    metadata: Mapping[str, str] | None = None
    expires_at: datetime | None = None
    version: int | None = None
    requires_lock: bool = False
    """Refuse unless the session is locked."""
    removes_lock: bool = False
    note: Facts = field(default_factory=dict[str, object])


@frozen
class LockCheckoutSession(Command[CheckoutSessionView]):
    """Keep the buyer from paying while the order changes; `session.lock_id` names the lock.

    The buyer's page asks for it when something of the order is changed there, so its visitor may do it.
    """

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_PAY
    note: Facts = field(default_factory=dict[str, object])


@frozen
class CancelCheckoutSession(Command[CheckoutSessionView]):
    """End a session that is not being paid; one that was authorized is voided first.

    Cancelling again is harmless.
    """

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_WRITE
    session_id: CheckoutSessionId
    note: Facts = field(default_factory=dict[str, object])


@frozen
class ViewCheckoutSession(Command[CheckoutSessionView]):
    """Show a session to the buyer who has its address; `visits` notes it in the session's history."""

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_PAY
    visits: bool = False
    facts: Facts = field(default_factory=dict[str, object])
    """Laid over the session's own on a visit: the visitor's address and program, say."""
    note: Facts = field(default_factory=dict[str, object])


@frozen
class PayCheckoutSession(Command[CheckoutSessionView]):
    """Try to pay the session whose address the buyer has.

    With `instrument` for a card typed in, or with `cvc` for the stored card. Where there is nothing to pay
    any more (a second click, another tab), the session is shown as it is.
    """

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_PAY
    instrument: FromInstrument | FromSingleUseToken | None = None
    cvc: Sensitive | None = None
    saves: bool = False
    """The buyer wants the card kept."""
    facts: Facts = field(default_factory=dict[str, object])
    """Laid over the session's `payment_facts`."""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    note: Facts = field(default_factory=dict[str, object])


@frozen
class AbandonCheckoutSession(Command[CheckoutSessionView]):
    """Leave: the buyer ends the session; one that has ended stays as it is."""

    scope: ClassVar[Scope | None] = Scope.CHECKOUT_PAY
    note: Facts = field(default_factory=dict[str, object])


# --- the sandbox -----------------------------------------------------------------------------------


@frozen
class MoveClock(Command[ClockView]):
    """Move a test-mode merchant's clock forward by a duration; zero only reads it."""

    scope: ClassVar[Scope | None] = Scope.SANDBOX_WRITE
    forward: timedelta = timedelta(0)


@frozen
class AddFault(Command[Fault]):
    """Script trouble for the tenant's next requests to the sandbox acquirer."""

    scope: ClassVar[Scope | None] = Scope.SANDBOX_WRITE
    fault: Fault


@frozen
class ClearFaults(Command[None]):
    """Forget the tenant's scripted trouble."""

    scope: ClassVar[Scope | None] = Scope.SANDBOX_WRITE


@frozen
class DecidePending(Command[PaymentView]):
    """Be the payer of a pending payment: complete it, or not for a reason; a decided one stays as it is."""

    scope: ClassVar[Scope | None] = Scope.SANDBOX_WRITE
    payment_id: PaymentId
    reason: DeclineReason | None = None
    """None completes it."""
    code: str | None = None
    """The acquirer's own code for the reason."""


@frozen
class CloseBatch(Command[BatchView]):
    """Close the acquirer's batch now: captures and refunds settle, bank debits get their result."""

    scope: ClassVar[Scope | None] = Scope.SANDBOX_WRITE
