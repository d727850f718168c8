"""Bank accounts: national rules, what is shown, and that nothing else ever is."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable

import pytest
from stdnum.us import rtn

from farebox.domain.bank_accounts import (
    AchAccount,
    BacsAccount,
    PadAccount,
    SepaAccount,
    check_mandate,
    parse_ach,
    parse_bacs,
    parse_pad,
    parse_sepa,
)
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

ROUTING = "021000021"
NUMBER = "000123456789"
# Examples of the SWIFT IBAN registry.
IBANS = [
    "DE89370400440532013000",
    "FR1420041010050500013M02606",
    "GB29NWBK60161331926819",
    "NO9386011117947",
    "SE4550000000058398257466",
    "ES9121000418450200051332",
    "BE68539007547034",
    "MT84MALT011000012345MTLCAST001S",
]


def ach(**changes: object) -> AchAccount:
    given: dict[str, object] = {"routing_number": ROUTING, "account_number": Sensitive(NUMBER), **changes}
    return parse_ach(**given)  # pyright: ignore[reportArgumentType]


def pad(**changes: object) -> PadAccount:
    given: dict[str, object] = {
        "institution_number": "001",
        "transit_number": "00011",
        "account_number": Sensitive("1234567"),
        **changes,
    }
    return parse_pad(**given)  # pyright: ignore[reportArgumentType]


def bacs(**changes: object) -> BacsAccount:
    given: dict[str, object] = {"sort_code": "200000", "account_number": Sensitive("55779911"), **changes}
    return parse_bacs(**given)  # pyright: ignore[reportArgumentType]


def sepa(**changes: object) -> SepaAccount:
    return parse_sepa(**{"iban": Sensitive(IBANS[0]), **changes})  # pyright: ignore[reportArgumentType]


def refusal(make: Callable[..., object], **changes: object) -> tuple[ErrorCode, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        make(**changes)
    return caught.value.code, caught.value.param


def test_an_ach_account_is_read() -> None:
    """Separators go, the number is closed, four digits are shown."""
    account = ach(account_number=Sensitive("000-1234 56789"), account_type="savings", sec_code="PPD")
    assert reveal(account.account_number) == NUMBER
    assert (account.routing_number, account.last_four) == (ROUTING, "6789")
    assert (account.account_type, account.sec_code) == ("savings", "PPD")


@pytest.mark.parametrize("routing", ["021000021", "011401533", "091000019", "122105155", "322271627"])
def test_real_routing_numbers_pass(routing: str) -> None:
    """Published numbers of large banks have a right check digit and a known district."""
    assert ach(routing_number=routing).routing_number == routing


@pytest.mark.parametrize(
    "routing",
    [
        "",
        "021000022",
        "02100002",
        "0210000211",
        "000000000",
        # Right check digits, and districts that do not exist.
        "500000005",
        "990000000",
        " 21000021",
        "02100002x",
        "٠٢١٠٠٠٠٢١",
        "０２１００００２１",
        "021000021\n",
    ],
)
def test_other_routing_numbers_are_refused(routing: str) -> None:
    """Nine ASCII digits, the weighted sum, and a Federal Reserve district."""
    assert refusal(ach, routing_number=routing) == (
        ErrorCode.BANK_ROUTING_INVALID,
        "bank_account.routing_number",
    )


def test_the_refused_districts_have_right_check_digits() -> None:
    """The two samples above fail by district alone, or the district rule would be untested."""
    assert rtn.is_valid("500000005")
    assert rtn.is_valid("990000000")


@pytest.mark.parametrize("number", ["", "123", "1" * 18, "0000000", "12a4", "١٢٣٤٥", "12.345", "1234\n"])
def test_other_ach_numbers_are_refused(number: str) -> None:
    """Four to seventeen ASCII digits, not all zero."""
    assert refusal(ach, account_number=Sensitive(number)) == (
        ErrorCode.BANK_ACCOUNT_INVALID,
        "bank_account.account_number",
    )


def test_unknown_account_types_and_sec_codes_are_refused() -> None:
    """Both are closed lists."""
    assert refusal(ach, account_type="CHECKING")[1] == "bank_account.account_type"
    assert refusal(ach, sec_code="web")[1] == "bank_account.sec_code"


def test_a_pad_account_is_read() -> None:
    """Canada has no check digits; the shape is all there is."""
    account = pad(account_number=Sensitive("123 4567"))
    assert reveal(account.account_number) == "1234567"
    assert (account.institution_number, account.transit_number, account.last_four) == ("001", "00011", "567")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("institution_number", "01", ErrorCode.BANK_ROUTING_INVALID),
        ("institution_number", "0001", ErrorCode.BANK_ROUTING_INVALID),
        ("institution_number", "000", ErrorCode.BANK_ROUTING_INVALID),
        ("institution_number", "١٢٣", ErrorCode.BANK_ROUTING_INVALID),
        ("transit_number", "0001", ErrorCode.BANK_ROUTING_INVALID),
        ("transit_number", "000111", ErrorCode.BANK_ROUTING_INVALID),
        ("transit_number", "00000", ErrorCode.BANK_ROUTING_INVALID),
        ("account_number", Sensitive("123"), ErrorCode.BANK_ACCOUNT_INVALID),
        ("account_number", Sensitive("1234567890123"), ErrorCode.BANK_ACCOUNT_INVALID),
    ],
)
def test_other_pad_accounts_are_refused(field: str, value: object, code: ErrorCode) -> None:
    """Three digits, five digits, four to twelve; the field at fault is named."""
    assert refusal(pad, **{field: value}) == (code, f"bank_account.{field}")


def test_a_bacs_account_is_read() -> None:
    """Sort codes are typed with dashes."""
    account = bacs(sort_code="20-00-00", mandate_reference="REF-0001")
    assert (account.sort_code, account.last_four, account.mandate_reference) == ("200000", "9911", "REF-0001")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("sort_code", "20000", ErrorCode.BANK_ROUTING_INVALID),
        ("sort_code", "000000", ErrorCode.BANK_ROUTING_INVALID),
        ("sort_code", "20/00/00", ErrorCode.BANK_ROUTING_INVALID),
        ("account_number", Sensitive("5577991"), ErrorCode.BANK_ACCOUNT_INVALID),
        ("account_number", Sensitive("557799111"), ErrorCode.BANK_ACCOUNT_INVALID),
        ("mandate_reference", "", ErrorCode.MANDATE_MISSING),
        ("mandate_reference", "  ", ErrorCode.MANDATE_MISSING),
        ("mandate_reference", "lower", ErrorCode.PARAMETER_INVALID),
        ("mandate_reference", "DDIC0001", ErrorCode.PARAMETER_INVALID),
        ("mandate_reference", "A" * 19, ErrorCode.PARAMETER_INVALID),
        ("mandate_reference", "-A", ErrorCode.PARAMETER_INVALID),
        ("mandate_reference", "AB ", ErrorCode.PARAMETER_INVALID),
    ],
)
def test_other_bacs_accounts_are_refused(field: str, value: object, code: ErrorCode) -> None:
    """Six digits, eight digits, and a reference in the scheme's alphabet."""
    assert refusal(bacs, **{field: value}) == (code, f"bank_account.{field}")


