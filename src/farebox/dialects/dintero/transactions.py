"""Transactions: what they are read from, what they look like, and what may still happen to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from farebox.dialects.dialect import Answer, Call, WireRefusal
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.errors import CONFLICT, INVALID, refusal_out
from farebox.dialects.dintero.names import (
    BRANDS,
    PAYMENT_TOKEN,
    PRODUCTS,
    RECURRENCE_TOKEN,
    RETRY_DELAY_DAYS,
    TOKEN_ONLY,
    decline_types,
    instant,
    parse_public_id,
    public_id,
    request_uuid,
    retry_code,
    token_id,
)
from farebox.dialects.dintero.reading import (
    invalid,
    list_of,
    listed,
    minor,
    object_of,
    objects_of,
    system_headers,
    text,
    text_of,
    without_empty,
)
from farebox.domain.declines import Decline
from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.facts import Facts
from farebox.domain.ids import PaymentId, StoredTokenId
from farebox.domain.instruments import InstrumentSummary
from farebox.domain.operations import Initiator, Operation, OperationKind, OperationState
from farebox.domain.payments import Payment
from farebox.domain.tokens import StoredTokenState, TokenString
from farebox.services import commands
from farebox.services.commands import PaymentView, StoredTokenView

AnyCall = Call[Any, Any]
Strings = Mapping[StoredTokenId, TokenString]

# --- what a payment keeps for its transaction ----------------------------------------------------------

SESSION = "checkout_session"
ACCOUNT = "account_id"
PRODUCT, OPERATION, ORDER, CUSTOMER, URL, CHANNEL = (
    "product",
    "operation",
    "order",
    "customer",
    "url",
    "channel",
)
METADATA, PROFILE, HEADERS, CREATED_BY, CHECKBOXES = (
    "metadata",
    "profile_id",
    "headers",
    "created_by",
    "checkboxes",
)
CONSENT, CUSTOMER_IP, USER_AGENT = "consent", "customer_ip", "user_agent"
REFERENCE_2 = "merchant_reference_2"
BY_CHECKOUT = "checkout"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction to show: its payment, the token strings that were asked for, its session if wanted."""

    view: PaymentView
    strings: Strings = field(default_factory=dict[StoredTokenId, TokenString])
    session: Facts | None = None


def account_of(call: AnyCall) -> str:
    """Give the account that the caller's credential belongs to."""
    return call.principal.attribute("account_id")


# --- status -------------------------------------------------------------------------------------------------

_BEFORE_APPROVAL: Mapping[OperationState, str] = {
    OperationState.SUBMITTED: "INITIATED",
    OperationState.PENDING: "INITIATED",
    OperationState.IN_DOUBT: "UNKNOWN",
    OperationState.DECLINED: "FAILED",
    OperationState.FAILED: "FAILED",
    OperationState.REVERSED: "FAILED",
}


@dataclass(slots=True)
class _Books:
    """The amounts of an authorized transaction, as far as its events went."""

    authorized: int
    captured: int = 0
    refunded: int = 0
    voided: int = 0

    def status(self) -> str:
        """Add the amounts up to a status."""
        is_open = self.captured + self.voided < self.authorized
        if not self.captured:
            return "AUTHORIZATION_VOIDED" if self.voided and not is_open else "AUTHORIZED"
        if not self.refunded:
            return "PARTIALLY_CAPTURED" if is_open else "CAPTURED"
        if is_open:
            return "PARTIALLY_CAPTURED_REFUNDED"
        return "REFUNDED" if self.refunded == self.captured else "PARTIALLY_REFUNDED"


def status_of(payment: Payment) -> str:
    """Give a payment's status in this dialect's words."""
    if payment.state is not OperationState.APPROVED:
        return _BEFORE_APPROVAL[payment.state]
    return _Books(
        payment.authorized_minor, payment.captured_minor, payment.refunded_minor, payment.voided_minor
    ).status()


# --- events -------------------------------------------------------------------------------------------------

_FOLLOW_UPS: Mapping[OperationKind, tuple[str, str]] = {
    OperationKind.CAPTURE: ("CAPTURE", "captured"),
    OperationKind.REFUND: ("REFUND", "refunded"),
    OperationKind.VOID: ("VOID", "voided"),
}
_UNDER_WAY = frozenset({OperationState.SUBMITTED, OperationState.PENDING, OperationState.IN_DOUBT})


