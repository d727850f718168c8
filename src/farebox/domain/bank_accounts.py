"""Bank accounts: US ACH, Canadian PAD, UK Bacs, SEPA; what makes each well formed.

One of the few modules that may open a `Sensitive` (the import rules list them). Check digits are
python-stdnum's work; its exceptions are dropped, because what they were raised about is an account.
"""

from __future__ import annotations

import re
from typing import NoReturn

from farebox.domain.cards import check_holder_name
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

ACH_ACCOUNT_TYPES = frozenset({"checking", "savings", "business_checking", "business_savings", "loan"})
ACH_SEC_CODES = frozenset({"ARC", "BOC", "CCD", "CTX", "POP", "PPD", "RCK", "TEL", "WEB"})
"""Standard entry class codes of domestic debits and credits. Source: Nacha Operating Rules, appendix 3."""

SEPA_COUNTRIES = frozenset(
    (
        "AD AL AT BE BG CH CY CZ DE DK EE ES FI FR GB GI GR HR HU IE IS IT LI LT LU LV MC MD ME MK MT NL "
        "NO PL PT RO RS SE SI SK SM VA"
    ).split()
)
"""Countries whose IBANs take part. Source: EPC409-09, list of SEPA scheme countries, 2025."""

_HIDDEN_DIGITS_MIN = 4
_BLANKS = str.maketrans("", "", " -")
# First two digits of an ABA number: government, the twelve Federal Reserve districts and their thrift and
# electronic variants, traveller's cheques. Source: ABA Routing Number Policy, "Key to routing numbers".
_ABA_PREFIXES = frozenset({*range(13), *range(21, 33), *range(61, 73), 80})
_ROUTING_NUMBER = re.compile(r"[0-9]{9}")
_ACH_NUMBER = re.compile(r"[0-9]{4,17}")
_PAD_NUMBER = re.compile(r"[0-9]{4,12}")
_BACS_NUMBER = re.compile(r"[0-9]{8}")
_SORT_CODE = re.compile(r"[0-9]{6}")
_INSTITUTION = re.compile(r"[0-9]{3}")
_TRANSIT = re.compile(r"[0-9]{5}")
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC = re.compile(r"[A-Z0-9]{8}(?:[A-Z0-9]{3})?")
# The scheme's alphabet and length; its minimum of six is left to the gateways, which take shorter ones.
# Source: Bacs Service User's Guide to Direct Debit, "Core reference".
_BACS_REFERENCE = re.compile(r"(?!DDIC)[A-Z0-9](?:[A-Z0-9.&/ -]{0,16}[A-Z0-9.&/-])?")
# Source: EPC217-08, SEPA requirements for an extended character set, and EPC016-06 AT-01.
_SEPA_REFERENCE = re.compile(r"(?!/)(?!.*//)[A-Za-z0-9+?/:().,' -]{1,35}(?<!/)")


@frozen
class AchAccount:
    """An account at a bank in the United States."""

    routing_number: str
    account_number: Sensitive
    last_four: str
    account_type: str
    """One of `ACH_ACCOUNT_TYPES`."""
    sec_code: str = "WEB"
    """How the holder gave consent: one of `ACH_SEC_CODES`."""
    holder_name: str | None = None


@frozen
class PadAccount:
    """An account at a bank in Canada (pre-authorized debit, electronic funds transfer)."""

    institution_number: str
    transit_number: str
    account_number: Sensitive
    last_four: str
    holder_name: str | None = None


@frozen
class BacsAccount:
    """An account at a bank in the United Kingdom."""

    sort_code: str
    account_number: Sensitive
    last_four: str
    mandate_reference: str | None = None
    holder_name: str | None = None


@frozen
class SepaAccount:
    """An account in the single euro payments area."""

    iban: Sensitive
    last_four: str
    country: str
    """ISO 3166-1 alpha-2, the IBAN's first two letters."""
    bic: str | None = None
    mandate_reference: str | None = None
    holder_name: str | None = None


