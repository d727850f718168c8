"""What a body and a query may be (SEC-18), and how little a refusal says of it (SEC-19)."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest

from farebox.dialects.codec import (
    DEPTH_MAX,
    INTEGER_DIGITS_MAX,
    NUMBER_LENGTH_MAX,
    QUERY_PARAMETERS_MAX,
    canonical,
    decode,
    decode_query,
    encode,
    parse_json,
)
from farebox.dialects.native import wire
from farebox.domain.errors import ErrorCode, FareboxError, InvalidRequest

PLANTED = "4242424242424242"
PAY: dict[str, Any] = {"amount_minor": 1, "currency": "USD", "source": {"single_use_token": "t"}}
CARD: dict[str, Any] = {"number": PLANTED, "exp_month": 12, "exp_year": 2034}


def refusal(act: Any, *arguments: Any) -> InvalidRequest:
    """Give the refusal, having made sure that nothing that hangs on it shows the planted number."""
    with pytest.raises(InvalidRequest) as caught:
        act(*arguments)
    error = caught.value
    shown: list[object] = [error.code, error.param, error.message, error.args, *vars(error).values()]
    linked: BaseException | None = error
    while linked is not None:
        shown.append(str(linked) if not linked.__suppress_context__ else linked.args)
        linked = linked.__cause__ or (None if linked.__suppress_context__ else linked.__context__)
    assert PLANTED not in repr(shown)
    return error


def planted(body: str) -> bytes:
    return body.replace("#", PLANTED).encode()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"   ", id="white-space"),
        pytest.param(planted('{"a": "#"'), id="unclosed-object"),
        pytest.param(planted('{"a": "#'), id="unclosed-string"),
        pytest.param(planted('{"a": "#"} #'), id="trailing-garbage"),
        pytest.param(planted('{"a": "#"}{"a": "#"}'), id="two-values"),
        pytest.param(planted('{"a": "#",}'), id="trailing-comma"),
        pytest.param(planted("{'a': '#'}"), id="single-quotes"),
        pytest.param(planted('{"a": "#" /* a */}'), id="comment"),
        pytest.param(planted('{"#": 1, "#": 2}'), id="duplicate-key"),
        pytest.param(planted('{"a": [{"b": "#", "b": "#"}]}'), id="duplicate-key-below"),
        pytest.param(planted('{"a": 1, "\\u0061": "#"}'), id="duplicate-key-escaped"),
        pytest.param(b'{"a": NaN}', id="nan"),
        pytest.param(b'{"a": Infinity}', id="infinity"),
        pytest.param(b'{"a": -Infinity}', id="minus-infinity"),
        pytest.param(planted("#" * 2), id="huge-integer"),
        pytest.param(b'{"a": ' + b"9" * (INTEGER_DIGITS_MAX + 1) + b"}", id="one-digit-too-many"),
        pytest.param(b'{"a": ' + b"9" * 60_000 + b"}", id="integer-of-60000-digits"),
        pytest.param(b'{"a": -' + b"9" * 60_000 + b"}", id="negative-integer-of-60000-digits"),
        pytest.param(b'{"a": 0.' + b"1" * NUMBER_LENGTH_MAX + b"}", id="long-fraction"),
        pytest.param(b'{"a": 1e' + b"0" * NUMBER_LENGTH_MAX + b"}", id="long-exponent"),
        pytest.param(planted('{"a": 0#}'), id="leading-zero"),
        pytest.param(planted('{"a": +#}'), id="plus-sign"),
        pytest.param(planted('{"a": 0x#}'), id="hexadecimal"),
        pytest.param(planted('{"a": .#}'), id="no-integer-part"),
        pytest.param('{"a": ４２４２}'.encode(), id="full-width-digits"),
        pytest.param('{"a": ٤٢}'.encode(), id="arabic-digits"),
        pytest.param('{"a": 1２}'.encode(), id="mixed-digits"),
        pytest.param(planted('\ufeff{"a": "#"}'), id="byte-order-mark"),
        pytest.param('{"a": "#"}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'{"a": "\xff"}', id="not-utf-8"),
        pytest.param(b'{"a": "\xc0\x80"}', id="overlong-nul"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="encoded-surrogate"),
        pytest.param(b'{"a": "\\ud800"}', id="lone-high-surrogate"),
        pytest.param(b'{"a": "\\udc00"}', id="lone-low-surrogate"),
        pytest.param(b'{"a": "\\udc00\\ud800"}', id="surrogates-the-wrong-way-round"),
        pytest.param(b'{"\\ud800": 1}', id="lone-surrogate-in-a-key"),
        pytest.param(b'{"a": [["\\ud800"]]}', id="lone-surrogate-below"),
        pytest.param(b'{"a": "\\u0000"}', id="nul-escape"),
        pytest.param(b'{"\\u0000": 1}', id="nul-escape-in-a-key"),
        pytest.param(b'{"a": "\0"}', id="raw-nul"),
        pytest.param(b'{"a": "\n"}', id="raw-newline-in-a-string"),
        pytest.param(b'{"a": "\\x41"}', id="unknown-escape"),
        pytest.param(b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), id="one-level-too-deep"),
        pytest.param(b"[" * 60_000, id="sixty-thousand-levels-unclosed"),
        pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="ten-thousand-objects-deep"),
        pytest.param(
            b'["]",' * (DEPTH_MAX + 1) + b"1" + b"]" * (DEPTH_MAX + 1), id="brackets-in-strings-close-nothing"
        ),
    ],
)
def test_a_body_that_is_not_our_json_is_malformed(body: bytes) -> None:
    """SEC-18, SEC-19: one code, no field, no echo, whatever is wrong."""
    error = refusal(parse_json, body)
    assert (error.code, error.param) == (ErrorCode.BODY_MALFORMED, None)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b" [1, 2.5, true, null] ", [1, 2.5, True, None]),
        (b"9223372036854775807", 2**63 - 1),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ('"é"'.encode(), "é"),
        (b"[" * DEPTH_MAX + b"]" * DEPTH_MAX, json.loads("[" * DEPTH_MAX + "]" * DEPTH_MAX)),
        (b"[" + b"[]," * 100 + b'"[[["' * 1 + b"]", [*[[]] * 100, "[[["]),
        (b'["' + b"[" * 1000 + b'"]', ["[" * 1000]),
        (b'["\\"' + b"[" * 1000 + b'"]', ['"' + "[" * 1000]),
    ],
)
def test_what_is_json_is_read(body: bytes, value: object) -> None:
    """The limits refuse nothing that is allowed, up to their very edge."""
    assert parse_json(body) == value


def test_a_deep_body_costs_no_memory() -> None:
    """SEC-18: the depth is counted before anything is built."""
    body = b"[" * 60_000
    tracemalloc.start()
    try:
        refusal(parse_json, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def pay(**changes: Any) -> dict[str, Any]:
    return PAY | changes


def card(**changes: Any) -> dict[str, Any]:
    return {"card": CARD | changes}


@pytest.mark.parametrize(
    ("body", "into", "code", "param"),
    [
        # wrong types
        (pay(amount_minor="1"), wire.PayIn, "parameter_invalid", "amount_minor"),
        (pay(amount_minor=PLANTED), wire.PayIn, "parameter_invalid", "amount_minor"),
        (pay(amount_minor=1.0), wire.PayIn, "parameter_invalid", "amount_minor"),
        (pay(amount_minor=True), wire.PayIn, "parameter_invalid", "amount_minor"),
        (pay(amount_minor=None), wire.PayIn, "parameter_invalid", "amount_minor"),
        (pay(amount_minor=[PLANTED]), wire.PayIn, "parameter_invalid", "amount_minor"),
        (pay(amount_minor={PLANTED: PLANTED}), wire.PayIn, "parameter_invalid", "amount_minor"),
        (pay(capture="true"), wire.PayIn, "parameter_invalid", "capture"),
        (pay(capture=1), wire.PayIn, "parameter_invalid", "capture"),
        (pay(source=PLANTED), wire.PayIn, "parameter_invalid", "source"),
        (pay(source=[]), wire.PayIn, "parameter_invalid", "source"),
        (pay(source={"cvc": int(PLANTED)}), wire.PayIn, "parameter_invalid", "source.cvc"),
        (pay(currency=int(PLANTED)), wire.PayIn, "parameter_invalid", "currency"),
        (pay(save=PLANTED), wire.PayIn, "parameter_invalid", "save"),
        (pay(reason=PLANTED), wire.PayIn, "parameter_invalid", "reason"),
        (pay(reference=PLANTED * 16), wire.PayIn, "parameter_invalid", "reference"),
        (pay(metadata={PLANTED: int(PLANTED)}), wire.PayIn, "parameter_invalid", "metadata[...]"),
        (pay(metadata=[PLANTED]), wire.PayIn, "parameter_invalid", "metadata"),
        (card(number=int(PLANTED)), wire.MintIn, "parameter_invalid", "card.number"),
        (card(number=[PLANTED]), wire.MintIn, "parameter_invalid", "card.number"),
        (card(number=None), wire.MintIn, "parameter_invalid", "card.number"),
        (card(exp_month="12"), wire.MintIn, "parameter_invalid", "card.exp_month"),
        (card(exp_year=2034.5), wire.MintIn, "parameter_invalid", "card.exp_year"),
        ({"bank_account": {"type": PLANTED}}, wire.MintIn, "parameter_invalid", "bank_account.type"),
        (
            {"billing_address": {"country": PLANTED}},
            wire.MintIn,
            "parameter_invalid",
            "billing_address.country",
        ),
        ([PLANTED], wire.MintIn, "parameter_invalid", None),
        (PLANTED, wire.MintIn, "parameter_invalid", None),
        (int(PLANTED), wire.MintIn, "parameter_invalid", None),
        (None, wire.MintIn, "parameter_invalid", None),
        # missing
        ({}, wire.PayIn, "parameter_missing", "amount_minor"),
        ({"card": {"number": PLANTED}}, wire.MintIn, "parameter_missing", "card.exp_month"),
        (
            {"bank_account": {"account_number": PLANTED}},
            wire.MintIn,
            "parameter_missing",
            "bank_account.type",
        ),
        # unknown: named only if it cannot be a number
        (pay(amont=1), wire.PayIn, "parameter_unknown", "amont"),
        (pay(**{PLANTED: 1}), wire.PayIn, "parameter_unknown", None),
        (pay(**{f"card{PLANTED}": 1}), wire.PayIn, "parameter_unknown", None),
        (pay(**{"x" * 41: 1}), wire.PayIn, "parameter_unknown", None),
        (pay(source={"number": PLANTED}), wire.PayIn, "parameter_unknown", "source.number"),
        (pay(source={PLANTED: 1}), wire.PayIn, "parameter_unknown", "source"),
        (card(pan=PLANTED), wire.MintIn, "parameter_unknown", "card.pan"),
        # a message of the decoder's own, written by the caller
        (pay(save=f"missing required field `{PLANTED}`"), wire.PayIn, "parameter_invalid", "save"),
        (pay(save=f"Object missing required field `{PLANTED}`"), wire.PayIn, "parameter_invalid", "save"),
        (pay(save="Object contains unknown field `pin`"), wire.PayIn, "parameter_invalid", "save"),
        (pay(save=f"Expected `{PLANTED}`"), wire.PayIn, "parameter_invalid", "save"),
        (pay(save=f"x - at `$.{PLANTED}`"), wire.PayIn, "parameter_invalid", "save"),
        (pay(**{f"x` - at `$.{PLANTED}": 1}), wire.PayIn, "parameter_unknown", None),
        (pay(source={f"x` - at `$.{PLANTED}": 1}), wire.PayIn, "parameter_unknown", "source.x"),
        # track data, by whatever name
        (card(track_data=f"%B{PLANTED}^"), wire.MintIn, "track_data_forbidden", "card.track_data"),
        (card(track2=PLANTED), wire.MintIn, "track_data_forbidden", "card.track2"),
        (card(Track1=PLANTED), wire.MintIn, "track_data_forbidden", "card.track1"),
        (card(pin_block=PLANTED), wire.MintIn, "track_data_forbidden", "card.pin_block"),
        (pay(magstripe=PLANTED), wire.PayIn, "track_data_forbidden", "magstripe"),
    ],
)
def test_a_refused_field_is_named_and_its_value_is_not(
    body: Any, into: type[Any], code: str, param: str | None
) -> None:
    """SEC-19: path and expected type; neither a value nor an unknown name that could be a number."""
    error = refusal(decode, body, into)
    assert (error.code.value, error.param) == (code, param)


@pytest.mark.parametrize("amount", [b"1e2", b"1E2", b"100.0", b"1e-2", b"1e400", b"-1e400", b"0.1"])
def test_an_amount_has_no_exponent_and_no_point(amount: bytes) -> None:
    """SEC-18: minor units are whole; `1e2` is not another way to write 100."""
    body = parse_json(encode(PAY).replace(b'"amount_minor":1', b'"amount_minor":' + amount))
    error = refusal(decode, body, wire.PayIn)
    assert (error.code, error.param) == (ErrorCode.PARAMETER_INVALID, "amount_minor")


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        (f"{PLANTED}=1".encode(), "parameter_unknown", None),
        (f"limit={PLANTED}".encode(), "parameter_invalid", "limit"),
        (f"status={PLANTED * 5}".encode(), "parameter_invalid", "status"),
        (b"limit=%EF%BC%91", "parameter_invalid", "limit"),
        (b"limit=1.5", "parameter_invalid", "limit"),
        (b"limit=", "parameter_invalid", "limit"),
        (b"limit=0", "parameter_invalid", "limit"),
        (b"limit=101", "parameter_invalid", "limit"),
        (b"limit=-1", "parameter_invalid", "limit"),
        (b"limit=true", "parameter_invalid", "limit"),
        (b"limit=" + b"9" * 4000, "parameter_invalid", "limit"),
        (b"limit=1&limit=2", "parameter_invalid", None),
        (b"expand=everything", "parameter_invalid", "expand"),
        (b"limit", "body_malformed", "query"),
        (b"&", "body_malformed", "query"),
        (b"status=%ff", "body_malformed", "query"),
        (b"status=\xff", "body_malformed", "query"),
        (b"status=%00", "body_malformed", None),
        (b"status=%ED%A0%80", "body_malformed", "query"),
        (b"&".join(b"a%d=1" % n for n in range(QUERY_PARAMETERS_MAX + 1)), "body_malformed", "query"),
    ],
)
def test_a_query_is_read_as_strictly(query: bytes, code: str, param: str | None) -> None:
    """SEC-18: ASCII digits, each parameter once, a bounded number of them."""
    error = refusal(decode_query, query, wire.PaymentQuery)
    assert (error.code.value, error.param) == (code, param)


def test_a_query_is_read() -> None:
    """Text becomes the types of the struct; nothing gives the defaults."""
    found = decode_query(b"limit=20&reference=a+b%26c&expand=operations", wire.PaymentQuery)
    assert (found.limit, found.reference, found.expand) == (20, "a b&c", "operations")
    assert decode_query(b"", wire.PaymentQuery) == wire.PaymentQuery()


def test_a_secret_is_wrapped_as_it_is_decoded() -> None:
    """SEC-03: no struct with a readable number ever exists."""
    body = decode({"card": CARD | {"cvc": "123"}}, wire.MintIn)
    assert PLANTED not in repr(body)
    assert PLANTED not in str(body)
    with pytest.raises((TypeError, msgspec.ValidationError, NotImplementedError, FareboxError)):
        encode(body)


def test_canonical_form_does_not_depend_on_how_a_body_was_written() -> None:
    """R4: a repetition is recognised by content, not by spelling."""
    one = parse_json(b'{"a": 1, "b": {"c": "x", "d": [1, 2]}}')
    other = parse_json(b'{ "b":{"d":[1,2],"c":"\\u0078"},"a":1 }')
    assert canonical(one) == canonical(other)
    assert canonical(one) != canonical(parse_json(b'{"a": 1, "b": {"c": "x", "d": [2, 1]}}'))
