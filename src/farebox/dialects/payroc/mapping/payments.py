"""Card payments: made, captured, adjusted, reversed, refunded, listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery, WireRefusal
from farebox.dialects.payroc.errors import CAPABILITIES_MISSING
from farebox.dialects.payroc.mapping.common import (
    AnyCall,
    at_terminal,
    created,
    custom_fields,
    facts_of,
    ids_of,
    members,
    merged,
    microseconds,
    parse_instant,
    plain,
    refuse,
    shown_taxes,
    text,
)
from farebox.dialects.payroc.mapping.instruments import (
    ReadInstrument,
    read_card,
    read_wallet,
    secure_token_of,
    write_card,
    write_summary,
)
from farebox.dialects.payroc.mapping.results import (
    can_capture,
    is_reversed,
    is_settled,
    of_kind,
    order_of,
    payment_result,
    payment_type,
    refund_summaries,
    settled_on,
    shown_amount,
    status_and_code,
    supported_operations,
)
from farebox.dialects.payroc.mapping.tokens import generated_name, look, payer_of, secure_token_facts
from farebox.dialects.payroc.paging import page_request, scan, write_page
from farebox.dialects.payroc.wire import instruments as shapes
from farebox.dialects.payroc.wire import payments as wire
from farebox.dialects.payroc.wire.common import PageOut
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from farebox.domain.facts import Facts
from farebox.domain.ids import PaymentId, short_id
from farebox.domain.instruments import InstrumentKind
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind, Reason
from farebox.domain.tokens import StoredTokenKind, TokenString
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import (
    Attempt,
    Command,
    FollowUp,
    Give,
    PaymentView,
    SingleUseTokenView,
    StoredTokenView,
    Then,
)

CARD_KINDS = (OperationKind.AUTHORIZATION.value, OperationKind.PURCHASE.value)
_REASONS = {
    "unscheduled": Reason.UNSCHEDULED,
    "recurring": Reason.RECURRING,
    "installment": Reason.INSTALLMENT,
}


# --- made ------------------------------------------------------------------------------------------


def read_payment_in(call: Call[wire.PaymentIn, NoQuery]) -> Command[PaymentView]:
    """Make a payment with whatever method it names."""
    body = call.body
    if body.offline_processing is not None and body.offline_processing.operation == "offlineDecline":
        raise WireRefusal(CAPABILITIES_MISSING, param="offlineProcessing.operation")
    on_file = body.credential_on_file
    if on_file is not None and on_file.mit_agreement and body.order.standing_instructions is None:
        raise refuse("order.standingInstructions", "Required with an agreement.", ErrorCode.PARAMETER_MISSING)
    return at_terminal(call, body.processing_terminal_id, _with_method(call, body))


def _with_method(call: AnyCall, body: wire.PaymentIn) -> Command[PaymentView]:
    method, mode = body.payment_method, call.principal.tenant.mode
    match method:
        case shapes.CardPayload():
            return _pay_with(call, body, read_card(method, "paymentMethod", mode))
        case shapes.WalletPayload():
            return _pay_with(call, body, read_wallet(method, "paymentMethod", mode))
        case shapes.SingleUseTokenPayload():
            source = commands.FromSingleUseToken(TokenString(method.token))

            def with_token(view: SingleUseTokenView | None) -> Command[PaymentView]:
                check_kind(view, {InstrumentKind.CARD})
                return _pay(call, body, source, view.token.facts if view else {})

            return Then(look(method.token), with_token)
        case shapes.SecureTokenPayload():
            return Then(
                find_secure_token(method.token, {InstrumentKind.CARD}),
                lambda view: _pay(call, body, stored_source(view), view.token.facts),
            )


def _pay_with(call: AnyCall, body: wire.PaymentIn, read: ReadInstrument) -> Command[PaymentView]:
    details = payer_of(plain(body.customer), read.holder_name)
    return _pay(call, body, commands.FromInstrument(read.instrument, details), read.facts)


def check_kind(view: SingleUseTokenView | None, kinds: set[InstrumentKind]) -> None:
    """Refuse a token of the other family: a bank account is no card.

    Raises:
        InvalidRequest: `instrument_unsupported`.
    """
    if view is not None and view.token.summary.kind not in kinds:
        raise InvalidRequest(ErrorCode.INSTRUMENT_UNSUPPORTED, param="paymentMethod.token")


def find_secure_token(token: str, kinds: set[InstrumentKind]) -> Command[StoredTokenView]:
    """Find a secure token by its value, of one of these kinds.

    Raises, when it runs:
        InvalidRequest: nobody has such a token, or it stands for something else.
    """

    def then(view: StoredTokenView | None) -> Command[StoredTokenView]:
        if view is None:
            raise InvalidRequest(
                ErrorCode.PARAMETER_INVALID, param="paymentMethod.token", detail="There is no such token."
            )
        if view.token.summary.kind not in kinds:
            raise InvalidRequest(ErrorCode.INSTRUMENT_UNSUPPORTED, param="paymentMethod.token")
        return Give(view)

    return Then(Attempt(commands.GetStoredToken(token)), then)


def stored_source(view: StoredTokenView) -> commands.FromStoredToken:
    """Pay with a secure token that was found."""
    return commands.FromStoredToken(view.token.shown_string or TokenString(""), StoredTokenKind.PAYMENT_TOKEN)


def _pay(
    call: AnyCall, body: wire.PaymentIn, source: commands.Source, instrument: Facts
) -> Command[PaymentView]:
    kind = OperationKind.PURCHASE
    if body.auto_capture is False and not body.process_as_sale:
        kind = OperationKind.AUTHORIZATION
    standing = body.order.standing_instructions
    offline = body.offline_processing
    facts = {
        **_of_instrument(instrument),
        **facts_of(
            processingTerminalId=body.processing_terminal_id,
            channel=body.channel,
            operator=body.operator,
            order=_order_facts(body.order),
            customer=plain(body.customer),
            customFields=custom_fields(body.custom_fields),
            processAsSale=body.process_as_sale or None,
            offline=offline.operation if offline else None,
            approvalCode=offline.approval_code if offline else None,
        ),
    }
    return commands.Pay(
        kind,
        Money(body.order.amount, body.order.currency),
        source,
        reason=_REASONS[standing.processing_model] if standing else None,
        reference=body.order.order_id,
        save=save_of(call, body.processing_terminal_id, body.credential_on_file, instrument, facts),
        facts=facts,
        network_transaction_id=_first_transaction(standing),
    )


def _of_instrument(facts: Facts) -> dict[str, Any]:
    """Take over what was kept with the instrument's token, except what is about the token itself."""
    of_token = {"status", "mitAgreement", "customer", "customFields", "operator", "channel"}
    return {name: value for name, value in facts.items() if name not in of_token}


