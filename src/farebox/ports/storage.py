"""Durable state: units of work and one repository per aggregate.

`Storage.write(work)` runs `work(uow)` as one atomic transaction and returns after it is durable. What
`work` raises undoes this work alone and reaches the caller; neighbours that share the engine's
commit are not disturbed (group commit, architecture §10). Two rules follow for every `work`:

- it awaits nothing but methods of its unit of work, because an engine may drive it to its end
  without an event loop;
- it has no effect outside, because an engine may run it again after a deadlock.

Every query names its tenant. Methods are named for intentions and never commit. Instants are judged by
the database's clock (`uow.now()`), moved forward by the merchant's `clock_offset` where one is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from farebox.domain.access import AccessSession, Tenant
from farebox.domain.audit import AuditEntry, ChainedEntry
from farebox.domain.checkout import CheckoutSession
from farebox.domain.credentials_on_file import Agreement
from farebox.domain.customers import Customer
from farebox.domain.documents import Document
from farebox.domain.events import Event
from farebox.domain.frozen import frozen
from farebox.domain.idempotency import IdempotencyRecord
from farebox.domain.ids import (
    AgreementId,
    ApiKeyId,
    CheckoutSessionId,
    CustomerId,
    DeliveryId,
    DocumentId,
    EventId,
    IdRange,
    MerchantId,
    OperationId,
    PaymentId,
    SingleUseTokenId,
    StoredTokenId,
    SubscriptionId,
    WebhookEndpointId,
)
from farebox.domain.merchants import ApiKey, Merchant, MerchantAccount
from farebox.domain.operations import Operation
from farebox.domain.payments import Payment
from farebox.domain.subscriptions import Subscription
from farebox.domain.tokens import SingleUseToken, StoredToken, TokenState
from farebox.domain.webhooks import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    DisabledReason,
    SigningSecret,
    WebhookEndpoint,
)
from farebox.ports.keys import KeyRepository

T = TypeVar("T")


@frozen
class PageRequest:
    """Which part of a list: newest first, keyed by the id, which is ordered by time.

    `after` continues towards older rows, `before` towards newer ones; at most one is given.
    """

    limit: int = 10
    after: str | None = None
    before: str | None = None
    filters: Mapping[str, str | int | tuple[str, ...]] = field(
        default_factory=dict[str, "str | int | tuple[str, ...]"]
    )
    """Conditions on a closed set of columns which each list names; a tuple means any of its values."""
    offset: int = 0
    """How many of the newest rows to pass over, for protocols that count."""
    since: datetime | None = None
    """Only what was created at this instant or later, by the merchant's clock."""
    until: datetime | None = None
    """Only what was created before this instant."""


@frozen
class Page(Generic[T]):
    """Some rows, newest first, and whether there are more in the direction asked for."""

    items: Sequence[T]
    has_more: bool


