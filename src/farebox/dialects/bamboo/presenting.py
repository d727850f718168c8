"""What all generations show of a payment: states, codes, voucher data and what the payer has to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from farebox.dialects.bamboo.errors import CANCELLED, decline_code, language_of, text_of
from farebox.dialects.bamboo.reading import AnyCall
from farebox.dialects.bamboo.tables import DEFAULT_COUNTRY, Medium, medium_of
from farebox.dialects.bamboo.values import LONG, numbering_of
from farebox.domain.frozen import frozen
from farebox.domain.ids import PaymentId
from farebox.domain.operations import Operation, OperationState
from farebox.domain.payments import Payment, PaymentStatus
from farebox.services.commands import (
    Command,
    FindNumbered,
    GetPayment,
    PaymentView,
    Then,
)


@frozen
class State:
    """A transaction's state by its number and its words in each generation."""

    number: int
    word: str

    @property
    def flat_word(self) -> str:
        """Give generation three's word."""
        return self.word.upper()


APPROVED = State(1, "Approved")
PENDING = State(2, "Pending")
PRE_AUTHORIZED = State(3, "PreAuthorized")
REJECTED = State(4, "Rejected")
CANCELLED_STATE = State(6, "Cancelled")

_STATES: Mapping[PaymentStatus, State] = {
    PaymentStatus.PENDING: PENDING,
    # Nobody knows yet, and nobody is told more than that.
    PaymentStatus.IN_DOUBT: PENDING,
    PaymentStatus.DECLINED: REJECTED,
    PaymentStatus.FAILED: REJECTED,
    PaymentStatus.AUTHORIZED: PRE_AUTHORIZED,
    PaymentStatus.PARTIALLY_CAPTURED: APPROVED,
    PaymentStatus.CAPTURED: APPROVED,
    # After refunds a purchase stays approved; only its amount and its list of refunds change.
    PaymentStatus.PARTIALLY_REFUNDED: APPROVED,
    PaymentStatus.REFUNDED: APPROVED,
    PaymentStatus.VOIDED: CANCELLED_STATE,
    PaymentStatus.VERIFIED: APPROVED,
}
"""Source: documentation, "Transaction states"; total, a test walks it."""


def state_of(payment: Payment) -> State:
    """Give a payment's state."""
    if payment.decline is not None and payment.decline.reason in CANCELLED:
        return CANCELLED_STATE
    return _STATES[payment.status]


def state_of_operation(operation: Operation) -> State:
    """Give the state of a refund."""
    match operation.state:
        case OperationState.APPROVED:
            return APPROVED
        case OperationState.DECLINED | OperationState.FAILED | OperationState.REVERSED:
            return REJECTED
        case _:
            return PENDING


def error_of(payment: Payment, call: AnyCall) -> tuple[str | None, str | None]:
    """Give code and text of why a payment was rejected; nothing where it was not."""
    if state_of(payment) is not REJECTED:
        return None, None
    # Without a decline it failed on the way, or we undid it.
    code = decline_code(payment.decline) if payment.decline else "TR997"
    return code, text_of(code, language_of(call.headers))


def country_of(payment: Payment) -> str:
    """Give the country a payment was made for."""
    country = payment.facts.get("country")
    return country if isinstance(country, str) else DEFAULT_COUNTRY


def medium_of_payment(payment: Payment) -> tuple[int, Medium | None]:
    """Give a payment's medium and its id."""
    return medium_of(payment, country_of(payment))


def current_minor(payment: Payment) -> int:
    """Give what is left of a purchase: what was captured less what was refunded, or what it is for."""
    if state_of(payment) is APPROVED:
        return payment.captured_minor - payment.refunded_minor
    return payment.amount_minor


def authorized_at(view: PaymentView) -> datetime | None:
    """Give when the opening operation got its final answer."""
    return view.operations[0].closed_at if view.operations else None


# --- what the payer has to do ----------------------------------------------------------------------


def page_url(payment: Payment, call: AnyCall) -> str | None:
    """Give the address of the payer's page."""
    session = payment.facts.get("session")
    return f"{call.base_url}/{session}" if isinstance(session, str) else None


def metadata_out(payment: Payment, call: AnyCall) -> dict[str, object] | None:
    """Give what the payer of an alternative medium is shown, each value following from the payment's id."""
    _, medium = medium_of_payment(payment)
    url = page_url(payment, call)
    if medium is None or url is None:
        return None
    found = {name.partition(":")[0]: _value(name, payment, url) for name in medium.out}
    # Ours: where a tester plays the payer, whatever the medium.
    return {**found, "SandboxUrl": url}


def digits_of(payment: Payment, count: int) -> str:
    """Give the last digits of a payment's number, of which the first is no zero."""
    return "1" + str(LONG.number_of(payment.id))[-(count - 1) :]


def _value(name: str, payment: Payment, url: str) -> object:
    field, _, form = name.partition(":")
    if form or field in {"Expiration", "CouponValidity"}:
        return _expiry(payment, form or field)
    if field.lower().endswith("url"):
        return url
    values: Mapping[str, object] = {
        "PaymentCode": digits_of(payment, 12),
        "PaymentBarCode": digits_of(payment, 20) if payment.summary.account_type == "voucher" else url,
        "PaymentDigitableLine": digits_of(payment, 20),
        "AgreementCode": digits_of(payment, 6),
        "PaymentMerchantId": digits_of(payment, 5),
        "CodeQr": url,
        # A picture of the code is not drawn here: the text of the code is the address of the page.
        "Base64Qr": None,
        "Clabe": clabe(digits_of(payment, 17)),
        "Amount": payment.amount_minor,
        "BankBeneficiaryName": "Farebox sandbox",
        "BankName": "STP",
        "BankConcept": payment.reference,
        "BankReference": digits_of(payment, 7),
    }
    return values.get(field)


_FORMS: Mapping[str, str] = {
    "dmy": "%d/%m/%Y",
    "dmy_time": "%d/%m/%Y %H:%M:%S",
    "iso": "%Y-%m-%dT%H:%M:%S+00:00",
    "Expiration": "%Y-%m-%dT%H:%M:%S",
    "CouponValidity": "%Y%m%d",
}


def expires_at(payment: Payment) -> datetime | None:
    """Give until when the payer has time."""
    found = payment.facts.get("expires_at")
    return datetime.fromtimestamp(found, UTC) if isinstance(found, int | float) else None


def _expiry(payment: Payment, form: str) -> str | None:
    instant = expires_at(payment)
    return instant.strftime(_FORMS[form]) if instant else None


def clabe(first: str) -> str:
    """Add the check digit to 17 digits of a Mexican account number.

    Source: Banco de México, "Clave Bancaria Estandarizada": weights 3, 7, 1 modulo 10.
    """
    weighted = sum(int(digit) * (3, 7, 1)[place % 3] % 10 for place, digit in enumerate(first))
    return f"{first}{-weighted % 10}"


# --- finding ---------------------------------------------------------------------------------------


def find_payment(number: int) -> Command[PaymentView]:
    """Find a payment by its number, of whichever generation."""
    found: Command[str] = FindNumbered("pay", numbering_of(number), number)
    return Then(found, lambda identifier: GetPayment(PaymentId(identifier)))
