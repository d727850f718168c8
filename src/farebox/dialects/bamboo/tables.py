"""The gateway's facts as data: payment media and countries.

Source: `data/media.toml` and `data/countries.toml`, each naming the pages it follows.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

from farebox.domain.instruments import InstrumentKind, InstrumentSummary, MethodFamily
from farebox.domain.payments import Payment

MINUTES_DEFAULT = 24 * 60
"""How long a payer has where neither the request nor the documents say so."""
DEFAULT_COUNTRY = "UY"
"""The country of a purchase that names none, in a currency of no country of ours. Bamboo is from there."""


class Medium(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One payment medium in one country."""

    country: str
    id: int
    code: str = ""
    aliases: tuple[str, ...] = ()
    name: str
    type: Literal["credit", "debit", "prepaid", "cash", "transfer", "cash_transfer", "wallet", "cards"]
    operations: str
    brand: str | None = None
    flow: Literal["api", "redirect"] = "api"
    family: MethodFamily | None = None
    result: Literal["completed", "action", "action_without_url"] = "completed"
    out: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    minutes: int = MINUTES_DEFAULT
    has_fixed_minutes: bool = False
    minutes_min: int = 1
    minutes_max: int = 525_600
    is_final: bool = False
    """Answered at once, because the payer has confirmed before."""
    needs_document: bool = False
    needs_description: bool = False

    @property
    def is_card(self) -> bool:
        """Tell whether it is paid with a card that we are given."""
        return self.brand is not None

    @property
    def limits_type(self) -> str:
        """Name the row of its country's limits."""
        return "card" if self.is_card or self.type == "cards" else self.type


