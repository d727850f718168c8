"""Cards and bank accounts between the wire and the domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from farebox.dialects.dialect import WireRefusal
from farebox.dialects.payroc.errors import CAPABILITIES_MISSING
from farebox.dialects.payroc.mapping.common import at, facts_of, members, refuse, text
from farebox.dialects.payroc.wire import instruments as wire
from farebox.dialects.payroc.wire.common import Link, SecureTokenSummary
from farebox.domain.access import Mode
from farebox.domain.bank_accounts import AchAccount, PadAccount, parse_ach, parse_pad
from farebox.domain.card_brands import brand_table
from farebox.domain.card_reading import parse_chip, parse_track, stand_in_for_encrypted
from farebox.domain.cards import Card, parse_cvc, parse_expiry, parse_pan
from farebox.domain.checks import AvsResult, Checks, CvcResult
from farebox.domain.errors import ErrorCode
from farebox.domain.instruments import InstrumentKind, InstrumentSummary, PaymentInstrument
from farebox.domain.sensitive import Sensitive
from farebox.services.commands import PaymentView, StoredTokenView

_BRANDS = {"mastercard": "MasterCard", "unknown": "Unknown"}
DEBIT_BINS = frozenset({"400006", "510027"})
"""Of the published test cards. A real card's funding is told by its processor, and none says so yet."""
_AVS: Mapping[AvsResult, str] = {
    AvsResult.MATCH: "Y",
    AvsResult.ADDRESS_MATCH: "A",
    AvsResult.POSTAL_CODE_MATCH: "Z",
    AvsResult.NO_MATCH: "N",
    AvsResult.NOT_PROVIDED: "S",
    AvsResult.NOT_PROCESSED: "R",
    AvsResult.NOT_SUPPORTED: "G",
    AvsResult.UNAVAILABLE: "U",
    AvsResult.UNKNOWN: "U",
}
_CVC: Mapping[CvcResult, str] = {
    CvcResult.MATCH: "M",
    CvcResult.NO_MATCH: "N",
    CvcResult.NOT_PROVIDED: "P",
    CvcResult.NOT_PROCESSED: "P",
    CvcResult.NOT_SUPPORTED: "U",
    CvcResult.UNAVAILABLE: "P",
    CvcResult.UNKNOWN: "P",
}


@dataclass(frozen=True, slots=True)
class ReadInstrument:
    """An instrument, and what the protocol wants back with it."""

    instrument: PaymentInstrument
    facts: Mapping[str, Any]

    @property
    def holder_name(self) -> str | None:
        """Give the name on card or account."""
        return holder_name_of(self.instrument)


def holder_name_of(instrument: PaymentInstrument) -> str | None:
    """Give the name on a card or a bank account."""
    return instrument.holder_name if isinstance(instrument, Card | AchAccount | PadAccount) else None


def read_card(
    payload: wire.CardPayload, place: str, mode: Mode, *, needs_expiry: bool = True
) -> ReadInstrument:
    """Read a card, however it was entered; nothing else of a stripe or a chip is kept.

    Raises:
        InvalidRequest: what the card's rules refuse; encrypted data in live mode.
    """
    details, here = payload.card_details, f"{place}.cardDetails"
    match details:
        case wire.KeyedCard():
            card, entry = _read_keyed(details, here, mode, needs_expiry=needs_expiry), "keyed"
        case wire.SwipedCard():
            card, entry = _read_swiped(details, here, mode)
        case wire.IccCard():
            card, entry = (
                _read_chip(details.icc_data, f"{here}.iccData", details.first_digit_of_pan, mode),
                "icc",
            )
        case wire.RawCard():
            card = _read_chip(details.raw_data, f"{here}.rawData", None, mode)
            entry = "swiped" if details.downgrade_to == "swiped" else "icc"
    ebt = None if isinstance(details, wire.RawCard) else details.ebt_details
    return ReadInstrument(
        card,
        facts_of(
            entryMethod=entry,
            cardholderName=card.holder_name,
            cardholderSignature=details.cardholder_signature,
            ebt=ebt.benefit_category if ebt else None,
        ),
    )