class SingleUseTokens(Protocol):
    """Single-use tokens, found by digest."""

    async def insert(self, token: SingleUseToken) -> None:
        """Store a fresh token."""
        ...

    async def find(self, tenant: Tenant, token_mac: bytes) -> SingleUseToken | None:
        """Give the token; a `minted` one past its expiry is still given as stored."""
        ...

    async def find_by_id(self, tenant: Tenant, token_id: SingleUseTokenId) -> SingleUseToken | None:
        """Give the token by its id."""
        ...

    async def reserve(
        self, tenant: Tenant, token_mac: bytes, operation_id: OperationId, clock_offset: timedelta
    ) -> SingleUseToken | None:
        """Reserve a live token by one conditional write (R1).

        Liveness is judged twice by the database clock: in the condition and again in what the write
        returns, after the row lock. Nothing when there is no such live, minted token; the caller
        then rolls back by raising and explains from `find`. The token is given with its sealed parts.
        """
        ...

    async def take_verification(
        self,
        tenant: Tenant,
        token_mac: bytes,
        operation_id: OperationId,
        clock_offset: timedelta,
        verifications_max: int,
    ) -> SingleUseToken | None:
        """Count one look by verification; nothing when the token is not live or has been verified enough.

        The CVC goes to one verification only: it is handed over in `sealed.cvc` to the first caller
        (compare-and-set) and erased when that verification's answer is recorded.
        """
        ...

    async def erase_cvc(self, token_id: SingleUseTokenId, tenant: Tenant) -> None:
        """Erase the sealed CVC (SEC-02)."""
        ...

    async def settle(self, token_id: SingleUseTokenId, tenant: Tenant, operation_id: OperationId) -> bool:
        """Move `reserved` by this operation to `spent` and erase payload, details and CVC."""
        ...

    async def give_back(
        self, token_id: SingleUseTokenId, tenant: Tenant, operation_id: OperationId, clock_offset: timedelta
    ) -> TokenState | None:
        """Move `reserved` by this operation to `minted`, or to `expired` (erased) when its time is over."""
        ...

    async def revoke(
        self, tenant: Tenant, token_mac: bytes, clock_offset: timedelta
    ) -> SingleUseToken | None:
        """Move a live `minted` token to `revoked`, erased; nothing when it was not live."""
        ...

    async def expire_due(self, limit: int) -> Sequence[SingleUseToken]:
        """Move at most `limit` minted tokens past their expiry to `expired`, erased; all tenants.

        A merchant's test clock counts. Queue-like: concurrent callers get different rows.
        """
        ...


class StoredTokens(Protocol):
    """Payment tokens and recurrence tokens."""

    async def insert(self, token: StoredToken) -> None:
        """Store a credential.

        Raises:
            Conflict: `name_already_used`.
        """
        ...

    async def find_by_name(self, tenant: Tenant, name: str) -> StoredToken | None:
        """Give the credential that has, or had, this name."""
        ...

    async def find(self, tenant: Tenant, token_macs: Sequence[bytes]) -> StoredToken | None:
        """Give the active or deleted token with one of these digests (one per class)."""
        ...

    async def find_by_id(self, tenant: Tenant, token_id: StoredTokenId) -> StoredToken | None: ...

    async def find_by_fingerprint(
        self, tenant: Tenant, fingerprint: bytes, customer_id: CustomerId | None
    ) -> Sequence[StoredToken]:
        """Give the active tokens of one instrument, newest first, at most 100."""
        ...

    async def update(self, token: StoredToken) -> bool:
        """Write what may change of a credential, where the version is the one given.

        That is label, metadata, customer, agreement, summary, sealed parts and network transaction id; the
        stored version grows by one.
        """
        ...

    async def delete(self, token: StoredToken) -> bool:
        """Move `active` to `deleted`, write facts and end, and overwrite every sealed part now."""
        ...

    async def of_payment(self, tenant: Tenant, payment_id: PaymentId) -> Sequence[StoredToken]:
        """Give the tokens that a payment stored, deleted ones too, oldest first."""
        ...

    async def page(
        self, tenant: Tenant, page: PageRequest, *, with_deleted: bool = False
    ) -> Page[StoredToken]:
        """List active tokens, or all.

        Filters: `kind`, `customer_id`, `agreement_id`, `customer_reference`.
        """
        ...

    async def due_for_rewrap(
        self, tenant: Tenant, newest_key: bytes, after: StoredTokenId | None, limit: int
    ) -> Sequence[StoredToken]:
        """Give active tokens whose wrapped key is not under `newest_key` (8-byte key id), in id order."""
        ...

    async def swap_wrap(
        self, tenant: Tenant, token_id: StoredTokenId, old_wrap: bytes, new_wrap: bytes
    ) -> bool:
        """Replace the wrapped record key if it is still `old_wrap`."""
        ...


