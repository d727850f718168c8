"""Amounts in minor units of an ISO 4217 currency; no floats anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from farebox.domain.errors import ErrorCode, InvalidRequest

# ISO 4217:2015 list one, active codes by number of decimals. Two is the rule, so only the exceptions
# are named; the remaining active codes have two.
# Source: SIX, ISO 4217 list one (published 2025-05-12).
_EXPONENT_0 = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split())
_EXPONENT_3 = frozenset("BHD IQD JOD KWD LYD OMR TND".split())
_EXPONENT_4 = frozenset("CLF UYW".split())
_EXPONENT_2 = frozenset(
    (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD "
        "GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL "
        "MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR "
        "PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP "
        "TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
    ).split()
)

EXPONENTS: Mapping[str, int] = {
    **dict.fromkeys(_EXPONENT_0, 0),
    **dict.fromkeys(_EXPONENT_2, 2),
    **dict.fromkeys(_EXPONENT_3, 3),
    **dict.fromkeys(_EXPONENT_4, 4),
}

# Fits a signed 64-bit column with room to add many of them, and is above any real payment.
AMOUNT_MINOR_MAX = 10**15


def exponent_of(currency: str) -> int:
    """Give the number of decimals of an ISO 4217 alphabetic code.

    Raises:
        InvalidRequest: `currency_unsupported` when the code is not an active ISO 4217 code.
    """
    exponent = EXPONENTS.get(currency)
    if exponent is None:
        raise InvalidRequest(ErrorCode.CURRENCY_UNSUPPORTED, param="currency")
    return exponent


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (cents, øre, fils) and its currency.

    Raises:
        InvalidRequest: `currency_unsupported`, or `amount_invalid` when the amount is negative or
            above `AMOUNT_MINOR_MAX`.
    """

    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        """Refuse what cannot be an amount of money."""
        exponent_of(self.currency)
        if not 0 <= self.amount_minor <= AMOUNT_MINOR_MAX:
            raise InvalidRequest(ErrorCode.AMOUNT_INVALID, param="amount_minor")
