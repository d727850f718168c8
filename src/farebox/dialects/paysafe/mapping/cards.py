"""Card Payments: authorizations, settlements, voids, refunds, verifications and credits.

A payment of ours is an authorization; its captures are settlements. A purchase (`settleWithAuth`) is both, so
its settlement has the authorization's id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import CODES, error_headers, error_object, refusal
from farebox.dialects.paysafe.mapping.common import (
    AnyCall,
    Json,
    account_link,
    billing_address,
    card_of,
    currency_of,
    expect_status,
    facts_of,
    instant,
    masked,
    money,
    optional_amount,
    our_id,
    plain,
    present,
    read_card,
    reference,
    unique,
)
from farebox.dialects.paysafe.mapping.tokens import Looked, look
from farebox.dialects.paysafe.tables import AVS, CANCELLED, CVV, DECLINES, UNFINISHED, card_type
from farebox.domain.checks import AvsResult
from farebox.domain.declines import Decline, DeclineReason
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import OperationId, PaymentId, uuid_of
from farebox.domain.instruments import InstrumentKind, PayerDetails
from farebox.domain.money import Money
from farebox.domain.operations import (
    Initiator,
    Operation,
    OperationKind,
    OperationState,
    Reason,
    is_undone,
    refundable_of,
)
from farebox.domain.payments import Payment
from farebox.services import commands

API = "cardpayments/v1"
AUTHS = ("cards.auth", "cards.purchase")
SETTLEMENTS = ("cards.settlement", "cards.purchase")
VOIDS = ("cards.void",)
REFUNDS = ("cards.refund",)
VERIFICATIONS = ("cards.verification",)
STANDALONE = ("cards.standalonecredit",)
ORIGINAL = ("cards.originalcredit",)

_ECHOED = (
    "profile",
    "billingDetails",
    "shippingDetails",
    "customerIp",
    "merchantDescriptor",
    "description",
    "accordD",
    "storedCredential",
    "splitpay",
    "transactionIntent",
    "fundingTransaction",
    "entryMode",
    "paymentFacilitator",
)


# --- opening ---------------------------------------------------------------------------------------


def read_auth(call: Call[wire.AuthIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read an authorization, or a purchase."""
    body = call.body
    kind = OperationKind.PURCHASE if body.settleWithAuth else OperationKind.AUTHORIZATION
    family = "cards.purchase" if body.settleWithAuth else "cards.auth"
    money(call)
    _check_authentication(body)
    facts = {
        **_facts(body),
        "settleWithAuth": body.settleWithAuth,
        "preAuth": body.preAuth,
        **present(
            authentication=_authentication(body.authentication),
            keywords=[word.upper() for word in body.keywords] if body.keywords else None,
            recipient=_recipient(body.recipient),
        ),
    }
    return _open(call, kind, family, "auths", money(call), facts, takes_wallets=True)