class Payments(Protocol):
    """Payments with their amounts."""

    async def insert(self, payment: Payment) -> None: ...

    async def find(self, tenant: Tenant, payment_id: PaymentId) -> Payment | None: ...

    async def lock(self, tenant: Tenant, payment_id: PaymentId) -> Payment | None:
        """Give the payment with its row locked until the end of this work: nobody else changes it."""
        ...

    async def update(self, payment: Payment) -> bool:
        """Write state, amounts, outcome and links where the stored version is `payment.version`.

        The stored version grows by one. The schema's CHECK constraints refuse amounts out of bounds (I7).
        """
        ...

    async def amend(self, payment: Payment) -> bool:
        """Write the facts where the stored version is the one given; it grows by one."""
        ...

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Payment]:
        """List.

        Filters: `kind`, `status`, `reference`, `customer_id`, `agreement_id`, `stored_token_id`, `dialect`,
        and `from_us`, `to_us` on the instant of creation by the merchant's clock.
        """
        ...

    async def made_alone(self, tenant: Tenant, fingerprint: bytes, limit: int) -> Sequence[Payment]:
        """Give the newest payments that the merchant made alone with any stored token of one instrument.

        Those declined for too many attempts are left out: the issuer was not asked.
        """
        ...


class Operations(Protocol):
    """Operations; the partial unique index lives here (I1)."""

    async def insert(self, operation: Operation) -> None:
        """Store an operation before it is sent.

        Raises:
            Conflict: `token_already_consumed` when the index finds another live operation of the
                token; `reference_already_used` for a processor reference in use;
                `payment_state_conflict` when the target already has a live void.
        """
        ...

    async def find(self, tenant: Tenant, operation_id: OperationId) -> Operation | None: ...

    async def find_between(self, tenant: Tenant, first: str, last: str) -> Operation | None:
        """Give the newest operation whose id lies in a range, both ends included."""
        ...

    async def of_payment(self, tenant: Tenant, payment_id: PaymentId) -> Sequence[Operation]:
        """Give a payment's operations in order of creation, at most 1,000."""
        ...

    async def close(self, operation: Operation) -> bool:
        """Record an answer where the stored state still is open (`submitted`, `in_doubt`, `pending`).

        False means somebody closed it first, and R4 applies. An operation that recovery has begun to
        reverse takes no answer but `reversed`: the reversal may already have undone what an approval
        would record.
        """
        ...

    async def begin_reversal(self, operation: Operation) -> bool:
        """Mark an operation in doubt as being reversed; False when it is not in doubt any more."""
        ...

    async def compensated(self, operation: Operation) -> None:
        """Note that the late approval of a closed operation has been reversed."""
        ...

    async def doubt(self, operation: Operation) -> bool:
        """Move `submitted` to `in_doubt`; False when it was not submitted any more."""
        ...

    async def compensate(self, operation: Operation) -> None:
        """Note that a declined or reversed operation got a late approval which must be reversed (R4).

        A failed one never does: nothing of it was sent, so its idempotency key and with it its reference
        may have passed on to a repetition, and what is approved under the reference is that one's.
        """
        ...

    async def due_for_recovery(self, limit: int) -> Sequence[Operation]:
        """Give operations of all tenants that recovery may act on now.

        These are `submitted`, `in_doubt`, `pending` or `reversing` ones whose `next_attempt_at` has come
        (for a submitted one that is `send_by` plus processor timeout plus grace, R7). Queue-like where the
        engine can skip locked rows; leases the rows by moving `next_attempt_at` 30 s on, so that two
        workers never act on one at the same time.
        """
        ...

    async def pending(self, tenant: Tenant, limit: int) -> Sequence[Operation]:
        """Give the tenant's operations whose result the processor still owes, oldest first."""
        ...

    async def postpone(self, operation: Operation) -> None:
        """Write `attempts` and `next_attempt_at` of an operation that is not settled yet."""
        ...

    async def mark_settled(
        self, tenant: Tenant, references: Sequence[str], settled_at: datetime
    ) -> Sequence[Operation]:
        """Note that the acquirer's batch took these approved operations; give those that were not yet."""
        ...

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Operation]:
        """List; filters: `family`, `reference`, `kind`, and `from_us`, `to_us` as for payments."""
        ...

    async def oldest_envelope_day(self) -> int | None:
        """Give the day (since 1970) of the oldest envelope that recovery may still need."""
        ...

    async def doubt_statistics(self) -> Mapping[str, tuple[int, datetime | None]]:
        """Give, by processor, how many operations are in doubt and since when the oldest is."""
        ...


