"""Purchases of generations one and two: from their wire to commands, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

from farebox.dialects.bamboo import wire
from farebox.dialects.bamboo.errors import decline_code, language_of, refusal, text_of
from farebox.dialects.bamboo.mapping_customers import created_of, customer_facts, person_out
from farebox.dialects.bamboo.presenting import (
    APPROVED,
    PENDING,
    PRE_AUTHORIZED,
    authorized_at,
    country_of,
    current_minor,
    error_of,
    find_payment,
    medium_of_payment,
    metadata_out,
    page_url,
    state_of,
    state_of_operation,
)
from farebox.dialects.bamboo.reading import (
    UNIQUE_ID,
    V1,
    AnyCall,
    OnFile,
    Wanted,
    attributes_of,
    check_country,
    check_document,
    check_email,
    check_medium,
    country_named,
    facts_of,
    medium_wanted,
    pay,
    read_card_data,
    read_installments,
    read_money,
)
from farebox.dialects.bamboo.tables import (
    brand_name,
    installments_text,
    medium_of_summary,
    type_name,
)
from farebox.dialects.bamboo.values import (
    PLAIN,
    clip,
    day_of,
    hundredths_of,
    money_of,
    number_in,
    object_of,
    order_of,
    present,
    timestamp,
)
from farebox.dialects.dialect import Call
from farebox.domain.operations import Operation, OperationKind
from farebox.domain.payments import Payment, PaymentStatus
from farebox.ports.storage import Page, PageRequest
from farebox.services.commands import Command, FollowUp, Give, ListPayments, PaymentView, Then

DAYS_MAX = 31
"""The longest period of a list; the documents name a limit and no number."""
LISTED_MAX = 1000
PurchaseCall = Call[wire.PurchaseIn, wire.Nothing]
AmountCall = Call[wire.AmountIn, wire.Nothing]


# --- creating --------------------------------------------------------------------------------------


def read_purchase(call: PurchaseCall) -> Command[PaymentView]:
    """Read a purchase with a token or an alternative medium; where both are sent the token decides.

    Raises:
        WireRefusal: `PR001` with neither; otherwise as `_wanted`.
    """
    body = call.body
    if body.trx_token:
        return pay(_wanted(call, token=body.trx_token), call)
    if body.payment_media_id is None:
        raise refusal("PR001")
    return pay(_wanted(call, medium_id=body.payment_media_id), call)


def read_direct_purchase(call: PurchaseCall) -> Command[PaymentView]:
    """Read a purchase of generation two: exactly one of card, token and alternative medium.

    Raises:
        WireRefusal: `PR001` with none or several; otherwise as `_wanted`.
    """
    body = call.body
    if sum(one is not None for one in (body.card_data, body.payment_media_id, body.trx_token)) != 1:
        raise refusal("PR001")
    if body.card_data is None:
        return read_purchase(call)
    return pay(_wanted(call), call)


def _wanted(call: PurchaseCall, *, token: str | None = None, medium_id: int | None = None) -> Wanted:
    """Read and check a purchase.

    Raises:
        WireRefusal: any of the `PR`, `CS`, `TK` and `TR` codes of a purchase's fields.
    """
    body = call.body
    order = order_of(body.order)
    if order is None:
        raise refusal("PR002")
    if body.loyalty_plan is not None:
        raise refusal("LP0002")
    money = read_money(body, V1)
    nested = body.cross_border_data.target_country if body.cross_border_data else None
    country = country_named(body.target_country or nested, money.currency)
    medium = None if medium_id is None else medium_wanted(country, medium_id)
    check_country(country, money, medium.limits_type if medium else "card", body, V1)
    installments = read_installments(body.installments, country, is_card=medium is None)
    customer = customer_facts(body.customer)
    check_document(customer, country, medium)
    card = None
    if medium is not None:
        check_medium(medium, body, customer)
    elif token is None and body.card_data is not None:
        card = read_card_data(body.card_data, call)
        customer.setdefault("email", clip(body.card_data.email))
    captures = body.capture is not False or medium is not None
    facts = facts_of(body, V1, country, installments)
    facts |= present(
        {
            "data_do": body.data_do,
            "cross_border": {"TargetCountryISO": nested} if nested else None,
            "device": clip(body.device_fingerprint_id),
            "is_first": body.is_first_recurrent_purchase,
        }
    )
    wanted = Wanted(
        terms=V1,
        kind=OperationKind.PURCHASE if captures else OperationKind.AUTHORIZATION,
        money=money,
        country=country,
        order=order,
        facts=facts,
        customer=customer,
        key=UNIQUE_ID.key_of(body.unique_id),
        token=token,
        card=card,
        medium=medium,
        metadata=body.metadata_in or {},
        on_file=OnFile(is_first=bool(body.is_first_recurrent_purchase)),
        attributes=attributes_of(customer),
    )
    if not wanted.is_with_stored_card:
        check_email(customer, V1)
    _check_brazil(wanted)
    return wanted


def _check_brazil(wanted: Wanted) -> None:
    """Refuse a card purchase in Brazil without a description.

    Raises:
        WireRefusal: `PR014`.
    """
    if wanted.country == "BR" and wanted.medium is None and "description" not in wanted.facts:
        raise refusal("PR014")


# --- finding and following up ----------------------------------------------------------------------


def _number(call: AnyCall) -> int:
    return number_in(call.path["purchase_id"], "PR006", status=400)


def read_one(call: Call[wire.Nothing, wire.Nothing]) -> Command[PaymentView]:
    """Read which purchase to show.

    Raises:
        WireRefusal: `PR006`.
    """
    return find_payment(_number(call))


def _follow_up(
    kind: OperationKind, check: Callable[[Payment, int | None], None]
) -> Callable[[AmountCall], Command[PaymentView]]:
    def read(call: AmountCall) -> Command[PaymentView]:
        def then(view: PaymentView) -> Command[PaymentView]:
            payment, amount = view.payment, call.body.amount
            amount_minor = None
            if amount is not None:
                amount_minor = money_of(amount, payment.currency).amount_minor
            check(payment, amount_minor)
            return FollowUp(payment.id, kind, amount_minor, releases_rest=kind is OperationKind.CAPTURE)

        return Then(find_payment(_number(call)), then)

    return read


def check_pre_authorized(payment: Payment, amount_minor: int | None) -> None:
    """Refuse to commit or roll back what is not pre-authorized.

    Raises:
        WireRefusal: `PR009`.
    """
    if payment.status is not PaymentStatus.AUTHORIZED:
        raise refusal("PR009")


def check_refundable(
    payment: Payment, amount_minor: int | None, *, by_payout: bool = False, too_much: str = "PR003"
) -> None:
    """Refuse a refund that the state, the amount or the medium does not allow.

    Raises:
        WireRefusal: `too_much`, `PR009`, `PR021` or `TR101`.
    """
    if state_of(payment) is not APPROVED:
        raise refusal("PR009")
    if amount_minor is not None and amount_minor > payment.refundable_minor:
        raise refusal(too_much)
    if payment.refundable_minor == 0:
        raise refusal("PR009")
    _, medium = medium_of_payment(payment)
    operations = medium.operations if medium else "PAFR"
    if "F" not in operations and not by_payout:
        raise refusal("TR101")
    is_partial = amount_minor is not None and amount_minor < payment.captured_minor
    if is_partial and "R" not in operations and not by_payout:
        raise refusal("PR021")


read_commit = _follow_up(OperationKind.CAPTURE, check_pre_authorized)
read_rollback = _follow_up(OperationKind.VOID, check_pre_authorized)
read_refund = _follow_up(OperationKind.REFUND, check_refundable)


def read_list(call: Call[wire.Nothing, wire.PurchaseQuery]) -> Command[Sequence[PaymentView]]:
    """Read which purchases to list; without dates today's.

    Raises:
        WireRefusal: `PR018` unless both dates are there, `PR019` for more than 31 days.
    """
    query = call.query
    first, last = day_of(query.first_day), day_of(query.last_day)
    if (first is None) is not (last is None):
        raise refusal("PR018")
    today = call.now.astimezone(UTC).date()
    first, last = first or today, last or today
    if last < first:
        raise refusal("PR018")
    if (last - first).days >= DAYS_MAX:
        raise refusal("PR019")
    page = PageRequest(
        limit=LISTED_MAX,
        filters={"reference": query.order_number} if query.order_number else {},
        since=datetime.combine(first, time(), UTC),
        until=datetime.combine(last, time(), UTC) + timedelta(days=1),
    )

    def choose(found: Page[PaymentView]) -> Command[Sequence[PaymentView]]:
        return Give([view for view in reversed(found.items) if _is_wanted(view.payment, query)])

    return Then(ListPayments(page, with_operations=True), choose)


def _is_wanted(payment: Payment, query: wire.PurchaseQuery) -> bool:
    if payment.kind not in {OperationKind.PURCHASE, OperationKind.AUTHORIZATION}:
        return False
    if query.authorized and state_of(payment) not in {APPROVED, PRE_AUTHORIZED}:
        return False
    if query.payment_media_id is not None and medium_of_payment(payment)[0] != query.payment_media_id:
        return False
    customer = PLAIN.number_of(payment.customer_id) if payment.customer_id else None
    return query.customer_id is None or query.customer_id == customer


# --- showing ---------------------------------------------------------------------------------------


def write_purchase(view: PaymentView, call: AnyCall) -> wire.Envelope:
    """Show a purchase."""
    return wire.Envelope(response=purchase_out(view, call))


def write_list(views: Sequence[PaymentView], call: AnyCall) -> wire.Envelope:
    """Show purchases, oldest first; a list even of one."""
    return wire.Envelope(response=[purchase_out(view, call) for view in views])


def purchase_out(view: PaymentView, call: AnyCall) -> wire.PurchaseOut:
    """Show a purchase as it stands now."""
    payment, facts = view.payment, view.payment.facts
    number = PLAIN.number_of(payment.id)
    medium_id, _ = medium_of_payment(payment)

    def hundredths(amount_minor: int) -> int:
        return hundredths_of(amount_minor, payment.currency)

    return wire.PurchaseOut(
        purchase_id=number,
        created=timestamp(payment.created_at),
        order=payment.reference or "",
        transaction=_transaction_out(view, call),
        capture=payment.kind is not OperationKind.AUTHORIZATION,
        amount=hundredths(current_minor(payment)),
        original_amount=hundredths(payment.amount_minor),
        taxable_amount=_int(facts, "taxable"),
        tip=_int(facts, "tip"),
        installments=_int(facts, "installments") or 1,
        currency=payment.currency,
        description=_text(facts, "description"),
        customer=_customer_out(payment, call),
        refund_list=tuple(_refund_out(one) for one in view.operations if one.kind is OperationKind.REFUND)
        or None,
        unique_id=_text(facts, "unique_id"),
        additional_data=_text(facts, "additional_data"),
        customer_user_agent=_text(facts, "user_agent"),
        customer_ip=_text(facts, "ip"),
        url=f"{call.base_url}/v1/api/Purchase/{number}",
        data_uy=_data_uy_out(facts),
        data_do=_data_do_out(facts),
        acquirer=wire.AcquirerOut(acquirer_id=1, name=payment.processor.title()),
        commerce_action=_action_out(payment, call),
        purchase_payment_profile_id=_profile_number(payment),
        loyalty_plan=None,
        device_fingerprint_id=_text(facts, "device"),
        metadata_in=dict(object_of(facts, "metadata_in")) or None,
        metadata_out=metadata_out(payment, call),
        cross_border_data=dict(object_of(facts, "cross_border")) or None,
        redirection=dict(object_of(facts, "redirection")) or None,
        antifraud_data=dict(object_of(facts, "antifraud")) or None,
        payment_media_id=medium_id,
        target_country=country_of(payment),
        is_first_recurrent_purchase=facts.get("is_first") is True,
        has_cvv=None if "has_cvv" not in facts else facts["has_cvv"] is True,
    )


def _int(facts: Mapping[str, object], name: str) -> int:
    value = facts.get(name)
    return value if isinstance(value, int) else 0


def _text(facts: Mapping[str, object], name: str) -> str | None:
    value = facts.get(name)
    return value if isinstance(value, str) else None


def _transaction_out(view: PaymentView, call: AnyCall) -> wire.TransactionOut:
    payment = view.payment
    state = state_of(payment)
    code, description = error_of(payment, call)
    _, medium = medium_of_payment(payment)
    pending = "Pending for Redirection" if medium and medium.result == "action" else "Pending"
    number = PLAIN.number_of(view.operations[0].id) if view.operations else PLAIN.number_of(payment.id)
    closed_at = authorized_at(view) if state in {APPROVED, PRE_AUTHORIZED} else None
    return wire.TransactionOut(
        transaction_id=number,
        transaction_id_again=number,
        created=timestamp(payment.created_at),
        authorization_date=timestamp(closed_at) if closed_at else "",
        transaction_status_id=state.number,
        status=state.word,
        error_code=code or "",
        description=description,
        approval_code=payment.authorization_code,
        steps=tuple(_step_out(one, call, pending=pending) for one in view.operations),
    )


_STEPS: Mapping[OperationKind, str] = {
    OperationKind.AUTHORIZATION: "Authorization",
    OperationKind.PURCHASE: "Authorization",
    OperationKind.CAPTURE: "Commit",
    OperationKind.VOID: "Rollback",
    OperationKind.REFUND: "Refund",
    OperationKind.VERIFICATION: "Verification",
    OperationKind.CREDIT: "Credit",
}


def _step_out(operation: Operation, call: AnyCall, *, pending: str) -> wire.StepOut:
    name = _STEPS[operation.kind]
    state = state_of_operation(operation)
    code = decline_code(operation.decline) if operation.decline else ""
    status = {APPROVED: f"{name} OK", PENDING: pending}.get(state, f"{name} Failed")
    raw = operation.decline.processor_code if operation.decline else "00"
    return wire.StepOut(
        step=f"{operation.processor.title()} {name}",
        created=timestamp(operation.created_at),
        status=status,
        response_code="0" if state is APPROVED else "1",
        response_message=text_of(code, language_of(call.headers)) if code else "00",
        error=code,
        authorization_code=operation.authorization_code,
        unique_id=None,
        acquirer_response_detail=f'{{"code":"{raw or ""}"}}',
    )


def _refund_out(operation: Operation) -> wire.RefundOut:
    money = operation.money
    return wire.RefundOut(
        purchase_refund_id=PLAIN.number_of(operation.id),
        created=timestamp(operation.created_at),
        amount=hundredths_of(money.amount_minor, money.currency),
        currency=money.currency,
        status=state_of_operation(operation).word,
    )


def _data_uy_out(facts: Mapping[str, object]) -> wire.DataUyOut:
    data = object_of(facts, "data_uy")
    return wire.DataUyOut(
        is_final_consumer=data.get("final") is True,
        invoice=_text(data, "invoice"),
        taxable_amount=_int(data, "taxable"),
    )


def _data_do_out(facts: Mapping[str, object]) -> wire.DataDoOut:
    data = {name.lower(): value for name, value in object_of(facts, "data_do").items()}
    tax = data.get("tax")
    return wire.DataDoOut(invoice=clip(data.get("invoice")), tax=tax if isinstance(tax, int) else 0)


def _action_out(payment: Payment, call: AnyCall) -> wire.ActionOut | None:
    """Show where a pending payer has to go."""
    url, session = page_url(payment, call), _text(payment.facts, "session")
    _, medium = medium_of_payment(payment)
    if url is None or session is None or medium is None or state_of(payment) is not PENDING:
        return None
    if medium.result != "action":
        return None
    return wire.ActionOut(
        action_type=1,
        action_reason="REDIRECTION_NEEDED_EXTERNAL_SERVICE",
        action_url=url,
        action_session_id=session,
    )


def _profile_number(payment: Payment) -> int:
    return PLAIN.number_of(payment.stored_token_id or payment.id)


def _customer_out(payment: Payment, call: AnyCall) -> wire.CustomerOut:
    """Show whose purchase it is: the credential's customer, or an anonymous one."""
    facts = object_of(payment.facts, "customer")
    is_stored = payment.stored_token_id is not None
    summary, country = payment.summary, country_of(payment)
    medium_id, medium = medium_of_summary(summary, country)
    profile = wire.ProfileOut(
        payment_profile_id=_profile_number(payment),
        payment_media_id=medium_id,
        created=timestamp(payment.created_at),
        last_update=None,
        brand=brand_name(summary, medium),
        card_owner=_text(payment.facts, "owner"),
        bin=summary.bin if is_stored else None,
        issuer_bank=None,
        installments=installments_text(summary, country),
        type=type_name(summary, medium),
        id_commerce_token=0,
        token=None,
        expiration=f"{summary.exp_year:04}{summary.exp_month:02}" if summary.exp_year else None,
        last4=summary.last_four or None,
        enabled=True if is_stored else None,
    )
    return person_out(
        facts if is_stored else {**facts, "owner": "Anonymous"},
        number=PLAIN.number_of(payment.customer_id) if payment.customer_id else 0,
        created=created_of(facts, payment.created_at),
        profiles=(profile,),
        call=call,
        session=None,
    )


# --- generation two --------------------------------------------------------------------------------


def write_refund_receipt(view: PaymentView, call: AnyCall) -> wire.Envelope:
    """Show a refund as generation two does."""
    operation = view.operation
    assert operation is not None, "a refund makes an operation"
    state = state_of_operation(operation)
    code = decline_code(operation.decline) if operation.decline else None
    money = operation.money
    status_id, status = (10, "Refund_OK") if state is APPROVED else (state.number, state.word)
    return wire.Envelope(
        response=wire.RefundReceiptOut(
            purchase_refund_id=PLAIN.number_of(operation.id),
            created=timestamp(operation.created_at),
            amount=hundredths_of(money.amount_minor, money.currency),
            currency=money.currency,
            status_id=status_id,
            status=status,
            authorization_code=operation.authorization_code,
            code=code,
            description=text_of(code, language_of(call.headers)) if code else None,
        )
    )