def events_of(view: PaymentView, includes: frozenset[str]) -> list[wire.EventOut]:
    """Tell a payment's operations as events, oldest first."""
    events: list[wire.EventOut] = []
    for make in _told(view):
        event = make(str(len(events) + 1), includes)
        events.append(event)
    if "events.success.true" in includes:
        events = [event for event in events if event.success]
    return events


_Make = Callable[[str, frozenset[str]], wire.EventOut]


def _told(view: PaymentView) -> Iterator[_Make]:
    payment = view.payment
    books = _Books(payment.authorized_minor)
    for operation in view.operations:
        if operation.kind in _FOLLOW_UPS:
            yield _follow_up(operation, payment, books)
        else:
            yield from _opening(operation, payment, books)


def _opening(operation: Operation, payment: Payment, books: _Books) -> Iterator[_Make]:
    """The opening operation is two events, and three where it captures at once."""
    by = _by(payment.facts) if operation.initiator is Initiator.MERCHANT else BY_CHECKOUT
    reference = text_of(object_of(payment.facts, ORDER), "event_reference")
    items = items_of(payment.facts)
    yield _make("INITIALIZE", "INITIATED", operation, by, reference, items)
    if operation.state in _UNDER_WAY:
        if operation.state is OperationState.IN_DOUBT:
            yield _make("INITIATE", "UNKNOWN", operation, by, reference, items)
        return
    if operation.state is not OperationState.APPROVED:
        yield _make("AUTHORIZE", "FAILED", operation, by, reference, items, error=_error(operation))
        return
    yield _make("AUTHORIZE", books.status(), operation, by, reference, items)
    if operation.kind is OperationKind.PURCHASE:
        books.captured = operation.approved_minor
        yield _make("CAPTURE", books.status(), operation, by, reference, items)


def _follow_up(operation: Operation, payment: Payment, books: _Books) -> _Make:
    event, amount = _FOLLOW_UPS[operation.kind]
    by, items = _by(operation.facts), list_of(operation.facts, "items")
    if operation.state in _UNDER_WAY:
        return _make(f"INITIATE_{event}", books.status(), operation, by, operation.reference, items)
    if operation.state is not OperationState.APPROVED:
        error = _error(operation)
        return _make(event, books.status(), operation, by, operation.reference, items, error=error)
    setattr(books, amount, getattr(books, amount) + operation.money.amount_minor)
    return _make(event, books.status(), operation, by, operation.reference, items)


def _make(
    event: str,
    status: str,
    operation: Operation,
    by: str,
    reference: str | None,
    items: Sequence[object],
    *,
    error: wire.EventErrorOut | None = None,
) -> _Make:
    def make(number: str, includes: frozenset[str]) -> wire.EventOut:
        with_headers = "events.request_headers" in includes
        return wire.EventOut(
            id=number,
            event=event,
            transaction_status=status,
            success=error is None,
            amount=operation.money.amount_minor,
            created_at=instant(operation.created_at),
            created_by=by,
            request_id=request_uuid(operation.id),
            items=items or None,
            event_reference=reference,
            error=error,
            metadata=object_of(operation.facts, METADATA) or None,
            request_headers=(object_of(operation.facts, HEADERS) or None) if with_headers else None,
        )

    return make


def _by(facts: Facts) -> str:
    return text_of(facts, CREATED_BY) or BY_CHECKOUT


def _error(operation: Operation) -> wire.EventErrorOut:
    decline = operation.decline
    if decline is None:
        return wire.EventErrorOut(message="Not processed", code="ERROR", type=["ERROR"])
    return wire.EventErrorOut(
        message="Declined",
        code="DECLINED",
        type=decline_types(decline.reason),
        result_code=decline.processor_code,
        retry_policy=_retry_policy(decline, operation),
    )


def _retry_policy(decline: Decline, operation: Operation) -> wire.RetryPolicyOut | None:
    """Only a payment that nobody was present for can be tried again as it was."""
    if operation.initiator is not Initiator.MERCHANT:
        return None
    code = retry_code(decline.reason, decline.advice)
    after = None
    if code == "RETRY_AFTER_DELAY":
        after = instant(operation.created_at + timedelta(days=RETRY_DELAY_DAYS))
    return wire.RetryPolicyOut(retry_codes=[code], retry_after=after)


# --- writing ------------------------------------------------------------------------------------------------


def items_of(facts: Facts) -> list[Facts]:
    """Give the lines of a transaction: those of the order, and its shipping option as one more."""
    order = object_of(facts, ORDER)
    lines = objects_of(order, "items")
    shipping = object_of(order, "shipping_option")
    if shipping:
        kept = ("id", "line_id", "amount", "vat_amount", "vat")
        line = {name: shipping[name] for name in kept if name in shipping}
        title = text_of(shipping, "title")
        lines.append(without_empty({**line, "description": title, "quantity": 1, "type": "shipping"}))
    return lines