class Idempotency(Protocol):
    """Remembered requests."""

    async def claim(self, record: IdempotencyRecord) -> IdempotencyRecord | None:
        """Store a running record; nothing means it is ours, otherwise the one that was there first."""
        ...

    async def find(self, tenant: Tenant, kind: str, key_mac: bytes) -> IdempotencyRecord | None: ...

    async def finish(
        self, tenant: Tenant, kind: str, key_mac: bytes, answer: bytes, bucket_minute: int | None
    ) -> bool:
        """Store the sealed first answer of a running record; False when it already had one."""
        ...

    async def abandon(self, tenant: Tenant, kind: str, key_mac: bytes) -> None:
        """Forget a running record: nothing was sent, the same key may start again."""
        ...

    async def purge(self, older_than: datetime, limit: int) -> int:
        """Delete finished records; give how many."""
        ...


class Events(Protocol):
    """The outbox."""

    async def append(self, events: Sequence[Event]) -> None: ...

    async def find(self, tenant: Tenant, event_id: EventId) -> Event | None: ...

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Event]:
        """List; filters: `type`, `object_id`."""
        ...

    async def newest(self) -> EventId | None:
        """Give the id of the newest event of all tenants."""
        ...

    async def exists(self, event_id: EventId) -> bool:
        """Tell whether an event is here, whoever's it is."""
        ...

    async def purge(self, older_than: datetime, limit: int) -> int: ...


class Audit(Protocol):
    """The hash-chained audit (SEC-11)."""

    async def append(self, entries: Sequence[AuditEntry]) -> None:
        """Chain entries to the end of this engine connection's own chain."""
        ...

    async def chains(self) -> Sequence[str]: ...

    async def walk(self, chain: str, after_position: int, limit: int) -> Sequence[ChainedEntry]:
        """Give entries in chain order, for the verifier."""
        ...


class Customers(Protocol):
    """Customers of merchants."""

    async def insert(self, customer: Customer) -> None: ...

    async def find(self, tenant: Tenant, customer_id: CustomerId) -> Customer | None:
        """Give the customer unless deleted."""
        ...

    async def update(self, customer: Customer) -> bool:
        """Write every field (`deleted_at` too) where the version is the one given."""
        ...

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Customer]:
        """List; filters: `reference`, `email`."""
        ...


class Agreements(Protocol):
    """Agreements behind recurrence tokens."""

    async def insert(self, agreement: Agreement) -> None: ...

    async def find(self, tenant: Tenant, agreement_id: AgreementId) -> Agreement | None: ...

    async def update(self, agreement: Agreement) -> bool: ...

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Agreement]:
        """List; filters: `customer_id`, `state`."""
        ...


class Merchants(Protocol):
    """Merchants, their accounts and API keys."""

    async def insert(self, merchant: Merchant) -> None: ...

    async def find(self, merchant_id: MerchantId) -> Merchant | None: ...

    async def all(self) -> Sequence[Merchant]: ...

    async def advance_clock(self, tenant: Tenant, offset: timedelta) -> bool:
        """Set a test-mode merchant's clock offset; only ever forward."""
        ...

    async def insert_account(self, account: MerchantAccount) -> None: ...

    async def accounts(self, tenant: Tenant) -> Sequence[MerchantAccount]: ...

    async def owners_of_account(self, dialect: str, name: str) -> Sequence[MerchantId]:
        """Give the merchants that have an account of this name in a dialect; of all tenants."""
        ...

    async def insert_key(self, key: ApiKey) -> None: ...

    async def find_key(self, key_mac: bytes) -> tuple[ApiKey, Merchant] | None:
        """Give an unrevoked key and its merchant."""
        ...

    async def keys(self, merchant_id: MerchantId | None) -> Sequence[ApiKey]: ...

    async def revoke_key(self, key_id: ApiKeyId) -> bool: ...


