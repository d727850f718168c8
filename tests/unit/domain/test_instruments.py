"""The summary of an instrument: what may be stored and shown in clear (SEC-04)."""

from __future__ import annotations

import pytest

from farebox.domain.bank_accounts import parse_ach, parse_bacs, parse_pad, parse_sepa
from farebox.domain.cards import Card, Expiry, parse_cvc, parse_pan
from farebox.domain.instruments import InstrumentKind, InstrumentSummary, PaymentInstrument, summary_of
from farebox.domain.sensitive import Sensitive

CARD = Card(
    parse_pan(Sensitive("4242424242424242")),
    Expiry(12, 2030),
    "Ada Bird",
    parse_cvc(Sensitive("917"), brand="visa"),
)
ACCOUNTS = [
    parse_ach(routing_number="021000021", account_number=Sensitive("000123456789")),
    parse_pad(institution_number="001", transit_number="00011", account_number=Sensitive("012345678")),
    parse_bacs(sort_code="20-00-00", account_number=Sensitive("55779911")),
    parse_sepa(iban=Sensitive("DE89370400440532013000")),
]


def test_a_cards_summary() -> None:
    """Brand, BIN, last four, expiry; neither name nor code."""
    assert summary_of(CARD) == InstrumentSummary(
        kind=InstrumentKind.CARD, last_four="4242", brand="visa", bin="424242", exp_month=12, exp_year=2030
    )
    assert summary_of(CARD, bin_length=8).bin == "42424242"


def test_a_bank_accounts_summary_names_the_bank() -> None:
    """The bank is public, the account is not."""
    kinds = [InstrumentKind.ACH, InstrumentKind.PAD, InstrumentKind.BACS, InstrumentKind.SEPA]
    banks = ["021000021", "001-00011", "200000", "DE"]
    shown = [summary_of(account) for account in ACCOUNTS]
    assert [each.kind for each in shown] == kinds
    assert [each.bank for each in shown] == banks
    assert [each.last_four for each in shown] == ["6789", "5678", "9911", "3000"]


@pytest.mark.parametrize("instrument", [CARD, *ACCOUNTS])
def test_no_summary_holds_a_number_or_a_code(instrument: PaymentInstrument) -> None:
    """SEC-04: whatever kind it is, the whole number is not in it."""
    text = repr(summary_of(instrument, bin_length=8))
    for secret in ("4242424242424242", "917", "000123456789", "012345678", "55779911", "0532013000", "Ada"):
        assert secret not in text