def parse_ach(
    *,
    routing_number: str,
    account_number: Sensitive,
    account_type: str = "checking",
    sec_code: str = "WEB",
    holder_name: str | None = None,
) -> AchAccount:
    """Read an account in the United States.

    Args:
        routing_number: ABA number, nine digits with a check digit.
        account_number: 4 to 17 digits, blanks and dashes allowed between.
        account_type: one of `ACH_ACCOUNT_TYPES`.
        sec_code: one of `ACH_SEC_CODES`.
        holder_name: as the bank has it.

    Raises:
        InvalidRequest: `bank_routing_invalid`, `bank_account_invalid` or `parameter_invalid`.

    Source: Nacha Operating Rules, appendix 3 (entry detail record, fields 4, 5 and 6).
    """
    if not _is_aba_number(routing_number):
        _refuse(ErrorCode.BANK_ROUTING_INVALID, "routing_number")
    if account_type not in ACH_ACCOUNT_TYPES:
        _refuse(ErrorCode.PARAMETER_INVALID, "account_type")
    if sec_code not in ACH_SEC_CODES:
        _refuse(ErrorCode.PARAMETER_INVALID, "sec_code")
    account, last_four = _read_account(account_number, _ACH_NUMBER)
    _check_holder(holder_name)
    return AchAccount(
        routing_number=routing_number,
        account_number=account,
        last_four=last_four,
        account_type=account_type,
        sec_code=sec_code,
        holder_name=holder_name,
    )


def parse_pad(
    *,
    institution_number: str,
    transit_number: str,
    account_number: Sensitive,
    holder_name: str | None = None,
) -> PadAccount:
    """Read an account in Canada. Its numbers have no check digits.

    Args:
        institution_number: three digits.
        transit_number: five digits, the branch.
        account_number: 4 to 12 digits, blanks and dashes allowed between.
        holder_name: as the bank has it.

    Raises:
        InvalidRequest: `bank_routing_invalid`, `bank_account_invalid` or `parameter_invalid`.

    Source: Payments Canada, Standard 005, and Standard 006 on routing numbers.
    """
    if not _INSTITUTION.fullmatch(institution_number) or institution_number == "000":
        _refuse(ErrorCode.BANK_ROUTING_INVALID, "institution_number")
    if not _TRANSIT.fullmatch(transit_number) or transit_number == "00000":
        _refuse(ErrorCode.BANK_ROUTING_INVALID, "transit_number")
    account, last_four = _read_account(account_number, _PAD_NUMBER)
    _check_holder(holder_name)
    return PadAccount(
        institution_number=institution_number,
        transit_number=transit_number,
        account_number=account,
        last_four=last_four,
        holder_name=holder_name,
    )


def parse_bacs(
    *,
    sort_code: str,
    account_number: Sensitive,
    mandate_reference: str | None = None,
    holder_name: str | None = None,
) -> BacsAccount:
    """Read an account in the United Kingdom.

    Whether sort code and number fit each other is not checked: the table of modulus weights is
    licensed by Pay.UK and changes every few months.

    Args:
        sort_code: six digits, blanks and dashes allowed between.
        account_number: eight digits, blanks and dashes allowed between.
        mandate_reference: the Direct Debit Instruction's reference, if there is one already.
        holder_name: as the bank has it.

    Raises:
        InvalidRequest: `bank_routing_invalid`, `bank_account_invalid`, `mandate_missing` when the
            reference is blank, or `parameter_invalid` when it is malformed.

    Source: Pay.UK, Bacs file structures, standard 18, fields 1 and 2.
    """
    code = sort_code.translate(_BLANKS)
    if not _SORT_CODE.fullmatch(code) or code == "000000":
        _refuse(ErrorCode.BANK_ROUTING_INVALID, "sort_code")
    account, last_four = _read_account(account_number, _BACS_NUMBER)
    _check_reference(mandate_reference, _BACS_REFERENCE)
    _check_holder(holder_name)
    return BacsAccount(
        sort_code=code,
        account_number=account,
        last_four=last_four,
        mandate_reference=mandate_reference,
        holder_name=holder_name,
    )


