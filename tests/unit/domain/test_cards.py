"""Cards: what is accepted, what is shown, and that nothing else ever is."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from datetime import date

import pytest

from farebox.domain.cards import (
    Card,
    Cvc,
    Expiry,
    Pan,
    contains_pan,
    luhn_valid,
    mask,
    parse_cvc,
    parse_expiry,
    parse_pan,
)
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

VISA = "4111111111111111"
AMEX = "378282246310005"

# Published test numbers of gateways and networks.
PUBLISHED = [
    ("4242424242424242", "visa"),
    ("4222222222222", "visa"),
    ("5555555555554444", "mastercard"),
    ("2223003122003222", "mastercard"),
    ("378282246310005", "amex"),
    ("371449635398431", "amex"),
    ("6011111111111117", "discover"),
    ("30569309025904", "diners"),
    ("36227206271667", "diners"),
    ("3566002020360505", "jcb"),
    ("6200000000000005", "unionpay"),
    ("6759950000000162", "maestro"),
    ("6362970000457013", "elo"),
    ("6062111122223339", "hipercard"),
    ("5062541600005232", "carnet"),
    ("3400000000000000", "amex"),
]


def refusal(number: str) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse_pan(Sensitive(number))
    return caught.value


@pytest.mark.parametrize(("number", "brand"), PUBLISHED)
def test_published_test_numbers_are_read_with_their_brand(number: str, brand: str) -> None:
    """Every network's published test number is accepted and named."""
    pan = parse_pan(Sensitive(number))
    assert (pan.brand, pan.last_four, pan.length) == (brand, number[-4:], len(number))
    assert pan.brands[0] == brand
    assert reveal(pan.number) == number


@pytest.mark.parametrize(
    "typed",
    ["4111 1111 1111 1111", "4111-1111-1111-1111", " 4111111111111111 ", "411111111111111 1"],
)
def test_blanks_and_dashes_between_digits_are_dropped(typed: str) -> None:
    """People type groups; what is kept is digits only."""
    assert reveal(parse_pan(Sensitive(typed)).number) == VISA


@pytest.mark.parametrize(
    "number",
    [
        "",
        "4",
        "4111111111111112",
        "41111111111",
        "41111111111111111111",
        "0000000000000000",
        "4111--1111-1111-1111",
        "4111  1111 1111 1111",
        "-4111111111111111",
        "4111.1111.1111.1111",
        "4111_1111_1111_1111",
        "4111111111111111\n",
        "4111111111111111x",
        "4" + "1" * 200,
        "4111 1111 1111 111\u0661",
        "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
        "\u0664111111111111111",
        "²111111111111111",
    ],
)
def test_what_is_no_card_number_is_refused(number: str) -> None:
    """Only ASCII digits, the right length and the right check digit pass (SEC-18)."""
    error = refusal(number)
    assert (error.code, error.param) == (ErrorCode.CARD_NUMBER_INVALID, "card.number")


@pytest.mark.parametrize(
    "number",
    [
        # Luhn-valid, with a length that the brand does not have.
        "37828224631000",
        "555555555555444",
        "41111111111114",
    ],
)
def test_a_length_the_brand_does_not_have_is_refused(number: str) -> None:
    """A known range with a wrong length is a typing error even if the check digit happens to fit."""
    digits = next(number[:-1] + check for check in "0123456789" if luhn_valid(number[:-1] + check))
    assert refusal(digits).code is ErrorCode.CARD_NUMBER_INVALID


def test_an_unknown_range_with_a_right_check_digit_is_a_card_of_unknown_brand() -> None:
    """A range our table does not know must not cost a merchant a sale."""
    digits = next(
        "999999999999999" + check for check in "0123456789" if luhn_valid("999999999999999" + check)
    )
    pan = parse_pan(Sensitive(digits))
    assert (pan.brand, pan.brands) == ("unknown", ("unknown",))
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    assert refusal(wrong).code is ErrorCode.CARD_NUMBER_INVALID


def test_only_brands_without_a_check_digit_may_lack_it() -> None:
    """UnionPay issued numbers without a check digit; the co-badged brand is then not offered."""
    pan = parse_pan(Sensitive("6221260000000001"))
    assert not luhn_valid("6221260000000001")
    assert pan.brands == ("unionpay",)
    assert parse_pan(Sensitive("6221260000000000")).brands == ("unionpay", "discover")


def test_a_dialect_may_take_documented_numbers_with_wrong_check_digits() -> None:
    """One gateway documents such test numbers; length and grammar still hold."""
    number = Sensitive("5385300000000001")
    with pytest.raises(InvalidRequest):
        parse_pan(number)
    assert parse_pan(number, requires_check_digit=False).brand == "mastercard"
    with pytest.raises(InvalidRequest):
        parse_pan(Sensitive("538530000000001"), requires_check_digit=False)