def _order_facts(order: wire.OrderIn) -> dict[str, Any]:
    kept = plain(order)
    kept.pop("dateTime", None)
    return kept


def _first_transaction(standing: wire.StandingInstructions | None) -> str | None:
    first = standing.reference_data_of_first_txn if standing else None
    return first.card_scheme_reference_id if first else None


def save_of(
    call: AnyCall,
    terminal: str,
    on_file: wire.CredentialOnFile | None,
    instrument: Facts,
    facts: Facts,
) -> commands.SaveCredential | None:
    """Store the instrument with the payment when that is asked for."""
    if on_file is None or not on_file.tokenize:
        return None
    return commands.SaveCredential(
        StoredTokenKind.PAYMENT_TOKEN,
        name=on_file.secure_token_id or generated_name(call),
        facts=secure_token_facts(
            terminal,
            instrument=instrument,
            mit_agreement=on_file.mit_agreement,
            customer=facts.get("customer"),
            fields=None,
            operator=text(facts, "operator"),
        ),
    )


# --- shown -----------------------------------------------------------------------------------------


def payment_out(view: PaymentView, call: AnyCall) -> wire.PaymentOut:
    """Show a card payment."""
    payment = view.payment
    facts: Mapping[str, Any] = payment.facts
    order = shown_taxes(order_of(payment, facts))
    own = call.principal.attribute("processing_terminal_id")
    return wire.PaymentOut(
        payment_id=short_id(payment.id),
        processing_terminal_id=text(facts, "processingTerminalId") or own,
        operator=text(facts, "operator"),
        order=order,
        customer=facts.get("customer"),
        card=write_card(
            payment.summary,
            facts,
            payment.checks,
            write_summary(secure_token_of(view), call.base_url),
        ),
        refunds=refund_summaries(view, call.base_url, "refunds"),
        supported_operations=supported_operations(view) or None,
        transaction_result=payment_result(view),
        custom_fields=facts.get("customFields"),
    )


def write_new_payment(view: PaymentView, call: Call[wire.PaymentIn, NoQuery]) -> Answer:
    """Show a new payment, declined ones too."""
    body = payment_out(view, call)
    return created(body, f"{call.url}/{body.payment_id}")


def write_payment(view: PaymentView, call: AnyCall) -> wire.PaymentOut:
    """Show a payment."""
    return payment_out(view, call)


