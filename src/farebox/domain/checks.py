"""What the issuer made of the address and the security code.

Results are in our words. Two tables translate the card networks' letters; a processor that answers in
letters uses them, a dialect that must answer in letters of its own has its own table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from farebox.domain.frozen import frozen


class AvsResult(StrEnum):
    """What became of the address verification (AVS)."""

    MATCH = "match"
    """Street and postal code."""
    ADDRESS_MATCH = "address_match"
    """Street only: the postal code differs or could not be compared."""
    POSTAL_CODE_MATCH = "postal_code_match"
    """Postal code only: the street differs or could not be compared."""
    NO_MATCH = "no_match"
    NOT_PROVIDED = "not_provided"
    """We sent no address."""
    NOT_PROCESSED = "not_processed"
    """We sent one and nobody compared it, for a reason the answer does not give."""
    NOT_SUPPORTED = "not_supported"
    """The issuer, its country or the brand has no address verification."""
    UNAVAILABLE = "unavailable"
    """The issuer has no address to compare with, or its system was down; a later attempt may tell."""
    UNKNOWN = "unknown"
    """The processor's answer cannot be read."""


class CvcResult(StrEnum):
    """What became of the security code."""

    MATCH = "match"
    NO_MATCH = "no_match"
    NOT_PROVIDED = "not_provided"
    """We sent no code."""
    NOT_PROCESSED = "not_processed"
    """We sent one and nobody compared it."""
    NOT_SUPPORTED = "not_supported"
    """The issuer or the brand has no such code."""
    UNAVAILABLE = "unavailable"
    """The issuer could not compare it now."""
    UNKNOWN = "unknown"
    """The processor's answer cannot be read."""


@frozen
class Checks:
    """Both results of one operation; nothing was sent unless said otherwise."""

    avs: AvsResult = AvsResult.NOT_PROVIDED
    cvc: CvcResult = CvcResult.NOT_PROVIDED


AVS_CODES: Mapping[str, AvsResult] = {
    # Domestic (United States), and W, X for nine-digit postal codes.
    "A": AvsResult.ADDRESS_MATCH,
    "N": AvsResult.NO_MATCH,
    "R": AvsResult.UNAVAILABLE,
    "S": AvsResult.NOT_SUPPORTED,
    "U": AvsResult.UNAVAILABLE,
    "W": AvsResult.POSTAL_CODE_MATCH,
    "X": AvsResult.MATCH,
    "Y": AvsResult.MATCH,
    "Z": AvsResult.POSTAL_CODE_MATCH,
    "E": AvsResult.NOT_PROCESSED,
    # International. F is the United Kingdom's full match.
    "B": AvsResult.ADDRESS_MATCH,
    "C": AvsResult.NOT_PROCESSED,
    "D": AvsResult.MATCH,
    "F": AvsResult.MATCH,
    "G": AvsResult.NOT_SUPPORTED,
    "I": AvsResult.NOT_PROCESSED,
    "M": AvsResult.MATCH,
    "P": AvsResult.POSTAL_CODE_MATCH,
}
"""Letters of Visa, Mastercard and American Express, whose meanings agree.

Discover gives A and Y the opposite meaning and needs `AVS_CODES_DISCOVER`.

Source: Global Payments, "AVS response codes"; Inovio, "AVS Responses" for E; Payroc's API reference for
F and G.
"""

AVS_CODES_DISCOVER: Mapping[str, AvsResult] = {
    "A": AvsResult.MATCH,
    "G": AvsResult.NOT_SUPPORTED,
    "N": AvsResult.NO_MATCH,
    "R": AvsResult.UNAVAILABLE,
    "S": AvsResult.NOT_SUPPORTED,
    "T": AvsResult.POSTAL_CODE_MATCH,
    "U": AvsResult.UNAVAILABLE,
    "W": AvsResult.UNAVAILABLE,
    "X": AvsResult.MATCH,
    "Y": AvsResult.ADDRESS_MATCH,
    "Z": AvsResult.POSTAL_CODE_MATCH,
}
"""Letters of Discover. Source: Global Payments, "AVS response codes", table Discover."""

CVC_CODES: Mapping[str, CvcResult] = {
    "M": CvcResult.MATCH,
    "N": CvcResult.NO_MATCH,
    "P": CvcResult.NOT_PROCESSED,
    # The card has a code and the merchant says that it was not given.
    "S": CvcResult.NOT_PROVIDED,
    "U": CvcResult.NOT_SUPPORTED,
}
"""Letters of CVV2, CVC2 and CID results.

Source: Inovio, "AVS Responses", table of CVV2 results; Payroc's API reference agrees on M, N, P and U.
"""


def avs_from_code(code: str, *, brand: str) -> AvsResult:
    """Translate a network's AVS letter; one that is not in its table is `unknown` (SEC-22).

    Args:
        code: one letter, or nothing where the network gave none.
        brand: the card's brand; decides the table.
    """
    if not code.strip():
        return AvsResult.NOT_PROCESSED
    table = AVS_CODES_DISCOVER if brand == "discover" else AVS_CODES
    return table.get(code.strip().upper(), AvsResult.UNKNOWN)


def cvc_from_code(code: str) -> CvcResult:
    """Translate a network's letter for the security code; an unlisted one is `unknown` (SEC-22)."""
    if not code.strip():
        return CvcResult.NOT_PROCESSED
    return CVC_CODES.get(code.strip().upper(), CvcResult.UNKNOWN)