def _read_keyed(details: wire.KeyedCard, here: str, mode: Mode, *, needs_expiry: bool) -> Card:
    data, place = details.keyed_data, f"{here}.keyedData"
    with at(place):
        match data:
            case wire.PlainKeyed():
                if data.expiry_date is None and needs_expiry:
                    raise refuse("expiryDate", "Required.", ErrorCode.PARAMETER_MISSING)
                pan = parse_pan(data.card_number)
                cvc = parse_cvc(data.cvv, brand=pan.brand) if data.cvv else None
                month, year = _expiry(data.expiry_date or "1299")
                return Card(pan, parse_expiry(month, year), details.cardholder_name, cvc)
            case wire.PartiallyEncryptedKeyed():
                month, year = _expiry(data.expiry_date)
                card = _encrypted(mode, data.masked_pan[:1], month=month, year=year)
            case wire.FullyEncryptedKeyed():
                card = _encrypted(mode, data.first_digit_of_pan)
    return replace(card, holder_name=details.cardholder_name)


def _read_swiped(details: wire.SwipedCard, here: str, mode: Mode) -> tuple[Card, str]:
    data = details.swiped_data
    entry = "swipedFallback" if data.fallback else "swiped"
    with at(f"{here}.swipedData"):
        if isinstance(data, wire.PlainSwiped):
            card = parse_track(data.track_data)
        else:
            card = _encrypted(mode, data.first_digit_of_pan)
    if details.cardholder_name is not None:
        card = replace(card, holder_name=details.cardholder_name)
    return card, entry


def _read_chip(data: Sensitive, place: str, first_digit: str | None, mode: Mode) -> Card:
    with at(place):
        return parse_chip(data) or _encrypted(mode, first_digit)


def _encrypted(
    mode: Mode, first_digit: str | None, *, month: int | None = None, year: int | None = None
) -> Card:
    """Stand in for what only a terminal maker's keys open; there are none here."""
    if mode is Mode.LIVE:
        raise WireRefusal(CAPABILITIES_MISSING, param="processingTerminalId")
    if month is None or year is None:
        return stand_in_for_encrypted(first_digit)
    return stand_in_for_encrypted(first_digit, month=month, year=year)


def _expiry(text_: str) -> tuple[int, int]:
    return int(text_[:2]), int(text_[2:])


def read_wallet(payload: wire.WalletPayload, place: str, mode: Mode) -> ReadInstrument:
    """Stand in for a wallet's card: its token can be decrypted by the wallet's merchant key only.

    Raises:
        InvalidRequest: it is no hexadecimal text, or this is live mode.
    """
    with at(f"{place}.encryptedData"):
        parse_chip(payload.encrypted_data)
        card = _encrypted(mode, None)
    card = replace(card, holder_name=payload.cardholder_name)
    return ReadInstrument(card, facts_of(entryMethod="keyed", cardholderName=card.holder_name))


def read_bank(payload: wire.AchPayload | wire.PadPayload, place: str, mode: Mode) -> ReadInstrument:
    """Read a bank account.

    Raises:
        InvalidRequest: what the account's rules refuse.
    """
    with at(place):
        if isinstance(payload, wire.AchPayload):
            account: PaymentInstrument = parse_ach(
                routing_number=payload.routing_number,
                account_number=payload.account_number,
                account_type=payload.account_type,
                sec_code=payload.sec_code.upper(),
                holder_name=payload.name_on_account,
                requires_check_digit=mode is Mode.LIVE,
            )
            sec_code: str | None = payload.sec_code
        else:
            account = parse_pad(
                institution_number=payload.institution_number,
                transit_number=payload.transit_number,
                account_number=payload.account_number,
                holder_name=payload.name_on_account,
            )
            sec_code = None
    return ReadInstrument(
        account,
        facts_of(nameOnAccount=payload.name_on_account, accountType=payload.account_type, secCode=sec_code),
    )


# --- shown -----------------------------------------------------------------------------------------


def masked_number(summary: InstrumentSummary) -> str:
    """Give a number with only its first six and last four digits."""
    if summary.kind is InstrumentKind.CARD:
        return f"{(summary.bin or '')[:6]}******{summary.last_four}"
    return f"*****{summary.last_four}"


def expiry_text(summary: InstrumentSummary) -> str:
    """Give a card's expiry as MMYY."""
    return f"{summary.exp_month or 0:02}{(summary.exp_year or 0) % 100:02}"


def brand_text(brand: str | None) -> str:
    """Give a brand as the protocol writes it."""
    known = brand_table().brands.get(brand or "")
    return _BRANDS.get(brand or "") or (known.name if known else "Unknown")


def is_debit(summary: InstrumentSummary) -> bool:
    """Tell whether a card is a published debit test card."""
    return (summary.bin or "")[:6] in DEBIT_BINS