def masked_pan(summary: InstrumentSummary) -> str:
    """Write first six, six stars, last four, as this dialect does for every length."""
    return f"{(summary.bin or '')[:6]}******{summary.last_four}"


def expiry_date(summary: InstrumentSummary) -> str | None:
    """Write `MM/YYYY`."""
    if summary.exp_month is None or summary.exp_year is None:
        return None
    return f"{summary.exp_month:02}/{summary.exp_year}"


def saved_tokens(view: PaymentView) -> list[StoredTokenView]:
    """Give the tokens that a payment stored and that are still there."""
    stored = [view.saved, *view.also_saved] if view.saved else []
    return [one for one in stored if one.token.state is StoredTokenState.ACTIVE]


def token_type(token: StoredTokenView) -> str:
    """Give what this dialect calls the token: `payment_token` or `recurrence_token`."""
    return text_of(token.token.facts, "type") or PAYMENT_TOKEN


def _card(view: PaymentView, strings: Strings, includes: frozenset[str]) -> wire.CardOut:
    summary, facts = view.payment.summary, view.payment.facts
    by_type = {token_type(one): one.token for one in saved_tokens(view)}
    ids = {name: token_id(token.id) for name, token in by_type.items()}
    used = view.payment.stored_token_id
    if used is not None:
        ids.setdefault(text_of(facts, "token_type") or PAYMENT_TOKEN, token_id(used))
    shown = {name: strings.get(token.id) for name, token in by_type.items() if f"card.{name}" in includes}
    return wire.CardOut(
        brand=BRANDS.get(summary.brand or "", (summary.brand or "unknown").title()),
        masked_pan=masked_pan(summary),
        expiry_date=expiry_date(summary),
        acquirer_transaction_type="SSL",
        payment_token=shown.get(PAYMENT_TOKEN),
        payment_token_id=ids.get(PAYMENT_TOKEN),
        recurrence_token=shown.get(RECURRENCE_TOKEN),
        recurrence_token_id=ids.get(RECURRENCE_TOKEN),
        card_holder_tokenization_consent=text_of(facts, CONSENT),
    )


def _settlement_status(operations: Sequence[Operation]) -> str:
    moved = [
        one
        for one in operations
        if one.state is OperationState.APPROVED
        and one.kind in {OperationKind.PURCHASE, OperationKind.CAPTURE, OperationKind.REFUND}
    ]
    settled = sum(1 for one in moved if one.settled_at is not None)
    if not settled:
        return "NOT_SETTLED"
    return "SETTLED" if settled == len(moved) else "PARTIALLY_SETTLED"


def _metadata(payment: Payment, product: str) -> Facts:
    """Give the merchant's metadata, and what the gateway's name promises beside it."""
    own = dict(object_of(payment.facts, METADATA))
    profile = text_of(payment.facts, PROFILE)
    if profile is not None:
        own["session:profile_id"] = profile
    if product.startswith("payex."):
        own["payex:payment:id"] = request_uuid(payment.id)
        own["payex:payment:number"] = int(request_uuid(payment.id).replace("-", "")[:12], 16) // 1000
    return own


def transaction_out(
    found: Transaction, account_id: str, includes: frozenset[str] = frozenset()
) -> wire.TransactionOut:
    """Show a transaction."""
    view, payment = found.view, found.view.payment
    facts = payment.facts
    order, customer = object_of(facts, ORDER), object_of(facts, CUSTOMER)
    product = text_of(facts, PRODUCT) or "dintero_psp.creditcard"
    session = text_of(facts, SESSION)
    url = object_of(facts, URL)
    with_headers = "initiating_system_request_headers" in includes
    newest = view.operations[-1] if view.operations else None
    return wire.TransactionOut(
        id=public_id(account_id, payment.id),
        session_id=public_id(account_id, session) if session else None,
        account_id=account_id,
        version=payment.version,
        amount=payment.amount_minor,
        currency=payment.currency,
        status=status_of(payment),
        payment_product=product.partition(".")[0],
        payment_product_type=product,
        payment_operation=text_of(facts, OPERATION),
        merchant_reference=payment.reference or "",
        merchant_reference_2=text_of(facts, REFERENCE_2) or text_of(order, REFERENCE_2),
        channel=text_of(facts, CHANNEL) or "ecommerce",
        settlement_status=_settlement_status(view.operations),
        customer=customer or None,
        customer_ip=text_of(facts, CUSTOMER_IP),
        user_agent=text_of(facts, USER_AGENT),
        initiating_system_request_headers=(object_of(facts, HEADERS) or None) if with_headers else None,
        shipping_address=order.get("shipping_address"),
        billing_address=order.get("billing_address"),
        shipping_option=order.get("shipping_option"),
        store=order.get("store"),
        checkboxes=facts.get(CHECKBOXES),
        gift_cards=order.get("gift_cards"),
        items=items_of(facts) or None,
        url=without_empty({"redirect_url": url.get("return_url"), "callback_url": url.get("callback_url")})
        or None,
        card=_card(view, found.strings, includes),
        events=events_of(view, includes),
        metadata=_metadata(payment, product) or None,
        session=found.session,
        payout_destination_id=order.get("payout_destination_id"),
        created_at=instant(payment.created_at),
        updated_at=instant(newest.created_at if newest else payment.created_at),
    )