class Country(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A country in which payers pay."""

    id: int
    code: str
    name: str
    phone_prefix: str
    currencies: tuple[str, ...]
    installments: tuple[int, ...] = ()
    limits: Mapping[str, tuple[int, int]] = msgspec.field(default_factory=dict[str, tuple[int, int]])
    documents: tuple[tuple[int, str, str, bool], ...] = ()
    issuer_banks: tuple[tuple[int, str], ...] = ()
    sandbox_rate: int
    """Hundredths of the local currency for one US dollar: a constant of the sandbox, no market's rate."""


def _read(name: str) -> dict[str, Any]:
    path = files("farebox.dialects.bamboo").joinpath(f"data/{name}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def media() -> tuple[Medium, ...]:
    """Give every medium, in the order of the file."""
    return msgspec.convert(_read("media")["media"], tuple[Medium, ...])


@cache
def countries() -> Mapping[str, Country]:
    """Give every country by its code."""
    found = msgspec.convert(_read("countries")["countries"], tuple[Country, ...])
    return {country.code: country for country in found}


@cache
def pse_banks() -> tuple[tuple[int, str], ...]:
    """Give the banks of Colombia's PSE."""
    return msgspec.convert(_read("countries")["pse_banks"], tuple[tuple[int, str], ...])


@cache
def medium_by_id(country: str, medium_id: int) -> Medium | None:
    """Find what a `PaymentMediaId` means in a country."""
    return next((one for one in media() if (one.country, one.id) == (country, medium_id)), None)


@cache
def medium_by_code(country: str, code: str) -> Medium | None:
    """Find what a `PaymentMethod` means in a country, by any of its codes."""
    in_country = [one for one in media() if one.country == country]
    by_code = [one for one in in_country if one.code == code]
    return next(iter(by_code or [one for one in in_country if code in one.aliases]), None)


def country_of_currency(currency: str) -> str:
    """Give the country whose own currency it is."""
    own = (one.code for one in countries().values() if one.currencies[0] == currency and currency != "USD")
    return next(own, DEFAULT_COUNTRY)


def document_type(country: str, named: str) -> int | None:
    """Find the id of a type of document by its id or its code."""
    found = countries()[country].documents if country in countries() else ()
    return next((number for number, code, _, _ in found if named.upper() in {str(number), code}), None)


# --- cards -----------------------------------------------------------------------------------------

_BRANDS: Mapping[str, tuple[int, str]] = {
    "visa": (1, "VISA"),
    "mastercard": (2, "MasterCard"),
    "amex": (3, "American Express"),
    "oca": (4, "OCA"),
    "creditel": (8, "Creditel"),
    "creditos_directos": (9, "Créditos Directos"),
    "passcard": (11, "PassCard"),
    "diners": (12, "Diners"),
    "codensa": (12, "Codensa"),
    "club_del_este": (16, "Club del Este"),
    "cabal": (17, "Cabal"),
    "anda": (20, "Anda"),
    "bancard": (21, "Bancard Check"),
    "credifielco": (22, "Credifielco"),
    "infonet": (23, "Infonet"),
    "naranja": (24, "Tarjeta Naranja"),
    "hipercard": (62, "Hipercard"),
    "elo": (63, "Elo"),
    "aura": (64, "Aura"),
    "unionpay": (87, "UnionPay"),
    "carnet": (113, "Carnet"),
    "edenred": (0, "Edenred"),
    "maestro": (13, "MasterCard Débito"),
    "hiper": (62, "Hipercard"),
}
"""Wire name of a brand, and its medium where no country says otherwise. Edenred is in no country's list."""

_TYPES_BY_BIN: Mapping[str, str] = {
    "468562": "prepaid",
    "430307": "debit",
    "463308": "debit",
    "421300": "debit",
    "434559": "debit",
    "465910": "debit",
    "555846": "debit",
    "400014": "prepaid",
    "557240": "prepaid",
    "559926": "prepaid",
    "518617": "prepaid",
}
"""What the test cards' pages say of a prefix; every other card is taken for a credit card."""

_CARD_TYPES = {"credit": "CreditCard", "debit": "DebitCard", "prepaid": "PrePaid"}
_METHOD_TYPES = {
    "cash": "PhysicalNetwork",
    "cash_transfer": "PhysicalNetwork",
    "transfer": "BankTransfer",
    "wallet": "BankTransfer",
    "cards": "CreditCard",
}
MEDIA_TYPES: Mapping[str, int] = {
    "CreditCard": 1,
    "DebitCard": 2,
    "PhysicalNetwork": 3,
    "PrePaid": 4,
    "Loyalty": 5,
    "BankTransfer": 7,
}
"""Source: the documentation's enumeration `PaymentMediaType`; there is no 6."""


def funding_of(summary: InstrumentSummary) -> str:
    """Tell credit, debit and prepaid cards apart, as far as the documents do."""
    return _TYPES_BY_BIN.get((summary.bin or "")[:6], "credit")


def is_known_brand(brand: str | None) -> bool:
    """Tell whether some country takes cards of this brand."""
    return brand in _BRANDS


def medium_of_card(country: str, summary: InstrumentSummary) -> Medium | None:
    """Find the medium of a card in a country; of its brand at least, if not of its funding."""
    fitting = [one for one in media() if one.country == country and one.brand == summary.brand]
    exact = [one for one in fitting if one.type == funding_of(summary)]
    return next(iter(exact or fitting), None)


def medium_of(payment: Payment, country: str) -> tuple[int, Medium | None]:
    """Give the medium that a payment was made with and its id, which may be of no country."""
    return medium_of_summary(payment.summary, country)


def medium_of_summary(summary: InstrumentSummary, country: str) -> tuple[int, Medium | None]:
    """Give the medium of an instrument and its id."""
    if summary.kind is InstrumentKind.ALTERNATIVE:
        number = int(summary.brand) if summary.brand and summary.brand.isdecimal() else 0
        return number, medium_by_id(summary.bank or country, number)
    medium = medium_of_card(country, summary)
    return (medium.id if medium else _BRANDS.get(summary.brand or "", (0, ""))[0]), medium


def brand_name(summary: InstrumentSummary, medium: Medium | None) -> str | None:
    """Give the name of the brand as the wire has it."""
    if summary.kind is InstrumentKind.CARD:
        return _BRANDS.get(summary.brand or "", (0, summary.brand or ""))[1] or None
    return medium.name if medium else None


def media_type_of(medium: Medium) -> str:
    """Name the type of a medium."""
    return _CARD_TYPES.get(medium.type) or _METHOD_TYPES[medium.type]


def type_name(summary: InstrumentSummary, medium: Medium | None) -> str | None:
    """Give the type of a medium as the wire has it."""
    if summary.kind is InstrumentKind.CARD:
        return _CARD_TYPES[funding_of(summary)]
    return _METHOD_TYPES[medium.type] if medium else None


def installments_text(summary: InstrumentSummary, country: str) -> str | None:
    """Give the counts that a profile advertises, or nothing where every reasonable one is allowed."""
    if summary.kind is not InstrumentKind.CARD or funding_of(summary) != "credit":
        return "1"
    allowed = countries()[country].installments if country in countries() else ()
    return ";".join(str(count) for count in allowed) or None
