"""What the sandbox answers, by test value: tables of facts, one a dialect.

A table is a TOML file: rows for a card, a bank account, an amount, a security code or a line of the
address, each with the outcome that the gateway documents for it. The first row that matches decides, in
this order: card or account, amount, security code, address; everything else is approved.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec

from farebox.domain.bank_accounts import AchAccount, BacsAccount, PadAccount, SepaAccount
from farebox.domain.cards import Card
from farebox.domain.checks import AvsResult, Checks, CvcResult
from farebox.domain.declines import DeclineReason
from farebox.domain.frozen import frozen
from farebox.domain.instruments import AlternativeMethod, PayerDetails, PaymentInstrument
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.reveal import reveal
from farebox.ports.processors import ProcessorRequest

DEFAULT_TABLE = "native"
Trouble = Literal["late", "never", "garbled"]


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A decline that comes with a follow-up."""

    reason: DeclineReason
    code: str | None = None


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a row does; what it leaves out stays as it would be without the row."""

    outcome: Literal["approved", "declined", "pending", "partial"] | None = None
    reason: DeclineReason | None = None
    code: str | None = None
    message: str | None = None
    avs: AvsResult | None = None
    cvc: CvcResult | None = None
    trouble: Trouble | None = None
    delay_s: float | None = None
    """With `trouble = "late"`: how late."""
    later: dict[OperationKind, Trouble] = msgspec.field(default_factory=dict[OperationKind, Trouble])
    """Trouble that comes with follow-ups of the payment that this opens."""
    later_declines: dict[OperationKind, Refused] = msgspec.field(default_factory=dict[OperationKind, Refused])
    """Declines of follow-ups of the payment that this opens."""
    settles: Literal["approved", "declined"] = "approved"
    """Of a pending one: what the closing of the batch makes of it."""
    operations: frozenset[OperationKind] | None = None
    """None means every operation that opens a payment."""
    note: str | None = None


class Row(Effect, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A row: one condition and its effect."""

    card: str | None = None
    account: str | None = None
    card_ending: str | None = None
    """Four digits: of a card that no row names whole."""
    card_prefixes: tuple[str, ...] = ()
    """With `card_ending`: whose number begins with one of these."""
    amount_minor: int | None = None
    amount_to: int | None = None
    """With `amount_minor`: every amount up to this one, unless a row names it alone."""
    currency: str | None = None
    """With `amount_minor`: only in this currency."""
    attribute: str | None = None
    """What the dialect says about the payment, as `name=value`."""
    cvc_value: str | None = None
    line1: str | None = None
    line1_prefix: str | None = None
    """One letter, upper case."""
    postal_code: str | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A gateway's documented test values."""

    title: str
    source: str
    rows: tuple[Row, ...]


@cache
def table(name: str) -> Table:
    """Read a table; one that there is none of is the native one."""
    path = files("farebox.adapters.processors.sandbox").joinpath(f"tables/{name}.toml")
    if not path.is_file():
        return table(DEFAULT_TABLE)
    return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Table)


@frozen
class _Index:
    cards: Mapping[str, Row]
    accounts: Mapping[str, Row]
    amounts: Mapping[tuple[int, str | None], Row]
    codes: Mapping[str, Row]
    lines: Mapping[str, Row]
    letters: Mapping[str, Row]
    postal_codes: Mapping[str, Row]
    endings: Mapping[str, tuple[Row, ...]]
    ranges: tuple[Row, ...]
    attributes: Mapping[str, Row]


@cache
def _index(name: str) -> _Index:
    rows = table(name).rows
    return _Index(
        cards={row.card: row for row in rows if row.card is not None},
        accounts={row.account: row for row in rows if row.account is not None},
        amounts={
            (row.amount_minor, row.currency): row
            for row in rows
            if row.amount_minor is not None and row.amount_to is None
        },
        codes={row.cvc_value: row for row in rows if row.cvc_value is not None},
        lines={row.line1.lower(): row for row in rows if row.line1 is not None},
        letters={row.line1_prefix: row for row in rows if row.line1_prefix is not None},
        postal_codes={row.postal_code.lower(): row for row in rows if row.postal_code is not None},
        endings={
            ending: tuple(row for row in rows if row.card_ending == ending)
            for ending in {row.card_ending for row in rows if row.card_ending is not None}
        },
        ranges=tuple(row for row in rows if row.amount_to is not None),
        attributes={row.attribute: row for row in rows if row.attribute is not None},
    )


@frozen
class Decision:
    """What the acquirer decides about an operation that opens a payment."""

    outcome: Literal["approved", "declined", "pending", "partial"]
    checks: Checks
    reason: DeclineReason | None = None
    code: str | None = None
    message: str | None = None
    trouble: Trouble | None = None
    delay_s: float | None = None
    settles: Literal["approved", "declined"] | None = "approved"
    """Of a pending one: what the closing of the batch makes of it; nothing if somebody else decides."""
    later: Mapping[OperationKind, Trouble | Refused] = field(
        default_factory=dict[OperationKind, "Trouble | Refused"]
    )