def read_verification(call: Call[wire.VerificationIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read a check of a card."""
    nothing = Money(0, currency_of(call))
    facts = {
        **_facts(call.body),
        **present(authentication=_authentication(call.body.authentication)),
    }
    return _open(call, OperationKind.VERIFICATION, "cards.verification", "verifications", nothing, facts)


def read_credit(
    family: str,
) -> Callable[[Call[wire.CreditIn, NoQuery]], commands.Command[commands.PaymentView]]:
    """Make the reader of a kind of credit."""

    def read(call: Call[wire.CreditIn, NoQuery]) -> commands.Command[commands.PaymentView]:
        facts = {**_facts(call.body), "dupCheck": call.body.dupCheck}
        return _open(call, OperationKind.CREDIT, family, family, money(call), facts)

    return read


def _open(
    call: Call[Any, NoQuery],
    kind: OperationKind,
    family: str,
    scope: str,
    amount: Money,
    facts: Json,
    *,
    takes_wallets: bool = False,
) -> commands.Command[commands.PaymentView]:
    """Make the payment of a request out of its card, or of what its token stands for."""
    body: wire.VerificationIn = call.body
    card = body.card
    ref = reference(body.merchantRefNum)
    if card.track1 is not None or card.track2 is not None:
        raise InvalidRequest(ErrorCode.TRACK_DATA_FORBIDDEN, param="card.track1")
    if (card.paymentToken is None) == (card.cardNum is None):
        raise refusal("5068", "card", "give either cardNum or paymentToken")
    pay = commands.Pay(
        kind=kind,
        money=amount,
        source=commands.FromSingleUseToken(commands.TokenString("")),
        reason=_reason(body),
        reference=ref,
        facts={"auth": facts},
        unique_reference=unique(call, scope),
        network_transaction_id=_external(body),
        payer=_payer(body),
        family=family,
    )
    if card.cardNum is not None:
        instrument = read_card(card.cardNum, card.cardExpiry, card.cvv, card.holderName)
        if instrument.expiry.passed(call.now.date()):
            raise refusal("3006")
        details = pay.payer or PayerDetails()
        return replace(pay, source=commands.FromInstrument(instrument, details), payer=None)

    def with_token(looked: Looked) -> commands.Command[commands.PaymentView]:
        _check_token(looked, call, takes_wallets=takes_wallets)
        shown = {
            **facts,
            **present(
                profile=facts.get("profile") or looked.profile,
                billingDetails=facts.get("billingDetails") or looked.billing,
            ),
        }
        return _with_stored_credential(
            replace(pay, source=looked.source, facts={"auth": shown}), body, looked
        )

    return look(card.paymentToken or "", with_token, cvc=card.cvv)


def _with_stored_credential(
    pay: commands.Pay, body: wire.VerificationIn, looked: Looked
) -> commands.Command[commands.PaymentView]:
    """Say who is present when a stored card pays."""
    if looked.stored is None:
        return pay
    auth: Any = pay.facts["auth"]
    shown = {**auth}
    if body.storedCredential is None and body.recurring is None:
        shown["storedCredential"] = {"type": "ADHOC", "occurrence": "INITIAL"}
    pay = replace(pay, facts={"auth": shown})
    if _is_merchants(body) and isinstance(pay.source, commands.FromStoredToken):
        return replace(pay, initiator=Initiator.MERCHANT, source=replace(pay.source, cvc=None))
    return pay


def _check_token(looked: Looked, call: AnyCall, *, takes_wallets: bool) -> None:
    """Refuse what is no card, is no longer valid, or is a wallet's where it may not be."""
    summary = looked.summary
    if summary.kind is not InstrumentKind.CARD:
        raise refusal("5502")
    if looked.single_use is not None and looked.single_use.token.facts.get("wallet") and not takes_wallets:
        raise refusal("5502")
    if card_type(summary) is None:
        raise refusal("3002")
    if looked.stored is not None:
        today = call.now.date()
        if (today.year, today.month) > (summary.exp_year or 0, summary.exp_month or 0):
            raise refusal("3006")


def _check_authentication(body: wire.VerificationIn) -> None:
    given: Json = plain(body.authentication) or {}
    if "exemptionIndicator" in given:
        if len(given) > 1:
            raise refusal("3067")
        if body.storedCredential is not None:
            raise refusal("3066")


def _facts(body: wire.VerificationIn) -> Json:
    """Give what the program reads back."""
    if body.recurring is not None and body.storedCredential is not None:
        raise refusal("5068", "recurring", "must not be given together with storedCredential")
    found = {name: plain(getattr(body, name)) for name in _ECHOED if getattr(body, name, None) is not None}
    if body.recurring is not None:
        occurrence = "INITIAL" if body.recurring == "INITIAL" else "SUBSEQUENT"
        found["storedCredential"] = {"type": "RECURRING", "occurrence": occurrence}
    elif body.storedCredential is not None:
        found["storedCredential"] = {
            "type": "ADHOC",
            "occurrence": "INITIAL",
            **plain(body.storedCredential),
        }
    return found


def _authentication(given: wire.Authentication | None) -> Json | None:
    if given is None:
        return None
    return {"threeDSecureVersion": "1.0.2", **plain(given)}


def _recipient(given: wire.Recipient | None) -> Json | None:
    found = plain(given)
    if found and "accountNumber" in found:
        found["accountNumber"] = masked(found["accountNumber"], 4)
    return found


def _payer(body: wire.VerificationIn) -> PayerDetails | None:
    address = billing_address(body.billingDetails)
    return None if address is None else PayerDetails(body.card.holderName, address)


def _is_merchants(body: wire.VerificationIn) -> bool:
    """Tell whether only the merchant is present."""
    if body.recurring is not None:
        return body.recurring == "RECURRING"
    stored = body.storedCredential
    return stored is not None and stored.occurrence == "SUBSEQUENT" and stored.type in {"TOPUP", "RECURRING"}


def _reason(body: wire.VerificationIn) -> Reason | None:
    stored = body.storedCredential
    if body.recurring is not None or (stored is not None and stored.type == "RECURRING"):
        return Reason.RECURRING
    return Reason.UNSCHEDULED if stored is not None and stored.type == "TOPUP" else None


def _external(body: wire.VerificationIn) -> str | None:
    stored = body.storedCredential
    if stored is None or stored.externalInitialTransactionId is None:
        return None
    if stored.initialTransactionId is not None:
        raise refusal(
            "5068",
            "storedCredential",
            "initialTransactionId and externalInitialTransactionId exclude each other",
        )
    return stored.externalInitialTransactionId


# --- looking ---------------------------------------------------------------------------------------


def _payment(
    prefix: str, kinds: frozenset[OperationKind]
) -> Callable[[Call[Any, Any]], commands.Command[commands.PaymentView]]:
    """Make the reader of a look-up."""

    def read(call: Call[Any, Any]) -> commands.Command[commands.PaymentView]:
        def checked(view: commands.PaymentView) -> commands.Command[commands.PaymentView]:
            if view.payment.summary.kind is not InstrumentKind.CARD or view.payment.kind not in kinds:
                raise refusal("5269")
            return commands.Give(view)

        return commands.Then(commands.GetPayment(PaymentId(our_id(prefix, call.path["id"]))), checked)

    return read


_AUTH_KINDS = frozenset({OperationKind.AUTHORIZATION, OperationKind.PURCHASE})
read_auth_lookup = _payment("pay", _AUTH_KINDS)
read_verification_lookup = _payment("ver", frozenset({OperationKind.VERIFICATION}))
read_credit_lookup = _payment("crd", frozenset({OperationKind.CREDIT}))


def _operation(
    call: AnyCall, kind: OperationKind, then: Callable[[commands.PaymentView], commands.Command[Any]]
) -> commands.Command[Any]:
    def checked(view: commands.PaymentView) -> commands.Command[Any]:
        if view.operation is None or view.operation.kind is not kind:
            raise refusal("5269")
        return then(view)

    return commands.Then(commands.GetOperation(OperationId(our_id("op", call.path["id"]))), checked)


def read_void_lookup(call: Call[NoBody, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read which void to show."""
    return _operation(call, OperationKind.VOID, commands.Give)


def read_refund_lookup(call: Call[NoBody, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read which refund to show."""
    return _operation(call, OperationKind.REFUND, commands.Give)


def find_settlement(
    uuid: str,
    then: Callable[[commands.PaymentView], commands.Command[Any]],
    *,
    malformed: str = "5269",
    missing: str = "5269",
) -> commands.Command[Any]:
    """Find a settlement: a capture, or a purchase by its own id."""
    operation_id = OperationId(our_id("op", uuid, malformed))
    payment_id = PaymentId(our_id("pay", uuid, malformed))

    def of_capture(view: commands.PaymentView | None) -> commands.Command[Any]:
        if view is None:
            return commands.Then(commands.Attempt(commands.GetPayment(payment_id)), of_purchase)
        if view.operation is None or view.operation.kind is not OperationKind.CAPTURE:
            raise refusal(missing)
        return then(view)

    def of_purchase(view: commands.PaymentView | None) -> commands.Command[Any]:
        is_card = view is not None and view.payment.summary.kind is InstrumentKind.CARD
        if view is None or not is_card or view.payment.kind is not OperationKind.PURCHASE:
            raise refusal(missing)
        return then(replace(view, operation=view.operations[0]))

    return commands.Then(commands.Attempt(commands.GetOperation(operation_id)), of_capture)


def read_settlement_lookup(call: Call[NoBody, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read which settlement to show."""
    return find_settlement(call.path["id"], commands.Give)


# --- following up ----------------------------------------------------------------------------------


def read_auth_change(call: Call[wire.StatusIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read that a held authorization is approved or cancelled."""
    status = expect_status(call, "COMPLETED", CANCELLED)

    def decide(view: commands.PaymentView) -> commands.Command[commands.PaymentView]:
        if view.payment.state is not OperationState.PENDING:
            raise refusal("3031")
        if status == CANCELLED:
            return commands.DecidePending(view.payment.id, DeclineReason.STOP_PAYMENT, CANCELLED)
        return commands.DecidePending(view.payment.id)

    return commands.Then(read_auth_lookup(call), decide)


def read_settlement(call: Call[wire.FollowUpIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read a settlement of an authorization."""
    payment_id = PaymentId(our_id("pay", call.path["id"], "3200"))
    follow_up = commands.FollowUp(
        payment_id=payment_id,
        kind=OperationKind.CAPTURE,
        amount_minor=optional_amount(call.body.amount),
        reference=reference(call.body.merchantRefNum),
        family="cards.settlement",
        facts=_follow_up_facts(call.body),
        unique_reference=unique(call, "settlements"),
    )

    def checked(view: commands.PaymentView) -> commands.Command[commands.PaymentView]:
        if view.payment.kind is not OperationKind.AUTHORIZATION or not view.payment.capturable_minor:
            raise refusal("3203")
        return follow_up

    return commands.Then(commands.GetPayment(payment_id), checked)


def read_void(call: Call[wire.FollowUpIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read the reversal of an authorization."""
    payment_id = PaymentId(our_id("pay", call.path["id"], "3500"))
    follow_up = commands.FollowUp(
        payment_id=payment_id,
        kind=OperationKind.VOID,
        amount_minor=optional_amount(call.body.amount),
        reference=reference(call.body.merchantRefNum),
        family="cards.void",
        facts=_follow_up_facts(call.body),
        unique_reference=unique(call, "voidauths"),
    )

    def checked(view: commands.PaymentView) -> commands.Command[commands.PaymentView]:
        payment = view.payment
        if payment.state is not OperationState.APPROVED:
            raise refusal("3505")
        if payment.kind is OperationKind.PURCHASE or payment.captured_minor or payment.capturing_minor:
            raise refusal("3502")
        if not payment.capturable_minor:
            raise refusal("3501")
        return follow_up

    return commands.Then(commands.GetPayment(payment_id), checked)


def read_refund(call: Call[wire.FollowUpIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read a refund of a settlement."""
    body = call.body
    ref, amount = reference(body.merchantRefNum), optional_amount(body.amount)
    unique_reference = unique(call, "refunds")

    def checked(view: commands.PaymentView) -> commands.Command[commands.PaymentView]:
        operation = _of(view)
        if operation.settled_at is None:
            raise refusal("3419" if settlement_status(view) == CANCELLED else "3406")
        if not left_to_refund(view):
            raise refusal("3404")
        return commands.FollowUp(
            payment_id=view.payment.id,
            kind=OperationKind.REFUND,
            amount_minor=amount,
            target_id=operation.id,
            reference=ref,
            family="cards.refund",
            facts=_follow_up_facts(body),
            unique_reference=unique_reference,
        )

    return find_settlement(call.path["id"], checked, malformed="3408", missing="3407")


def _cancel(
    view: commands.PaymentView, status: Callable[[commands.PaymentView], str]
) -> commands.Command[commands.PaymentView]:
    """Void an operation that its batch has not taken yet."""
    if status(view) != "PENDING":
        raise refusal("3415")
    return commands.FollowUp(payment_id=view.payment.id, kind=OperationKind.VOID, target_id=_of(view).id)


def read_settlement_change(call: Call[wire.StatusIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read that a settlement is cancelled."""
    expect_status(call, CANCELLED)
    return find_settlement(call.path["id"], lambda view: _cancel(view, settlement_status))


def read_refund_change(call: Call[wire.StatusIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read that a refund is cancelled."""
    expect_status(call, CANCELLED)
    return _operation(call, OperationKind.REFUND, lambda view: _cancel(view, operation_status))


def read_credit_change(call: Call[wire.StatusIn, NoQuery]) -> commands.Command[commands.PaymentView]:
    """Read that a credit is cancelled."""
    expect_status(call, CANCELLED)
    return commands.Then(
        read_credit_lookup(call),
        lambda view: _cancel(replace(view, operation=view.operations[0]), credit_status),
    )


def _follow_up_facts(body: wire.FollowUpIn) -> Json:
    return {"dupCheck": body.dupCheck, **present(splitpay=plain(body.splitpay))}


# --- states ----------------------------------------------------------------------------------------


def _of(view: commands.PaymentView) -> Operation:
    assert view.operation is not None, "the look-up named it"
    return view.operation


def auth_status(payment: Payment) -> str:
    """Give the status of an authorization or a verification."""
    match payment.state:
        case OperationState.APPROVED:
            is_voided = payment.kind is OperationKind.AUTHORIZATION and payment.voided_minor > 0
            return (
                CANCELLED if is_voided and payment.voided_minor == payment.authorized_minor else "COMPLETED"
            )
        case OperationState.PENDING:
            return "HELD"
        case OperationState.DECLINED if is_cancelled(payment.decline):
            return CANCELLED
        case state:
            return UNFINISHED[state]


def is_cancelled(decline: Decline | None) -> bool:
    """Tell whether a refusal was the merchant's own wish."""
    return decline is not None and decline.processor_code == CANCELLED


def operation_status(view: commands.PaymentView) -> str:
    """Give the status of what settles with a batch."""
    operation = _of(view)
    if operation.state is not OperationState.APPROVED:
        return CANCELLED if is_cancelled(operation.decline) else UNFINISHED[operation.state]
    if is_undone(operation, view.operations):
        return CANCELLED
    return "COMPLETED" if operation.settled_at is not None else "PENDING"


settlement_status = operation_status
credit_status = operation_status


def left_to_refund(view: commands.PaymentView) -> int:
    """Give what is left to refund of a settlement."""
    operation = _of(view)
    if operation.kind is OperationKind.PURCHASE:
        return view.payment.refundable_minor
    return 0 if is_undone(operation, view.operations) else refundable_of(operation, view.operations)


# --- writing ---------------------------------------------------------------------------------------


def decline_code(decline: Decline, payment: Payment) -> str:
    """Give Paysafe's code of a decline."""
    if payment.dialect == "paysafe" and decline.processor_code in CODES:
        return decline.processor_code or ""
    return DECLINES[decline.reason]


def _checks(payment: Payment) -> Json:
    avs = payment.checks.avs
    street = facts_of(payment, "auth").get("billingDetails", {}).get("street")
    if avs is AvsResult.POSTAL_CODE_MATCH and not street:
        # Without a street there is nothing that does not match.
        avs = AvsResult.MATCH
    return {"avsResponse": AVS[avs], "cvvVerification": CVV[payment.checks.cvc]}


def _declined(view: commands.PaymentView, decline: Decline, links: Sequence[Json], id_: str) -> Answer:
    """Answer a decline; what was declined has an id and can be looked up."""
    payment, operation = view.payment, view.operation
    error = CODES[decline_code(decline, payment)]
    facts = facts_of(payment, "auth")
    body: Json = {
        "links": list(links),
        "id": id_,
        **present(merchantRefNum=operation.reference if operation else payment.reference),
        "error": error_object(error, "cardpayments"),
        **present(settleWithAuth=facts.get("settleWithAuth")),
    }
    if operation is None or operation.target_id is None:
        body |= _checks(payment)
    return Answer(body, status=error.status, headers=error_headers(error, "cardpayments"))


def auth_body(view: commands.PaymentView, call: AnyCall) -> Json:
    """Show an authorization."""
    payment = view.payment
    facts = facts_of(payment, "auth")
    is_purchase = payment.kind is OperationKind.PURCHASE
    links = [account_link(call, API, "auths", payment.id)]
    if is_purchase:
        links.insert(0, account_link(call, API, "settlements", payment.id, "settlement"))
    error = None
    if payment.decline is not None and not is_cancelled(payment.decline):
        error = error_object(CODES[decline_code(payment.decline, payment)], "cardpayments")
    return {
        "links": links,
        "id": uuid_of(payment.id),
        **present(merchantRefNum=payment.reference),
        "txnTime": instant(payment.created_at),
        "status": auth_status(payment),
        "amount": payment.amount_minor,
        "settleWithAuth": is_purchase,
        "preAuth": bool(facts.get("preAuth")),
        "availableToSettle": 0 if is_purchase else payment.capturable_minor,
        "card": card_of(payment.summary),
        **present(authCode=payment.authorization_code),
        **{name: value for name, value in facts.items() if name not in {"settleWithAuth", "preAuth"}},
        "currencyCode": payment.currency,
        **_checks(payment),
        **present(error=error),
    }


def write_auth(view: commands.PaymentView, call: AnyCall) -> Answer:
    """Answer an authorization; a decline is one of Paysafe's errors."""
    body = auth_body(view, call)
    decline = view.payment.decline
    if decline is not None and not is_cancelled(decline):
        return _declined(view, decline, body["links"], body["id"])
    if view.payment.kind is OperationKind.PURCHASE and view.payment.state is OperationState.APPROVED:
        opening = replace(view, operation=view.operations[0])
        body["visaAdditionalAuthData"] = {}
        body["settlements"] = [settlement_body(opening, call)]
    return Answer(body)


def write_auth_lookup(view: commands.PaymentView, call: AnyCall) -> Answer:
    """Show an authorization, a declined one too."""
    return Answer(auth_body(view, call))


def verification_body(view: commands.PaymentView, call: AnyCall) -> Json:
    """Show a verification."""
    payment = view.payment
    error = None
    if payment.decline is not None:
        error = error_object(CODES[decline_code(payment.decline, payment)], "cardpayments")
    return {
        "links": [account_link(call, API, "verifications", payment.id)],
        "id": uuid_of(payment.id),
        **present(merchantRefNum=payment.reference),
        "txnTime": instant(payment.created_at),
        "status": auth_status(payment),
        "card": card_of(payment.summary),
        **present(authCode=payment.authorization_code),
        **facts_of(payment, "auth"),
        "currencyCode": payment.currency,
        **_checks(payment),
        **present(error=error),
    }


def write_verification(view: commands.PaymentView, call: AnyCall) -> Answer:
    """Answer a verification."""
    body = verification_body(view, call)
    if view.payment.decline is not None:
        return _declined(view, view.payment.decline, body["links"], body["id"])
    return Answer(body)


def write_verification_lookup(view: commands.PaymentView, call: AnyCall) -> Answer:
    """Show a verification, a declined one too."""
    return Answer(verification_body(view, call))


def settlement_body(view: commands.PaymentView, call: AnyCall) -> Json:
    """Show a settlement."""
    operation = _of(view)
    is_purchase = operation.kind is OperationKind.PURCHASE
    id_ = view.payment.id if is_purchase else operation.id
    return {
        "links": [account_link(call, API, "settlements", id_)],
        "id": uuid_of(id_),
        **present(merchantRefNum=operation.reference),
        "txnTime": instant(operation.created_at),
        "status": settlement_status(view),
        "amount": operation.money.amount_minor,
        "availableToRefund": left_to_refund(view),
        **dict(operation.facts),
    }


def void_body(view: commands.PaymentView, call: AnyCall) -> Json:
    """Show a void."""
    operation = _of(view)
    approved = operation.state is OperationState.APPROVED
    return {
        "links": [account_link(call, API, "voidauths", operation.id)],
        "id": uuid_of(operation.id),
        **present(merchantRefNum=operation.reference),
        "txnTime": instant(operation.created_at),
        "status": "COMPLETED" if approved else UNFINISHED[operation.state],
        "amount": operation.money.amount_minor,
        **dict(operation.facts),
    }


def refund_body(view: commands.PaymentView, call: AnyCall) -> Json:
    """Show a refund."""
    operation = _of(view)
    return {
        "links": [account_link(call, API, "refunds", operation.id)],
        "id": uuid_of(operation.id),
        **present(merchantRefNum=operation.reference),
        "txnTime": instant(operation.created_at),
        "status": operation_status(view),
        "amount": operation.money.amount_minor,
        **dict(operation.facts),
    }


_EXCEEDED: Mapping[OperationKind, str] = {
    OperationKind.CAPTURE: "3204",
    OperationKind.VOID: "3501",
    OperationKind.REFUND: "3402",
}


def write_follow_up(
    write: Callable[[commands.PaymentView, AnyCall], Json],
) -> Callable[[commands.PaymentView, AnyCall], Answer]:
    """Make the writer of a settlement, a void or a refund."""

    def written(view: commands.PaymentView, call: AnyCall) -> Answer:
        body, operation = write(view, call), _of(view)
        decline = operation.decline
        if decline is None:
            return Answer(body)
        if decline.reason is DeclineReason.AMOUNT_EXCEEDED:
            decline = replace(decline, processor_code=_EXCEEDED[operation.kind])
        return _declined(view, decline, body["links"], body["id"])

    return written


def write_shown(
    write: Callable[[commands.PaymentView, AnyCall], Json],
) -> Callable[[commands.PaymentView, AnyCall], Answer]:
    """Make the writer of a look-up."""

    def written(view: commands.PaymentView, call: AnyCall) -> Answer:
        return Answer(write(view, call))

    return written


def write_cancelled(collection: str, api: str = API) -> Callable[[commands.PaymentView, AnyCall], Answer]:
    """Make the writer of a cancellation, which says little."""

    def written(view: commands.PaymentView, call: AnyCall) -> Answer:
        if view.operation is not None and view.operation.decline is not None:
            raise refusal("3415")
        body = {
            "links": [{"rel": "self", "href": call.url.rstrip("/")}],
            "id": call.path["id"],
            "txnTime": instant(call.now),
            "status": CANCELLED,
        }
        return Answer(body)

    return written


def credit_body(collection: str) -> Callable[[commands.PaymentView, AnyCall], Json]:
    """Make what shows a credit."""

    def body(view: commands.PaymentView, call: AnyCall) -> Json:
        payment = view.payment
        error = None
        if payment.decline is not None and not is_cancelled(payment.decline):
            error = error_object(CODES[decline_code(payment.decline, payment)], "cardpayments")
        return {
            "links": [account_link(call, API, collection, payment.id)],
            "id": uuid_of(payment.id),
            **present(merchantRefNum=payment.reference),
            "txnTime": instant(payment.created_at),
            "status": credit_status(replace(view, operation=view.operations[0])),
            "amount": payment.amount_minor,
            "card": card_of(payment.summary),
            **present(authCode=payment.authorization_code),
            **facts_of(payment, "auth"),
            "currencyCode": payment.currency,
            **present(error=error),
        }

    return body


def write_credit(collection: str) -> Callable[[commands.PaymentView, AnyCall], Answer]:
    """Make the writer of a credit."""
    body_of = credit_body(collection)

    def written(view: commands.PaymentView, call: AnyCall) -> Answer:
        body = body_of(view, call)
        if view.payment.decline is not None:
            return _declined(view, view.payment.decline, body["links"], body["id"])
        return Answer(body)

    return written