@pytest.mark.parametrize(
    "stripe",
    [
        "%B4111111111111111^DOE/JANE^30121010000000000000?",
        "%B4111111111111111^DOE/JANE^3012",
        ";4111111111111111=30121010000000000?",
        "4111111111111111=3012101",
        "4111111111111111D30121010000000000F",
        "B4111111111111111^DOE/JANE^3012",
        " ;4111111111111111=3012",
    ],
)
def test_track_data_is_refused_by_its_own_code(stripe: str) -> None:
    """SEC-03: a magnetic stripe, or the chip's copy of it, never passes for a number."""
    error = refusal(stripe)
    assert (error.code, error.param) == (ErrorCode.TRACK_DATA_FORBIDDEN, "card.number")


@pytest.mark.parametrize(
    ("number", "length", "shown"),
    [
        (VISA, 6, "411111"),
        (VISA, 8, "41111111"),
        # Fewer than 16 digits: eight and the last four would leave too little.
        (AMEX, 6, "378282"),
        (AMEX, 8, "378282"),
    ],
)
def test_bin_shows_what_may_be_shown(number: str, length: int, shown: str) -> None:
    """SEC-04: six digits, or eight by choice and only of long numbers."""
    assert parse_pan(Sensitive(number)).bin(length) == shown


def test_masked_hides_the_middle() -> None:
    """SEC-04: BIN, stars, last four, in the number's own length."""
    assert parse_pan(Sensitive(VISA)).masked == "411111******1111"
    assert parse_pan(Sensitive(AMEX)).masked == "378282*****0005"


def card() -> Card:
    return Card(
        pan=parse_pan(Sensitive(VISA)),
        expiry=Expiry(12, 2030),
        holder_name="Ada Bird",
        cvc=parse_cvc(Sensitive("917"), brand="visa"),
    )


def test_a_card_never_shows_its_number_or_code(caplog: pytest.LogCaptureFixture) -> None:
    """Promise 2: neither repr, str, format, logging nor an f-string shows the number or the code."""
    shown = card()
    logging.getLogger("test").warning("card %s %r", shown, shown)
    texts = [repr(shown), str(shown), f"{shown}", f"{shown.pan!r:>90}", f"{shown.cvc}", caplog.text]
    for text in texts:
        assert "Sensitive(…)" in text
        assert VISA not in text
        assert "917" not in text
        assert "11111111" not in text


def test_a_card_cannot_be_pickled_copied_deep_hashed_or_encoded() -> None:
    """Promise 2: the ways a value leaves a process by accident are closed."""
    for leave in (pickle.dumps, copy.deepcopy, hash):
        with pytest.raises(TypeError):
            leave(card())
    with pytest.raises(TypeError):
        json.dumps(card().pan.number)


def test_without_cvc_keeps_everything_else() -> None:
    """SEC-02: what is stored for good is the same card without its code."""
    stored = card().without_cvc()
    assert stored.cvc is None
    assert (stored.pan, stored.expiry, stored.holder_name) == (card().pan, card().expiry, "Ada Bird")


@pytest.mark.parametrize(
    "number",
    ["4111111111111112", "%B4111111111111111^DOE/JANE^3012", "4111 1111 1111 1112", "41111111111111119"],
)
def test_no_refusal_quotes_the_number(number: str) -> None:
    """SEC-19: neither the error, its causes, nor a traceback that prints locals holds the digits."""
    try:
        parse_pan(Sensitive(number))
    except InvalidRequest as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        # The frame of this test holds the number on purpose; Farebox's own frames must not.
        frames = [frame for frame in told.stack if frame.filename != __file__]
        locals_shown = " ".join(str(frame.locals) for frame in frames)
        assert frames
        assert error.__cause__ is None
        assert error.__context__ is None
        for text in (str(error), repr(error), error.message, locals_shown):
            assert "11111" not in text
    else:
        pytest.fail("the number was accepted")


def test_no_refusal_quotes_the_security_code() -> None:
    """SEC-19, SEC-02: the same for the code."""
    try:
        parse_cvc(Sensitive("91759"), brand="visa")
    except InvalidRequest as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        shown = " ".join(str(frame.locals) for frame in told.stack if frame.filename != __file__)
        assert "91759" not in f"{error} {error!r} {error.message} {shown}"
    else:
        pytest.fail("the code was accepted")


@pytest.mark.parametrize(
    ("code", "brand"),
    [("123", "visa"), ("1234", "amex"), ("000", "mastercard"), ("123", "unknown"), ("1234", "unknown")],
)
def test_a_code_of_the_brands_length_is_read(code: str, brand: str) -> None:
    """The length goes by the brand; an unknown brand may have either."""
    assert reveal(parse_cvc(Sensitive(code), brand=brand).value) == code