@pytest.mark.parametrize("iban", IBANS)
def test_registry_examples_are_read(iban: str) -> None:
    """Upper or lower case, with or without blanks."""
    grouped = " ".join(iban[i : i + 4] for i in range(0, len(iban), 4)).lower()
    account = sepa(iban=Sensitive(grouped))
    assert reveal(account.iban) == iban
    assert (account.country, account.last_four) == (iban[:2], iban[-4:])


@pytest.mark.parametrize(
    "iban",
    [
        "",
        "DE",
        "DE89370400440532013001",
        "DE8937040044053201300",
        "DE893704004405320130000",
        # Well formed, of a country outside the scheme.
        "SA0380000000608010167519",
        "XX89370400440532013000",
        "DE89-3704-0044-0532-0130-00",
        "DE8937040044053201300٠",
        # The mod 97 sum fits, the Spanish bank's own check digits do not.
        "ES2921000418460200051332",
    ],
)
def test_other_ibans_are_refused(iban: str) -> None:
    """Country, structure, mod 97, and national check digits where the library knows them."""
    assert refusal(sepa, iban=Sensitive(iban)) == (ErrorCode.BANK_ACCOUNT_INVALID, "bank_account.iban")


def test_a_bic_is_optional_and_checked() -> None:
    """Eight or eleven characters with a country; stored in upper case."""
    assert sepa().bic is None
    assert sepa(bic="").bic is None
    assert sepa(bic=" cobadeffxxx").bic == "COBADEFFXXX"
    for bic in ("COBADEF", "COBA1EFF", "COBAZZFF", "COBADEFFXX", "COBA DEFF"):
        assert refusal(sepa, bic=bic) == (ErrorCode.BANK_ROUTING_INVALID, "bank_account.bic")