def parse_sepa(
    *,
    iban: Sensitive,
    bic: str | None = None,
    mandate_reference: str | None = None,
    holder_name: str | None = None,
) -> SepaAccount:
    """Read an account in the single euro payments area.

    Args:
        iban: blanks allowed between groups; letters of either case.
        bic: 8 or 11 characters; optional since 2016.
        mandate_reference: the unique mandate reference, if there is one already.
        holder_name: as the bank has it.

    Raises:
        InvalidRequest: `bank_account_invalid` for the IBAN, `bank_routing_invalid` for the BIC,
            `mandate_missing` when the reference is blank, or `parameter_invalid` when it is malformed.

    Source: ISO 13616-1:2020 (IBAN), ISO 9362:2022 (BIC), Regulation (EU) No 260/2012.
    """
    account, country, last_four = _read_iban(iban)
    bank = bic.strip().upper() if bic else None
    if bank is not None and not _is_bic(bank):
        _refuse(ErrorCode.BANK_ROUTING_INVALID, "bic")
    _check_reference(mandate_reference, _SEPA_REFERENCE)
    _check_holder(holder_name)
    return SepaAccount(
        iban=account,
        last_four=last_four,
        country=country,
        bic=bank,
        mandate_reference=mandate_reference,
        holder_name=holder_name,
    )


def check_mandate(account: BacsAccount | SepaAccount) -> None:
    """Refuse to debit an account whose holder has not signed for it. Credits need no mandate.

    Raises:
        InvalidRequest: `mandate_missing`.
    """
    if account.mandate_reference is None:
        _refuse(ErrorCode.MANDATE_MISSING, "mandate_reference")


def _is_aba_number(text: str) -> bool:
    # Imported late: python-stdnum costs 30 ms and more to load, and only bank accounts need it.
    from stdnum.us import rtn

    return (
        _ROUTING_NUMBER.fullmatch(text) is not None
        and text != "000000000"
        and int(text[:2]) in _ABA_PREFIXES
        and rtn.is_valid(text)
    )


def _read_iban(secret: Sensitive) -> tuple[Sensitive, str, str]:
    """Give the IBAN without blanks, its country and what may be shown of it."""
    read = _iban_parts(reveal(secret).replace(" ", "").upper())
    if read is None:
        _refuse(ErrorCode.BANK_ACCOUNT_INVALID, "iban")
    return read


def _iban_parts(text: str) -> tuple[Sensitive, str, str] | None:
    from stdnum import iban

    country = text[:2]
    # The pattern first: python-stdnum would read digits of other scripts as ours. National check digits
    # too, except Belgium's, whose module also refuses every bank that is not in its list.
    if (
        country not in SEPA_COUNTRIES
        or not _IBAN.fullmatch(text)
        or not iban.is_valid(text, check_country=country != "BE")
    ):
        return None
    return Sensitive(text), country, _shown(text)


def _is_bic(text: str) -> bool:
    from stdnum import bic

    return _BIC.fullmatch(text) is not None and bic.is_valid(text)


# The functions that see clear numbers return what is wrong with them, and the others raise it, so that no
# frame of a traceback holds a clear number in a local name: some tracebacks print locals.


def _read_account(secret: Sensitive, shape: re.Pattern[str]) -> tuple[Sensitive, str]:
    """Give the account number without separators, and what may be shown of it."""
    read = _account_parts(reveal(secret).translate(_BLANKS), shape)
    if read is None:
        _refuse(ErrorCode.BANK_ACCOUNT_INVALID, "account_number")
    return read


def _account_parts(number: str, shape: re.Pattern[str]) -> tuple[Sensitive, str] | None:
    if not shape.fullmatch(number) or not number.strip("0"):
        return None
    return Sensitive(number), _shown(number)


def _shown(number: str) -> str:
    """Give the last four characters, or fewer: at least four always stay hidden.

    A four-digit account shows nothing; otherwise its display would be the account.
    """
    return number[max(len(number) - 4, _HIDDEN_DIGITS_MIN) :]


def _check_reference(reference: str | None, shape: re.Pattern[str]) -> None:
    if reference is None:
        return
    if not reference.strip():
        _refuse(ErrorCode.MANDATE_MISSING, "mandate_reference")
    if not shape.fullmatch(reference):
        _refuse(ErrorCode.PARAMETER_INVALID, "mandate_reference")


def _check_holder(name: str | None) -> None:
    check_holder_name(name, param="bank_account.holder_name")


def _refuse(code: ErrorCode, field: str) -> NoReturn:
    raise InvalidRequest(code, param=f"bank_account.{field}")