def write_source(
    summary: InstrumentSummary, facts: Mapping[str, Any], *, with_account_type: bool
) -> wire.SourceOut:
    """Show what a token stands for."""
    match summary.kind:
        case InstrumentKind.ACH:
            return wire.AchSource(
                name_on_account=text(facts, "nameOnAccount") or "",
                account_number=masked_number(summary),
                routing_number=summary.bank or "",
                account_type=_account_type(summary, facts) if with_account_type else None,
            )
        case InstrumentKind.PAD:
            institution, transit = _pad_bank(summary)
            return wire.PadSource(
                name_on_account=text(facts, "nameOnAccount") or "",
                account_number=masked_number(summary),
                transit_number=transit,
                institution_number=institution,
                account_type=_account_type(summary, facts) if with_account_type else None,
            )
        case _:
            funding = "Debit" if is_debit(summary) else "Credit"
            return wire.CardSource(
                cardholder_name=text(facts, "cardholderName") or "",
                card_number=masked_number(summary),
                expiry_date=expiry_text(summary),
                card_type=f"{brand_text(summary.brand)} {funding}",
                debit=is_debit(summary),
            )


def _account_type(summary: InstrumentSummary, facts: Mapping[str, Any]) -> str | None:
    return text(facts, "accountType") or summary.account_type


def _pad_bank(summary: InstrumentSummary) -> tuple[str, str]:
    institution, _, transit = (summary.bank or "").partition("-")
    return institution, transit


def write_card(
    summary: InstrumentSummary,
    facts: Mapping[str, Any],
    checks: Checks | None = None,
    secure_token: SecureTokenSummary | None = None,
) -> wire.CardOut:
    """Show the card of a transaction."""
    return wire.CardOut(
        type=brand_text(summary.brand),
        entry_method=text(facts, "entryMethod") or "keyed",
        cardholder_name=text(facts, "cardholderName"),
        cardholder_signature=text(facts, "cardholderSignature"),
        card_number=masked_number(summary),
        expiry_date=expiry_text(summary),
        secure_token=secure_token,
        security_checks=_security_checks(checks) if checks else None,
    )


def _security_checks(checks: Checks) -> wire.SecurityChecks:
    return wire.SecurityChecks(cvv_result=_CVC[checks.cvc], avs_result=_AVS[checks.avs])


def write_bank_account(
    summary: InstrumentSummary, facts: Mapping[str, Any], secure_token: SecureTokenSummary | None
) -> wire.BankAccountOut:
    """Show the account of a bank transfer."""
    if summary.kind is InstrumentKind.PAD:
        institution, transit = _pad_bank(summary)
        return wire.PadOut(
            name_on_account=text(facts, "nameOnAccount") or "",
            account_number=masked_number(summary),
            transit_number=transit,
            institution_number=institution,
            secure_token=secure_token,
        )
    return wire.AchOut(
        sec_code=text(facts, "secCode"),
        name_on_account=text(facts, "nameOnAccount") or "",
        account_number=masked_number(summary),
        routing_number=summary.bank or "",
        secure_token=secure_token,
    )


def customer_name(facts: Mapping[str, Any]) -> str:
    """Give the name that a secure token goes by: the one on card or account, or the customer's."""
    named = text(facts, "cardholderName") or text(facts, "nameOnAccount")
    if named:
        return named
    customer = members(facts.get("customer"))
    names = (text(customer, "firstName"), text(customer, "lastName"))
    return " ".join(name for name in names if name)


def write_summary(view: StoredTokenView | None, base_url: str) -> SecureTokenSummary | None:
    """Show a secure token inside other things; nothing for a credential of another protocol."""
    if view is None or view.token.shown_string is None or view.token.name is None:
        return None
    facts: Mapping[str, Any] = view.token.facts
    terminal = text(facts, "processingTerminalId") or ""
    href = f"{base_url}/v1/processing-terminals/{terminal}/secure-tokens/{view.token.name}"
    return SecureTokenSummary(
        secure_token_id=view.token.name,
        customer_name=customer_name(facts),
        token=view.token.shown_string,
        status=text(facts, "status") or "notValidated",
        link=Link(rel="self", method="GET", href=href),
    )


def secure_token_of(view: PaymentView) -> StoredTokenView | None:
    """Give the secure token that a payment made or was made with."""
    return view.saved or view.credential
