"""Direct Debit: purchases and standalone credits by ACH, EFT, BACS and SEPA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import CODES, error_headers, error_object, refusal
from farebox.dialects.paysafe.mapping.bank_accounts import MANDATE, mandate_status, read_account
from farebox.dialects.paysafe.mapping.cards import (
    credit_status,
    decline_code,
    is_cancelled,
)
from farebox.dialects.paysafe.mapping.common import (
    AnyCall,
    Json,
    account_link,
    billing_address,
    expect_status,
    facts_of,
    instant,
    masked,
    money,
    our_id,
    plain,
    present,
    reference,
    unique,
)
from farebox.dialects.paysafe.mapping.tokens import Looked, look
from farebox.dialects.paysafe.mapping.vault import RESOURCE
from farebox.dialects.paysafe.tables import CANCELLED, CURRENCIES, SCHEMES
from farebox.domain.declines import DeclineReason
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import PaymentId, uuid_of
from farebox.domain.instruments import InstrumentKind, PayerDetails
from farebox.domain.operations import OperationKind, OperationState
from farebox.domain.tokens import StoredTokenKind
from farebox.services import commands

API = "directdebit/v1"
PURCHASES = ("debits.purchase",)
CREDITS = ("debits.standalonecredit",)
_COLLECTIONS = {OperationKind.PURCHASE: "purchases", OperationKind.CREDIT: "standalonecredits"}
_PREFIXES = {OperationKind.PURCHASE: "pay", OperationKind.CREDIT: "crd"}
_DESCRIPTOR_MAX = {"ach": 12, "eft": 15, "bacs": 12, "sepa": 40}
_PAY_METHODS_OF_CREDITS = {"PPD", "CCD"}


def _scheme(body: wire.DebitIn) -> tuple[str, wire.Debit]:
    """Give the one scheme of a request.

    Raises:
        WireRefusal: 5068 for none or several.
    """
    given = [(name, getattr(body, name)) for name in CURRENCIES if getattr(body, name) is not None]
    if len(given) != 1:
        raise refusal("5068", "ach", "give exactly one of ach, eft, bacs and sepa")
    return given[0]


def read_debit(
    kind: OperationKind,
) -> Callable[[Call[wire.DebitIn, NoQuery]], commands.Command[commands.PaymentView]]:
    """Make the reader of a purchase or a credit."""
    collection = _COLLECTIONS[kind]

    def read(call: Call[wire.DebitIn, NoQuery]) -> commands.Command[commands.PaymentView]:
        body = call.body
        scheme, debit = _scheme(body)
        _check(scheme, debit, kind)
        address = billing_address(body.billingDetails)
        pay = commands.Pay(
            kind=kind,
            money=money(call, CURRENCIES[scheme]),
            source=commands.FromSingleUseToken(commands.TokenString("")),
            reference=reference(body.merchantRefNum),
            facts={"debit": _facts(body, scheme, debit)},
            unique_reference=unique(call, f"debit {collection}"),
            family=f"debits.{collection.removesuffix('s')}",
            attributes=present(sec_code=debit.payMethod),
        )
        if debit.paymentToken is None:
            return _in_the_clear(call, pay, scheme, debit, PayerDetails(debit.accountHolderName, address))
        return look(debit.paymentToken, lambda looked: _with_token(call, pay, scheme, debit, looked))

    return read


def _check(scheme: str, debit: wire.Debit, kind: OperationKind) -> None:
    if scheme == "ach":
        if debit.payMethod is None:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="ach.payMethod")
        if kind is OperationKind.CREDIT and debit.payMethod not in _PAY_METHODS_OF_CREDITS:
            raise refusal("5068", "ach.payMethod", "must be PPD or CCD")
    longest = _DESCRIPTOR_MAX[scheme]
    if debit.paymentDescriptor is not None and len(debit.paymentDescriptor) > longest:
        raise refusal("5068", f"{scheme}.paymentDescriptor", f"size must be between 0 and {longest}")


def _in_the_clear(
    call: Call[wire.DebitIn, NoQuery],
    pay: commands.Pay,
    scheme: str,
    debit: wire.Debit,
    details: PayerDetails,
) -> commands.Command[commands.PaymentView]:
    profile = call.body.profile
    for name in ("firstName", "lastName"):
        if profile is None or getattr(profile, name) is None:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param=f"profile.{name}")
    if call.body.billingDetails is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="billingDetails")
    if scheme in {"bacs", "sepa"} and pay.kind is OperationKind.PURCHASE and debit.mandateReference is None:
        raise refusal("2011")
    account = read_account(
        scheme,
        debit,
        call,
        code="5068",
        mandate_reference=debit.mandateReference,
        sec_code=debit.payMethod,
    )
    return replace(pay, source=commands.FromInstrument(account, details))


def _with_token(
    call: AnyCall, pay: commands.Pay, scheme: str, debit: wire.Debit, looked: Looked
) -> commands.Command[commands.PaymentView]:
    """Check that the token may be debited, and add what the vault knows.

    Raises:
        WireRefusal: 2017 for another scheme's, 2012 and 2013 by the mandate's state, 5502 otherwise.
    """
    found = SCHEMES.get(looked.summary.kind)
    if found is None:
        raise refusal("5502")
    if found != scheme:
        raise refusal("2017")
    if looked.stored is not None:
        _check_stored(call, pay.kind, scheme, looked)
    facts = facts_of(pay, "debit")
    shown = {
        **facts,
        **present(
            profile=facts.get("profile") or looked.profile,
            billingDetails=facts.get("billingDetails") or looked.billing,
        ),
    }
    holder = looked.details.holder_name if looked.details else None
    shown[scheme] = {**present(accountHolderName=holder), **shown[scheme]}
    pay = replace(pay, source=looked.source, facts={"debit": shown})
    if debit.replaceWithMultiUsePaymentToken and looked.single_use is not None:
        if not call.body.merchantCustomerId:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="merchantCustomerId")
        return replace(pay, save=commands.SaveCredential(StoredTokenKind.PAYMENT_TOKEN))
    return pay


def _check_stored(call: AnyCall, kind: OperationKind, scheme: str, looked: Looked) -> None:
    token = looked.stored
    assert token is not None, "asked for stored tokens only"
    is_mandate = token.facts.get(RESOURCE) == MANDATE
    if is_mandate:
        status, _ = mandate_status(commands.StoredTokenView(token), call.now)
        if status in {"PENDING", "BATCHED", "INITIAL"}:
            raise refusal("2012")
        if status != "ACTIVE":
            raise refusal("2013")
    elif scheme == "bacs" or (scheme == "sepa" and kind is OperationKind.PURCHASE):
        # Such an account is debited by its mandate's token only.
        raise refusal("5502")


def _facts(body: wire.DebitIn, scheme: str, debit: wire.Debit) -> Json:
    profile = plain(body.profile)
    if profile and "ssn" in profile:
        profile["ssn"] = masked(profile["ssn"], 2)
    return {
        "dupCheck": body.dupCheck,
        **present(
            customerIp=body.customerIp,
            profile=profile,
            billingDetails=plain(body.billingDetails),
            shippingDetails=plain(body.shippingDetails),
            splitpay=plain(body.splitpay),
        ),
        scheme: present(
            accountHolderName=debit.accountHolderName,
            accountType=debit.accountType,
            payMethod=debit.payMethod,
            paymentDescriptor=debit.paymentDescriptor,
            mandateReference=debit.mandateReference,
        ),
    }


def read_debit_lookup(
    kind: OperationKind,
) -> Callable[[Call[NoBody, NoQuery]], commands.Command[commands.PaymentView]]:
    """Make the reader of a look-up."""

    def read(call: AnyCall) -> commands.Command[commands.PaymentView]:
        def checked(view: commands.PaymentView) -> commands.Command[commands.PaymentView]:
            if view.payment.summary.kind is InstrumentKind.CARD or view.payment.kind is not kind:
                raise refusal("5269")
            return commands.Give(replace(view, operation=view.operations[0]))

        return commands.Then(
            commands.GetPayment(PaymentId(our_id(_PREFIXES[kind], call.path["id"]))), checked
        )

    return read


def read_debit_change(
    kind: OperationKind,
) -> Callable[[Call[wire.StatusIn, NoQuery]], commands.Command[commands.PaymentView]]:
    """Make the reader of a cancellation: before the batch only."""
    lookup = read_debit_lookup(kind)

    def read(call: AnyCall) -> commands.Command[commands.PaymentView]:
        expect_status(call, CANCELLED)

        def cancel(view: commands.PaymentView) -> commands.Command[commands.PaymentView]:
            if view.payment.state is not OperationState.PENDING:
                raise refusal("3415")
            return commands.DecidePending(view.payment.id, DeclineReason.STOP_PAYMENT, CANCELLED)

        return commands.Then(lookup(call), cancel)

    return read


def debit_body(view: commands.PaymentView, call: AnyCall) -> Json:
    """Show a purchase or a credit."""
    payment = view.payment
    view = replace(view, operation=view.operations[0])
    facts = facts_of(payment, "debit")
    summary = payment.summary
    scheme = SCHEMES[summary.kind]
    shown = {
        **_account(scheme, summary.bank or "", summary.account_type, summary.last_four),
        **facts.get(scheme, {}),
    }
    if view.saved is not None:
        details = view.saved.details
        shown |= present(multiUsePaymentToken=view.saved.string or (details.token if details else None))
    error = None
    if payment.decline is not None and not is_cancelled(payment.decline):
        error = error_object(CODES[decline_code(payment.decline, payment)], "directdebit")
    return {
        "links": [account_link(call, API, _COLLECTIONS[payment.kind], payment.id)],
        "id": uuid_of(payment.id),
        **present(merchantRefNum=payment.reference),
        "amount": payment.amount_minor,
        "txnTime": instant(payment.created_at),
        "currencyCode": payment.currency,
        "status": credit_status(view),
        **{name: value for name, value in facts.items() if name != scheme},
        scheme: shown,
        **present(error=error),
    }


def _account(scheme: str, bank: str, account_type: str | None, last_four: str) -> Json:
    stars = "*" * 5 + last_four[-2:]
    match scheme:
        case "ach":
            return {
                "accountNumber": stars,
                "routingNumber": bank,
                "accountType": (account_type or "checking").removeprefix("business_").upper(),
                "lastDigits": last_four[-2:],
            }
        case "eft":
            institution, _, transit = bank.partition("-")
            return {
                "accountNumber": stars,
                "transitNumber": transit,
                "institutionId": institution,
                "lastDigits": last_four[-2:],
            }
        case "bacs":
            return {"accountNumber": stars, "sortCode": bank, "lastDigits": last_four[-2:]}
        case _:
            return {"iban": f"{bank}{stars}", "lastDigits": last_four[-2:]}


def write_debit(view: commands.PaymentView, call: AnyCall) -> Answer:
    """Answer a purchase or a credit."""
    decline = view.payment.decline
    body = debit_body(view, call)
    if decline is None:
        return Answer(body)
    error = CODES[decline_code(decline, view.payment)]
    answer = {
        "links": body["links"],
        "id": body["id"],
        **present(merchantRefNum=view.payment.reference),
        "error": error_object(error, "directdebit"),
    }
    return Answer(answer, status=error.status, headers=error_headers(error, "directdebit"))


def write_debit_lookup(view: commands.PaymentView, call: AnyCall) -> Answer:
    """Show a purchase or a credit, a declined one too."""
    return Answer(debit_body(view, call))


def write_debit_cancelled(view: commands.PaymentView, call: AnyCall) -> Answer:
    """Answer a cancellation, if the batch was not faster."""
    if not is_cancelled(view.payment.decline):
        raise refusal("3415")
    body = {
        "links": [{"rel": "self", "href": call.url.rstrip("/")}],
        "id": call.path["id"],
        "txnTime": instant(call.now),
        "status": CANCELLED,
    }
    return Answer(body)