def decide(request: ProcessorRequest) -> Decision:
    """Decide by the dialect's table; never keeps or raises anything that holds the number."""
    index = _index(request.attributes.get("dialect", DEFAULT_TABLE))
    instrument = request.instrument
    matched = [
        row
        for row in _matching(index, instrument, request)
        if row.operations is None or request.kind in row.operations
    ]
    deciding = next((row for row in matched if row.outcome is not None), None)
    troubled = next((row for row in matched if row.trouble is not None), None)
    if isinstance(instrument, AlternativeMethod):
        if request.attributes.get("is_final"):
            return Decision("approved", Checks(AvsResult.NOT_SUPPORTED, CvcResult.NOT_SUPPORTED))
        return Decision("pending", Checks(AvsResult.NOT_SUPPORTED, CvcResult.NOT_SUPPORTED), settles=None)
    is_bank = instrument is not None and not isinstance(instrument, Card)
    moves_money = request.kind is not OperationKind.VERIFICATION
    usual: Literal["approved", "pending"] = "pending" if is_bank and moves_money else "approved"
    return Decision(
        outcome=(deciding.outcome if deciding else None) or usual,
        checks=_checks(matched, instrument, request.payer),
        reason=deciding.reason if deciding else None,
        code=deciding.code if deciding else None,
        message=deciding.message if deciding else None,
        trouble=troubled.trouble if troubled else None,
        delay_s=troubled.delay_s if troubled else None,
        settles=deciding.settles if deciding else "approved",
        later={**matched[0].later, **matched[0].later_declines} if matched else {},
    )


def _matching(index: _Index, instrument: PaymentInstrument | None, request: ProcessorRequest) -> list[Row]:
    """Give the rows that match, in order of precedence."""
    money, address = request.money, request.payer.billing_address
    found: list[Row | None] = []
    if isinstance(instrument, Card):
        found.append(_row_of_card(index, reveal(instrument.pan.number)))
    elif instrument is not None:
        found.append(index.accounts.get(_account_number(instrument)))
    found.append(index.amounts.get((money.amount_minor, money.currency)))
    found.append(index.amounts.get((money.amount_minor, None)))
    found += [row for row in index.ranges if _is_within(row, money)]
    found += [index.attributes.get(f"{name}={value}") for name, value in request.attributes.items()]
    if isinstance(instrument, Card) and instrument.cvc is not None:
        found.append(index.codes.get(reveal(instrument.cvc.value)))
    if address is not None:
        found.append(index.lines.get((address.line1 or "").lower()))
        found.append(index.letters.get((address.line1 or "")[:1].upper()))
        found.append(index.postal_codes.get((address.postal_code or "").lower()))
    return [row for row in found if row is not None]


def _row_of_card(index: _Index, number: str) -> Row | None:
    """Find the row of a whole number, or of how it begins and ends; the longest beginning first."""
    whole = index.cards.get(number)
    if whole is not None:
        return whole
    fitting = [
        (len(prefix), row)
        for row in index.endings.get(number[-4:], ())
        for prefix in row.card_prefixes
        if number.startswith(prefix)
    ]
    return max(fitting, key=lambda one: one[0])[1] if fitting else None


def _is_within(row: Row, money: Money) -> bool:
    """Tell whether an amount lies in a row's range."""
    lowest, highest = row.amount_minor or 0, row.amount_to or 0
    return row.currency in {None, money.currency} and lowest <= money.amount_minor <= highest


def _account_number(instrument: PaymentInstrument) -> str:
    match instrument:
        case AchAccount() | PadAccount() | BacsAccount():
            return reveal(instrument.account_number)
        case Card():
            return reveal(instrument.pan.number)
        case SepaAccount():
            return reveal(instrument.iban)
        case AlternativeMethod():
            return ""


def _checks(matched: list[Row], instrument: PaymentInstrument | None, payer: PayerDetails) -> Checks:
    """Give the results a row names; otherwise what was sent matches."""
    if not isinstance(instrument, Card):
        return Checks(AvsResult.NOT_SUPPORTED, CvcResult.NOT_SUPPORTED)
    avs = next((row.avs for row in matched if row.avs is not None), None)
    cvc = next((row.cvc for row in matched if row.cvc is not None), None)
    sent_avs = _usual_avs(payer)
    sent_cvc = CvcResult.NOT_PROVIDED if instrument.cvc is None else CvcResult.MATCH
    return Checks(
        avs=sent_avs if avs is None or sent_avs is AvsResult.NOT_PROVIDED else avs,
        cvc=sent_cvc if cvc is None or sent_cvc is CvcResult.NOT_PROVIDED else cvc,
    )


def _usual_avs(payer: PayerDetails) -> AvsResult:
    address = payer.billing_address
    street = bool(address and address.line1)
    postal_code = bool(address and address.postal_code)
    if street and postal_code:
        return AvsResult.MATCH
    if street:
        return AvsResult.ADDRESS_MATCH
    return AvsResult.POSTAL_CODE_MATCH if postal_code else AvsResult.NOT_PROVIDED