@pytest.mark.parametrize("reference", ["M-1", "A" * 35, "a/b?c:(d).,'+ e"])
def test_sepa_references_in_the_schemes_alphabet_pass(reference: str) -> None:
    """EPC217-08: the characters every bank must carry."""
    assert sepa(mandate_reference=reference).mandate_reference == reference


@pytest.mark.parametrize("reference", ["A" * 36, "/A", "A/", "A//B", "A_B", "Ä"])
def test_other_sepa_references_are_refused(reference: str) -> None:
    """No other characters, no leading, trailing or double slash."""
    assert refusal(sepa, mandate_reference=reference) == (
        ErrorCode.PARAMETER_INVALID,
        "bank_account.mandate_reference",
    )


@pytest.mark.parametrize("make", [bacs, sepa])
def test_a_debit_needs_a_mandate(make: Callable[..., BacsAccount | SepaAccount]) -> None:
    """Both schemes: no debit without a reference, and none is invented."""
    with pytest.raises(InvalidRequest) as caught:
        check_mandate(make())
    assert (caught.value.code, caught.value.param) == (
        ErrorCode.MANDATE_MISSING,
        "bank_account.mandate_reference",
    )
    check_mandate(make(mandate_reference="REF1"))


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("1234", ""),
        ("12345", "5"),
        ("123456", "56"),
        ("1234567", "567"),
        ("12345678", "5678"),
        (NUMBER, "6789"),
    ],
)
def test_at_least_four_digits_stay_hidden(number: str, shown: str) -> None:
    """SEC-04 in spirit: the last four of a four-digit account would be the account."""
    assert ach(account_number=Sensitive(number)).last_four == shown


@pytest.mark.parametrize("make", [ach, pad, bacs, sepa])
def test_holder_names_are_checked(make: Callable[..., object]) -> None:
    """The name is stored apart from the sealed number and must not smuggle one."""
    code, param = refusal(make, holder_name="4111 1111 1111 1111")
    assert (code, param) == (ErrorCode.PARAMETER_INVALID, "bank_account.holder_name")
    make(holder_name="Ada Bird")


@pytest.mark.parametrize("make", [ach, pad, bacs, sepa])
def test_accounts_never_show_their_numbers(make: Callable[..., object]) -> None:
    """Promise 2: neither repr nor pickle gives the number away."""
    account = make()
    assert "Sensitive(…)" in repr(account)
    for number in (NUMBER, "1234567", "55779911", IBANS[0]):
        assert number not in f"{account} {account!r}"
    with pytest.raises(TypeError):
        pickle.dumps(account)


@pytest.mark.parametrize(
    ("make", "field", "number"),
    [
        (ach, "account_number", "12345678901234567890"),
        (pad, "account_number", "12345678901234567890"),
        (bacs, "account_number", "123456789"),
        (sepa, "iban", "DE89370400440532013001"),
    ],
)
def test_no_refusal_quotes_the_number(make: Callable[..., object], field: str, number: str) -> None:
    """SEC-19: neither the error, nor what caused it, nor a traceback that prints locals."""
    try:
        make(**{field: Sensitive(number)})
    except InvalidRequest as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        frames = [frame for frame in told.stack if frame.filename != __file__]
        assert frames
        assert error.__context__ is None
        shown = " ".join(str(frame.locals) for frame in frames)
        assert number[4:12] not in f"{error} {error!r} {error.message} {shown}"
    else:
        pytest.fail("the number was accepted")