class Probing(Protocol):
    """Counts distinct cards of one shape, the oracle of card probing (security design §3.5)."""

    async def count(self, tenant: Tenant, bin_and_last_four: str, day: int, fingerprint: bytes) -> int:
        """Note a fingerprint and give how many distinct ones this shape has today."""
        ...

    async def purge(self, before_day: int) -> int: ...


class Documents(Protocol):
    """What merchants keep beside payments."""

    async def insert(self, document: Document) -> None:
        """Store a document.

        Raises:
            Conflict: `name_already_used`.
        """
        ...

    async def find(self, tenant: Tenant, kind: str, document_id: DocumentId) -> Document | None:
        """Give a document, deleted ones too."""
        ...

    async def find_by_name(self, tenant: Tenant, kind: str, name: str) -> Document | None:
        """Give the document that has, or had, this name."""
        ...

    async def update(self, document: Document) -> bool:
        """Write state, parent, name, facts and both instants where the version is the one given.

        Raises:
            Conflict: `name_already_used`.
        """
        ...

    async def page(self, tenant: Tenant, kind: str, page: PageRequest) -> Page[Document]:
        """List what is not deleted; filters: `parent_id`, `state`, `name`."""
        ...


class References(Protocol):
    """A merchant's references that may not be used twice for a time."""

    async def take(
        self, tenant: Tenant, scope: str, reference: str, *, now: datetime, until: datetime
    ) -> bool:
        """Take a reference until an instant by the merchant's clock; False while somebody has it."""
        ...

    async def release(self, tenant: Tenant, scope: str, reference: str) -> None:
        """Let a reference go before its time."""
        ...

    async def purge(self, limit: int) -> int:
        """Forget those whose time is over, by the wall clock."""
        ...


class Sessions(Protocol):
    """Bearer sessions: access tokens and visitors of pages, found by digest."""

    async def insert(self, session: AccessSession) -> None: ...

    async def find(self, mac: bytes) -> tuple[AccessSession, Merchant] | None:
        """Give a session and its merchant, ended ones too; nothing when its key has been revoked."""
        ...

    async def purge(self, limit: int) -> int:
        """Forget sessions that ended a day ago or more."""
        ...


class Moments(Protocol):
    """Finds ids of which only prefix and moment are known."""

    async def ids(self, tenant: Tenant, ids: IdRange) -> Sequence[str]:
        """Give the ids of payments, operations or documents within a range, at most two."""
        ...


class Subscriptions(Protocol):
    """What is billed by a schedule."""

    async def insert(self, subscription: Subscription) -> None:
        """Store a subscription.

        Raises:
            Conflict: `name_already_used`.
        """
        ...

    async def find(self, tenant: Tenant, subscription_id: SubscriptionId) -> Subscription | None: ...

    async def find_by_name(self, tenant: Tenant, name: str) -> Subscription | None: ...

    async def of_plan(self, tenant: Tenant, plan_id: str) -> Sequence[Subscription]:
        """Give all of a plan's subscriptions, oldest first."""
        ...

    async def update(self, subscription: Subscription) -> bool:
        """Write what may change where the stored version is the one given; it grows by one."""
        ...

    async def record_payment(self, subscription: Subscription, payment_id: PaymentId) -> None:
        """Note the payment of the subscription's current period; the schema refuses a second one."""
        ...

    async def due(self, limit: int) -> Sequence[tuple[Subscription, timedelta]]:
        """Give automatic ones whose day has come by their merchant's clock, and how far that is ahead."""
        ...

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Subscription]:
        """List; filters: `plan_id`, `state`."""
        ...