@pytest.mark.parametrize(
    ("code", "brand"),
    [
        ("1234", "visa"),
        ("123", "amex"),
        ("12", "unknown"),
        ("12345", "unknown"),
        ("", "visa"),
        ("12a", "visa"),
        (" 12", "visa"),
        ("١٢٣", "visa"),
        ("12²", "visa"),
    ],
)
def test_other_codes_are_refused(code: str, brand: str) -> None:
    """Only ASCII digits of the brand's length."""
    with pytest.raises(InvalidRequest) as caught:
        parse_cvc(Sensitive(code), brand=brand)
    assert (caught.value.code, caught.value.param) == (ErrorCode.CARD_CVC_INVALID, "card.cvc")


@pytest.mark.parametrize(
    ("month", "year", "expiry"),
    [
        (1, 2030, Expiry(1, 2030)),
        (12, 30, Expiry(12, 2030)),
        (6, 0, Expiry(6, 2000)),
        (6, 99, Expiry(6, 2099)),
    ],
)
def test_expiries_are_read(month: int, year: int, expiry: Expiry) -> None:
    """A year of two digits is of this century."""
    assert parse_expiry(month, year) == expiry


@pytest.mark.parametrize(
    ("month", "year", "param"),
    [
        (0, 2030, "card.exp_month"),
        (13, 2030, "card.exp_month"),
        (-1, 2030, "card.exp_month"),
        (1, 2100, "card.exp_year"),
        (1, 1999, "card.exp_year"),
        (1, 100, "card.exp_year"),
        (1, -1, "card.exp_year"),
    ],
)
def test_other_expiries_are_refused(month: int, year: int, param: str) -> None:
    """The field at fault is named."""
    with pytest.raises(InvalidRequest) as caught:
        parse_expiry(month, year)
    assert (caught.value.code, caught.value.param) == (ErrorCode.CARD_EXPIRY_INVALID, param)


@pytest.mark.parametrize(
    ("on", "passed"),
    [
        (date(2030, 2, 1), False),
        (date(2030, 2, 28), False),
        (date(2030, 3, 1), True),
        (date(2029, 12, 31), False),
        (date(2031, 1, 1), True),
    ],
)
def test_a_card_is_valid_through_the_last_day_of_its_month(on: date, *, passed: bool) -> None:
    """Not before the first of the next month has it passed."""
    assert Expiry(2, 2030).passed(on) is passed


@pytest.mark.parametrize(
    "name",
    [
        "x" * 256,
        "Ada\nBird",
        "Ada\x00",
        "Ada\x7f",
        "Ada\u2028Bird",
        "Ada\u202eBird",
        "\ud800",
        "Ada 4111 1111 1111 1111",
        "4111111111111111",
    ],
)
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """Names are stored apart from the sealed number, so they must not smuggle one (SEC-01)."""
    with pytest.raises(InvalidRequest) as caught:
        Card(parse_pan(Sensitive(VISA)), Expiry(1, 2030), name)
    assert (caught.value.code, caught.value.param) == (ErrorCode.PARAMETER_INVALID, "card.holder_name")


@pytest.mark.parametrize(
    "name", ["x" * 255, "José Núñez", "李小龍", "O'Neil-Smith, Jr.", "علی‌رضا", "", "Louis 14"]
)
def test_names_of_people_are_accepted(name: str) -> None:
    """Letters of all scripts, joiners included, are names."""
    assert Card(parse_pan(Sensitive(VISA)), Expiry(1, 2030), name).holder_name == name


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111",
        "card 4111-1111-1111-1111 please",
        "x4111111111111111x",
        "12/30 4111111111111111 123",
        "ref 12 4111 1111 1111 1111 3",
        "378282246310005",
        "4222222222222",
        "a 6011111111111117 b",
    ],
)
def test_card_numbers_in_text_are_found(text: str) -> None:
    """The net of SEC-19 and of metadata: runs and groups, also with an expiry or a code beside them."""
    assert contains_pan(text)
    assert not contains_pan(mask(text))
    assert len(mask(text)) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no digits",
        "4111111111111112",
        # First digit 1: milliseconds since 1970 are no card numbers.
        "1764000000000",
        "411111111111",
        "41111111111111111111111111",
        "4111.1111.1111.1111",
        "4111  1111 1111 1111",
    ],
)
def test_other_digits_in_text_are_left_alone(text: str) -> None:
    """What is not recognised is returned as it came."""
    assert not contains_pan(text)
    assert mask(text) == text


def test_mask_keeps_the_last_four_and_the_rest_of_the_text() -> None:
    """Support staff can still tell two cards apart."""
    assert mask("a 4111-1111-1111-1111, b 378282246310005.") == "a ***************1111, b ***********0005."


def test_values_compare_by_content() -> None:
    """Equality does not need the clear digits: `Sensitive` compares itself."""
    assert parse_pan(Sensitive(VISA)) == parse_pan(Sensitive("4111 1111 1111 1111"))
    assert parse_pan(Sensitive(VISA)) != parse_pan(Sensitive("4242424242424242"))
    assert Cvc(Sensitive("123")) == Cvc(Sensitive("123"))
    assert isinstance(parse_pan(Sensitive(VISA)), Pan)
