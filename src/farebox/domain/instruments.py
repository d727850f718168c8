"""What a token stands for: a card or a bank account, and what may be shown of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from farebox.domain.bank_accounts import AchAccount, BacsAccount, PadAccount, SepaAccount
from farebox.domain.cards import Card
from farebox.domain.frozen import frozen

BankAccount = AchAccount | PadAccount | BacsAccount | SepaAccount


class MethodFamily(StrEnum):
    """How a payer uses an alternative method."""

    REDIRECT = "redirect"
    """At a page of a bank or network, to which their browser is sent."""
    VOUCHER = "voucher"
    """In cash, with a voucher that carries a code."""
    TRANSFER = "transfer"
    """By a bank transfer that carries a reference."""
    QR = "qr"
    """By scanning a code."""
    WALLET = "wallet"
    """By confirming in an app."""


@frozen
class AlternativeMethod:
    """What the payer does elsewhere, with an instrument that we never see.

    Such a payment is pending until the payer has paid, given up, or let the time go by.
    """

    method: str
    """Which one, in the words of the dialect that offers it."""
    family: MethodFamily
    country: str
    """ISO 3166-1 alpha-2: where it is paid."""
    expires_at: datetime | None = None
    """By the merchant's clock: who has not paid by then no longer can."""


PaymentInstrument = Card | BankAccount | AlternativeMethod


class InstrumentKind(StrEnum):
    """The families a processor may or may not take."""

    CARD = "card"
    ACH = "ach"
    PAD = "pad"
    BACS = "bacs"
    SEPA = "sepa"
    ALTERNATIVE = "alternative"


@frozen
class BillingAddress:
    """The payer's address, as far as given; sealed wherever it is stored."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2."""


@frozen
class PayerDetails:
    """Personal data shown back to the merchant while the token lives, and never stored in clear."""

    holder_name: str | None = None
    billing_address: BillingAddress | None = None
    token: str | None = None
    """The stored credential's own string, where its dialect shows it again; sealed with the rest."""


@frozen
class InstrumentSummary:
    """What may be stored and shown in clear (SEC-04): never more of a number than BIN and last four."""

    kind: InstrumentKind
    last_four: str
    brand: str | None = None
    bin: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    bank: str | None = None
    """Routing number, institution and transit, sort code, or the IBAN's country; public facts of a bank."""
    account_type: str | None = None
    """Of an alternative method: its family."""


def summary_of(instrument: PaymentInstrument, *, bin_length: int = 6) -> InstrumentSummary:
    """Reduce an instrument to what may be shown.

    Args:
        instrument: the clear instrument.
        bin_length: 6, or 8 where the operator chose so (SEC-04).
    """
    match instrument:
        case Card():
            return InstrumentSummary(
                kind=InstrumentKind.CARD,
                last_four=instrument.pan.last_four,
                brand=instrument.pan.brand,
                bin=instrument.pan.bin(bin_length),
                exp_month=instrument.expiry.month,
                exp_year=instrument.expiry.year,
            )
        case AchAccount():
            return InstrumentSummary(
                kind=InstrumentKind.ACH,
                last_four=instrument.last_four,
                bank=instrument.routing_number,
                account_type=instrument.account_type,
            )
        case PadAccount():
            return InstrumentSummary(
                kind=InstrumentKind.PAD,
                last_four=instrument.last_four,
                bank=f"{instrument.institution_number}-{instrument.transit_number}",
            )
        case BacsAccount():
            return InstrumentSummary(
                kind=InstrumentKind.BACS, last_four=instrument.last_four, bank=instrument.sort_code
            )
        case SepaAccount():
            return InstrumentSummary(
                kind=InstrumentKind.SEPA, last_four=instrument.last_four, bank=instrument.country
            )
        case AlternativeMethod():
            return InstrumentSummary(
                kind=InstrumentKind.ALTERNATIVE,
                last_four="",
                brand=instrument.method,
                bank=instrument.country,
                account_type=instrument.family.value,
            )