# --- finding ------------------------------------------------------------------------------------------------


def find(call: AnyCall) -> commands.Command[PaymentView]:
    """Look for the payment that the path names.

    Raises:
        NotFound: the id is another account's, or none.
    """
    account, public = account_of(call), call.path["transaction_id"]
    purchase = parse_public_id(public, account, "pay")
    verification = parse_public_id(public, account, "ver")
    if purchase is None or verification is None:
        raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
    return commands.Then(
        commands.Attempt(commands.GetPayment(PaymentId(purchase))),
        lambda found: _own(found) if found else _token_only(PaymentId(verification)),
    )


def _token_only(payment_id: PaymentId) -> commands.Command[PaymentView]:
    return commands.Then(commands.GetPayment(payment_id), _own)


def _own(view: PaymentView) -> commands.Command[PaymentView]:
    """Refuse a payment of another protocol: this one would have nothing to say of it."""
    if PRODUCT not in view.payment.facts:
        raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
    return commands.Give(view)


def read_update(
    call: Call[wire.TransactionUpdateIn, wire.IncludesQuery],
) -> commands.Command[PaymentView]:
    """Read the second reference that a transaction gets."""
    reference = text(call.body.merchant_reference_2)
    if reference is None:
        return find(call)
    return commands.Then(
        find(call),
        lambda view: commands.AmendPayment(
            view.payment.id, view.payment.version, {**view.payment.facts, REFERENCE_2: reference}
        ),
    )


# --- moving -------------------------------------------------------------------------------------------------

_CAPTURABLE = frozenset({"AUTHORIZED", "PARTIALLY_CAPTURED", "PARTIALLY_CAPTURED_REFUNDED"})
_REFUNDABLE = frozenset(
    {"CAPTURED", "PARTIALLY_CAPTURED", "PARTIALLY_CAPTURED_REFUNDED", "PARTIALLY_REFUNDED"}
)


def _refuse(message: str) -> WireRefusal:
    return invalid("", message)


def _facts(call: AnyCall, items: Sequence[object] | None, metadata: wire.Object | None) -> Facts:
    """Keep with an operation what its event tells."""
    return without_empty(
        {
            "items": list(items or ()),
            METADATA: dict(wire.members(metadata)),
            CREATED_BY: call.principal.attribute("client_id"),
            HEADERS: dict(system_headers(call.headers)),
        }
    )


def _check_items(items: Sequence[Mapping[str, object]] | None, payment: Payment) -> None:
    """Refuse lines that the transaction does not have; one without lines takes any.

    Raises:
        WireRefusal: a line without `line_id`, or one nobody knows.
    """
    known = {one.get("line_id") for one in items_of(payment.facts)} - {None}
    for number, item in enumerate(items or ()):
        line = item.get("line_id")
        if line is None:
            raise invalid(f"items[{number}].line_id", "is required", ErrorCode.PARAMETER_MISSING)
        if known and line not in known:
            raise invalid(f"items[{number}].line_id", "names no line of this transaction")