class CheckoutSessions(Protocol):
    """Orders that buyers are sent to pay; triggers hold their life cycle and that each is paid once."""

    async def insert(self, session: CheckoutSession) -> None: ...

    async def find(self, tenant: Tenant, session_id: CheckoutSessionId) -> CheckoutSession | None: ...

    async def lock(self, tenant: Tenant, session_id: CheckoutSessionId) -> CheckoutSession | None:
        """Give the session with its row locked until the end of this work: nobody else changes it."""
        ...

    async def update(self, session: CheckoutSession) -> bool:
        """Write what may change of a session where the stored version is the one given, which grows by one.

        Raises:
            Conflict: `checkout_session_conflict` when the schema refuses the move.
        """
        ...

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[CheckoutSession]:
        """List; filters: `state`, `reference`, `customer_id`, `payment_id`."""
        ...

    async def due(self, limit: int) -> Sequence[CheckoutSession]:
        """Give unpaid sessions of all tenants past their time, by the database's and the merchants' clocks.

        Queue-like where the engine can skip locked rows.
        """
        ...

    async def unheard(self, limit: int) -> Sequence[CheckoutSession]:
        """Give sessions in payment, of all tenants, whose payment has an answer meanwhile."""
        ...


class Webhooks(Protocol):
    """Who is told what happened: endpoints, their sealed secrets, queued events, deliveries."""

    async def insert_endpoint(self, endpoint: WebhookEndpoint) -> None:
        """Store an endpoint; the tenant's events are queued from this transaction on."""
        ...

    async def find_endpoint(self, tenant: Tenant, endpoint_id: WebhookEndpointId) -> WebhookEndpoint | None:
        """Give an endpoint, deleted ones too."""
        ...

    async def update_endpoint(self, endpoint: WebhookEndpoint) -> bool:
        """Write every field that may change where the version is the one given."""
        ...

    async def disable_endpoint(
        self, tenant: Tenant, endpoint_id: WebhookEndpointId, reason: DisabledReason
    ) -> None:
        """Disable an endpoint that is not disabled yet."""
        ...

    async def page_endpoints(self, tenant: Tenant, page: PageRequest) -> Page[WebhookEndpoint]:
        """List configured endpoints that are not deleted; filters: `dialect`, `kind`, `url`."""
        ...

    async def count_endpoints(self, tenant: Tenant) -> int:
        """Count what `page_endpoints` lists."""
        ...

    async def configured(self, tenant: Tenant) -> Sequence[WebhookEndpoint]:
        """Give the configured endpoints that are open, at most 100."""
        ...

    async def watch(self, tenant: Tenant, object_id: str, endpoint_id: WebhookEndpointId) -> None:
        """Let a one-off endpoint hear of one more object."""
        ...

    async def watching(self, tenant: Tenant, object_id: str) -> Sequence[WebhookEndpoint]:
        """Give the open one-off endpoints that hear of an object, at most 100."""
        ...

    async def insert_secret(self, secret: SigningSecret) -> None: ...

    async def secrets(self, tenant: Tenant, owner: str) -> Sequence[SigningSecret]:
        """Give an owner's ten newest secrets, newest first, ended ones too."""
        ...

    async def expire_secrets(self, tenant: Tenant, owner: str, at: datetime) -> None:
        """Let an owner's secrets end at an instant, unless they end before."""
        ...

    async def forget_secrets(self, tenant: Tenant, owner: str) -> None:
        """Erase an owner's secrets."""
        ...

    async def take_events(self, limit: int) -> Sequence[Event]:
        """Take the oldest queued events of all tenants out of the queue, in order.

        Concurrent callers get different ones. If the transaction is undone they are in the queue again.
        """
        ...

    async def has_events(self) -> bool:
        """Tell whether events are queued."""
        ...

    async def insert_delivery(self, delivery: Delivery) -> bool:
        """Store a delivery; False when its endpoint has one of this event already."""
        ...

    async def find_delivery(self, tenant: Tenant, delivery_id: DeliveryId) -> Delivery | None: ...

    async def delivery_of(
        self, tenant: Tenant, endpoint_id: WebhookEndpointId, event_id: EventId
    ) -> Delivery | None:
        """Give the one delivery of an event to an endpoint."""
        ...

    async def page_deliveries(self, tenant: Tenant, page: PageRequest) -> Page[Delivery]:
        """List; filters: `endpoint_id`, `event_id`, `subject_id`, `state`."""
        ...

    async def attempts(self, tenant: Tenant, delivery_id: DeliveryId) -> Sequence[DeliveryAttempt]:
        """Give a delivery's attempts, oldest first, at most 100."""
        ...

    async def has_due(self) -> bool:
        """Tell whether `claim_due` would find anything."""
        ...

    async def claim_due(self, limit: int, lease: timedelta) -> Sequence[Delivery]:
        """Take due deliveries of all tenants, oldest first, for a time; then they are due again.

        Concurrent callers get different ones.
        """
        ...

    async def record_attempt(
        self,
        delivery: Delivery,
        attempt: DeliveryAttempt,
        *,
        state: DeliveryState,
        next_attempt_at: datetime | None,
    ) -> bool:
        """Keep an attempt and move the delivery on; `attempt.number` is given by the database.

        False when another worker has claimed the delivery since and this attempt did not deliver it: the
        attempt is kept, and the other decides.
        """
        ...

    async def postpone(self, delivery: Delivery, delay: timedelta) -> None:
        """Give a claimed delivery back untried."""
        ...

    async def cancel(self, delivery: Delivery) -> None:
        """End a claimed delivery untried."""
        ...

    async def replay(self, tenant: Tenant, delivery_id: DeliveryId) -> Delivery | None:
        """Make a delivery pending and due now, at the beginning of its schedule."""
        ...

    async def oldest_undelivered(self) -> datetime | None:
        """Give since when the oldest queued event or due delivery waits; nothing when none does."""
        ...

    async def purge(self, older_than: datetime, limit: int) -> int:
        """Delete old deliveries with their attempts, and old one-off endpoints."""
        ...