def find_payment(call: AnyCall) -> Command[PaymentView]:
    """Find the payment that the path names."""
    ids = ids_of(call.path["paymentId"], "pay")
    return Then(
        commands.ResolveId(ids),
        lambda found: Then(commands.GetPayment(PaymentId(found)), _only_card),
    )


def _only_card(view: PaymentView) -> Command[PaymentView]:
    if view.payment.summary.kind is not InstrumentKind.CARD:
        raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
    return Give(view)


def read_payment(call: Call[NoBody, NoQuery]) -> Command[PaymentView]:
    """Show one."""
    return find_payment(call)


# --- moved -----------------------------------------------------------------------------------------


def read_capture(call: Call[wire.CaptureIn, NoQuery]) -> Command[PaymentView]:
    """Capture a pre-authorization, or settle a sale as it is or for less.

    The terminal that a capture names is not compared with the payment's.
    """
    body = call.body

    def then(view: PaymentView) -> Command[PaymentView]:
        payment = view.payment
        if payment.kind is OperationKind.AUTHORIZATION:
            if not can_capture(view):
                raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
            return FollowUp(payment.id, OperationKind.CAPTURE, body.amount)
        facts = {**payment.facts, **facts_of(completed="capture", operator=body.operator)}
        less_minor = 0 if body.amount is None else shown_amount(view) - body.amount
        if less_minor < 0:
            raise InvalidRequest(ErrorCode.AMOUNT_EXCEEDS_AUTHORIZED, param="amount")
        if text(payment.facts, "completed") is not None or is_settled(view):
            raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
        if less_minor:
            return FollowUp(payment.id, OperationKind.VOID, less_minor, payment_facts=facts)
        return commands.AmendPayment(payment.id, payment.version, facts)

    return Then(find_payment(call), then)


def read_reverse(call: Call[wire.ReverseIn, NoQuery]) -> Command[PaymentView]:
    """Take back all of a payment or a part, while its batch is open."""
    amount = call.body.amount
    return Then(find_payment(call), lambda view: reversal(view, amount))


def reversal(view: PaymentView, amount: int | None) -> Command[PaymentView]:
    """Void: of a captured pre-authorization the capture, otherwise the payment itself."""
    payment = view.payment
    captures = of_kind(view, OperationKind.CAPTURE)
    if captures and is_settled(view):
        raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
    target = captures[0].id if captures else None
    return FollowUp(payment.id, OperationKind.VOID, amount, target_id=target)


def read_refund(call: Call[wire.RefundIn, NoQuery]) -> Command[PaymentView]:
    """Refund a settled payment; reverse one whose batch is still open."""
    body = call.body

    def then(view: PaymentView) -> Command[PaymentView]:
        payment = view.payment
        if body.amount > payment.refundable_minor and not is_reversed(view) and payment.captured_minor:
            raise InvalidRequest(ErrorCode.AMOUNT_EXCEEDS_CAPTURED, param="amount")
        if is_settled(view) or payment.kind is OperationKind.AUTHORIZATION:
            facts = facts_of(description=body.description, operator=body.operator)
            return FollowUp(payment.id, OperationKind.REFUND, body.amount, facts=facts)
        return reversal(view, body.amount)

    return Then(find_payment(call), then)


def read_adjust(call: Call[wire.AdjustIn, NoQuery]) -> Command[PaymentView]:
    """Change amount, status, customer or signature of a payment in an open batch."""
    body = call.body

    def then(view: PaymentView) -> Command[PaymentView]:
        payment = view.payment
        status, _ = status_and_code(view)
        if status not in {"ready", "pending"} or payment.facts.get("processAsSale"):
            raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
        facts: dict[str, Any] = dict(payment.facts)
        amount: int | None = None
        for adjustment in body.adjustments:
            facts, amount = _adjusted(facts, amount, adjustment)
        if body.operator is not None:
            facts["operator"] = body.operator
        change_minor = 0 if amount is None else amount - shown_amount(view)
        if change_minor == 0:
            return commands.AmendPayment(payment.id, payment.version, facts)
        kind = OperationKind.INCREMENT if change_minor > 0 else OperationKind.VOID
        return FollowUp(payment.id, kind, abs(change_minor), payment_facts=facts)

    return Then(find_payment(call), then)