def read_capture(call: Call[wire.CaptureIn, wire.IncludesQuery]) -> commands.Command[PaymentView]:
    """Read what to capture; with `final_capture` the rest is voided behind it."""
    body = call.body
    amount_minor = minor(body.amount, "amount", least=1)

    def capture(view: PaymentView) -> commands.Command[PaymentView]:
        payment = view.payment
        if status_of(payment) not in _CAPTURABLE:
            raise _refuse(f"A transaction that is {status_of(payment)} cannot be captured")
        if amount_minor > payment.capturable_minor:
            raise invalid("amount", "Capture amount exceeds the remaining authorized amount")
        _check_items(body.items, payment)
        follow_up = commands.FollowUp(
            payment_id=payment.id,
            kind=OperationKind.CAPTURE,
            amount_minor=amount_minor,
            reference=body.capture_reference or text_of(object_of(payment.facts, ORDER), "event_reference"),
            facts=_facts(call, body.items, body.metadata),
        )
        if not body.final_capture:
            return follow_up
        if text_of(payment.facts, PRODUCT) != "dintero_psp.creditcard":
            raise invalid("final_capture", "is for dintero_psp only")
        return commands.Then(follow_up, lambda captured: _void_rest(captured, call))

    return commands.Then(find(call), capture)


def _void_rest(view: PaymentView, call: AnyCall) -> commands.Command[PaymentView]:
    """Release what a final capture left; there is nothing to release where it did not succeed."""
    operation, payment = view.operation, view.payment
    if operation is None or operation.state is not OperationState.APPROVED or not payment.capturable_minor:
        return commands.Give(view)
    return commands.FollowUp(payment_id=payment.id, kind=OperationKind.VOID, facts=_facts(call, None, None))


def read_refund(call: Call[wire.RefundIn, wire.IncludesQuery]) -> commands.Command[PaymentView]:
    """Read what to refund."""
    body = call.body
    amount_minor = minor(body.amount, "amount", least=1)

    def refund(view: PaymentView) -> commands.Command[PaymentView]:
        payment = view.payment
        if status_of(payment) not in _REFUNDABLE:
            raise _refuse(f"A transaction that is {status_of(payment)} cannot be refunded")
        if amount_minor > payment.refundable_minor:
            raise invalid("amount", "Refund amount exceeds the captured amount")
        _check_items(body.items, payment)
        facts = _facts(call, body.items, body.metadata)
        return commands.FollowUp(
            payment_id=payment.id,
            kind=OperationKind.REFUND,
            amount_minor=amount_minor,
            reference=body.refund_reference or text_of(object_of(payment.facts, ORDER), "event_reference"),
            facts={**facts, "reason": body.reason} if body.reason else facts,
        )

    return commands.Then(find(call), refund)


def read_void(call: Call[wire.Ignored, wire.IncludesQuery]) -> commands.Command[PaymentView]:
    """Read which authorization to void: all of it, or what is left of it where the product allows that."""

    def void(view: PaymentView) -> commands.Command[PaymentView]:
        payment = view.payment
        status = status_of(payment)
        product = PRODUCTS.get(text_of(payment.facts, PRODUCT) or "")
        partly = {"PARTIALLY_CAPTURED", "PARTIALLY_CAPTURED_REFUNDED"} if product else frozenset[str]()
        if product is not None and not product.voids_remainder:
            partly = frozenset[str]()
        if status != "AUTHORIZED" and status not in partly:
            raise _refuse(f"A transaction that is {status} cannot be voided")
        if text_of(payment.facts, OPERATION) == TOKEN_ONLY:
            raise _refuse("A transaction without an amount cannot be voided")
        return commands.FollowUp(
            payment_id=payment.id, kind=OperationKind.VOID, facts=_facts(call, None, None)
        )

    return commands.Then(find(call), void)


def read_authorization(
    call: Call[wire.AuthorizationIn, wire.IncludesQuery],
) -> commands.Command[PaymentView]:
    """Read a change of an authorization: no card payment made here takes one."""

    def refuse(view: PaymentView) -> commands.Command[PaymentView]:
        raise WireRefusal(CONFLICT)

    return commands.Then(find(call), refuse)


_INCLUDED = frozenset({"initiating_system_request_headers", "events.request_headers"})
"""What answers of operations hold beside the usual parts."""


def write_moved(view: PaymentView, call: AnyCall) -> wire.TransactionOut | Answer:
    """Show the transaction after its operation: declined is a bad request, unclear is accepted."""
    out = transaction_out(Transaction(view), account_of(call), listed(call.query.includes) | _INCLUDED)
    operation = view.operation
    if operation is None or operation.state is OperationState.APPROVED:
        return out
    if operation.state in _UNDER_WAY:
        header = (b"event-request-id", request_uuid(operation.id).encode())
        return Answer(out, status=202, headers=(header,))
    return Answer(refusal_out(INVALID, "The processor declined the operation"), status=400)


def write_updated(view: PaymentView, call: AnyCall) -> wire.TransactionOut:
    """Show a transaction whose reference changed."""
    return transaction_out(Transaction(view), account_of(call), listed(call.query.includes))