class UnitOfWork(Protocol):
    """One transaction's view of everything."""

    tokens: SingleUseTokens
    stored_tokens: StoredTokens
    payments: Payments
    operations: Operations
    idempotency: Idempotency
    events: Events
    audit: Audit
    customers: Customers
    agreements: Agreements
    merchants: Merchants
    keys: KeyRepository
    probing: Probing
    documents: Documents
    references: References
    sessions: Sessions
    moments: Moments
    subscriptions: Subscriptions
    checkout_sessions: CheckoutSessions
    webhooks: Webhooks

    async def now(self) -> datetime:
        """Give the instant by the database's clock, which never runs backwards."""
        ...


@frozen
class StorageHealth:
    """What `/readyz` and `doctor` ask: is it safe to spend, and if not, why."""

    ready: bool
    problems: tuple[str, ...] = ()
    is_durable: bool = True
    """False when what the database confirms may be lost: nothing may be spent then."""
    advice: tuple[str, ...] = ()
    """What an operator should mend although nothing is lost by it."""


class Storage(Protocol):
    """A database engine."""

    async def write(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` atomically; return when it is durable.

        Raises:
            Unavailable: `storage_busy` when it did not happen, `commit_unknown` when nobody knows
                (then nothing may be sent, and recovery finds out).
        """
        ...

    async def read(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` on a consistent, committed view, writing nothing."""
        ...

    async def look_up(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work`, which makes one statement and writes nothing: a look-up needs no transaction."""
        ...

    async def health(self) -> StorageHealth:
        """Check durability settings, schema version and clock."""
        ...

    async def close(self) -> None:
        """Finish what is in flight and close."""
        ...