def _adjusted(
    facts: dict[str, Any],
    amount: int | None,
    adjustment: wire.OrderAdjustment
    | wire.StatusAdjustment
    | wire.CustomerAdjustment
    | wire.SignatureAdjustment,
) -> tuple[dict[str, Any], int | None]:
    match adjustment:
        case wire.OrderAdjustment():
            order = {"amount": adjustment.amount, **facts_of(breakdown=adjustment.breakdown)}
            before = members(facts.get("order"))
            adjusted = merged(before, order)
            if "breakdown" in adjusted:
                # A breakdown that says only what the tip is leaves the rest as it was.
                adjusted["breakdown"] = {"subtotal": before.get("amount"), **adjusted["breakdown"]}
            return {**facts, "order": adjusted}, adjustment.amount
        case wire.StatusAdjustment():
            return {**facts, "status": adjustment.to_status}, amount
        case wire.CustomerAdjustment():
            return {**facts, "customer": adjusted_customer(facts, adjustment)}, amount
        case wire.SignatureAdjustment():
            if text(facts, "cardholderSignature") is not None:
                raise Conflict(ErrorCode.PAYMENT_STATE_CONFLICT)
            return {**facts, "cardholderSignature": adjustment.cardholder_signature}, amount


def adjusted_customer(facts: Mapping[str, Any], adjustment: wire.CustomerAdjustment) -> Any:
    """Put new address and contacts over the customer's."""
    changes = {name: value for name, value in members(plain(adjustment)).items() if name != "type"}
    return {**members(facts.get("customer")), **changes}


# --- listed ----------------------------------------------------------------------------------------


def between(query: wire.PaymentQuery | wire.RefundQuery | wire.BankPaymentQuery) -> dict[str, int]:
    """Give a list's dates as its columns are compared."""
    found: dict[str, int] = {}
    if (after := parse_instant(query.date_from, "dateFrom")) is not None:
        found["from_us"] = microseconds(after)
    if (before := parse_instant(query.date_to, "dateTo")) is not None:
        found["to_us"] = microseconds(before)
    return found


def any_of(value: list[str] | str | None) -> set[str] | None:
    """Give a repeated parameter as a set."""
    if value is None:
        return None
    return set(value) if isinstance(value, list) else {value}


def read_payments(call: Call[NoBody, wire.PaymentQuery]) -> Command[Page[PaymentView]]:
    """List card payments."""
    query = call.query
    filters: dict[str, str | int | tuple[str, ...]] = {"kind": CARD_KINDS, **between(query)}
    if query.order_id is not None:
        filters["reference"] = query.order_id

    def list_(request: PageRequest) -> Command[Page[PaymentView]]:
        narrowed = PageRequest(request.limit, request.after, request.before, filters)
        return commands.ListPayments(narrowed, with_operations=True)

    request = page_request(query, "pay")
    return scan(list_, request, _keeps(query), lambda view: view.payment.id)


def _keeps(query: wire.PaymentQuery) -> Callable[[PaymentView], bool]:
    types, statuses, tips = any_of(query.type), any_of(query.status), any_of(query.tip_mode)

    def keeps(view: PaymentView) -> bool:
        facts: Mapping[str, Any] = view.payment.facts
        return (
            view.payment.summary.kind is InstrumentKind.CARD
            and keeps_card(view, query)
            and (types is None or payment_type(view) in types)
            and (statuses is None or status_and_code(view)[0] in statuses)
            and (tips is None or _tip_mode(facts) in tips)
            and keeps_settlement(view, query.settlement_state, query.settlement_date)
            and (query.payment_link_id is None or text(facts, "paymentLinkId") == query.payment_link_id)
        )

    return keeps


def keeps_card(view: PaymentView, query: wire.PaymentQuery | wire.RefundQuery) -> bool:
    """Filter by what is known of card, order and terminal."""
    payment, facts = view.payment, view.payment.facts
    tender = "ebt" if text(facts, "ebt") else "creditDebit"
    checks = (
        (query.processing_terminal_id, text(facts, "processingTerminalId")),
        (query.operator, text(facts, "operator")),
        (query.cardholder_name, text(facts, "cardholderName")),
        (query.first6, (payment.summary.bin or "")[:6]),
        (query.last4, payment.summary.last_four),
        (query.tender, tender),
    )
    return all(wanted is None or wanted == found for wanted, found in checks)


def keeps_settlement(view: PaymentView, state: str | None, day: str | None) -> bool:
    """Filter by settlement."""
    if state is not None and (state == "settled") != is_settled(view):
        return False
    return day is None or settled_on(view) == day


def _tip_mode(facts: Mapping[str, Any]) -> str:
    order = members(facts.get("order"))
    tip = members(members(order.get("breakdown")).get("tip"))
    return (text(tip, "mode") or "prompted") if tip else "noTip"


def write_payments(
    page: Page[PaymentView], call: Call[NoBody, wire.PaymentQuery]
) -> PageOut[wire.PaymentOut]:
    """Show a page of them."""
    return write_page(
        page, call, lambda view: payment_out(view, call), lambda view: short_id(view.payment.id)
    )
