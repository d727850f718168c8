"""Instruments and payer's details as bytes, and back: what is inside a sealed part.

Rebuilt with the domain's constructors, not its parsers: what was accepted once stays what it is, also when
a table of brands has changed since.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from farebox.domain.bank_accounts import AchAccount, BacsAccount, PadAccount, SepaAccount
from farebox.domain.cards import Card, Cvc, Expiry, Pan
from farebox.domain.instruments import (
    AlternativeMethod,
    BillingAddress,
    MethodFamily,
    PayerDetails,
    PaymentInstrument,
)
from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def pack_instrument(instrument: PaymentInstrument) -> bytes:
    """Write an instrument without its CVC."""
    match instrument:
        case Card(pan=pan, expiry=expiry):
            number = reveal(pan.number)
            return _encode(("card", number, expiry.month, expiry.year, instrument.holder_name, pan.brands))
        case AchAccount():
            return _encode(
                (
                    "ach",
                    instrument.routing_number,
                    reveal(instrument.account_number),
                    instrument.last_four,
                    instrument.account_type,
                    instrument.sec_code,
                    instrument.holder_name,
                )
            )
        case PadAccount():
            return _encode(
                (
                    "pad",
                    instrument.institution_number,
                    instrument.transit_number,
                    reveal(instrument.account_number),
                    instrument.last_four,
                    instrument.holder_name,
                )
            )
        case BacsAccount():
            return _encode(
                (
                    "bacs",
                    instrument.sort_code,
                    reveal(instrument.account_number),
                    instrument.last_four,
                    instrument.mandate_reference,
                    instrument.holder_name,
                )
            )
        case SepaAccount():
            return _encode(
                (
                    "sepa",
                    reveal(instrument.iban),
                    instrument.last_four,
                    instrument.country,
                    instrument.bic,
                    instrument.mandate_reference,
                    instrument.holder_name,
                )
            )
        case AlternativeMethod():
            return _pack_method(instrument)


def _pack_method(method: AlternativeMethod) -> bytes:
    expires_at = method.expires_at.timestamp() if method.expires_at else None
    return _encode(("alternative", method.method, method.family.value, method.country, expires_at))


def unpack_instrument(packed: bytes, cvc: Cvc | None = None) -> PaymentInstrument:
    """Read what `pack_instrument` wrote; a card gets the CVC given."""
    kind, *fields = _decode(packed)
    return _READERS[kind](fields, cvc)


def _card(fields: list[Any], cvc: Cvc | None) -> Card:
    number, month, year, holder_name, brands = fields
    pan = Pan(Sensitive(number), number[-4:], brands[0], tuple(brands), len(number))
    return Card(pan, Expiry(month, year), holder_name, cvc)


def _ach(fields: list[Any], cvc: Cvc | None) -> AchAccount:
    routing, number, last_four, account_type, sec_code, holder_name = fields
    return AchAccount(routing, Sensitive(number), last_four, account_type, sec_code, holder_name)


def _pad(fields: list[Any], cvc: Cvc | None) -> PadAccount:
    institution, transit, number, last_four, holder_name = fields
    return PadAccount(institution, transit, Sensitive(number), last_four, holder_name)


def _bacs(fields: list[Any], cvc: Cvc | None) -> BacsAccount:
    sort_code, number, last_four, mandate, holder_name = fields
    return BacsAccount(sort_code, Sensitive(number), last_four, mandate, holder_name)


def _sepa(fields: list[Any], cvc: Cvc | None) -> SepaAccount:
    iban, last_four, country, bic, mandate, holder_name = fields
    return SepaAccount(Sensitive(iban), last_four, country, bic, mandate, holder_name)


def _alternative(fields: list[Any], cvc: Cvc | None) -> AlternativeMethod:
    method, family, country, expires_at = fields
    end = None if expires_at is None else datetime.fromtimestamp(expires_at, UTC)
    return AlternativeMethod(method, MethodFamily(family), country, end)


_READERS = {
    "card": _card,
    "ach": _ach,
    "pad": _pad,
    "bacs": _bacs,
    "sepa": _sepa,
    "alternative": _alternative,
}


def pack_cvc(cvc: Cvc) -> bytes:
    """Write a CVC."""
    return reveal(cvc.value).encode("ascii")


def unpack_cvc(packed: bytes) -> Cvc:
    """Read a CVC."""
    return Cvc(Sensitive(packed.decode("ascii")))


def pack_details(details: PayerDetails) -> bytes:
    """Write the payer's details."""
    address = details.billing_address
    lines = None
    if address is not None:
        lines = (
            address.line1,
            address.line2,
            address.city,
            address.state,
            address.postal_code,
            address.country,
        )
    return _encode((details.holder_name, lines, details.token))


def unpack_details(packed: bytes) -> PayerDetails:
    """Read the payer's details."""
    # What was sealed before there was a third part has two.
    holder_name, lines, *rest = _decode(packed)
    return PayerDetails(holder_name, None if lines is None else BillingAddress(*lines), *rest)


def number_of(instrument: PaymentInstrument) -> tuple[str, bytes]:
    """Give the whole number that a fingerprint is made of, and of what kind it is."""
    match instrument:
        case Card():
            return "card", reveal(instrument.pan.number).encode()
        case AchAccount():
            return "ach", f"{instrument.routing_number}/{reveal(instrument.account_number)}".encode()
        case PadAccount():
            bank = f"{instrument.institution_number}/{instrument.transit_number}"
            return "pad", f"{bank}/{reveal(instrument.account_number)}".encode()
        case BacsAccount():
            return "bacs", f"{instrument.sort_code}/{reveal(instrument.account_number)}".encode()
        case SepaAccount():
            return "sepa", reveal(instrument.iban).encode()
        case AlternativeMethod():
            return "alternative", f"{instrument.country}/{instrument.method}".encode()
